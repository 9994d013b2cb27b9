"""What worse images do to a model: its numbers under each corruption, beside those of the same images as they are.

In: the predictions of one side as they are, and under every corruption and strength; the frozen threshold decides in
all. Out: ``Robustness``. Intervals, also of the drops, come from the same resamples of whole cases for all, so that a
drop is paired by image. What the corruptions are is in ``data.corruptions``, which images are spoilt in ``recipes``.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

import numpy as np
from jaxtyping import Float64

from radpath.evaluation.analytic import metric_interval, share_interval
from radpath.evaluation.estimates import Evaluation
from radpath.evaluation.intervals import Interval
from radpath.evaluation.measured import Measured, measure
from radpath.evaluation.metrics import METRICS, Column, columns_of, values_under
from radpath.evaluation.predictions import Predictions
from radpath.evaluation.sample import Sample, take_sample
from radpath.records import Side

_BINARY: Final = ("roc_auc", "sensitivity", "specificity")
_SEVERAL: Final = ("roc_auc", "balanced_accuracy")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dose:
    """One kind of corruption in all its strengths, before anything is measured."""

    name: str
    parameter: str
    """What the strengths are, for a reader."""
    levels: tuple[float, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Strength:
    """The numbers under one corruption in one strength."""

    level: float
    metrics: tuple[Measured, ...]
    """One for each of ``Robustness.metrics``."""
    drops: tuple[Measured, ...]
    """By how much each is lower than that of the same images as they are; negative where it is higher."""
    flips: Measured
    """Share of images that are decided otherwise."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Corruption:
    """The numbers under one corruption."""

    name: str
    parameter: str
    strengths: tuple[Strength, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Robustness:
    """The numbers of one side under all corruptions."""

    side: Side
    positive_class: str | None
    metrics: tuple[str, ...]
    """Keys in ``METRICS``: of the positive class, or of all of several classes."""
    confidence: float
    replicates: int
    num_images: int
    num_cases: int
    clean: tuple[Measured, ...]
    """Of the images as they are."""
    corruptions: tuple[Corruption, ...]
    model: str
    """Digest of the model that saw the images."""


def assess_robustness(
    clean: Predictions,
    spoilt: Mapping[tuple[str, int], Float64[np.ndarray, "images classes"]],
    doses: Sequence[Dose],
    evaluation: Evaluation,
    *,
    side: Side,
    model: str,
) -> Robustness:
    """Return the numbers of the labelled images of a side.

    Args:
        clean: of the images as they are; other sides are ignored.
        spoilt: the probabilities of the same rows, for every name of a dose and number of a level, from 1.
        doses: what was done, in the order to be shown.
        evaluation: of the run: its threshold decides, its settings say how intervals are made.
        side: whose labelled images are judged; there is at least one.
        model: digest of the model.
    """
    metrics = _SEVERAL if evaluation.positive_class is None else _BINARY
    own = _sample(clean, side, evaluation)
    found = []
    for dose in doses:
        strengths = []
        for number, level in enumerate(dose.levels, start=1):
            worse = _sample(dataclasses.replace(clean, probabilities=spoilt[dose.name, number]), side, evaluation)
            strengths.append(_strength(level, own, worse, metrics, side, evaluation))
        found.append(Corruption(name=dose.name, parameter=dose.parameter, strengths=tuple(strengths)))
    return Robustness(
        side=side,
        positive_class=evaluation.positive_class,
        metrics=metrics,
        confidence=evaluation.confidence,
        replicates=evaluation.replicates,
        num_images=len(own),
        num_cases=own.num_cases,
        clean=measure(
            lambda weights: _values(own, weights, metrics),
            own,
            side=side,
            evaluation=evaluation,
            undefined_when=_undefined(metrics),
            formulas=_formulas(own, metrics, evaluation.confidence),
        ),
        corruptions=tuple(found),
        model=model,
    )


def _sample(predictions: Predictions, side: Side, evaluation: Evaluation) -> Sample:
    return take_sample(predictions, side, positive_class=evaluation.positive_class, threshold=evaluation.threshold)


def _strength(
    level: float, own: Sample, worse: Sample, metrics: Sequence[str], side: Side, evaluation: Evaluation
) -> Strength:
    """Return the numbers of one strength, their drops and the flips, all from the same resamples."""
    flipped = (own.decisions != worse.decisions).astype(np.float64)

    def compute(weights: Float64[np.ndarray, "cases replicates"]) -> Float64[np.ndarray, "replicates numbers"]:
        values = _values(worse, weights, metrics)
        drops = _values(own, weights, metrics) - values
        return np.column_stack([values, drops, own.mean_under(flipped, weights)])

    count, of_case = len(metrics), partial(np.bincount, own.case_of, minlength=own.num_cases)
    flips = share_interval(of_case(weights=flipped), of_case().astype(np.float64), confidence=evaluation.confidence)
    numbers = measure(
        compute,
        own,
        side=side,
        evaluation=evaluation,
        undefined_when=_undefined(metrics),
        formulas=[*_formulas(worse, metrics, evaluation.confidence), *[None] * count, flips],
    )
    return Strength(level=level, metrics=numbers[:count], drops=numbers[count:-1], flips=numbers[-1])


def _values(
    sample: Sample, weights: Float64[np.ndarray, "cases replicates"], metrics: Sequence[str]
) -> Float64[np.ndarray, "replicates metrics"]:
    """Return each metric once: of the positive class, or of all classes."""
    columns = columns_of(sample, metrics)
    return values_under(sample, weights, metrics)[:, [columns.index(one) for one in _wanted(sample, metrics)]]


def _wanted(sample: Sample, metrics: Sequence[str]) -> list[Column]:
    positive = None if sample.positive is None else sample.classes[sample.positive]
    columns = {(one.metric, one.of_class): one for one in columns_of(sample, metrics)}
    return [columns[name, None if METRICS[name].scope == "whole" else positive] for name in metrics]


def _formulas(sample: Sample, metrics: Sequence[str], confidence: float) -> list[Interval | None]:
    return [metric_interval(sample, column, confidence=confidence) for column in _wanted(sample, metrics)]


def _undefined(metrics: Sequence[str]) -> str:
    return METRICS[metrics[0]].undefined_when
