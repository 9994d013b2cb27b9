"""Every option reaches its head: sizes, outputs and first weights, against the numbers of the study they come from."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from radpath.errors import SettingsError
from radpath.models.heads import HeadSettings, HiddenHead, SteadyBatchNorm1d, build_head, num_parameters, too_large
from radpath.settings import parse_settings

KINDS = ["linear", "nonlinear", "conv", "conv_skip"]
HIDDEN = ["nonlinear", "conv", "conv_skip"]
FEATURES = 12


def make(*, num_classes: int = 3, features: int = FEATURES, seed: int = 0, **options: Any) -> nn.Module:
    torch.manual_seed(seed)
    return build_head(HeadSettings.model_validate(options), num_features=features, num_classes=num_classes)


def draw(rows: int = 6) -> Tensor:
    return torch.randn(rows, FEATURES, generator=torch.Generator().manual_seed(3))


def shapes(head: nn.Module) -> list[torch.Size]:
    return [parameter.shape for parameter in head.parameters()]


# Computed for the study's own code, with a hidden layer of half the width and two classes.
@pytest.mark.parametrize(
    ("features", "options", "millions"),
    [
        (2048, {"kind": "linear"}, 0.004098),
        (2048, {"kind": "nonlinear"}, 2.1),
        (2048, {"kind": "conv", "num_filters": 16}, 536.4),
        (2048, {"kind": "conv_skip", "num_filters": 16}, 603.6),
        (2048, {"kind": "conv_skip", "num_filters": 4}, 50.3),
        (1024, {"kind": "conv_skip", "num_filters": 16}, 150.8),
        (1024, {"kind": "conv_skip", "num_filters": 4}, 12.6),
    ],
)
def test_heads_are_as_large_as_those_of_the_study(features: int, options: dict[str, Any], millions: float) -> None:
    with torch.device("meta"):
        head = make(features=features, num_classes=2, **options)
    assert num_parameters(head) / 1e6 == pytest.approx(millions, abs=0.05 if millions > 1 else 0)


@pytest.mark.parametrize(
    ("kind", "option", "value"),
    [
        *((kind, "hidden_ratio", 0.25) for kind in HIDDEN),
        *((kind, "num_filters", 2) for kind in ("conv", "conv_skip")),
        *((kind, "kernel_size", 5) for kind in ("conv", "conv_skip")),
    ],
)
def test_every_size_option_changes_the_layers(kind: str, option: str, value: float) -> None:
    changed: dict[str, Any] = {"kind": kind, option: value}
    assert shapes(make(**changed)) != shapes(make(kind=kind))


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_acts_while_training_and_only_then(kind: str) -> None:
    dropped, kept = make(kind=kind, dropout=0.5), make(kind=kind, dropout=0)
    assert torch.equal(dropped.eval()(draw()), kept.eval()(draw()))
    assert not torch.equal(dropped.train()(draw()), kept.train()(draw()))


def test_a_convolutional_head_with_a_skip_computes_what_its_description_says() -> None:
    head = make(kind="conv_skip", num_filters=2, kernel_size=3, hidden_ratio=0.5, dropout=0.3).eval()
    assert isinstance(head, HiddenHead)
    with torch.no_grad():
        for parameter in (*head.parameters(), *(b for b in head.buffers() if b.is_floating_point())):
            parameter.copy_(torch.rand(parameter.shape) + 0.1)
    values: dict[str, Tensor] = {name: tensor.double() for name, tensor in head.state_dict().items()}
    features = draw().double()

    def norm(x: Tensor, layer: str) -> Tensor:
        view = [1, -1] + [1] * (x.dim() - 2)
        parts = ("running_mean", "running_var", "weight", "bias")
        mean, var, gain, offset = (values[f"{layer}.{part}"].view(view) for part in parts)
        return (x - mean) / (var + 1e-5).sqrt() * gain + offset

    filtered = torch.stack(
        [(features.unfold(1, 3, 1) * values["convolution.1.weight"][number, 0]).sum(-1) for number in range(2)], dim=1
    )
    filtered = functional.leaky_relu(norm(filtered, "convolution.2"), 0.01).flatten(1)
    skip = norm(features @ values["projection.0.weight"].T, "projection.1").relu()
    hidden = functional.leaky_relu(norm((filtered + skip) @ values["hidden.0.weight"].T, "hidden.1"), 0.01)
    expected = hidden @ values["output.weight"].T + values["output.bias"]
    assert shapes(head.hidden)[0] == (10, 20)
    torch.testing.assert_close(head(draw()).double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_first_weights_are_drawn_as_he_and_others_say(kind: str) -> None:
    head = make(kind=kind, features=400, num_classes=50)
    for layer in head.modules():
        if isinstance(layer, nn.Linear | nn.Conv1d):
            fan_in = layer.weight[0].numel()
            if layer.weight.numel() > 2000:
                assert float(layer.weight.detach().std()) == pytest.approx((2 / fan_in) ** 0.5, rel=0.1)
            assert layer.bias is None or not layer.bias.any()


@pytest.mark.parametrize("kind", KINDS)
def test_a_head_can_learn_from_a_single_image(kind: str) -> None:
    head = make(kind=kind)
    head(draw(rows=1)).sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in head.parameters())


@given(rows=st.integers(2, 9))
@settings(max_examples=25, deadline=None)
def test_steady_batch_norm_is_batch_norm_for_more_than_one_value(rows: int) -> None:
    steady, plain = SteadyBatchNorm1d(FEATURES), nn.BatchNorm1d(FEATURES)
    assert torch.equal(steady(draw(rows)), plain(draw(rows)))
    assert torch.equal(steady.state_dict()["running_var"], plain.state_dict()["running_var"])


def test_steady_batch_norm_takes_what_it_knows_of_one_value() -> None:
    norm = SteadyBatchNorm1d(FEATURES)
    norm(draw())
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    assert torch.equal(norm(draw(rows=1)), norm.eval()(draw(rows=1)))
    assert all(torch.equal(value, before[name]) for name, value in norm.state_dict().items())


@pytest.mark.parametrize(
    ("options", "name", "value"),
    [
        ({"hidden_ratio": 1.0}, "hidden_ratio", "1.0"),
        ({"num_filters": 16}, "num_filters", "16"),
        ({"kind": "nonlinear", "kernel_size": 4}, "kernel_size", "4"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(options: dict[str, Any], name: str, value: str) -> None:
    message = rf"^test: model\.head\.{name} is {value}, which a head of kind '\w+' has no use for; leave it out"
    with pytest.raises(SettingsError, match=message):
        parse_settings(HeadSettings, options, source="test")


def test_sizes_that_leave_nothing_are_refused() -> None:
    with pytest.raises(
        SettingsError, match=r"^model\.head\.kernel_size is 13, but the backbone gives only 12 features"
    ):
        make(kind="conv", kernel_size=13)
    with pytest.raises(SettingsError, match=r"^model\.head\.hidden_ratio is 0\.05, .* 12 values; set at least 0\.083$"):
        make(kind="nonlinear", hidden_ratio=0.05)


def test_a_head_is_too_large_from_the_first_parameter_above_a_hundred_an_image() -> None:
    assert too_large(nn.Linear(4999, 1), num_images=50) is None
    assert str(too_large(nn.Linear(5000, 1), num_images=50)).startswith(
        "the head has 5,001 parameters, 100 for each of 50 training"
    )
