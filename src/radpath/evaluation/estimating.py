"""A sample becomes numbers with intervals.

In: a ``Sample``, the metrics and how intervals are found. Out: estimates, in which nothing is NaN. All metrics see the
same resamples. Which sides and units there are is left to ``evaluate``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from jaxtyping import Float64, Int64

from radpath.evaluation.analytic import metric_interval
from radpath.evaluation.bca import acceleration, bca_interval, jackknife_groups, leave_out
from radpath.evaluation.estimates import Estimate
from radpath.evaluation.intervals import Interval, IntervalMethod, percentile_interval, resample_cases
from radpath.evaluation.metrics import METRICS, Column, MetricSettings, columns_of, setting_of, values_under
from radpath.evaluation.sample import Sample
from radpath.evaluation.undefined import number_or_none

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
        yield from (_estimate(column, value, _ONE_CASE, settings) for column, value in pairs)
        return
    resamples = _Resamples(sample=sample, names=names, settings=settings, plan=plan, generator=generator)
    for place, (column, value) in enumerate(zip(columns, values, strict=True)):
        analytic = plan.method == "analytic"
        interval = metric_interval(sample, column, confidence=plan.confidence) if analytic else None
        yield _estimate(column, value, interval or resamples.interval(place, column, value), settings)


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
    yield from (_estimate(column, value, _NONE, MetricSettings()) for column, value in pairs)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Resamples:
    """All metrics in all resamples, made when the first interval needs them."""

    sample: Sample
    names: Sequence[str]
    settings: MetricSettings
    plan: IntervalPlan
    generator: np.random.Generator

    def interval(self, place: int, column: Column, value: float) -> Interval:
        """Return the interval of one column."""
        spread, undefined_when = self._values[:, place].copy(), METRICS[column.metric].undefined_when
        if self.plan.method != "bca" or np.isnan(value):
            return percentile_interval(spread, confidence=self.plan.confidence, undefined_when=undefined_when)
        values, stratum_of = self._with_groups_left_out
        return bca_interval(
            spread,
            estimate=value,
            accelerated=acceleration(values[:, place].copy(), stratum_of),
            confidence=self.plan.confidence,
            undefined_when=undefined_when,
        )

    @cached_property
    def _values(self) -> Float64[np.ndarray, "replicates columns"]:
        portions = resample_cases(
            self.sample.num_cases,
            num_images=len(self.sample),
            replicates=self.plan.replicates,
            generator=self.generator,
            stratum_of=self.sample.stratum_of_case if self.plan.stratified else None,
        )
        return np.concatenate([self._under(weights) for weights in portions])

    @cached_property
    def _with_groups_left_out(self) -> tuple[Float64[np.ndarray, "groups columns"], Int64[np.ndarray, " groups"]]:
        plain = np.zeros(self.sample.num_cases, dtype=np.int64)
        group_of, stratum_of = jackknife_groups(self.sample.stratum_of_case if self.plan.stratified else plain)
        portions = leave_out(group_of, num_images=len(self.sample))
        return np.concatenate([self._under(weights) for weights in portions]), stratum_of

    def _under(self, weights: np.ndarray) -> np.ndarray:
        return values_under(self.sample, weights, self.names, self.settings)


def _estimate(column: Column, value: float, interval: Interval, settings: MetricSettings) -> Estimate:
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
