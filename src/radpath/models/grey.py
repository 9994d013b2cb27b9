"""Grey images on purpose: one channel into a network that was made for three, with the same result.

In: a network for colours, and how its channels are normalised. Out: the same network for one channel. Repeating a grey
image three times needs no change here; summing is what this module does: the first convolution reads every position
three times with three kernels, and one kernel that is their sum gives the same numbers with a third of the work.

Where the channels are normalised differently, each kernel is scaled by its own channel's deviation, and what the
differing means add up to becomes a bias. The result is then still the same wherever the kernel lies inside the image;
where it reaches over the border it may differ a little, since the network pads the normalised image with zeros, and
zero stands for one grey in each channel then.
"""

import copy
from typing import Final

import torch
from torch import Tensor, nn

from radpath.errors import SettingsError

_TOLERANCE: Final = 1e-5  # relative; summing in another order costs about 1e-7
_COLOURS: Final = 3


def sum_colours(
    network: nn.Module, first_conv: object, *, mean: tuple[float, ...], std: tuple[float, ...]
) -> tuple[float, float]:
    """Make a network take one channel; return the mean and deviation with which that has to be normalised.

    Args:
        network: is changed in place.
        first_conv: the name of its first convolution, as timm tells it.
        mean: what is subtracted from each of three equal channels now, in the order of the network's channels.
        std: what each is divided by now.

    Raises:
        SettingsError: as ``require_summable``.
    """
    layer = require_summable(network, first_conv)
    one_mean, one_std = sum(mean) / _COLOURS, sum(std) / _COLOURS
    changed = _summed(layer, mean=torch.tensor(mean), std=torch.tensor(std), one_mean=one_mean, one_std=one_std)
    network.set_submodule(str(first_conv), changed)
    return one_mean, one_std


def require_summable(network: nn.Module, first_conv: object) -> nn.Conv2d:
    """Return a network's first convolution, of whose result summed weights have been measured to change nothing.

    Raises:
        SettingsError: the first layer is no convolution of three colours, or changes its weights before it uses them.
    """
    layer = _first_layer(network, first_conv)
    if _difference(layer) > _TOLERANCE:
        raise SettingsError(
            f"model.grey is 'sum', but the first layer of this backbone ({first_conv}, {type(layer).__name__}) does "
            "not add up its channels as they are; set model.grey to 'repeat'"
        )
    return layer


def _first_layer(network: nn.Module, first_conv: object) -> nn.Conv2d:
    names = dict(network.named_modules())
    layer = names.get(first_conv) if isinstance(first_conv, str) else None
    if not isinstance(layer, nn.Conv2d) or layer.in_channels != _COLOURS or layer.groups != 1:
        raise SettingsError(
            "model.grey is 'sum', but this backbone does not begin with one convolution of three colours "
            f"(it begins with {first_conv}); set model.grey to 'repeat'"
        )
    return layer


def _summed(layer: nn.Conv2d, *, mean: Tensor, std: Tensor, one_mean: float, one_std: float) -> nn.Conv2d:
    """Return the layer for one channel z = (x - one_mean) / one_std, where it had (x - mean[c]) / std[c].

    With x = one_std z + one_mean, channel c is z one_std / std[c] + (one_mean - mean[c]) / std[c].
    """
    scales, offsets = one_std / std, (one_mean - mean) / std
    changed = copy.deepcopy(layer)
    changed.in_channels = 1
    with torch.no_grad():
        changed.weight = nn.Parameter((layer.weight * scales[:, None, None]).sum(dim=1, keepdim=True))
        if bool((mean != mean[0]).any()):
            added = (layer.weight.sum(dim=(2, 3)) * offsets).sum(dim=1)
            changed.bias = nn.Parameter(added if layer.bias is None else added + layer.bias)
    return changed


@torch.no_grad()
def _difference(layer: nn.Conv2d) -> float:
    """Return by how much, relatively, the layer with summed weights differs on a grey image."""
    whole = copy.deepcopy(layer).double()
    summed = _summed(whole, mean=torch.zeros(_COLOURS), std=torch.ones(_COLOURS), one_mean=0.0, one_std=1.0)
    side = 4 * max(layer.kernel_size) * max(layer.stride)
    image = torch.rand(1, 1, side, side, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected, found = whole(image.expand(-1, _COLOURS, -1, -1)), summed(image)
    return float((expected - found).abs().max() / expected.abs().max().clamp(min=1e-12))
