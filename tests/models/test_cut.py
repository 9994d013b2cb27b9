"""A network that is run in two parts gives what the whole gives, while it learns too, and tells where it cannot."""

import copy
import functools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from radpath.models.backbones import Backbone
from radpath.models.classifier import Classifier, ModelSettings
from radpath.models.cut import Activations
from radpath.models.weights import LoadReport

NetworkMaker = Callable[[str], nn.Module]
BackboneMaker = Callable[[str], Backbone]

CONVOLUTIONAL = ["test_resnet", "test_efficientnet", "test_convnext", "mobilenetv3_small_050", "densenet121"]
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("resnet18", "tf_efficientnet_lite0", "inception_v3")]
HEIGHTS, WIDTHS = torch.tensor([96, 75, 96]), torch.tensor([96, 96, 40])
REPORT = LoadReport(source="none", origin="random", sha256="", loaded=0, left_over=())


@pytest.fixture(scope="module")
def make_backbone(wild_network: NetworkMaker) -> BackboneMaker:
    @functools.cache
    def make(name: str) -> Backbone:
        network = wild_network(name)
        return Backbone(copy.deepcopy(network).float(), name=name, report=REPORT, config=network.default_cfg)  # type: ignore[arg-type] # timm's dictionary

    return make


def classifier(backbone: Backbone, **settings: object) -> Classifier:
    values = {"weights": "none", "norm_statistics": "batch", **settings}
    torch.manual_seed(0)
    return Classifier(copy.deepcopy(backbone), ModelSettings.model_validate(values), num_classes=2)


def draw(side: int) -> Tensor:
    return torch.rand(3, 3, side, side, generator=torch.Generator().manual_seed(1))


def learned(model: Classifier, logits: Callable[[], Tensor]) -> list[Tensor]:
    """Return the logits while training, the gradients, and all statistics afterwards."""
    torch.manual_seed(7)
    values = logits()
    torch.autograd.backward(functional.cross_entropy(values, torch.tensor([0, 1, 1])))
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    return [values.detach(), *gradients, *model.buffers()]


@pytest.mark.parametrize("freeze", ["all", "top-1", "top-3"])
@pytest.mark.parametrize("name", [*CONVOLUTIONAL, *SLOW])
def test_both_parts_learn_what_the_whole_learns(name: str, freeze: str, make_backbone: BackboneMaker) -> None:
    whole, parts = (classifier(make_backbone(name), freeze=freeze).train() for _ in range(2))
    assert parts.cut_problem() is None
    images = draw(96)
    kept = parts.until(images, HEIGHTS, WIDTHS)
    # As a cache gives them back: contiguous, and nothing but numbers.
    kept = Activations(*(torch.from_numpy(tensor.contiguous().numpy()) for tensor in kept))
    expected = learned(whole, lambda: whole(images, HEIGHTS, WIDTHS))
    found = learned(parts, lambda: parts.onwards(kept))
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("freeze", ["all", "top-1", "top-2", "top-3", "top-4"])
def test_a_transformer_is_cut_between_its_blocks(freeze: str, make_backbone: BackboneMaker) -> None:
    model = classifier(make_backbone("test_vit"), freeze=freeze).train()
    whole = torch.tensor([160] * 3)
    assert model.cut_problem() is None
    kept = model.until(draw(160), whole, whole)
    assert kept.values.shape == ((3, 64) if freeze == "all" else (3, 101, 64))
    torch.manual_seed(3)
    expected = model(draw(160), whole, whole)
    torch.manual_seed(3)
    torch.testing.assert_close(model.onwards(kept), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["test_resnet", "test_convnext", "mobilenetv3_small_050"])
def test_attention_is_behind_the_cut_of_a_frozen_backbone(name: str, make_backbone: BackboneMaker) -> None:
    model = classifier(make_backbone(name), freeze="all", pooling="attention").eval()
    kept = model.until(draw(96), HEIGHTS, WIDTHS)
    assert kept.values.dim() == 4
    query = next(parameter for name, parameter in model.named_parameters() if name.endswith("query"))
    for _ in range(2):
        torch.testing.assert_close(model.onwards(kept), model(draw(96), HEIGHTS, WIDTHS), rtol=1e-5, atol=1e-6)
        with torch.no_grad():
            query.normal_()


def test_valid_sizes_are_those_at_the_cut(make_backbone: BackboneMaker) -> None:
    model = classifier(make_backbone("test_resnet"), freeze="top-1")
    kept = model.until(draw(96), HEIGHTS, WIDTHS)
    assert kept.values.shape == (3, 192, 6, 6)
    assert (kept.heights.tolist(), kept.widths.tolist()) == ([6, 5, 6], [6, 6, 3])
    whole = torch.tensor([96] * 3)
    assert model.until(draw(96), whole, whole).heights.tolist() == [6, 6, 6]


def test_what_was_kept_needs_neither_padding_nor_batch_mates(make_backbone: BackboneMaker) -> None:
    model = classifier(make_backbone("test_resnet"), freeze="top-2").eval()
    kept = model.until(draw(96), HEIGHTS, WIDTHS)
    together = model.onwards(kept)
    for place in range(3):
        height, width = int(kept.heights[place]), int(kept.widths[place])
        values = torch.full((1, kept.values.shape[1], 12, 16), 5.0)
        values[..., :height, :width] = kept.values[place, :, :height, :width]
        alone = Activations(values, kept.heights[place : place + 1], kept.widths[place : place + 1])
        torch.testing.assert_close(model.onwards(alone)[0], together[place], rtol=1e-5, atol=1e-5)


def test_nothing_of_the_frozen_part_runs_behind_the_cut_and_all_is_as_before(make_backbone: BackboneMaker) -> None:
    model = classifier(make_backbone("test_resnet"), freeze="top-1").train()
    kept, modes = model.until(draw(96), HEIGHTS, WIDTHS), [module.training for module in model.modules()]
    expected = model(draw(96), HEIGHTS, WIDTHS)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if model.stage_index(name) < model.fixed_stages:
                parameter.fill_(torch.nan)
    assert model.cut_problem() is not None  # the whole gives no numbers any more
    torch.manual_seed(0)
    assert model.onwards(kept).isfinite().all()
    assert [module.training for module in model.modules()] == modes
    assert not any("forward" in vars(module) or module._forward_hooks for module in model.modules())
    assert expected.requires_grad


@pytest.mark.parametrize(
    ("order", "problem"),
    [
        ("past", "what its first modules compute reaches the features in more than one way"),
        ("twice", "it runs a module more than once"),
        ("learning first", "something learns in its first modules already"),
        ("by shape", "its parts do not run apart ("),
    ],
)
def test_a_network_that_cannot_be_cut_says_why(order: str, problem: str) -> None:
    class Odd(nn.Module):
        """A network whose parts are tied together."""

        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
            self.feature_info = [{"module": "first", "reduction": 2}, {"module": "second", "reduction": 4}]

        def forward(self, images: Tensor) -> Tensor:
            if order == "learning first":
                return torch.as_tensor(self.first(self.second(images))).mean((2, 3))
            early: Tensor = self.first(self.first(images)) if order == "twice" else self.first(images)
            late: Tensor = self.second(early)
            if order == "past":
                late = late + 1e-30 * images.mean((2, 3), keepdim=True)
            if order == "by shape":
                late = late + torch.zeros(images.shape)
            return late.mean((2, 3))

    config = {"mean": (0.5,) * 3, "std": (0.5,) * 3}
    backbone = Backbone(Odd(), name="odd", report=REPORT, config=config)
    found = classifier(backbone, freeze="top-1").cut_problem()
    assert found is not None
    assert found.startswith(problem)
