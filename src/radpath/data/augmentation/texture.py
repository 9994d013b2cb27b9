"""Blur, noise and occlusion: changes that look at places of an image, not at its values alone.

In: a padded batch with zeros beside each image, and what was drawn. Out: the same, blurred, noisy or partly hidden; the
padding stays zero and never comes in.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from radpath.data.augmentation.draws import Changes
from radpath.data.augmentation.geometry import Images, Sizes

_REACH: int = 4  # where a Gaussian is cut off, in standard deviations


def blur(images: Images, heights_px: Sizes, widths_px: Sizes, sigmas_px: Float[np.ndarray, " batch"]) -> Images:
    """Return each image blurred by its own Gaussian, cut off at 4 standard deviations.

    What lies outside an image is left out of the weighted mean, so that its border is neither darkened nor doubled.

    Args:
        images: with zeros beside each image.
        heights_px: of each image, without its padding.
        widths_px: as above.
        sigmas_px: standard deviations, 0 for none.
    """
    kernels = torch.as_tensor(gaussians(sigmas_px), dtype=images.dtype).to(images.device)
    blurred = _blur_along(images, kernels, widths_px)
    return _blur_along(blurred.transpose(2, 3), kernels, heights_px).transpose(2, 3).contiguous()


def gaussians(sigmas_px: Float[np.ndarray, " batch"]) -> Float[np.ndarray, "batch taps"]:
    """Return one normalised kernel an image, all as long as the longest, each zero beyond its own reach.

    >>> gaussians(np.array([0.0, 0.5])).round(3).tolist()
    [[0.0, 0.0, 1.0, 0.0, 0.0], [0.0, 0.106, 0.787, 0.106, 0.0]]
    """
    reaches = np.floor(_REACH * sigmas_px + 0.5)
    distances = np.abs(np.arange(-reaches.max(), reaches.max() + 1))
    widths = np.maximum(sigmas_px, np.finfo(np.float64).tiny ** 0.25)[:, None]  # no division by zero
    weights = np.exp(-((distances / widths) ** 2) / 2) * (distances <= reaches[:, None])
    normalised: np.ndarray = weights / weights.sum(axis=1, keepdims=True)
    return normalised


def _blur_along(images: Images, kernels: Float[Tensor, "batch taps"], sides_px: Sizes) -> Images:
    """Return the weighted means along the last axis, over what lies inside each image."""
    num_images, num_channels, height, width = images.shape
    taps = kernels.shape[1]
    inside = torch.arange(width, device=images.device) < sides_px.to(images.device)[:, None]
    covered = functional.conv1d(inside.to(images.dtype)[None], kernels[:, None], padding=taps // 2, groups=num_images)
    each_channel = kernels.repeat_interleave(num_channels, dim=0)[:, None, None]
    rows = images.reshape(1, num_images * num_channels, height, width)
    sums = functional.conv2d(rows, each_channel, padding=(0, taps // 2), groups=num_images * num_channels)
    weights = torch.where(inside, 1 / covered[0], 0)  # beside the image nothing is left
    return sums.view_as(images) * weights[:, None, None]


def add_noise(
    images: Images,
    heights_px: Sizes,
    widths_px: Sizes,
    deviations: Float[np.ndarray, " batch"],
    seeds: Int[np.ndarray, " batch"],
) -> Images:
    """Return each image with Gaussian noise of zero mean added, the same in all channels, so that grey stays grey.

    Args:
        images: with zeros beside each image, which stay.
        heights_px: of each image, without its padding.
        widths_px: as above.
        deviations: the noise's standard deviation, 0 for none.
        seeds: decide each image's noise; it is drawn on the CPU, so that no device draws another.
    """
    noisy = images.clone()
    for place in np.flatnonzero(deviations).tolist():
        generator = torch.Generator().manual_seed(int(seeds[place]))
        height, width = int(heights_px[place]), int(widths_px[place])
        field = torch.randn(height, width, generator=generator).mul_(float(deviations[place]))
        noisy[place, :, :height, :width] += field.to(images.device)
    return noisy


def occlusion_boxes(changes: Changes, heights_px: Sizes, widths_px: Sizes) -> Int[np.ndarray, "batch 4"]:
    """Return the upper, left, lower and right borders of each hidden rectangle; empty where nothing is hidden."""
    heights, widths = heights_px.numpy(force=True), widths_px.numpy(force=True)
    longer, is_hidden = np.sqrt(changes.occlusion_shapes), changes.occlusion > 0
    sides = np.sqrt(changes.occlusion)
    tall = np.rint(np.minimum(1, sides * longer) * heights).clip(1) * is_hidden
    wide = np.rint(np.minimum(1, sides / longer) * widths).clip(1) * is_hidden
    left = np.rint(changes.occlusion_places[:, 0] * (widths - wide))
    upper = np.rint(changes.occlusion_places[:, 1] * (heights - tall))
    return np.stack([upper, left, upper + tall, left + wide], axis=1).astype(np.int64)


def occlude(images: Images, boxes: Int[np.ndarray, "batch 4"], colours: Float[Tensor, "batch channels"]) -> Images:
    """Return each image with its rectangle filled with one colour.

    Args:
        images: any values.
        boxes: as ``occlusion_boxes`` returns them, inside the image.
        colours: one an image.
    """
    upper, left, lower, right = torch.from_numpy(boxes).to(images.device).T[:, :, None]
    rows, columns = (torch.arange(side, device=images.device) for side in images.shape[-2:])
    is_row, is_column = (rows >= upper) & (rows < lower), (columns >= left) & (columns < right)
    is_hidden = is_row[:, None, :, None] & is_column[:, None, None, :]
    return torch.where(is_hidden, colours[:, :, None, None], images)
