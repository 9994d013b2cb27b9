"""Stored levels become the numbers that a network sees: by a named rule, for each image or as fitted on training.

In: what is known of each image's levels (its extremes, two percentiles, mean and spread). Out: for each image the level
that becomes 0 and the level that becomes 1; everything between and beyond is on that line, and nothing is clipped.
Decoding is in ``pixels``, what a network subtracts besides is in ``models``.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Final, Literal, final

import numpy as np
from jaxtyping import Float, Float64

from radpath.errors import DataError, SettingsError

Rule = Literal["full", "minmax", "percentile", "zscore", "range"]
Scope = Literal["image", "training"]

STATISTICS: Final = ("minimum", "maximum", "low", "high", "mean", "deviation", "darkest", "brightest")


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class LevelStatistics:
    """What is known of the levels of some prepared images, over all of each image's pixels and channels."""

    minimum: Float64[np.ndarray, " images"]
    maximum: Float64[np.ndarray, " images"]
    low: Float64[np.ndarray, " images"]
    """The lower of the two percentiles that the settings name."""
    high: Float64[np.ndarray, " images"]
    mean: Float64[np.ndarray, " images"]
    deviation: Float64[np.ndarray, " images"]
    """Standard deviation about the mean, over all pixels (not one less)."""
    darkest: Float64[np.ndarray, " images"]
    """The lowest level that the file's type can hold: 0; for floating-point numbers, which name none, NaN."""
    brightest: Float64[np.ndarray, " images"]
    """The highest level that the file's type can hold: 255 or 65535; NaN for floating-point numbers."""

    def of(self, rows: np.ndarray) -> "LevelStatistics":
        """Return those of some images."""
        return LevelStatistics(**{name: getattr(self, name)[rows] for name in STATISTICS})


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Intensity:
    """How levels become numbers; with ``scope`` "training", by two levels that training images fixed for all."""

    rule: Rule
    zero: float | None = None
    """The level that becomes 0 in every image; None where each image has its own."""
    one: float | None = None

    @property
    def is_bounded(self) -> bool:
        """Whether every number is in 0 to 1: no level lies beyond the two that become 0 and 1."""
        return self.rule in ("full", "minmax") and self.zero is None

    def levels(self, known: LevelStatistics) -> tuple[Float[np.ndarray, " images"], Float[np.ndarray, " images"]]:
        """Return, for each image, the level that becomes 0 and the level that becomes 1."""
        if self.zero is not None and self.one is not None:
            count = len(known.mean)
            return np.full(count, self.zero), np.full(count, self.one)
        return _own_levels(self.rule, known)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON holds it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Intensity":
        """Rebuild what ``to_dict`` gave."""
        return cls(**values)


def fit_intensity(rule: Rule, scope: Scope, limits: tuple[float, float] | None, training: LevelStatistics) -> Intensity:
    """Return how levels become numbers, from the training images where the scope says so.

    Over training images, ``minmax`` takes the lowest and the highest level of all, ``percentile`` the medians of the
    images' own percentiles (a few odd images move them little), ``zscore`` mean and deviation of all pixels with each
    image counting the same.

    Args:
        rule: which levels become 0 and 1.
        scope: "image" for each image's own levels, "training" for the same levels in every image.
        limits: the two levels of the rule "range", which needs no images.
        training: the training images and no others.

    Raises:
        SettingsError: the rule "range" has no limits.
        DataError: there is no training image to fit on, or all have one and the same level.
    """
    if rule == "range":
        if limits is None:
            raise SettingsError("pixels.intensity is 'range'; say which with pixels.range = [lowest, highest]")
        return Intensity(rule=rule, zero=limits[0], one=limits[1])
    if scope == "image" or rule == "full":
        return Intensity(rule=rule)
    if not len(training.mean):
        raise DataError("pixels.intensity_scope is 'training', but there is no training image to fit on")
    zero, one = _pooled_levels(rule, training)
    if not one > zero:
        raise DataError(f"all training images have the one level {zero:g}; there is no contrast to scale")
    return Intensity(rule=rule, zero=zero, one=one)


def require_rule(rule: Rule, *, has_floats: bool) -> None:
    """Refuse a rule that the images have no answer to.

    Raises:
        SettingsError: floating-point images have no full range.
    """
    if rule == "full" and has_floats:
        raise SettingsError(
            "pixels.intensity is 'full', but some images hold floating-point numbers, whose type has no brightest "
            "level; set pixels.intensity to percentile, minmax, zscore, or range with pixels.range"
        )


def _own_levels(
    rule: Rule, known: LevelStatistics
) -> tuple[Float[np.ndarray, " images"], Float[np.ndarray, " images"]]:
    zero, one = {
        "full": (known.darkest, known.brightest),
        "minmax": (known.minimum, known.maximum),
        "percentile": (known.low, known.high),
        "zscore": (known.mean, known.mean + known.deviation),
    }[rule]
    # Most of a nearly empty image can have one level, which both percentiles then are: its extremes say more.
    flat = ~(one > zero)
    zero, one = np.where(flat, known.minimum, zero), np.where(flat, known.maximum, one)
    # An image of one level has no contrast to spread, and becomes 0 everywhere.
    return zero, np.where(one > zero, one, zero + 1)


def _pooled_levels(rule: Rule, training: LevelStatistics) -> tuple[float, float]:
    if rule == "minmax":
        return float(training.minimum.min()), float(training.maximum.max())
    if rule == "percentile":
        return float(np.median(training.low)), float(np.median(training.high))
    mean = float(training.mean.mean())
    # The spread of all pixels is the spread inside images and the spread between their means.
    deviation = float(np.sqrt((training.deviation**2).mean() + training.mean.var()))
    return mean, mean + deviation


def measure_levels(
    codes: np.ndarray, *, slope: float, intercept: float, percentiles: tuple[float, float]
) -> dict[str, float]:
    """Return the statistics of one prepared image in levels, from its stored codes.

    Percentiles are interpolated linearly, as NumPy's.

    Args:
        codes: uint8 or uint16, of any shape.
        slope: levels a code.
        intercept: the level of code 0.
        percentiles: two numbers in 0..100.
    """
    counts = np.bincount(codes.ravel())
    present = np.flatnonzero(counts)
    weights = counts[present]
    mean = float((present * weights).sum() / codes.size)
    deviation = float(np.sqrt((weights * (present - mean) ** 2).sum() / codes.size))
    low, high = (_quantile(present, weights, share / 100) for share in percentiles)
    found = {"minimum": present[0], "maximum": present[-1], "low": low, "high": high, "mean": mean}
    return {name: float(code) * slope + intercept for name, code in found.items()} | {"deviation": deviation * slope}


def _quantile(values: np.ndarray, weights: np.ndarray, share: float) -> float:
    """Return a quantile of sorted values that occur so many times each."""
    ends = np.cumsum(weights)
    place = share * (ends[-1] - 1)
    below = int(place)
    first, second = values[np.searchsorted(ends, [below, min(below + 1, ends[-1] - 1)], side="right")]
    return float(first + (second - first) * (place - below))
