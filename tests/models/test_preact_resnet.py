"""Pre-activation residual networks: their order, their first weights, and what they refuse."""

import pytest
import torch
from torch import nn

from radpath.errors import SettingsError
from radpath.models.preact_resnet import build_preact_resnet

# Published parameter counts of ResNets with 1000 classes lie within a few thousand: normalisation stands elsewhere.
MILLIONS = {18: 11.69, 34: 21.80, 50: 25.55, 101: 44.54, 152: 60.19}


@pytest.fixture(scope="module")
def shallow() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        return build_preact_resnet(channels=1, height_px=64, width_px=48, num_classes=3, depth=18)


@pytest.mark.parametrize("depth", [18, 34, 50, *(pytest.param(depth, marks=pytest.mark.slow) for depth in (101, 152))])
def test_every_depth_has_the_size_of_the_paper(depth: int) -> None:
    network = build_preact_resnet(channels=3, height_px=224, width_px=224, num_classes=1000, depth=depth)
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(MILLIONS[depth], abs=0.02)


def test_it_takes_the_channels_and_gives_the_classes_it_was_built_for(shallow: nn.Module) -> None:
    assert shallow(torch.zeros(2, 1, 64, 48)).shape == (2, 3)
    with pytest.raises(RuntimeError, match="channels"):
        shallow(torch.zeros(2, 3, 64, 48))


def test_the_last_maps_of_the_smallest_image_have_one_position(shallow: nn.Module) -> None:
    shapes: list[torch.Size] = []
    hook = shallow.get_submodule("norm").register_forward_hook(lambda _m, _i, output: shapes.append(output.shape))
    shallow.eval()(torch.zeros(1, 1, 32, 32))
    hook.remove()
    assert shapes == [(1, 512, 1, 1)]


def test_nothing_lies_on_the_path_between_blocks(shallow: nn.Module) -> None:
    """With branches of zero, a block of one size is the identity: no ReLU follows the addition."""
    block = shallow.get_submodule("stages.0.blocks.1")
    with torch.no_grad():
        kernel = block.get_parameter("conv2.weight")
        before = kernel.clone()
        kernel.zero_()
        maps = torch.randn(1, 64, 5, 5, generator=torch.Generator().manual_seed(0))
        assert torch.equal(block(maps), maps)
        kernel.copy_(before)


def test_the_first_weights_are_normal_with_variance_two_over_fan_in(shallow: nn.Module) -> None:
    for module in shallow.modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 30_000:
            fan_in = module.weight[0].numel()
            assert float(module.weight.detach().var()) == pytest.approx(2 / fan_in, rel=0.05)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"depth": 20}, r"^a pre-activation ResNet cannot be 20 layers deep; choose one of \[18, 34, 50, 101, 152\]$"),
        ({"channels": 0}, r"these are 0 channels and 2 classes$"),
        ({"num_classes": -1}, r"these are 3 channels and -1 classes$"),
        ({"width_px": 31}, r"^64 x 31 px do not survive the strides of a ResNet, .* at least 32 px a side$"),
    ],
)
def test_numbers_that_make_no_network_are_refused(wrong: dict[str, int], message: str) -> None:
    right = {"channels": 3, "height_px": 64, "width_px": 64, "num_classes": 2, "depth": 18}
    with pytest.raises(SettingsError, match=message):
        build_preact_resnet(**{**right, **wrong})
