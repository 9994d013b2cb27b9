"""Patches of a stated size: which square of a slide gives the resolution wanted, and its pixels.

In: a slide's path and a patch's name. Out: RGB pixels. Which patches are worth reading is decided in ``cutting``.
"""

import dataclasses
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import UInt8

from radpath.data.slides.grid import Patch
from radpath.data.slides.opening import Slide, open_slide
from radpath.data.slides.settings import SlideSettings
from radpath.data.slides.tissue import cell_means
from radpath.errors import DataError

# A level far too fine is averaged down to this many pixels for each of the patch's before it is filtered; the result is
# within 2 of 255 of filtering it all at once.
_PIXELS_LEFT: Final = 4
_BLOCK_PX: Final = 2048


@dataclasses.dataclass(frozen=True, kw_only=True)
class PatchSize:
    """What a patch measures on one slide."""

    side_px: int
    """In pixels of the full slide, as ``stride_px``."""
    stride_px: int
    um_per_px: float
    """Resolution of the patch, which may differ from the one asked for by ``resolution_tolerance``."""


def patch_size(slide: Slide, settings: SlideSettings, *, um_per_px: float) -> PatchSize:
    """Return the square of the full slide that gives a patch its resolution.

    Where a stored level is near enough, the square is a whole patch of that level. Squares have whole pixels of the
    full slide, which changes the resolution by at most half a pixel in ``side_px``.

    Args:
        slide: an open slide.
        settings: the size and resolution asked for.
        um_per_px: of the full slide.

    Raises:
        DataError: the slide is too coarse for the resolution; enlarging it would make up detail.
    """
    wanted = settings.um_per_px / um_per_px
    nearest = min((level.downsample for level in slide.levels), key=lambda downsample: abs(downsample / wanted - 1))
    is_near = abs(nearest / wanted - 1) <= settings.resolution_tolerance
    if wanted < 1 and not is_near:
        raise DataError(
            f"too coarse: the slide has {um_per_px:g} um/px, and data.slides.um_per_px = {settings.um_per_px:g} asks "
            "for more detail than it holds; set a coarser one"
        )
    factor = nearest if is_near else wanted
    side_px = max(1, round(settings.patch_px * factor))
    return PatchSize(
        side_px=side_px,
        stride_px=max(1, round((settings.patch_px - settings.overlap_px) * factor)),
        um_per_px=um_per_px * side_px / settings.patch_px,
    )


def read_patch(path: Path, member: str) -> UInt8[np.ndarray, "h w 3"]:
    """Return the pixels of a patch, antialiased from the stored level just finer than it.

    What lies outside the slide has its background. The place is rounded to a pixel of that level, which is never more
    than half a pixel of the patch.

    Args:
        path: the slide.
        member: the patch's name, ``Patch.member``.

    Raises:
        DataError: the slide is damaged, or the name is that of no patch.
        MissingExtraError: OpenSlide is not installed.
        OSError: the file cannot be read.
    """
    from radpath.data.preparation import resize  # late: preparation reads images, and so patches

    slide, patch = open_slide(path), Patch.from_member(member)
    # The coarsest level that still has a pixel for each of the patch's.
    fine = [i for i, level in enumerate(slide.levels) if round(patch.side_px / level.downsample) >= patch.patch_px]
    index = max(fine, default=0)
    level = slide.levels[index]
    side = patch.side_px / level.downsample
    reduction = max(1, int(side / (_PIXELS_LEFT * patch.patch_px)))
    cells = max(1, round(side / reduction))
    pixels = _read_reduced(
        slide,
        index,
        left_px=_place(patch.left_px / level.downsample, cells * reduction, level.width_px),
        top_px=_place(patch.top_px / level.downsample, cells * reduction, level.height_px),
        cells=cells,
        reduction=reduction,
    )
    return resize(pixels, height_px=patch.patch_px, width_px=patch.patch_px)


def read_whole(path: Path, *, max_pixels: int) -> UInt8[np.ndarray, "h w 3"]:
    """Return a small slide as one image of its full resolution.

    Raises:
        DataError: the slide is damaged, or has more than ``max_pixels``.
        MissingExtraError: OpenSlide is not installed.
        OSError: the file cannot be read.
    """
    slide = open_slide(path)
    width, height = slide.full.width_px, slide.full.height_px
    if width * height > max_pixels:
        raise DataError(f"over the pixel limit: {width} x {height} px are more than {max_pixels}")
    return slide.read(0, left_px=0, top_px=0, width_px=width, height_px=height)


def _place(start: float, side_px: int, length_px: int) -> int:
    """Return where a region begins on a level: on a pixel, and not so far that it would end behind the slide."""
    return max(0, min(round(start), length_px - side_px))


def _read_reduced(
    slide: Slide, index: int, *, left_px: int, top_px: int, cells: int, reduction: int
) -> UInt8[np.ndarray, "{cells} {cells} 3"]:
    """Return a square of a level, each pixel the mean of reduction x reduction of it, read block by block."""
    if reduction == 1:
        return slide.read(index, left_px=left_px, top_px=top_px, width_px=cells, height_px=cells)
    means = np.empty((cells, cells, 3), dtype=np.uint8)
    step = max(1, _BLOCK_PX // reduction)
    for row in range(0, cells, step):
        for column in range(0, cells, step):
            block = slide.read(
                index,
                left_px=left_px + column * reduction,
                top_px=top_px + row * reduction,
                width_px=min(step, cells - column) * reduction,
                height_px=min(step, cells - row) * reduction,
            )
            means[row : row + step, column : column + step] = np.rint(cell_means(block, reduction))
    return means
