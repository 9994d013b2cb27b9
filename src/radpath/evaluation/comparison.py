"""Several models on the same images: their numbers, and every difference with its interval and corrected p-value.

In: predictions of each model with its frozen threshold. Out: a ``Comparison`` of plain values. Models are joined by
record id (``comparison_joining``), see the same resamples of whole cases, and are tested in pairs
(``comparison_differences``). Which of them cannot be told from the best is left to ``comparison_results.marks``.
"""

import difflib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64

from radpath.errors import DataError, SettingsError
from radpath.evaluation.analytic import metric_interval
from radpath.evaluation.comparison_differences import (
    area_differences_of,
    decision_differences_of,
    differences_of,
)
from radpath.evaluation.comparison_joining import require_comparable, with_classes_in_order
from radpath.evaluation.comparison_results import ComparedModel, Comparison, require_a_best
from radpath.evaluation.estimates import Estimate, Unit
from radpath.evaluation.estimating import IntervalPlan, joined_estimate, resampled_intervals
from radpath.evaluation.intervals import IntervalMethod, resample_cases
from radpath.evaluation.metrics import METRICS, Column, MetricSettings, columns_of, values_under
from radpath.evaluation.predictions import Predictions
from radpath.evaluation.sample import Sample, take_sample
from radpath.evaluation.thresholds import Threshold
from radpath.progress import track
from radpath.records import Side
from radpath.seeding import generator_for

COMPARED_METRICS: Final = ("roc_auc", "balanced_accuracy", "brier")
"""What is compared where nothing else is asked for: the ranking, the decisions and the probabilities."""

_RESAMPLES_A_TEST: Final = 4
"""Times the number of tests, over the level: then the smallest adjusted p-value is at most half the level."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Contender:
    """One model as it takes part."""

    name: str
    predictions: Predictions
    threshold: Threshold | None
    """How it decides, fixed before; ``None`` with more than two classes, where the highest probability decides."""


def compare(
    contenders: Sequence[Contender],
    *,
    side: Side = "test",
    metrics: Sequence[str] = COMPARED_METRICS,
    positive_class: str | None = None,
    confidence: float = 0.95,
    replicates: int = 2000,
    seed: int = 0,
    unit: Unit = "image",
    metric_settings: MetricSettings | None = None,
    stratified: bool = False,
    interval: IntervalMethod = "analytic",
) -> Comparison:
    """Compare models on the labelled images of one side.

    Args:
        contenders: two or more, with different names.
        side: the side of the split that judges them.
        metrics: keys of ``METRICS``; the first one names the best.
        positive_class: with two classes, the one that is ranked.
        confidence: of every interval; 1 minus it is the level of the tests.
        replicates: resamples of the cases; more are drawn where so many tests could not be decided with them.
        seed: of the resamples.
        unit: what a row of the predictions is.
        metric_settings: what some metrics are set to, for example the beta of F-beta; ``None`` for what is usual.
        stratified: draw the cases of each class by themselves, as many as there are.
        interval: how the intervals of each model by itself are found; those of differences always invert the test.

    Raises:
        LeakError: a case that judges one model is one that another learned from.
        DataError: the models were judged on different images, or these have no labels or are of one case.
        SettingsError: a metric is unknown, or has no single value for these classes; or neither high nor low values of
            the first are better.
    """
    names = tuple(one.name for one in contenders)
    samples = _joined(contenders, side, positive_class)
    sample, set_to = samples[0], metric_settings or MetricSettings()
    columns = _columns_of(sample, metrics)
    num_tests = len(columns) * math.comb(len(names), 2)
    enough = max(replicates, math.ceil(round(_RESAMPLES_A_TEST * num_tests / (1 - confidence), 6)))
    weights = _weights(sample, enough, generator_for(seed, "bootstrap", side), stratified=stratified)
    values, resampled = _resample(samples, columns, set_to, weights, replicates=enough)
    plan = IntervalPlan(method=interval, confidence=confidence, replicates=enough, stratified=stratified)
    own = zip(samples, values, resampled.swapaxes(0, 1), strict=True)
    estimates = [_estimates(*one, columns=columns, plan=plan, metric_settings=set_to) for one in own]
    return Comparison(
        side=side,
        unit=unit,
        classes=sample.classes,
        positive_class=positive_class,
        names=names,
        metrics=tuple(metrics),
        num_images=len(sample),
        num_cases=sample.num_cases,
        images_per_class=sample.images_per_class(),
        confidence=confidence,
        replicates=enough,
        seed=seed,
        models=tuple(map(_compared_model, contenders, estimates)),
        differences=differences_of(
            names, columns, values=values, resampled=resampled, samples=samples, confidence=confidence
        ),
        area_differences=area_differences_of(names, samples, confidence=confidence),
        decision_differences=decision_differences_of(names, samples),
    )


def _weights(
    sample: Sample, replicates: int, generator: np.random.Generator, *, stratified: bool
) -> Iterator[Float64[np.ndarray, "cases some_replicates"]]:
    """Return the draws of the cases, a portion of resamples at a time."""
    return resample_cases(
        sample.num_cases,
        num_images=len(sample),
        replicates=replicates,
        generator=generator,
        stratum_of=sample.stratum_of_case if stratified else None,
    )


def _compared_model(contender: Contender, estimates: tuple[Estimate, ...]) -> ComparedModel:
    threshold = contender.threshold.value if contender.threshold else None
    return ComparedModel(name=contender.name, threshold=threshold, estimates=estimates)


def _joined(contenders: Sequence[Contender], side: Side, positive_class: str | None) -> list[Sample]:
    """Return the samples of models that can be compared, and refuse others."""
    names = [one.name for one in contenders]
    if len(set(names)) < max(2, len(names)):
        raise SettingsError(f"two or more models with different names can be compared, not {', '.join(names)}")
    require_comparable({one.name: one.predictions for one in contenders}, side=side)
    samples = _samples(contenders, side, positive_class)
    num_cases = samples[0].num_cases
    if num_cases < 2:
        found = "no labelled image" if num_cases == 0 else "labelled images of one case only"
        raise DataError(f"the {side} side has {found}, so no difference can be tested; label images of more cases")
    return samples


def _samples(contenders: Sequence[Contender], side: Side, positive_class: str | None) -> list[Sample]:
    """Return the labelled images of each model, in one order of images, cases and classes."""
    classes = contenders[0].predictions.classes
    return [
        take_sample(
            with_classes_in_order(one.predictions, classes),
            side,
            positive_class=positive_class,
            threshold=one.threshold,
        )
        for one in contenders
    ]


def _columns_of(sample: Sample, metrics: Sequence[str]) -> list[Column]:
    """Return the one number of each metric, of which the first must name a best."""
    columns = [_column_of(sample, metric) for metric in metrics]
    require_a_best(metrics[0])
    return columns


def _column_of(sample: Sample, metric: str) -> Column:
    """Return the one number of a metric: of the positive class where there is one, else of all classes together."""
    if metric not in METRICS:
        close = difflib.get_close_matches(metric, METRICS, n=1)
        known = f"did you mean '{close[0]}'?" if close else f"known: {', '.join(METRICS)}"
        raise SettingsError(f"there is no metric '{metric}'; {known}")
    positive = None if sample.positive is None else sample.classes[sample.positive]
    columns = {one.of_class: one for one in columns_of(sample, [metric])}
    if not columns:
        raise SettingsError(f"{metric} needs more than two classes; here are {' and '.join(sample.classes)}")
    found = columns.get(positive) or columns.get(None)
    if found is None:
        raise SettingsError(
            f"{metric} is a number of each class, and of {len(sample.classes)} classes none is the positive one; "
            "name a metric of all classes, for example balanced_accuracy"
        )
    return found


def _values(
    sample: Sample,
    weights: Float64[np.ndarray, "cases replicates"],
    columns: Sequence[Column],
    metric_settings: MetricSettings,
) -> Float64[np.ndarray, "replicates metrics"]:
    """Return the wanted columns under each set of weights."""
    names = [column.metric for column in columns]
    everything = columns_of(sample, names)
    places = [everything.index(column) for column in columns]
    return values_under(sample, weights, names, metric_settings)[:, places]


def _resample(
    samples: Sequence[Sample],
    columns: Sequence[Column],
    metric_settings: MetricSettings,
    portions: Iterable[Float64[np.ndarray, "cases some_replicates"]],
    *,
    replicates: int,
) -> tuple[Float64[np.ndarray, "models metrics"], Float64[np.ndarray, "replicates models metrics"]]:
    """Return each model's numbers on the images, and in resamples of the cases that are the same for all models."""
    every_case_once = np.ones((samples[0].num_cases, 1))
    once = np.stack([_values(sample, every_case_once, columns, metric_settings)[0] for sample in samples])
    resampled = [
        np.stack([_values(sample, weights, columns, metric_settings) for sample in samples], axis=1)
        for weights in track(
            portions, total=replicates, what="resampling", unit="resamples", weigh=lambda weights: weights.shape[1]
        )
    ]
    return once, np.concatenate(resampled)


def _estimates(
    sample: Sample,
    values: Float64[np.ndarray, " metrics"],
    resampled: Float64[np.ndarray, "replicates metrics"],
    *,
    columns: Sequence[Column],
    plan: IntervalPlan,
    metric_settings: MetricSettings,
) -> tuple[Estimate, ...]:
    """Return one model's numbers, with the intervals that they have in its own report."""
    intervals = resampled_intervals(
        lambda weights: _values(sample, weights, columns, metric_settings),
        values,
        resampled,
        sample=sample,
        plan=plan,
        undefined_when=[METRICS[column.metric].undefined_when for column in columns],
    )
    if plan.method == "analytic":
        formulas = [metric_interval(sample, column, confidence=plan.confidence) for column in columns]
        intervals = [formula or interval for formula, interval in zip(formulas, intervals, strict=True)]
    return tuple(
        joined_estimate(column, value, interval, metric_settings)
        for column, value, interval in zip(columns, values, intervals, strict=True)
    )
