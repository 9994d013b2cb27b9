"""Numbers of an analysis with their intervals, from the same resamples of cases as those of the metrics.

In: a function that computes several numbers under case weights. Out: one ``Measured`` for each. What the numbers are is
left to the analyses.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64

from radpath.evaluation.estimates import Evaluation
from radpath.evaluation.intervals import Interval, percentile_interval, resample_cases
from radpath.evaluation.sample import Sample
from radpath.evaluation.undefined import number_or_none
from radpath.records import Side
from radpath.seeding import generator_for

Compute = Callable[[Float64[np.ndarray, "cases replicates"]], Float64[np.ndarray, "replicates numbers"]]
"""Several numbers under each set of case weights; NaN where one is undefined."""

_LEAST_SEEN_FIRST: Final[tuple[Side, ...]] = ("test", "validation", "train")


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One number with its interval."""

    value: float | None
    low: float | None = None
    high: float | None = None
    note: str = ""
    """Why something is ``None``, or what a reader must know."""


def judged_side(evaluation: Evaluation) -> Side:
    """Return the side that an analysis is about: of the evaluated ones, that which the model has seen least."""
    return next(side for side in _LEAST_SEEN_FIRST if side in evaluation.sides)


def measure(
    compute: Compute, sample: Sample, *, side: Side, evaluation: Evaluation, undefined_when: str
) -> tuple[Measured, ...]:
    """Return each number that ``compute`` gives for a sample, with its percentile interval clustered by case.

    Args:
        compute: the numbers under case weights.
        sample: whose cases are drawn; at least one image.
        side: of the sample; the draws are those of its metrics.
        evaluation: for confidence, replicates and seed.
        undefined_when: words for the note of a number that does not exist.
    """
    values = compute(np.ones((sample.num_cases, 1)))[0]
    if sample.num_cases < 2:
        alone = Interval(low=None, high=None, num_undefined=0, note="no interval: there is only one case")
        return tuple(_measured(float(value), alone, undefined_when) for value in values)
    portions = resample_cases(
        sample.num_cases,
        num_images=len(sample),
        replicates=evaluation.replicates,
        generator=generator_for(evaluation.seed, "bootstrap", side),
        stratum_of=sample.stratum_of_case if evaluation.stratified else None,
    )
    resampled = np.concatenate([compute(weights) for weights in portions])
    return tuple(
        _measured(
            float(value),
            percentile_interval(spread.copy(), confidence=evaluation.confidence, undefined_when=undefined_when),
            undefined_when,
        )
        for value, spread in zip(values, resampled.T, strict=True)
    )


def _measured(value: float, interval: Interval, undefined_when: str) -> Measured:
    """Join a number and its interval; an undefined number has no interval, whatever its resamples say."""
    number = number_or_none(value)
    if number is None:
        return Measured(value=None, note=f"undefined: {undefined_when}")
    return Measured(value=number, low=interval.low, high=interval.high, note=interval.note or "")
