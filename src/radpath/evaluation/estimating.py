"""A sample becomes numbers with intervals.

In: a ``Sample``, the metrics and how intervals are found. Out: estimates, in which nothing is NaN. All metrics see the
same resamples. Which sides and units there are is left to ``evaluate``.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from jaxtyping import Float64

from radpath.evaluation.analytic import metric_interval
from radpath.evaluation.bca import acceleration, bca_interval, jackknife
from radpath.evaluation.estimates import Estimate
from radpath.evaluation.intervals import Interval, IntervalMethod, percentile_interval, resample_cases
from radpath.evaluation.metrics import METRICS, Column, MetricSettings, columns_of, setting_of, values_under
from radpath.evaluation.sample import Sample
from radpath.evaluation.undefined import number_or_none

Compute = Callable[[Float64[np.ndarray, "cases replicates"]], Float64[np.ndarray, "replicates numbers"]]
"""Several numbers under each set of case weights; NaN where one is undefined."""

BASELINE_METRICS: Final = ("roc_auc", "average_precision", "accuracy", "balanced_accuracy", "brier", "log_loss")

_NONE: Final = Interval(low=None, high=None, num_undefined=0, note=None)
_ONE_CASE: Final = Interval(low=None, high=None, num_undefined=0, note="no interval: there is only one case")


@dataclass(frozen=True, kw_only=True)
class IntervalPlan:
    """How intervals are found."""

    method: IntervalMethod
    confidence: float
    replicates: int
    stratified: bool


def estimate_all(
    sample: Sample,
    names: Sequence[str],
    settings: MetricSettings,
    plan: IntervalPlan,
    *,
    generator: np.random.Generator,
) -> Iterator[Estimate]:
    """Yield each metric with its interval.

    Args:
        sample: at least one image.
        names: of the metrics.
        settings: what some of them are set to.
        plan: how intervals are found.
        generator: source of the resamples.
    """
    columns = columns_of(sample, names)
    values = values_under(sample, np.ones((sample.num_cases, 1)), names, settings)[0]
    if sample.num_cases < 2:
        pairs = zip(columns, values, strict=True)
        yield from (joined_estimate(column, value, _ONE_CASE, settings) for column, value in pairs)
        return
    resamples = _Resamples(sample=sample, names=names, values=values, settings=settings, plan=plan, generator=generator)
    for place, (column, value) in enumerate(zip(columns, values, strict=True)):
        analytic = plan.method == "analytic"
        interval = metric_interval(sample, column, confidence=plan.confidence) if analytic else None
        yield joined_estimate(column, value, interval or resamples.intervals[place], settings)


def estimate_baseline(sample: Sample, train: Sample | None) -> Iterator[Estimate]:
    """Yield what the class shares of the training side, and decisions for its majority class, would give."""
    if train is None or len(train) == 0:
        return
    shares = np.bincount(train.truth, minlength=len(train.classes)) / len(train)
    ignorant = Sample(
        classes=sample.classes,
        positive=sample.positive,
        truth=sample.truth,
        decisions=np.full(len(sample), shares.argmax()),
        probabilities=np.tile(shares, (len(sample), 1)),
        case_of=sample.case_of,
        num_cases=sample.num_cases,
    )
    values = values_under(ignorant, np.ones((sample.num_cases, 1)), BASELINE_METRICS)[0]
    columns = columns_of(ignorant, BASELINE_METRICS)
    pairs = zip(columns, values, strict=True)
    yield from (joined_estimate(column, value, _NONE, MetricSettings()) for column, value in pairs)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Resamples:
    """All metrics in all resamples, made when the first interval needs them."""

    sample: Sample
    names: Sequence[str]
    values: Float64[np.ndarray, " columns"]
    """On the sample itself."""
    settings: MetricSettings
    plan: IntervalPlan
    generator: np.random.Generator

    @cached_property
    def intervals(self) -> list[Interval]:
        """The interval of every number."""
        words = [METRICS[column.metric].undefined_when for column in columns_of(self.sample, self.names)]
        return resampled_intervals(
            self._under, self.values, self._resampled, sample=self.sample, plan=self.plan, undefined_when=words
        )

    @cached_property
    def _resampled(self) -> Float64[np.ndarray, "replicates columns"]:
        portions = resample_cases(
            self.sample.num_cases,
            num_images=len(self.sample),
            replicates=self.plan.replicates,
            generator=self.generator,
            stratum_of=self.sample.stratum_of_case if self.plan.stratified else None,
        )
        return np.concatenate([self._under(weights) for weights in portions])

    def _under(self, weights: np.ndarray) -> np.ndarray:
        return values_under(self.sample, weights, self.names, self.settings)


def resampled_intervals(
    compute: Compute,
    values: Float64[np.ndarray, " numbers"],
    resampled: Float64[np.ndarray, "replicates numbers"],
    *,
    sample: Sample,
    plan: IntervalPlan,
    undefined_when: Sequence[str],
) -> list[Interval]:
    """Return the BCa interval of several numbers where the plan has that, else their percentile intervals.

    Args:
        compute: the numbers under weights of the cases.
        values: of the numbers on the sample.
        resampled: what they were in the resamples.
        sample: whose cases were drawn.
        plan: how intervals are found.
        undefined_when: words for the note of each number.
    """
    triples = zip(values, resampled.T, undefined_when, strict=True)
    if plan.method != "bca":
        return [
            percentile_interval(spread.copy(), confidence=plan.confidence, undefined_when=words)
            for _, spread, words in triples
        ]
    plain = np.zeros(sample.num_cases, dtype=np.int64)
    stratum_of = sample.stratum_of_case if plan.stratified else plain
    left_out, strata = jackknife(compute, stratum_of, num_images=len(sample))
    return [
        bca_interval(
            spread.copy(),
            estimate=float(value),
            accelerated=acceleration(without.copy(), strata),
            confidence=plan.confidence,
            undefined_when=words,
        )
        for (value, spread, words), without in zip(triples, left_out.T, strict=True)
    ]


def joined_estimate(column: Column, value: float, interval: Interval, settings: MetricSettings) -> Estimate:
    """Join a value and its interval; an undefined value has no interval, whatever its resamples say."""
    number = number_or_none(value)
    if number is None:
        undefined = f"undefined: {METRICS[column.metric].undefined_when}"
        interval = Interval(low=None, high=None, num_undefined=0, note=undefined)
    return Estimate(
        metric=column.metric,
        of_class=column.of_class,
        value=number,
        low=interval.low,
        high=interval.high,
        note=interval.note,
        interval=interval.method,
        at=setting_of(column.metric, settings),
    )
