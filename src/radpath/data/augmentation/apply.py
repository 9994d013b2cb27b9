"""All changes of a batch, one after another, on the device that holds it.

In: a padded batch, each image's own size, and what was drawn for each. Out: the batch changed, its padding still zero.
The flips are not made here: they swap sides, and are made where images are put on their canvas.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch

from radpath.data.augmentation.colour import COLOURS, shift_colours
from radpath.data.augmentation.draws import Changes
from radpath.data.augmentation.geometry import (
    MOTIONS,
    Images,
    Inside,
    Sizes,
    area_means,
    inside_of,
    reading_places,
    resample,
)
from radpath.data.augmentation.stain import jitter_stains
from radpath.data.augmentation.texture import add_noise, blur, occlude, occlusion_boxes

ValueRange = tuple[float, float]


@torch.no_grad()
def augment(
    images: Images,
    heights_px: Sizes,
    widths_px: Sizes,
    changes: Changes,
    *,
    value_range: ValueRange | None = (0.0, 1.0),
) -> Images:
    """Return the images changed: moved, then their stains and colours, then blurred, noisy and partly hidden.

    The order is that of the world: a section lies and is stained, light and lens come after it, the sensor last.

    Args:
        images: one channel, or red, green and blue; each in the top left corner, zeros beside it. Not changed.
        heights_px: of each image, without its padding; on the CPU.
        widths_px: as above.
        changes: what was drawn, one entry an image.
        value_range: where values are cut off; its width is the full range of which brightness and noise are shares.
            None: nowhere, and the full range is 1.
    """
    height_px, width_px = int(heights_px.max()), int(widths_px.max())
    part = images[:, :, :height_px, :width_px]
    inside = inside_of(part, heights_px, widths_px)
    changed = _change(part, heights_px, widths_px, changes, inside=inside, value_range=value_range)
    if part.shape == images.shape:
        return changed
    canvas = torch.zeros_like(images)  # beyond the largest image of the batch there is nothing to change
    canvas[:, :, :height_px, :width_px] = changed
    return canvas


def _change(
    images: Images,
    heights_px: Sizes,
    widths_px: Sizes,
    changes: Changes,
    *,
    inside: Inside | None,
    value_range: ValueRange | None,
) -> Images:
    changed = images
    if changes.operations & MOTIONS:
        changed = _move(changed, heights_px, widths_px, changes, inside=inside, mode="bilinear")
    changed = _recolour(changed, heights_px, widths_px, changes, inside=inside, value_range=value_range)
    changed = _disturb(changed, heights_px, widths_px, changes, inside=inside, value_range=value_range)
    if "occlusion" in changes.operations:
        boxes = occlusion_boxes(changes, heights_px, widths_px)
        changed = occlude(changed, boxes, area_means(changed, heights_px, widths_px))
    return changed


@torch.no_grad()
def augment_masks(masks: Images, heights_px: Sizes, widths_px: Sizes, changes: Changes) -> Images:
    """Return masks moved as ``augment`` moves their images, every value as it was; colours and noise leave them alone.

    Args:
        masks: any number of channels; whole numbers up to 2 ** 24 stay exact.
        heights_px: of each image, without its padding; on the CPU.
        widths_px: as above.
        changes: what was drawn for the images.
    """
    if not changes.operations & MOTIONS:
        return masks
    inside = inside_of(masks, heights_px, widths_px)
    return _move(masks, heights_px, widths_px, changes, inside=inside, mode="nearest")


def _move(
    images: Images,
    heights_px: Sizes,
    widths_px: Sizes,
    changes: Changes,
    *,
    inside: Inside | None,
    mode: Literal["bilinear", "nearest"],
) -> Images:
    places = reading_places(changes, heights_px, widths_px)
    return _blank(resample(images, heights_px, widths_px, places, mode=mode), inside)


def _recolour(
    images: Images,
    heights_px: Sizes,
    widths_px: Sizes,
    changes: Changes,
    *,
    inside: Inside | None,
    value_range: ValueRange | None,
) -> Images:
    recoloured = images
    if "stain" in changes.operations and images.shape[1] == 3:
        is_chosen = (changes.stain_factors != 1).any(axis=1) | (changes.stain_offsets != 0).any(axis=1)
        recoloured = _where(
            is_chosen,
            recoloured,
            lambda some, chosen: jitter_stains(some, changes.stain_factors[chosen], changes.stain_offsets[chosen]),
        )
        if recoloured is not images:
            recoloured = _blank(recoloured, inside)
    if changes.operations & COLOURS:
        means = area_means(recoloured, heights_px, widths_px)
        recoloured = shift_colours(recoloured, means, changes, span=_span(value_range))
    return images if recoloured is images else _blank(_cut_off(recoloured, value_range), inside)


def _disturb(
    images: Images,
    heights_px: Sizes,
    widths_px: Sizes,
    changes: Changes,
    *,
    inside: Inside | None,
    value_range: ValueRange | None,
) -> Images:
    """Blur, then add noise, which no lens has seen."""
    if "blur" in changes.operations:
        sigmas_px = changes.blur * torch.maximum(heights_px, widths_px).numpy(force=True)
        images = _where(
            sigmas_px > 0,
            images,
            lambda some, chosen: blur(some, heights_px[chosen], widths_px[chosen], sigmas_px[chosen]),
        )
    if "noise" in changes.operations:
        deviations = changes.noise * _span(value_range)
        noisy = add_noise(images, heights_px, widths_px, deviations, changes.noise_seeds)
        images = _blank(_cut_off(noisy, value_range), inside)
    return images


def _where(is_chosen: np.ndarray, images: Images, change: Callable[[Images, np.ndarray], Images]) -> Images:
    """Return the batch with the chosen images changed; the others keep every bit, and cost nothing."""
    chosen = np.flatnonzero(is_chosen)
    if len(chosen) == 0:
        return images
    places = torch.from_numpy(chosen).to(images.device)
    return images.index_copy(0, places, change(images[places], chosen))


def _cut_off(fresh: Images, value_range: ValueRange | None) -> Images:
    """Cut values off in place: the images are this module's own by now."""
    return fresh if value_range is None else fresh.clamp_(*value_range)


def _blank(fresh: Images, inside: Inside | None) -> Images:
    """Put zeros into the padding, in place: the images are this module's own by now."""
    return fresh if inside is None else fresh.mul_(inside)


def _span(value_range: ValueRange | None) -> float:
    return 1.0 if value_range is None else value_range[1] - value_range[0]
