"""Bootstrap intervals that correct for bias and skewness: BCa, bias-corrected and accelerated (Efron 1987).

In: a metric's values in the resamples, on the sample itself, and with cases left out. Out: an interval, or the
percentile interval with the reason where BCa does not exist. Resampling is in ``intervals``.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from jaxtyping import Float64, Int64
from scipy import stats

from radpath.evaluation.intervals import CELLS_AT_ONCE, Interval, percentile_interval

MOST_GROUPS: Final = 1000
"""With more cases than this, groups of cases are left out together: the acceleration is then close to 0 anyway."""

_SAME: Final = 1e-12
"""Difference below which a resample is as good as the sample itself: the two differ by rounding alone."""


def jackknife_groups(
    stratum_of: Int64[np.ndarray, " cases"],
) -> tuple[Int64[np.ndarray, " cases"], Int64[np.ndarray, " groups"]]:
    """Divide cases into the groups that are left out one after the other, and tell the stratum of each group.

    A group is one case, as long as there are no more than ``MOST_GROUPS``; otherwise every n-th case of a stratum.

    Args:
        stratum_of: number of each case's stratum, from 0; all 0 where cases are drawn plainly.
    """
    group_of = np.empty(len(stratum_of), dtype=np.int64)
    strata: list[int] = []
    for stratum in np.unique(stratum_of):
        members = np.flatnonzero(stratum_of == stratum)
        num_groups = min(len(members), -(-len(members) * MOST_GROUPS // len(stratum_of)))
        group_of[members] = len(strata) + np.arange(len(members)) % num_groups
        strata += [int(stratum)] * num_groups
    return group_of, np.array(strata, dtype=np.int64)


def leave_out(
    group_of: Int64[np.ndarray, " cases"], *, num_images: int
) -> Iterator[Float64[np.ndarray, "cases some_groups"]]:
    """Yield weights of the cases with one group after the other left out, a portion of groups at a time."""
    num_groups = int(group_of.max()) + 1
    at_once = max(1, CELLS_AT_ONCE // max(len(group_of), num_images))
    for start in range(0, num_groups, at_once):
        groups = np.arange(start, min(start + at_once, num_groups))
        yield (group_of[:, None] != groups).astype(np.float64)


def jackknife(
    compute: Callable[[Float64[np.ndarray, "cases some_groups"]], Float64[np.ndarray, "some_groups numbers"]],
    stratum_of: Int64[np.ndarray, " cases"],
    *,
    num_images: int,
) -> tuple[Float64[np.ndarray, "groups numbers"], Int64[np.ndarray, " groups"]]:
    """Return several numbers with one group of cases after the other left out, and the stratum of each group.

    Args:
        compute: the numbers under weights of the cases.
        stratum_of: as in ``jackknife_groups``.
        num_images: of these cases; only the size of a portion depends on it.
    """
    group_of, strata = jackknife_groups(stratum_of)
    return np.concatenate([compute(weights) for weights in leave_out(group_of, num_images=num_images)]), strata


def acceleration(values: Float64[np.ndarray, " groups"], stratum_of: Int64[np.ndarray, " groups"]) -> float | None:
    """Return how fast a metric's error changes with the metric, or ``None`` where that is not defined.

    This is a sixth of the skewness of the influence of single cases (Efron 1987), summed over strata as Davison and
    Hinkley (1997, equation 5.25) do.

    Args:
        values: of the metric with each group left out; NaN where it is undefined.
        stratum_of: stratum of each group.

    >>> acceleration(np.array([1.0, 2.0, 3.0, 6.0]), np.zeros(4, dtype=np.int64))
    -0.0572...
    """
    sizes = np.bincount(stratum_of)[stratum_of]
    means = (np.bincount(stratum_of, weights=values) / np.maximum(np.bincount(stratum_of), 1))[stratum_of]
    influences = (means - values) * (sizes - 1) / sizes
    spread = float((influences**2).sum())
    if not spread > _SAME**2:  # not-a-number, where leaving out a case leaves nothing, is no spread either
        return None
    return float((influences**3).sum() / (6 * spread**1.5))


def bca_interval(
    values: Float64[np.ndarray, " replicates"],
    *,
    estimate: float,
    accelerated: float | None,
    confidence: float,
    undefined_when: str,
) -> Interval:
    """Return the BCa interval of a metric, or its percentile interval with the reason why there is none.

    Args:
        values: of the metric in the resamples, NaN where it is undefined.
        estimate: its value on the sample.
        accelerated: as ``acceleration`` returns it.
        confidence: for example 0.95.
        undefined_when: words for the note.
    """
    plain = percentile_interval(values, confidence=confidence, undefined_when=undefined_when)
    if plain.low is None or plain.low == plain.high:
        return plain
    if accelerated is None:
        return _instead(plain, "leaving out one case leaves nothing, or changes nothing")
    defined = values[~np.isnan(values)]
    below, same = defined < estimate - _SAME, np.abs(defined - estimate) <= _SAME
    share_below = float(below.mean() + same.mean() / 2)
    if not 0 < share_below < 1:
        return _instead(plain, "all resamples lie on one side of the value")
    bias = float(stats.norm.ppf(share_below))
    tails = bias + stats.norm.ppf([(1 - confidence) / 2, (1 + confidence) / 2])
    stretched = 1 - accelerated * tails
    if stretched.min() <= 0:
        return _instead(plain, "the resamples are too skewed")
    low, high = (float(edge) for edge in np.quantile(defined, stats.norm.cdf(bias + tails / stretched)))
    if low == high:
        return _instead(plain, "the resamples are too skewed")
    return dataclasses.replace(plain, low=low, high=high, method="bca")


def _instead(plain: Interval, reason: str) -> Interval:
    notes = [plain.note] if plain.note else []
    return dataclasses.replace(plain, note="; ".join([*notes, f"percentile interval, since for BCa {reason}"]))
