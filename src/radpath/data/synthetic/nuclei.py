"""Nuclei: which there are in a piece of tissue, and how much of each pixel they cover.

In: glands and stroma. Out: ``Nuclei`` and their coverage of an image. Colours are left to ``drawing``.
"""

import dataclasses
from typing import Final

import numpy as np
from jaxtyping import Bool, Float32

from radpath.data.synthetic.exact import half_circle, spread
from radpath.data.synthetic.glands import Glands
from radpath.data.synthetic.stroma import Stroma
from radpath.data.synthetic.tissue import Architecture

_REACH_PX: Final = 9
_AT_ONCE: Final = 4096  # keeps the memory of a large image's stamps below 100 MB
_STROMAL_SPACING_PX: Final = 13.0
_STROMAL_SHARE: Final = 0.55


@dataclasses.dataclass(frozen=True, kw_only=True)
class Nuclei:
    """Ellipses with a darkness."""

    y: Float32[np.ndarray, " n"]
    x: Float32[np.ndarray, " n"]
    short_radius_px: Float32[np.ndarray, " n"]
    long_radius_px: Float32[np.ndarray, " n"]
    axis_y: Float32[np.ndarray, " n"]
    """With ``axis_x``, a unit vector along the long axis."""
    axis_x: Float32[np.ndarray, " n"]
    darkness: Float32[np.ndarray, " n"]
    """From 0, invisible, to 1."""

    def those(self, chosen: Bool[np.ndarray, " n"] | slice) -> "Nuclei":
        """Return some of the nuclei."""
        return Nuclei(**{field.name: getattr(self, field.name)[chosen] for field in dataclasses.fields(self)})


def epithelial_nuclei(
    architecture: Architecture,
    glands: Glands,
    stroma: Stroma,
    *,
    height_px: int,
    width_px: int,
    rng: np.random.Generator,
) -> Nuclei:
    """Return the nuclei in the walls of glands and those of invading tumour cells."""
    radius_px, variety = architecture.nucleus_radius_px, architecture.nucleus_variety
    wall_y, wall_x = glands.wall_nuclei(rng)
    is_in_wall = glands.at(wall_y, wall_x).is_in_cells(margin_px=0.6 * radius_px)
    y, x = _scattered(2.7 * radius_px, height_px=height_px, width_px=width_px, rng=rng)
    depth_px = glands.at(y, x).depth_px
    is_single = (rng.random(len(y)) < architecture.scattered_share) & (depth_px < -3)
    is_tumour = is_single | (stroma.invasion(y, x, gland_depth_px=depth_px) > 0)
    y, x = np.concatenate([wall_y[is_in_wall], y[is_tumour]]), np.concatenate([wall_x[is_in_wall], x[is_tumour]])
    short_radius_px = radius_px * (1 + variety * spread(rng, -1.3, 1.9, shape=y.shape))
    axis_y, axis_x = half_circle(rng, len(y))
    return Nuclei(
        y=y,
        x=x,
        short_radius_px=short_radius_px,
        long_radius_px=short_radius_px * (1 + spread(rng, 0.0, 0.35 + variety, shape=y.shape)),
        axis_y=axis_y,
        axis_x=axis_x,
        darkness=np.clip(0.85 + (0.12 + 0.24 * variety) * spread(rng, -1.0, 1.0, shape=y.shape), 0, 1),
    )


def stromal_nuclei(
    glands: Glands, stroma: Stroma, *, height_px: int, width_px: int, rng: np.random.Generator
) -> Nuclei:
    """Return the thin nuclei between the fibres."""
    y, x = _scattered(_STROMAL_SPACING_PX, height_px=height_px, width_px=width_px, rng=rng)
    depth_px = glands.at(y, x).depth_px
    is_free = (depth_px < -3) & (stroma.invasion(y, x, gland_depth_px=depth_px) < 0)
    is_there = is_free & (rng.random(len(y)) < _STROMAL_SHARE)
    y, x = y[is_there], x[is_there]
    axis_y, axis_x = stroma.axes(len(y), rng)
    return Nuclei(
        y=y,
        x=x,
        short_radius_px=spread(rng, 1.0, 1.6, shape=y.shape),
        long_radius_px=spread(rng, 3.0, 5.0, shape=y.shape),
        axis_y=axis_y,
        axis_x=axis_x,
        darkness=spread(rng, 0.6, 0.9, shape=y.shape),
    )


def coverage(nuclei: Nuclei, *, height_px: int, width_px: int) -> Float32[np.ndarray, "height width"]:
    """Return how dark nuclei make each pixel, from 0 to 1; where several overlap, the darkest counts."""
    is_near = (nuclei.y > -_REACH_PX) & (nuclei.y < height_px + _REACH_PX)
    is_near &= (nuclei.x > -_REACH_PX) & (nuclei.x < width_px + _REACH_PX)
    near = nuclei.those(is_near)
    # A frame as wide as two stamps' reach takes what falls beside the image, so that no stamp needs cutting.
    frame_px = 2 * _REACH_PX
    canvas = np.zeros((height_px + 2 * frame_px, width_px + 2 * frame_px), np.float32)
    for start in range(0, len(near.y), _AT_ONCE):
        _stamp(canvas, near.those(slice(start, start + _AT_ONCE)), frame_px=frame_px)
    return canvas[frame_px:-frame_px, frame_px:-frame_px]


def _stamp(canvas: Float32[np.ndarray, "height width"], nuclei: Nuclei, *, frame_px: int) -> None:
    """Raise the pixels of ``canvas`` to the darkness of the nuclei on them, with an edge one pixel soft."""
    top, left = np.floor(nuclei.y)[:, None, None], np.floor(nuclei.x)[:, None, None]
    offset = np.arange(-_REACH_PX, _REACH_PX + 1, dtype=np.float32)
    row, column = top + offset[:, None], left + offset
    down, right = row - nuclei.y[:, None, None], column - nuclei.x[:, None, None]
    axis_y, axis_x = nuclei.axis_y[:, None, None], nuclei.axis_x[:, None, None]
    short_px, long_px = nuclei.short_radius_px[:, None, None], nuclei.long_radius_px[:, None, None]
    along = (down * axis_y + right * axis_x) / long_px
    across = (right * axis_y - down * axis_x) / short_px
    cover = np.clip((1 - np.sqrt(along * along + across * across)) * short_px + 0.5, 0, 1)
    pixel = (row.astype(np.int64) + frame_px) * canvas.shape[1] + (column.astype(np.int64) + frame_px)
    # A maximum does not depend on the order in which nuclei come.
    np.maximum.at(canvas.reshape(-1), pixel, cover * nuclei.darkness[:, None, None])


def _scattered(
    spacing_px: float, *, height_px: int, width_px: int, rng: np.random.Generator
) -> tuple[Float32[np.ndarray, " n"], Float32[np.ndarray, " n"]]:
    """Return (y, x) of one random place in every cell of a grid over the image and a margin."""
    num_rows, num_columns = int(height_px // spacing_px) + 3, int(width_px // spacing_px) + 3
    row, column = (index.reshape(-1) for index in np.indices((num_rows, num_columns), dtype=np.float32))
    y, x = (cell - 1 + spread(rng, 0.0, 1.0, shape=cell.shape) for cell in (row, column))
    return y * spacing_px, x * spacing_px
