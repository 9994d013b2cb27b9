"""Where glands lie, how deep inside one a place is, and where the nuclei of their walls stand.

In: an ``Architecture``. Out: distances in pixels for any place, also beyond the image: tissue has no borders. A gland
is an ellipse in a plane whose coordinates are bent by a smooth texture, which makes its border wavy. Colours are left
to ``drawing``.
"""

import dataclasses
from collections.abc import Iterator
from typing import Final

import numpy as np
from jaxtyping import Bool, Float32, Int64

from radpath.data.synthetic.exact import Clouds, half_circle, spread, uniform
from radpath.data.synthetic.tissue import Architecture

_FAR_OUTSIDE_PX: Final = -1e6
_FULL_TURN: Final = 6.2832
_TURN = np.arange(1024) * (2 * np.pi / 1024)
# Rounded, since the last digit of a sine differs between machines.
_SINES: Final = np.round(np.sin(_TURN), 6).astype(np.float32)
_COSINES: Final = np.round(np.cos(_TURN), 6).astype(np.float32)


@dataclasses.dataclass(frozen=True, kw_only=True)
class InsideGland:
    """How places lie in the gland that is nearest to them."""

    depth_px: Float32[np.ndarray, "*shape"]
    """Distance from the gland's border; negative outside."""
    lumen_px: Float32[np.ndarray, "*shape"]
    """Distance from the border of the nearest cavity inside the gland; negative in the cells."""

    def is_in_cells(self, *, margin_px: float) -> Bool[np.ndarray, "*shape"]:
        """Return which places lie among the cells: deeper than a margin, and not in a cavity."""
        return (self.depth_px > margin_px) & (self.lumen_px < 0.3)


class Glands:
    """Glands on a jittered grid that covers an image and a margin around it."""

    def __init__(self, architecture: Architecture, *, height_px: int, width_px: int, rng: np.random.Generator) -> None:
        self._architecture = architecture
        spacing = architecture.gland_spacing_px
        self._num_rows, self._num_columns = int(height_px // spacing) + 5, int(width_px // spacing) + 5
        self._top_px, self._left_px = (uniform(rng, -2.0, -1.0) * spacing for _ in range(2))
        num_places = self._num_rows * self._num_columns
        places = np.arange(num_places)
        self._y = self._jittered(places // self._num_columns, rng) + self._top_px
        self._x = self._jittered(places % self._num_columns, rng) + self._left_px
        is_there = rng.random(num_places) < architecture.gland_share
        radius = spread(rng, architecture.smallest_radius_px, architecture.largest_radius_px, shape=(num_places,))
        self._radius_px = np.where(is_there, radius, np.float32(0))
        self._axis_y, self._axis_x = half_circle(rng, num_places)
        self._stretch = 1 + spread(rng, 0.0, architecture.elongation, shape=(num_places,))
        self._is_filled = rng.random(num_places) < architecture.filled_share
        self._waves_y, self._waves_x, self._lumen_waves = (Clouds(rng) for _ in range(3))

    def at(self, y: Float32[np.ndarray, "*shape"], x: Float32[np.ndarray, "*shape"]) -> InsideGland:
        """Return how the places (y, x), in pixels, lie in the nearest gland."""
        depth_px, gland = self._nearest(*self._bent(y, x))
        rim = self._architecture
        opened = depth_px - rim.epithelium_px + rim.lumen_waves_px * self._lumen_waves.at(y / 6, x / 6)
        # A filled gland keeps a few round holes away from its border: the cribriform pattern.
        holes = np.minimum((self._lumen_waves.at(y / 9, x / 9 + 20) - 0.45) * 12, depth_px - 8)
        return InsideGland(depth_px=depth_px, lumen_px=np.where(self._is_filled[gland], holes, opened))

    def wall_nuclei(self, rng: np.random.Generator) -> tuple[Float32[np.ndarray, " n"], Float32[np.ndarray, " n"]]:
        """Return (y, x) of nuclei in rows along the borders: a few rows, or up to the centre of a filled gland."""
        architecture = self._architecture
        gap_px = 2.35 * architecture.nucleus_radius_px
        glands = np.flatnonzero(self._radius_px > 0)
        rows = np.arange(int(architecture.largest_radius_px / gap_px) + 1)
        row_radius_px = self._radius_px[glands, None] - (architecture.nucleus_radius_px + 2.2 + gap_px * rows)
        rows_wanted = np.floor(architecture.nucleus_rows + rng.random(len(glands)))
        is_used = (row_radius_px > 0) & ((rows < rows_wanted[:, None]) | self._is_filled[glands, None])
        gland, row = np.nonzero(is_used)
        radius_px = row_radius_px[gland, row].astype(np.float32)
        num_nuclei = np.maximum(np.floor(radius_px * (_FULL_TURN / gap_px)), 1).astype(np.int64)
        nucleus = np.arange(num_nuclei.max(initial=0))
        ring, place = np.nonzero(nucleus < num_nuclei[:, None])
        turn = place / num_nuclei[ring] + rng.random(len(gland))[ring]
        y, x = self._on_ring(glands[gland[ring]], radius_px[ring], turn)
        disorder_px = architecture.nucleus_disorder_px
        y, x = (values + spread(rng, -disorder_px, disorder_px, shape=values.shape) for values in (y, x))
        return self._unbent(y, x)

    def _jittered(self, cells: Int64[np.ndarray, " n"], rng: np.random.Generator) -> Float32[np.ndarray, " n"]:
        jitter = spread(rng, 0.34, 0.66, shape=cells.shape)
        places_px: Float32[np.ndarray, " n"] = (cells.astype(np.float32) + jitter) * self._architecture.gland_spacing_px
        return places_px

    def _nearest(
        self, y: Float32[np.ndarray, "*shape"], x: Float32[np.ndarray, "*shape"]
    ) -> tuple[Float32[np.ndarray, "*shape"], Int64[np.ndarray, "*shape"]]:
        """Return the depth in the gland where it is largest, and which gland that is, for bent coordinates."""
        deepest_px = np.full(y.shape, _FAR_OUTSIDE_PX, np.float32)
        nearest = np.zeros(y.shape, np.int64)
        for gland in self._candidates(y, x):
            down, right = y - self._y[gland], x - self._x[gland]
            axis_y, axis_x = self._axis_y[gland], self._axis_x[gland]
            along = down * axis_y + right * axis_x
            across = (right * axis_y - down * axis_x) * self._stretch[gland]
            radius_px = self._radius_px[gland]
            depth_px = np.where(
                radius_px > 0, radius_px - np.sqrt(along * along + across * across), np.float32(_FAR_OUTSIDE_PX)
            )
            nearest = np.where(depth_px > deepest_px, gland, nearest)
            deepest_px = np.maximum(depth_px, deepest_px)
        return deepest_px, nearest

    def _candidates(
        self, y: Float32[np.ndarray, "*shape"], x: Float32[np.ndarray, "*shape"]
    ) -> Iterator[Int64[np.ndarray, "*shape"]]:
        """Yield the gland of a place's own cell of the grid and of the eight cells around it."""
        spacing = self._architecture.gland_spacing_px
        row = np.floor((y - self._top_px) / spacing).astype(np.int64)
        column = np.floor((x - self._left_px) / spacing).astype(np.int64)
        for down in (-1, 0, 1):
            near_row = np.clip(row + down, 0, self._num_rows - 1) * self._num_columns
            for right in (-1, 0, 1):
                yield near_row + np.clip(column + right, 0, self._num_columns - 1)

    def _bent(
        self, y: Float32[np.ndarray, "*shape"], x: Float32[np.ndarray, "*shape"]
    ) -> tuple[Float32[np.ndarray, "*shape"], Float32[np.ndarray, "*shape"]]:
        waves_px = self._architecture.border_waves_px
        down, right = y / 16, x / 16
        return y + waves_px * self._waves_y.at(down, right), x + waves_px * self._waves_x.at(down, right)

    def _unbent(
        self, y: Float32[np.ndarray, " n"], x: Float32[np.ndarray, " n"]
    ) -> tuple[Float32[np.ndarray, " n"], Float32[np.ndarray, " n"]]:
        """Return the places that ``_bent`` brings close to (y, x): two steps of a fixed-point iteration."""
        place_y, place_x = y, x
        for _ in range(2):
            bent_y, bent_x = self._bent(place_y, place_x)
            place_y, place_x = place_y - (bent_y - y), place_x - (bent_x - x)
        return place_y, place_x

    def _on_ring(
        self, gland: Int64[np.ndarray, " n"], radius_px: Float32[np.ndarray, " n"], turn: np.ndarray
    ) -> tuple[Float32[np.ndarray, " n"], Float32[np.ndarray, " n"]]:
        """Return (y, x) on an ellipse inside each gland, at a part of a full turn."""
        angle = (turn * len(_TURN)).astype(np.int64) % len(_TURN)
        along, across = radius_px * _COSINES[angle], radius_px * _SINES[angle] / self._stretch[gland]
        axis_y, axis_x = self._axis_y[gland], self._axis_x[gland]
        return (
            self._y[gland] + along * axis_y - across * axis_x,
            self._x[gland] + along * axis_x + across * axis_y,
        )
