"""Numbers of an analysis with their intervals, from the same resamples of cases as those of the metrics.

In: a function that computes several numbers under case weights. Out: one ``Measured`` for each. What the numbers are is
left to the analyses.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from radpath.evaluation.estimates import Evaluation
from radpath.evaluation.estimating import Compute, IntervalPlan, resampled_intervals
from radpath.evaluation.intervals import Interval, resample_cases
from radpath.evaluation.sample import Sample
from radpath.evaluation.undefined import number_or_none
from radpath.records import Side
from radpath.seeding import generator_for

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
    compute: Compute,
    sample: Sample,
    *,
    side: Side,
    evaluation: Evaluation,
    undefined_when: str,
    formulas: Sequence[Interval | None] = (),
) -> tuple[Measured, ...]:
    """Return each number that ``compute`` gives for a sample, with its interval of the kind that the evaluation has.

    Args:
        compute: the numbers under case weights.
        sample: whose cases are drawn; at least one image.
        side: of the sample; the draws are those of its metrics.
        evaluation: for the kind of interval, confidence, replicates and seed.
        undefined_when: words for the note of a number that does not exist.
        formulas: the first numbers' intervals by formula, as in ``analytic``, which stand where intervals are analytic;
            ``None`` for a number without one, which has a percentile interval.
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
    plan = IntervalPlan(
        method=evaluation.interval,
        confidence=evaluation.confidence,
        replicates=evaluation.replicates,
        stratified=evaluation.stratified,
    )
    words = [undefined_when] * len(values)
    found = resampled_intervals(compute, values, resampled, sample=sample, plan=plan, undefined_when=words)
    chosen = formulas if evaluation.interval == "analytic" else ()
    intervals = [formula or interval for formula, interval in itertools.zip_longest(chosen, found)]
    return tuple(
        _measured(float(value), interval, undefined_when) for value, interval in zip(values, intervals, strict=True)
    )


def _measured(value: float, interval: Interval, undefined_when: str) -> Measured:
    """Join a number and its interval; an undefined number has no interval, whatever its resamples say."""
    number = number_or_none(value)
    if number is None:
        return Measured(value=None, note=f"undefined: {undefined_when}")
    return Measured(value=number, low=interval.low, high=interval.high, note=interval.note or "")
