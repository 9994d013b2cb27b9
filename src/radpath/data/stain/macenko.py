"""Macenko's stain normalisation: the two stains of each image get the colours and strengths of a reference.

In: an RGB image. Out: its stains, or the image with the stains of a reference.

Macenko et al., A method for normalizing histology slides for quantitative analysis, ISBI 2009. Departures:

- strengths are the 99th percentile of tissue pixels, where published code takes all pixels: there, a tile that is half
  empty comes out darker than the same tissue without the glass;
- angles are measured from the mean of the tissue, not from an eigenvector, whose sign is arbitrary: none ever jumps
  from -180 to 180 degrees;
- levels are rounded, not cut, and the 1 that keeps black finite is subtracted again.
"""

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
from jaxtyping import Float, Float32, Float64
from pydantic import BaseModel, ConfigDict

from radpath.data.stain.optical_density import (
    Planes,
    Rgb,
    Unmeasured,
    from_planes,
    mixed,
    tissue_of,
    to_densities,
    to_levels,
    to_planes,
)

_ANGLE_PERCENTILES: Final = (0.01, 0.99)  # alpha in the paper: robust extremes
_STRENGTH_PERCENTILE: Final = 0.99
_LEAST_VARIANCE: Final = 1e-4  # of the second component; what rounding to levels adds stays below half of it
_LEAST_ANGLE_DEG: Final = 3.0  # what is closer is told apart by noise alone; stains of real tiles are 7 to 38 apart

Colour = tuple[float, float, float]


class MacenkoStains(BaseModel):
    """The stains of an image, or of the typical image of many."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    method: Literal["macenko"] = "macenko"
    haematoxylin: Colour
    """Optical density of red, green and blue for one unit; of length 1."""
    eosin: Colour
    """As ``haematoxylin``; takes away less red."""
    strengths: tuple[float, float]
    """99th percentile of the units of haematoxylin and of eosin."""

    @property
    def colours(self) -> Float64[np.ndarray, "3 2"]:
        """Both colours as columns: densities are ``colours @ units``."""
        return np.array([self.haematoxylin, self.eosin]).T


def measure(image: Rgb) -> MacenkoStains | Unmeasured:
    """Return an image's stains, or why it shows none."""
    return _measure(to_densities(to_planes(image)))


def normalise(image: Rgb, reference: MacenkoStains) -> Rgb | Unmeasured:
    """Return the image with the colours and strengths of the reference, or why it has no stains to change."""
    densities = to_densities(to_planes(image))
    own = _measure(densities)
    if not isinstance(own, MacenkoStains):
        return own
    scale = np.array(reference.strengths) / np.array(own.strengths)
    exchange = (reference.colours * scale) @ np.linalg.pinv(own.colours)
    levels = to_levels(mixed(exchange, densities))
    return from_planes(levels, height_px=image.shape[0], width_px=image.shape[1])


def typical(stains: Sequence[MacenkoStains]) -> MacenkoStains:
    """Return the median of each number, colours brought back to length 1; of one image, its own."""
    colours = np.median([one.colours for one in stains], axis=0)
    return _stains(colours / np.linalg.norm(colours, axis=0), np.median([one.strengths for one in stains], axis=0))


def _measure(densities: Planes) -> MacenkoStains | Unmeasured:
    """Find the plane of the stains, the extreme directions in it, and the units along them (paper, section 3)."""
    tissue = tissue_of(densities)
    if tissue is None:
        return "no tissue"
    inside = np.compress(tissue, densities, axis=1)
    plane = _plane(inside)
    if plane is None:
        return "one colour"
    along, across = mixed(plane.T, inside)
    # More than 90 degrees from the mean is no mixture of stains; elsewhere the ratio grows with the angle.
    ratios = across[along > 0] / along[along > 0]
    low, high = np.arctan(_percentiles(ratios, *_ANGLE_PERCENTILES))
    if np.degrees(high - low) < _LEAST_ANGLE_DEG:
        return "one colour"
    colours = plane @ np.array([[np.cos(low), np.cos(high)], [np.sin(low), np.sin(high)]])
    if colours[0, 0] < colours[0, 1]:
        colours = colours[:, ::-1]
    units = mixed(np.linalg.pinv(colours), inside)
    strengths = np.concatenate([_percentiles(one, _STRENGTH_PERCENTILE) for one in units])
    return _stains(colours, strengths) if strengths.min() > 0 else "one colour"


def _plane(inside: Planes) -> Float[np.ndarray, "3 2"] | None:
    """Return the plane in which densities vary most: its first axis towards their mean, the second at right angles."""
    mean = inside.mean(axis=1)
    centred = inside - mean[:, None]
    covariance = (centred @ centred.T).astype(np.float64) / (inside.shape[1] - 1)
    variances, vectors = np.linalg.eigh(covariance)  # in ascending order
    if variances[1] < _LEAST_VARIANCE:
        return None
    principal = vectors[:, 1:]
    first = principal.T @ mean
    first /= np.linalg.norm(first)
    plane: np.ndarray = principal @ np.array([[first[0], -first[1]], [first[1], first[0]]])
    return plane


def _percentiles(values: Float32[np.ndarray, " _values"], *shares: float) -> Float64[np.ndarray, " _shares"]:
    """Return quantiles with linear interpolation, as ``numpy.quantile`` does in several times the time."""
    places = np.array(shares) * (len(values) - 1)
    below = places.astype(np.int64)
    above = np.minimum(below + 1, len(values) - 1)
    ordered = np.partition(values, np.concatenate([below, above])).astype(np.float64)
    return ordered[below] + (places - below) * (ordered[above] - ordered[below])


def _stains(colours: np.ndarray, strengths: np.ndarray) -> MacenkoStains:
    haematoxylin, eosin = colours.T.tolist()
    return MacenkoStains(haematoxylin=tuple(haematoxylin), eosin=tuple(eosin), strengths=tuple(strengths.tolist()))
