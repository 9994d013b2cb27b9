"""How far a number of a group is from that of all other images, by formulas that hold for few cases.

In: two parts of one sample. Out: an interval of the difference and a p-value of none, or the reason why there is no
test. A bootstrap would not do: a share of exactly 0 or 1 has the same value in every resample of its part. Which parts
are compared, and correction for many tests, is left to the caller.
"""

import dataclasses
import math
from typing import Final

import numpy as np
from jaxtyping import Float64
from scipy import special, stats

from radpath.evaluation.delong import delong_interval, placements
from radpath.evaluation.sample import Sample
from radpath.evaluation.wilson import design_effect, wilson_edges

_ROUNDING: Final = 1e-9


@dataclasses.dataclass(frozen=True, kw_only=True)
class Difference:
    """A difference of two numbers; the first minus the second."""

    low: float | None
    high: float | None
    p_value: float | None
    """Two-sided, of no difference."""
    note: str | None
    """Why there is no p-value."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Shares:
    """One share, or several whose mean is meant, such as the sensitivities of all classes."""

    successes: Float64[np.ndarray, "shares cases"]
    trials: Float64[np.ndarray, "shares cases"]

    @property
    def values(self) -> Float64[np.ndarray, " shares"]:
        """Return successes / trials; every share has a trial."""
        divided: np.ndarray = self.successes.sum(axis=1) / self.trials.sum(axis=1)
        return divided

    @property
    def deviations(self) -> Float64[np.ndarray, "shares cases"]:
        """Return how much each case moves each share."""
        moved: np.ndarray = (self.successes - self.trials * self.values[:, None]) / self.trials.sum(axis=1)[:, None]
        return moved

    @property
    def worth(self) -> Float64[np.ndarray, " shares"]:
        """Return how many independent trials those of each share are worth (Rao and Scott 1992)."""
        pairs = zip(self.successes, self.trials, strict=True)
        return np.array([tried.sum() / design_effect(right[tried > 0], tried[tried > 0]) for right, tried in pairs])


def shares_of(part: Sample, metric: str) -> Shares:
    """Return what a share counts in each case: accuracy, sensitivity, specificity, or one share a class.

    Args:
        part: of a sample.
        metric: one of these three, or "balanced_accuracy", the mean of the classes' sensitivities.
    """
    right, positive = part.truth == part.decisions, part.truth == part.positive
    chosen = {
        "accuracy": [np.ones(len(part), dtype=bool)],
        "sensitivity": [positive],
        "specificity": [~positive],
        "balanced_accuracy": [part.truth == place for place in range(len(part.classes))],
    }[metric]
    counts = [
        [np.bincount(part.case_of[images], minlength=part.num_cases) for images in (one & right, one)] for one in chosen
    ]
    stacked = np.array(counts, dtype=np.float64)
    return Shares(successes=stacked[:, 0], trials=stacked[:, 1])


def difference_of_shares(own: Shares, others: Shares, *, confidence: float) -> Difference:
    """Return the difference of two shares, or of the means of several, with what clustered images are worth.

    The interval is Newcombe's (1998, method 10), of Wilson intervals; of means it combines those of all shares (Zou and
    Donner 2008). The p-value is Fisher's exact one, since that of the interval is too small for shares near 0 and 1; of
    means there is none. Trials are divided by the design effect, and by as much as cases with images on both sides
    make the difference vary more; counts that are then no whole numbers are rounded towards no difference.
    """
    if min(int((trials > 0).sum()) for one in (own, others) for trials in one.trials) < 2:
        return Difference(low=None, high=None, p_value=None, note="no test: only one case")
    together = _more_variance(own, others)
    worth = own.worth / together, others.worth / together
    edges = [_edges(one, trials, confidence) for one, trials in zip((own, others), worth, strict=True)]
    means = own.values.mean(), others.values.mean()
    value = float(means[0] - means[1])
    low = value - math.hypot(means[0] - edges[0][0], edges[1][1] - means[1])
    high = value + math.hypot(edges[0][1] - means[0], means[1] - edges[1][0])
    single = len(own.trials) == 1
    return Difference(
        low=max(-1.0, low),
        high=min(1.0, high),
        p_value=_fisher(*((float(one.values[0]), float(n[0])) for one, n in zip((own, others), worth, strict=True)))
        if single
        else None,
        note=None if single else "no test: of a mean of shares no exact one is known",
    )


def _more_variance(own: Shares, others: Shares) -> float:
    """Return how much more the difference varies than it would if no case were in two shares; at least 1."""
    moved = np.concatenate([own.deviations, -others.deviations])
    extra = float((moved.sum(axis=0) ** 2).sum() - (moved**2).sum())
    alone = sum(float((one.values * (1 - one.values) / one.worth).sum()) for one in (own, others))
    return 1.0 + max(0.0, extra) / alone if alone > 0 else 1.0


def _edges(shares: Shares, worth: Float64[np.ndarray, " shares"], confidence: float) -> tuple[float, float]:
    """Return the ends of the interval of a mean of shares: Wilson's, joined by Zou and Donner's (2008) equation."""
    values, mean = shares.values, float(shares.values.mean())
    pairs = zip(values, worth, strict=True)
    ends = np.array([wilson_edges(float(value), float(trials), confidence=confidence) for value, trials in pairs])
    below, above = (float(np.linalg.norm(ends[:, side] - values)) / len(values) for side in (0, 1))
    return mean - below, mean + above


def _fisher(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Return Fisher's exact p-value of two shares, each with the trials that it is worth.

    >>> round(_fisher((1.0, 10.0), (0.85, 100.0)), 3)
    0.352
    """
    (higher, trials), (lower, more) = max(one, other), min(one, other)
    num_higher, num_lower = (max(1, math.floor(number + _ROUNDING)) for number in (trials, more))
    right = math.floor(higher * num_higher + _ROUNDING), math.ceil(lower * num_lower - _ROUNDING)
    table = [[right[0], num_higher - right[0]], [right[1], num_lower - right[1]]]
    return min(1.0, float(stats.fisher_exact(table).pvalue))


def difference_of_areas(own: Sample, others: Sample, *, confidence: float) -> Difference:
    """Return the difference of two ROC areas, of the positive class or of the means over classes, by DeLong's method.

    Both are compared on the scale of their logit: there the test keeps its level with ten cases of a class, which it
    does not for the areas as they are. Variances are Obuchowski's (1997), for cases with several images, and a case
    with images in both parts counts as one. A class whose area is exactly 0 or 1 has no variance: then there is no
    test and no interval.
    """
    areas = [_area(part) for part in (own, others)]
    if areas[0] is None or areas[1] is None:
        return Difference(low=None, high=None, p_value=None, note="no test: an area without variance, such as 0 or 1")
    (first, moves_first), (second, moves_second) = areas[0], areas[1]
    logits = special.logit(first) - special.logit(second)
    moved = moves_first / (first * (1 - first)) - moves_second / (second * (1 - second))
    variances = [float(moves @ moves) for moves in (moves_first, moves_second)]
    ends = [delong_interval(area, v, confidence=confidence) for area, v in zip((first, second), variances, strict=True)]
    error = float(np.linalg.norm(moved))
    if ends[0] is None or ends[1] is None or error < _ROUNDING:
        return Difference(low=None, high=None, p_value=None, note="no test: the difference has no variance")
    alike = float(moves_first @ moves_second) / math.sqrt(variances[0] * variances[1])
    below = _joined(first - ends[0][0], ends[1][1] - second, alike)
    above = _joined(ends[0][1] - first, second - ends[1][0], alike)
    p_value = float(2 * stats.norm.sf(abs(float(logits)) / error))
    return Difference(low=first - second - below, high=first - second + above, p_value=p_value, note=None)


def _joined(one: float, other: float, alike: float) -> float:
    """Return the half-width of a difference from those of its two numbers, which correlate (Zou 2007)."""
    return math.sqrt(max(0.0, one**2 + other**2 - 2 * alike * one * other))


def _area(part: Sample) -> tuple[float, Float64[np.ndarray, " cases"]] | None:
    """Return the mean area of the ranked classes, and how much each case moves it; None where a class cannot vary."""
    areas, moves = [], []
    for place in part.ranked_classes:
        is_positive = part.truth == place
        moved = np.zeros(part.num_cases)
        for values, cases in zip(
            placements(part.probabilities[:, place].copy(), is_positive),
            (part.case_of[is_positive], part.case_of[~is_positive]),
            strict=True,
        ):
            num_cases = len(np.unique(cases))
            if num_cases < 2:
                return None
            sums = np.bincount(cases, weights=values - values.mean(), minlength=part.num_cases) / len(cases)
            moved += math.sqrt(num_cases / (num_cases - 1)) * sums
        area = float(values.mean())
        if not 0 < area < 1 or float(np.abs(moved).max()) < _ROUNDING:
            return None
        areas.append(area)
        moves.append(moved)
    return float(np.mean(areas)), np.mean(moves, axis=0)
