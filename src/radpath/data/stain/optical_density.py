"""How much light stains take away: from RGB levels to optical density and back, and the published colours of stains.

In: RGB of 8 bits. Out: optical densities, in which stains add up (Beer and Lambert). What is made of them is left to
``macenko`` and ``reinhard``, and to augmentation.
"""

from typing import Final, Literal

import numpy as np
from jaxtyping import Bool, Float32, UInt8

Rgb = UInt8[np.ndarray, "_height _width 3"]

Planes = Float32[np.ndarray, "3 _pixels"]
"""One row a channel: several times faster than one row a pixel."""

Unmeasured = Literal["no tissue", "one colour"]
"""Why an image's stains cannot be measured: too few pixels take away light, or all of them have the same hue."""

LIGHT: Final = 240.0
"""Level of the light that passes clear glass, Io in the published implementations of Macenko 2009."""

LEAST_DENSITY: Final = 0.15
"""What takes away less light is background: beta in Macenko 2009; natural logarithm, 14 % of the light."""

FEWEST_TISSUE_PIXELS: Final = 64
LEAST_TISSUE_SHARE: Final = 0.01
"""An image that has less of either is taken for empty: the percentiles of a few pixels tell of dust, not of a stain."""


def _read_only(values: np.ndarray) -> np.ndarray:
    values.setflags(write=False)
    return values


RGB_FROM_HED: Final = _read_only(np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]]))
"""Optical density of red, green and blue for one unit of haematoxylin, eosin and DAB, one stain a row.

Ruifrok & Johnston, Quantification of histochemical staining by color deconvolution, Anal Quant Cytol Histol 23 (2001):
densities (pixels, 3) of RGB are ``stains @ RGB_FROM_HED``, and stains are ``densities @ HED_FROM_RGB``.
"""

HED_FROM_RGB: Final = _read_only(np.linalg.inv(RGB_FROM_HED))
"""The inverse of ``RGB_FROM_HED``."""

_DENSITY_OF_LEVEL: Final = _read_only(-np.log((np.arange(256) + 1.0) / LIGHT).astype(np.float32))


def to_planes(image: Rgb) -> UInt8[np.ndarray, "3 _pixels"]:
    """Return the levels with one row a channel."""
    return np.ascontiguousarray(image.reshape(-1, 3).T)


def from_planes(levels: Planes, *, height_px: int, width_px: int) -> Rgb:
    """Return an image of levels, rounded and kept within 0 and 255."""
    rounded = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(rounded.T).reshape(height_px, width_px, 3)


def to_densities(levels: UInt8[np.ndarray, "3 _pixels"]) -> Planes:
    """Return the optical density -ln((level + 1) / 240), from -0.065 (white) to 5.48 (black, kept finite by the 1).

    >>> to_densities(np.array([[0], [239], [255]], np.uint8)).round(2).tolist()
    [[5.480000019073486], [-0.0], [-0.05999999865889549]]
    """
    densities: Planes = _DENSITY_OF_LEVEL[levels]
    return densities


def to_levels(densities: Planes) -> Planes:
    """Return levels 240 exp(-density) - 1: the inverse of ``to_densities``, neither rounded nor limited."""
    levels: Planes = np.exp(-densities) * np.float32(LIGHT) - 1
    return levels


def mixed(matrix: np.ndarray, planes: Planes) -> Float32[np.ndarray, "_rows _pixels"]:
    """Return ``matrix @ planes`` in 32 bits.

    Not by BLAS, whose threads wait for each other: with other processes on the machine that took 200 times as long.
    """
    product: np.ndarray = np.einsum("rc,cp->rp", matrix.astype(np.float32), planes)
    return product


def tissue_of(densities: Planes) -> Bool[np.ndarray, " _pixels"] | None:
    """Return which pixels take away light in every channel, or None where they are too few to tell of a stain."""
    tissue: np.ndarray = densities.min(axis=0) >= LEAST_DENSITY
    enough = int(tissue.sum()) >= max(FEWEST_TISSUE_PIXELS, LEAST_TISSUE_SHARE * len(tissue))
    return tissue if enough else None
