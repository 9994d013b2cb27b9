"""What a network does with padding and with small images is measured; what would hide a branch does not."""

import re
from typing import cast, final

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from radpath.errors import SettingsError
from radpath.models import torchvision_compat
from radpath.models.probes import padding_problem, smallest_canvas

torchvision_compat.ensure_importable()
import timm  # noqa: E402 - cannot be imported before, where torchvision's compiled part does not load

MIXING = {
    "test_vit": r"^it does not run on padded images of any size \(|^padding changes its features",
    "test_coatnet": r"^it does not run on padded images of any size \(",
    "test_efficientnet_gn": r"^padding changes its features by a relative 0\.\d+ although it is masked$",
    "edgenext_xx_small": r"^padding changes its features",  # hidden by a layer scale of 1e-6
    "swiftformer_xs": r"^padding changes its features",  # hidden by a layer scale with three dimensions
    "gcresnext26ts": r"^padding changes its features",  # hidden by a last layer of zeros, and by a sharp softmax
    "poolformer_s12": r"^padding changes its features",
    "halonet26t": r"^it does not run on padded images of any size \(AssertionError\)$",  # an assertion without words
}
MIXING_AND_LARGER = {
    "resnetv2_50d_gn": r"^padding changes its features",
    "vit_tiny_patch16_224": r"^it does not run on padded images of any size \(Input height \(96\)",
    "swin_tiny_patch4_window7_224": r"^it does not run on padded images of any size \(Input height \(96\)",
    "resnetblur50": r"a layer pads with mode='reflect'",
    "bat_resnext26ts": r"a pooling to \(8, 1\) positions depends on the canvas",
    "mobilevit_xxs": r"^padding changes its features",
    "efficientvit_b0": r"\(a layer pads|^padding changes",
    "convmixer_768_32": r"a convolution has padding='same'",
}


def fresh(name: str) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network: nn.Module = timm.create_model(name, num_classes=0)
    return network


@pytest.mark.parametrize("name", [*MIXING, *(pytest.param(name, marks=pytest.mark.slow) for name in MIXING_AND_LARGER)])
def test_a_network_that_mixes_positions_in_other_ways_is_found_out(name: str) -> None:
    problem = padding_problem(fresh(name))
    assert problem is not None
    assert re.search({**MIXING, **MIXING_AND_LARGER}[name], problem)


def test_measuring_leaves_the_network_as_it_was() -> None:
    network = fresh("test_resnet").train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    padding_problem(network)
    smallest_canvas(network)
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert all(module.training for module in network.modules())


@final
class Pooled(nn.Module):
    """Layers, then a mean over positions."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        return cast("Tensor", self.layers(images)).mean((2, 3))


def test_features_that_are_no_vectors_are_a_problem() -> None:
    assert padding_problem(nn.Conv2d(3, 4, 1)) == (
        "it does not run on padded images of any size (its features have 4 dimensions, not 2)"
    )


@final
class Halves(nn.Module):
    """Two branches that halve in different ways, after some halvings; they agree where the side is even there."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.before = nn.Sequential(*[nn.Conv2d(3, 3, 3, 2, 1) for _ in range(depth)])
        self.convolution = nn.Conv2d(3, 3, 3, 2, 1)

    def forward(self, images: Tensor) -> Tensor:
        halved = self.before(images)
        return cast("Tensor", self.convolution(halved) + functional.max_pool2d(halved, 2)).mean((2, 3))


@pytest.mark.parametrize("depth", range(5))
def test_branches_that_disagree_on_odd_sides_are_found_out_at_any_depth(depth: int) -> None:
    assert padding_problem(Halves(depth)) is not None


@pytest.mark.parametrize(("kernel", "smallest"), [(3, 32), (33, 64), (70, 96)])
def test_the_smallest_canvas_is_the_smallest_on_which_the_network_runs(kernel: int, smallest: int) -> None:
    network = Pooled(nn.Conv2d(3, 4, kernel)).train()
    assert smallest_canvas(network) == smallest
    assert network.training


def test_a_network_that_runs_on_no_canvas_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"^model\.backbone runs on no canvas of 32 to 512 px; choose another$"):
        smallest_canvas(Pooled(nn.Conv2d(3, 1, 513)))


def test_inception_needs_96_pixels() -> None:
    assert smallest_canvas(timm.create_model("inception_v3", num_classes=0)) == 96
