"""The tissue between glands: fibres with clefts, and cords of tumour cells that push between them.

In: an ``Architecture``. Out: for any place, how much fibre, cleft or tumour there is. Colours are left to ``drawing``.
"""

from typing import Final

import numpy as np
from jaxtyping import Float32

from radpath.data.synthetic.exact import Clouds, half_circle, spread
from radpath.data.synthetic.tissue import Architecture

_GLAND_MARGIN_PX: Final = 2.0
_NOWHERE: Final = -9.0


class Stroma:
    """Fibres along one direction, which bend more the greater their disorder."""

    def __init__(self, architecture: Architecture, *, rng: np.random.Generator) -> None:
        self._architecture = architecture
        (self._axis_y,), (self._axis_x,) = half_circle(rng, 1)
        self._fine, self._coarse, self._swirls, self._cords = (Clouds(rng) for _ in range(4))

    def weave(
        self, y: Float32[np.ndarray, "*shape"], x: Float32[np.ndarray, "*shape"]
    ) -> tuple[Float32[np.ndarray, "*shape"], Float32[np.ndarray, "*shape"]]:
        """Return how dense the fibres are, from 0 to 1, and how far they have torn apart, from 0 to 0.6."""
        along, across = self._along_and_across(y, x)
        fine, coarse = self._fine.at(across / 2.6, along / 22), self._coarse.at(across / 5, along / 40)
        clefts = self._coarse.at(across / 7 + 31, along / 50)
        return np.clip(0.5 + 0.5 * fine + 0.35 * coarse, 0, 1), np.clip((clefts - 0.45) * 4, 0, 1) * 0.6

    def invasion(
        self,
        y: Float32[np.ndarray, "*shape"],
        x: Float32[np.ndarray, "*shape"],
        *,
        gland_depth_px: Float32[np.ndarray, "*shape"],
    ) -> Float32[np.ndarray, "*shape"]:
        """Return a number that is positive inside cords of tumour cells; glands have none."""
        share = self._architecture.invading_share
        if share == 0:
            return np.full(y.shape, _NOWHERE, np.float32)
        along, across = self._along_and_across(y, x)
        cords = self._cords.at(across / 16, along / 34) - (1 - 2 * share) * 0.62
        return np.where(gland_depth_px < -_GLAND_MARGIN_PX, cords, np.float32(_NOWHERE))

    def axes(
        self, count: int, rng: np.random.Generator
    ) -> tuple[Float32[np.ndarray, " count"], Float32[np.ndarray, " count"]]:
        """Return (y, x) of unit vectors close to the direction of the fibres, along which stromal nuclei lie."""
        stray = 0.25 + 1.2 * self._architecture.fibre_disorder
        y, x = (axis + spread(rng, -stray, stray, shape=(count,)) for axis in (self._axis_y, self._axis_x))
        length = np.sqrt(y * y + x * x) + np.float32(1e-3)
        return y / length, x / length

    def _along_and_across(
        self, y: Float32[np.ndarray, "*shape"], x: Float32[np.ndarray, "*shape"]
    ) -> tuple[Float32[np.ndarray, "*shape"], Float32[np.ndarray, "*shape"]]:
        bend_px = (4 + 26 * self._architecture.fibre_disorder) * self._swirls.at(y / 45, x / 45)
        return y * self._axis_y + x * self._axis_x, x * self._axis_y - y * self._axis_x + bend_px
