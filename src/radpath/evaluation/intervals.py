"""How sure a number is: bootstrap intervals clustered by case, and what any test of this size could know.

In: the number of cases, or a metric's values in many resamples. Out: weights of the cases for each resample (the same
for every metric, made in portions so that memory stays flat), and intervals. Cases are drawn with replacement, plainly
or within strata, and all images of a case come with it, as often as it was drawn (Field and Welsh 2007). Further kinds
of intervals are in ``bca``, ``delong`` and ``wilson``.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from jaxtyping import Float64, Int64
from scipy import stats

LARGEST_UNDEFINED_SHARE: Final = 0.2
"""With more undefined resamples than this there is no interval: the others are no fair picture of what could happen."""

CELLS_AT_ONCE: Final = 1 << 18
"""Weights of a portion: 2 MB of float64, measured best on 10,000 images, since they stay in the processor's cache."""

IntervalMethod = Literal["percentile", "bca", "analytic"]
"""How intervals are asked for; ``analytic`` is a formula where there is one, and percentile elsewhere."""

IntervalName = Literal["percentile", "bca", "delong", "newcombe", "wilson"]
"""How one interval was found."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """The interval of one number, or the reason why there is none."""

    low: float | None
    high: float | None
    num_undefined: int
    """Resamples in which the number did not exist; they are left out."""
    note: str | None
    """What a reader must know about this interval, or about its absence."""
    method: IntervalName | None = None
    """How it was found; ``None`` where there is none."""


def resample_cases(
    num_cases: int,
    *,
    num_images: int,
    replicates: int,
    generator: np.random.Generator,
    stratum_of: Int64[np.ndarray, " cases"] | None = None,
) -> Iterator[Float64[np.ndarray, "cases some_replicates"]]:
    """Yield how often each case was drawn (row) in each resample (column), a portion of resamples at a time.

    Args:
        num_cases: cases to draw from, at least 1; as many are drawn.
        num_images: images of these cases; only the size of a portion depends on it, never the draws.
        replicates: resamples in all portions together.
        generator: source of the draws.
        stratum_of: number of each case's stratum; as many cases of each are drawn as there are. Without it, cases are
            drawn from all, and the number of each kind varies too.
    """
    at_once = max(1, CELLS_AT_ONCE // max(num_cases, num_images))
    for start in range(0, replicates, at_once):
        width = min(at_once, replicates - start)
        if stratum_of is None:
            drawn = generator.integers(num_cases, size=(width, num_cases))
        else:
            drawn = _draw_within(stratum_of, generator.random((width, num_cases)))
        cells = (drawn * width + np.arange(width)[:, None]).ravel()
        yield np.bincount(cells, minlength=num_cases * width).reshape(num_cases, width).astype(np.float64)


def _draw_within(
    stratum_of: Int64[np.ndarray, " cases"], uniform: Float64[np.ndarray, "replicates cases"]
) -> Int64[np.ndarray, "replicates cases"]:
    """Turn numbers in [0, 1) into cases, as many of each stratum as there are."""
    order = np.argsort(stratum_of, kind="stable")
    _, starts, sizes = np.unique(stratum_of[order], return_index=True, return_counts=True)
    start, size = np.repeat(starts, sizes), np.repeat(sizes, sizes)
    drawn: np.ndarray = order[start + (uniform * size).astype(np.int64)]
    return drawn


def percentile_interval(
    values: Float64[np.ndarray, " replicates"], *, confidence: float, undefined_when: str
) -> Interval:
    """Return the percentile interval (Efron 1981) of a metric's values in the resamples.

    Args:
        values: one a resample, NaN where the metric is undefined.
        confidence: for example 0.95.
        undefined_when: words for the note, for example "a class is absent".

    >>> percentile_interval(np.arange(101) / 100, confidence=0.9, undefined_when="never").high
    0.95
    """
    defined = values[~np.isnan(values)]
    num_undefined = len(values) - len(defined)
    if len(defined) == 0 or num_undefined > LARGEST_UNDEFINED_SHARE * len(values):
        reason = f"no interval: undefined in {num_undefined:,} of {len(values):,} resamples, where {undefined_when}"
        return Interval(low=None, high=None, num_undefined=num_undefined, note=reason)
    tail = (1 - confidence) / 2
    low, high = (float(edge) for edge in np.quantile(defined, [tail, 1 - tail]))
    notes = []
    if num_undefined:
        notes.append(f"{num_undefined:,} of {len(values):,} resamples left out, where {undefined_when}")
    if low == high:
        notes.append("every resample gave the same value, so this interval has no width; it does not mean certainty")
    note = "; ".join(notes) or None
    return Interval(low=low, high=high, num_undefined=num_undefined, note=note, method="percentile")


def roc_auc_standard_error(auc: float, *, num_positive: int, num_negative: int) -> float:
    """Return the standard error of an AUC measured on so many independent cases (Hanley and McNeil 1982, equation 1).

    Args:
        auc: the true area, in [0, 1].
        num_positive: positive cases, at least 1.
        num_negative: other cases, at least 1.

    >>> round(roc_auc_standard_error(0.9, num_positive=20, num_negative=60), 3)
    0.048
    """
    both_positive = auc / (2 - auc)
    both_negative = 2 * auc**2 / (1 + auc)
    variance = (
        auc * (1 - auc) + (num_positive - 1) * (both_positive - auc**2) + (num_negative - 1) * (both_negative - auc**2)
    ) / (num_positive * num_negative)
    return math.sqrt(variance)


def width_note(
    num_positive: int, num_negative: int, *, of_class: str, auc: float = 0.9, confidence: float = 0.95
) -> str:
    """Say how wide an interval so many test cases can give, for the report's limits.

    >>> width_note(20, 60, of_class="malignant").split(" (")[0]
    "With 20 cases of 'malignant' and 60 others, an AUC of 0.90 is known to about plus or minus 0.09"
    """
    cases = f"{num_positive:,} case{'' if num_positive == 1 else 's'} of '{of_class}' and {num_negative:,} others"
    if min(num_positive, num_negative) == 0:
        return f"With {cases}, no AUC can be measured."
    half_width = stats.norm.ppf((1 + confidence) / 2) * roc_auc_standard_error(
        auc, num_positive=num_positive, num_negative=num_negative
    )
    return (
        f"With {cases}, an AUC of {auc:.2f} is known to about plus or minus {half_width:.2f} "
        f"({100 * confidence:g} % interval, Hanley and McNeil 1982)."
    )
