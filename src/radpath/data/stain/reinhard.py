"""Reinhard's colour transfer: lightness and both colour axes of each image get the mean and spread of a reference.

In: an RGB image. Out: its statistics, or the image with the statistics of a reference.

Reinhard et al., Color transfer between images, IEEE Computer Graphics and Applications 21 (2001). Departures:

- CIELAB (D65) instead of Ruderman's l-alpha-beta: as decorrelated, but finite at black, where the logarithms of the
  latter let a few dark pixels decide the spread;
- glass stays as it is: statistics are those of pixels that take away light in some channel, and the change fades out
  between them and glass, so that no edge appears.
"""

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
from jaxtyping import Float32, UInt8
from pydantic import BaseModel, ConfigDict

from radpath.data.stain.optical_density import (
    LEAST_DENSITY,
    Planes,
    Rgb,
    Unmeasured,
    from_planes,
    mixed,
    tissue_of,
    to_densities,
    to_planes,
)

_LEAST_SPREAD: Final = 0.5  # of each axis; rounding to levels alone gives about 0.2

Triple = tuple[float, float, float]

# sRGB (IEC 61966-2-1) to XYZ, divided by the white point D65, so that white is 1, 1, 1.
_XYZ_FROM_RGB: Final = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
) / np.array([[0.950456], [1.0], [1.088754]])
_RGB_FROM_XYZ: Final = np.linalg.inv(_XYZ_FROM_RGB)
_LAB_FROM_ROOTS: Final = np.array([[0.0, 116.0, 0.0], [500.0, -500.0, 0.0], [0.0, 200.0, -200.0]])
_ROOTS_FROM_LAB: Final = np.array([[1 / 116, 1 / 500, 0.0], [1 / 116, 0.0, 0.0], [1 / 116, 0.0, -1 / 200]])
_LIGHTNESS_OF_NO_LIGHT: Final = 16.0
_LINEAR_BELOW: Final = 6 / 29  # CIE 15:2004: the cube root is replaced by a line near black

_SRGB_LEVELS: Final = np.arange(256) / 255
_LIGHT_OF_LEVEL: Final = np.where(
    _SRGB_LEVELS <= 0.04045, _SRGB_LEVELS / 12.92, ((_SRGB_LEVELS + 0.055) / 1.055) ** 2.4
).astype(np.float32)


class ReinhardStatistics(BaseModel):
    """Mean and spread of the tissue of an image, or of the typical image of many, in CIELAB."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    method: Literal["reinhard"] = "reinhard"
    means: Triple
    """Of L* (0 to 100), a* (green to red) and b* (blue to yellow)."""
    spreads: Triple
    """Standard deviations of the same."""


def measure(image: Rgb) -> ReinhardStatistics | Unmeasured:
    """Return the statistics of an image's tissue, or why it has none."""
    levels = to_planes(image)
    return _measure(to_lab(levels), to_densities(levels))


def normalise(image: Rgb, reference: ReinhardStatistics) -> Rgb | Unmeasured:
    """Return the image with the statistics of the reference, or why it has none to change."""
    levels = to_planes(image)
    lab, densities = to_lab(levels), to_densities(levels)
    own = _measure(lab, densities)
    if not isinstance(own, ReinhardStatistics):
        return own
    scale = np.array(reference.spreads) / np.array(own.spreads)
    shift = np.array(reference.means) - scale * np.array(own.means)
    changed = from_lab(lab * scale.astype(np.float32)[:, None] + shift.astype(np.float32)[:, None])
    blended = levels + _weights(densities) * (changed - levels)
    return from_planes(blended, height_px=image.shape[0], width_px=image.shape[1])


def typical(statistics: Sequence[ReinhardStatistics]) -> ReinhardStatistics:
    """Return the median of each number; of one image, its own."""
    return _statistics(
        np.median([one.means for one in statistics], axis=0), np.median([one.spreads for one in statistics], axis=0)
    )


def to_lab(levels: UInt8[np.ndarray, "3 _pixels"]) -> Planes:
    """Return CIELAB (D65) of sRGB levels: L* of 0 to 100, a* and b*, one row each.

    >>> to_lab(np.array([[255, 0], [255, 0], [255, 0]], np.uint8)).round(2).tolist()
    [[100.0, 0.0], [0.0, 0.0], [0.0, 0.0]]
    """
    light = mixed(_XYZ_FROM_RGB, _LIGHT_OF_LEVEL[levels])
    roots = np.where(light > _LINEAR_BELOW**3, _power(light, 1 / 3), light / (3 * _LINEAR_BELOW**2) + 4 / 29)
    lab: Planes = mixed(_LAB_FROM_ROOTS, roots)
    lab[0] -= _LIGHTNESS_OF_NO_LIGHT
    return lab


def from_lab(lab: Planes) -> Planes:
    """Return sRGB levels of CIELAB colours, neither rounded nor limited to 255; light below 0 gives 0."""
    lab = lab + np.array([[_LIGHTNESS_OF_NO_LIGHT], [0], [0]], np.float32)
    roots = mixed(_ROOTS_FROM_LAB, lab)
    xyz = np.where(roots > _LINEAR_BELOW, roots**3, (roots - 4 / 29) * (3 * _LINEAR_BELOW**2))
    light = np.maximum(mixed(_RGB_FROM_XYZ, xyz), 0)
    levels: Planes = 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * _power(light, 1 / 2.4) - 0.055)
    return levels


def _power(values: Planes, exponent: float) -> Planes:
    """Return ``values ** exponent`` of values above 0, which NumPy computes five times faster in this way."""
    power: Planes = np.exp(np.log(np.maximum(values, np.float32(1e-9))) * np.float32(exponent))
    return power


def _weights(densities: Planes) -> Float32[np.ndarray, " _pixels"]:
    """Return how much each pixel is changed: 1 where some channel has the density of tissue, 0 below half of it.

    Some channel, not every one as in ``macenko``: eosin takes away hardly any red.
    """
    ramp = densities.max(axis=0) * np.float32(2 / LEAST_DENSITY) - 1
    weights: np.ndarray = np.clip(ramp, 0, 1)
    return weights


def _measure(lab: Planes, densities: Planes) -> ReinhardStatistics | Unmeasured:
    if tissue_of(densities) is None:
        return "no tissue"
    inside = np.compress(_weights(densities) == 1, lab, axis=1).astype(np.float64)
    spreads = inside.std(axis=1)
    return _statistics(inside.mean(axis=1), spreads) if spreads.min() >= _LEAST_SPREAD else "one colour"


def _statistics(means: np.ndarray, spreads: np.ndarray) -> ReinhardStatistics:
    return ReinhardStatistics(means=tuple(means.tolist()), spreads=tuple(spreads.tolist()))
