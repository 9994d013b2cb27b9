"""Block attention: the paper's equations, the identity at first, and padding that changes nothing."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from radpath.errors import SettingsError
from radpath.models.architectures import create_network
from radpath.models.cbam import CBAM, add_cbam
from radpath.models.probes import padding_problem, run_empty
from radpath.models.valid_area import ValidArea


def drawn(module: nn.Module) -> nn.Module:
    """Nothing of it is at its tame first value."""
    random = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=random))
    return module.double().eval()


def maps_of(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(7), dtype=torch.float64)


def by_the_paper(module: nn.Module, maps: Tensor) -> Tensor:
    """Equations 2 and 3, one image and one position at a time, with gates twice the sigmoid."""
    kernel = module.get_parameter("where.weight")[0]
    result = torch.empty_like(maps)
    for number, image in enumerate(maps):
        signals = [
            module.get_submodule("shared.2")(module.get_submodule("shared.0")(vector).relu())
            for vector in (image.flatten(1).mean(1), image.flatten(1).max(1).values)
        ]
        weighed = image * (2 / (1 + torch.exp(-(signals[0] + signals[1]))))[:, None, None]
        both = functional.pad(torch.stack([weighed.mean(0), weighed.max(0).values]), (3, 3, 3, 3))
        for row in range(maps.shape[2]):
            for column in range(maps.shape[3]):
                signal = (both[:, row : row + 7, column : column + 7] * kernel).sum()
                result[number, :, row, column] = weighed[:, row, column] * 2 / (1 + torch.exp(-signal))
    return result


@torch.no_grad()
def test_it_computes_what_the_paper_writes() -> None:
    module, maps = drawn(CBAM(32)), maps_of(2, 32, 5, 8)
    assert module.get_parameter("shared.0.weight").shape == (2, 32)  # a sixteenth
    torch.testing.assert_close(module(maps), by_the_paper(module, maps))


def test_it_begins_as_the_identity_and_can_learn() -> None:
    module, maps = CBAM(16), maps_of(2, 16, 6, 6).float()
    assert torch.equal(module(maps), maps)
    module(maps).square().sum().backward()
    assert module.where.weight.grad is not None
    assert module.where.weight.grad.abs().max() > 0
    assert all(parameter.grad is not None for parameter in module.parameters())


@torch.no_grad()
def test_maps_on_a_larger_canvas_are_weighed_as_if_they_stood_alone() -> None:
    module, maps = drawn(CBAM(8)), maps_of(1, 8, 5, 9)
    canvas = torch.full((1, 8, 12, 12), 50.0, dtype=torch.float64)
    canvas[..., :5, :9] = maps
    with ValidArea(canvas, torch.tensor([5]), torch.tensor([9])):
        weighed = module(canvas)
    torch.testing.assert_close(weighed[..., :5, :9], module(maps), rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    "name",
    [
        "test_resnet",
        "test_efficientnet",
        "test_convnext",
        "simple_cnn",
        pytest.param("densenet121", marks=pytest.mark.slow),
    ],
)
def test_a_network_with_attention_follows_padding_and_is_the_same_at_first(name: str) -> None:
    network, _ = create_network(name, from_hub=False)
    network.eval()
    plain = copy.deepcopy(network)
    add_cbam(network, name=name, run=lambda network: run_empty(network, 64))
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(network(image), plain(image))
    assert padding_problem(network) is None
    assert sum(isinstance(module, CBAM) for module in network.modules()) == (3 if name == "simple_cnn" else 4)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "test_vit",
            r"^model\.attention is 'cbam', which backbone 'test_vit' cannot have: its blocks\.0 gives tokens, ",
        ),
        (
            "swin_tiny_patch4_window7_224",
            r"its layers\.0 gives maps with channels last, .*set model\.attention to 'none'",
        ),
    ],
)
def test_a_transformer_is_refused(name: str, message: str) -> None:
    network, config = create_network(name, from_hub=False)
    with pytest.raises(SettingsError, match=message):
        add_cbam(network, name=name, run=lambda network: run_empty(network, config["input_size"][-1]))


def test_a_network_that_does_not_name_its_stages_is_refused() -> None:
    never: Callable[[nn.Module], object] = lambda _network: None  # noqa: E731 - nothing has to run
    with pytest.raises(SettingsError, match=r"^model\.attention is 'cbam', but backbone 'made' does not say where its"):
        add_cbam(nn.Conv2d(3, 4, 3), name="made", run=never)
