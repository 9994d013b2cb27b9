"""Brightness, contrast, saturation and hue of a whole batch, folded into one matrix an image.

In: a batch and what was drawn. Out: the batch with its channels mixed. All four are linear in the values, so that one
product of matrices makes them together. Grey stays grey. What leaves the range of values is cut off elsewhere.
"""

from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from radpath.data.augmentation.draws import Changes
from radpath.data.augmentation.geometry import Images

COLOURS = frozenset({"brightness", "contrast", "saturation", "hue"})
"""The operations that this module makes, all at once."""

_MIXING: Final = frozenset({"saturation", "hue"})
"""The operations that need more than one channel at a time."""

LUMA: Final = np.array([0.299, 0.587, 0.114])
"""How bright red, green and blue look: ITU-R BT.601."""

_TO_LUMA_AND_CHROMA: Final = np.stack([LUMA, [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
"""YIQ, the American NTSC standard of 1953; the last two numbers of a grey are zero, and hue is their angle."""


def colour_matrices(changes: Changes, num_channels: int) -> Float[np.ndarray, "batch channels channels"]:
    """Return by which matrix the values of each pixel are multiplied: contrast, then saturation, then hue.

    Every row of a matrix sums to the factor of the contrast, so that equal channels stay equal.
    """
    contrast = changes.contrast[:, None, None]
    if num_channels == 1:
        return contrast
    saturation = changes.saturation[:, None, None]
    saturated = saturation * np.eye(3) + (1 - saturation) * LUMA
    mixed: np.ndarray = contrast * (hue_matrices(changes.hues_deg) @ saturated)
    return mixed


def hue_matrices(angles_deg: Float[np.ndarray, " batch"]) -> Float[np.ndarray, "batch 3 3"]:
    """Return matrices that turn colours around grey and keep how bright they look.

    >>> bool(np.allclose(hue_matrices(np.array([0.0, 90.0])) @ np.ones(3), 1))
    True
    """
    angles = np.radians(angles_deg)
    turns = np.zeros((len(angles), 3, 3))
    turns[:, 0, 0] = 1
    turns[:, 1, 1] = turns[:, 2, 2] = np.cos(angles)
    turns[:, 2, 1] = np.sin(angles)
    turns[:, 1, 2] = -turns[:, 2, 1]
    # Solving instead of a table of the inverse keeps grey grey to the last digits.
    matrices: np.ndarray = np.linalg.solve(_TO_LUMA_AND_CHROMA, turns @ _TO_LUMA_AND_CHROMA)
    return matrices


def shift_colours(images: Images, means: Float[Tensor, "batch channels"], changes: Changes, *, span: float) -> Images:
    """Return the images with their contrast, saturation, hue and brightness changed; padding too.

    Args:
        images: one channel, or red, green and blue.
        means: of each channel of each image, about which the contrast is scaled.
        changes: what was drawn.
        span: the width of the full range of values, of which the brightness is a share.
    """
    num_channels = images.shape[1]
    kept, added = (
        torch.as_tensor(values, dtype=images.dtype).to(images.device)
        for values in (1 - changes.contrast, changes.brightness * span)
    )
    offsets = means.mean(dim=1) * kept + added
    if not changes.operations & _MIXING:
        factors = torch.as_tensor(changes.contrast, dtype=images.dtype).to(images.device)
        return torch.addcmul(offsets[:, None, None, None], images, factors[:, None, None, None])
    matrices = torch.as_tensor(colour_matrices(changes, num_channels), dtype=images.dtype)
    return mix_channels(images, matrices.to(images.device), offsets[:, None, None].expand(-1, num_channels, 1))


def mix_channels(
    images: Images, matrices: Float[Tensor, "batch channels channels"], offsets: Float[Tensor, "batch channels 1"]
) -> Images:
    """Return ``matrix @ channels + offset`` at every pixel."""
    # Not baddbmm, which begins with a copy of the offsets for every pixel.
    return torch.bmm(matrices, images.flatten(2)).add_(offsets).view_as(images)
