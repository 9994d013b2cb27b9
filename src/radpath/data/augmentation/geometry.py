"""Turning, magnifying, moving, slanting and cutting out, as one resampling of the whole batch.

In: a padded batch, the size of each image, and what was drawn. Out: images of the same sizes, read from other places.
What would come in from outside an image mirrors its own border, wherever its padding begins. The same motion moves
masks, without blending their values.
"""

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from radpath.data.augmentation.draws import Changes

Images = Float[Tensor, "batch channels height width"]
Sizes = Int[Tensor, " batch"]
Inside = Float[Tensor, "batch 1 height width"]

MOTIONS = frozenset({"rotation", "scale", "shift", "shear", "crop"})
"""The operations that this module makes, all at once."""


def reading_places(changes: Changes, heights_px: Sizes, widths_px: Sizes) -> Float[np.ndarray, "batch 2 3"]:
    """Return where each place of the result is read: affine maps of (right, down), in pixels from the image's centre.

    The result is slanted, turned and magnified about the centre, then moved; of that, the part is cut out and enlarged.
    """
    angles, slants = np.radians(changes.angles_deg), np.tan(np.radians(changes.shears_deg))
    cosine, sine = np.cos(angles), np.sin(angles)
    rows = [cosine, cosine * slants - sine, sine, sine * slants + cosine]
    turned = np.stack(rows, axis=1).reshape(-1, 2, 2) / changes.magnifications[:, None, None]
    sides = np.stack([widths_px.numpy(force=True), heights_px.numpy(force=True)], axis=1)
    centres = changes.crop_places * (1 - changes.crop_sides)[:, None] / 2 * sides
    moved = np.einsum("bij,bj->bi", turned, centres) + changes.shifts * sides
    return np.concatenate([turned * changes.crop_sides[:, None, None], moved[:, :, None]], axis=2)


def resample(
    images: Images,
    heights_px: Sizes,
    widths_px: Sizes,
    places: Float[np.ndarray, "batch 2 3"],
    *,
    mode: Literal["bilinear", "nearest"] = "bilinear",
) -> Images:
    """Return each image read at other places; a place outside it reads what a mirror at its border would show.

    Args:
        images: each in the top left corner, padding beside it.
        heights_px: of each image, without its padding.
        widths_px: as above.
        places: affine maps, as ``reading_places`` returns them.
        mode: "nearest" for masks, whose values have no meaning in between.
    """
    height, width = images.shape[-2:]
    sides = torch.stack([widths_px, heights_px], dim=1).cpu().double()
    maps = _to_half_sides(torch.from_numpy(places).double(), sides).to(images.dtype).to(images.device)
    across, down, start = maps[:, :, 0, None, None], maps[:, :, 1, None], maps[:, :, 2, None]
    columns, rows = (torch.arange(side, device=images.device, dtype=images.dtype) for side in (width, height))
    grid = across * columns + (down * rows + start)[..., None]
    # In half sides a mirror at both borders has period 1: what is left of the nearest whole number, without its sign.
    grid.sub_(grid.round()).abs_()
    # To grid_sample's coordinates, whose -1 and 1 are the borders of the canvas and not of the image.
    canvas = torch.tensor([width, height], dtype=torch.float64)
    grid.mul_(_per_axis(4 * sides / canvas, images)).sub_(1)
    if bool((sides < canvas).any()):  # at the canvas' own border, grid_sample stops by itself
        torch.minimum(grid, _per_axis((2 * sides - 1) / canvas - 1, images), out=grid)
    return functional.grid_sample(
        images, grid.permute(0, 2, 3, 1), mode=mode, padding_mode="border", align_corners=False
    )


def _to_half_sides(places: Float[Tensor, "batch 2 3"], sides: Float[Tensor, "batch 2"]) -> Float[Tensor, "batch 2 3"]:
    """Return the same maps from (column, row) numbers to half sides of the image: 0 at one border, 0.5 at the other."""
    first_centre = (1 - sides) / 2  # of the pixel (0, 0), from the image's centre
    start = torch.einsum("bij,bj->bi", places[:, :, :2], first_centre) + places[:, :, 2] + sides / 2
    return torch.cat([places[:, :, :2], start[:, :, None]], dim=2) / (2 * sides[:, :, None])


def _per_axis(values: Float[Tensor, "batch 2"], like: Tensor) -> Float[Tensor, "batch 2 1 1"]:
    return values.to(like.dtype).to(like.device)[:, :, None, None]


def inside_of(images: Images, heights_px: Sizes, widths_px: Sizes) -> Inside | None:
    """Return 1 where there is image and 0 where there is padding; None where there is none."""
    height, width = images.shape[-2:]
    if bool((heights_px == height).all()) and bool((widths_px == width).all()):
        return None
    rows, columns = (torch.arange(side, device=images.device) for side in (height, width))
    is_row = rows < heights_px.to(images.device)[:, None]
    is_column = columns < widths_px.to(images.device)[:, None]
    return (is_row[:, None, :, None] & is_column[:, None, None, :]).to(images.dtype)


def area_means(images: Images, heights_px: Sizes, widths_px: Sizes) -> Float[Tensor, "batch channels"]:
    """Return the mean of each channel of each image; padding must be zero, and is not counted."""
    areas_px = (heights_px * widths_px).to(images.dtype).to(images.device)
    return images.sum(dim=(2, 3)) / areas_px[:, None]
