"""Pre-activation residual networks of any depth of the paper, built from channels, size, classes and depth.

In: the numbers that describe the images and the task. Out: a network with random weights. He et al. 2016, "Identity
mappings in deep residual networks": normalisation and ReLU stand in front of each convolution, so that nothing lies on
the path between blocks. The blocks are timm's ``ResNetV2``; the first weights are He's (He et al. 2015, normal with
variance 2 / fan-in). The paper's penalty on the weights, L2 times 1e-4, is a matter of the training: set
``training.weight_decay`` to it.

Departure: bottlenecks halve the maps in their 3 x 3 convolution, not in the 1 x 1 before it, which would skip three of
four positions.
"""

from typing import Final

from torch import nn

from radpath.errors import SettingsError
from radpath.models import torchvision_compat

BLOCKS: Final[dict[int, tuple[int, int, int, int]]] = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
"""Blocks in each stage, by the depth that gives a network its name."""

_SHALLOW: Final = (18, 34)  # blocks of two 3 x 3 convolutions; the deeper ones have bottlenecks
_WHOLE_STRIDE: Final = 32  # two halvings in the stem, three between stages


def build_preact_resnet(*, channels: int, height_px: int, width_px: int, num_classes: int, depth: int) -> nn.Module:
    """Build a network for images of one size.

    Args:
        channels: of the images, at least 1.
        height_px: of the images, at least 32, so that every stride halves something.
        width_px: as the height.
        num_classes: outputs of the linear layer at the end; 0 for the features themselves.
        depth: 18, 34, 50, 101 or 152 layers.

    Raises:
        SettingsError: the depth is another, or a number is too small.

    >>> network = build_preact_resnet(channels=1, height_px=64, width_px=48, num_classes=2, depth=18)
    >>> sum(parameter.numel() for parameter in network.parameters())
    11169474
    """
    if depth not in BLOCKS:
        raise SettingsError(f"a pre-activation ResNet cannot be {depth} layers deep; choose one of {sorted(BLOCKS)}")
    if channels < 1 or num_classes < 0:
        raise SettingsError(
            f"a ResNet needs at least 1 channel and 0 classes; these are {channels} channels and {num_classes} classes"
        )
    if min(height_px, width_px) < _WHOLE_STRIDE:
        raise SettingsError(
            f"{height_px} x {width_px} px do not survive the strides of a ResNet, which halve an image five times; "
            f"give it images of at least {_WHOLE_STRIDE} px a side"
        )
    network = _blocks_of_timm(channels, num_classes, depth)
    _draw_as_he(network)
    return network


def _blocks_of_timm(channels: int, num_classes: int, depth: int) -> nn.Module:
    torchvision_compat.ensure_importable()
    from timm.layers import BatchNormAct2d, create_conv2d
    from timm.models.resnetv2 import ResNetV2

    shallow = depth in _SHALLOW
    network: nn.Module = ResNetV2(
        layers=list(BLOCKS[depth]),
        channels=tuple((64 if shallow else 256) << stage for stage in range(4)),
        num_classes=num_classes,
        in_chans=channels,
        basic=shallow,
        bottle_ratio=1.0 if shallow else 0.25,
        conv_layer=create_conv2d,
        norm_layer=BatchNormAct2d,
    )
    # What timm tells of its own networks; pixels go in as -1..1.
    described = {"mean": (0.5,) * 3, "std": (0.5,) * 3, "first_conv": "stem.conv", "classifier": "head.fc"}
    vars(network)["default_cfg"] = {"input_size": (channels, 224, 224), **described}
    return network


def _draw_as_he(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
