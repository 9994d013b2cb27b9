"""Thresholds side by side: each chosen on validation by its own rule, frozen, and applied to images it never saw.

In: predictions of two classes and their evaluation. Out: ``OperatingPoints``, with the decision's own threshold first.
No truth of the judged side is used to choose any of them; how they are drawn is left to the report.
"""

from dataclasses import dataclass
from typing import Final, get_args

import numpy as np
from jaxtyping import Float64

from radpath.evaluation.analytic import share_interval
from radpath.evaluation.estimates import Evaluation
from radpath.evaluation.intervals import Interval
from radpath.evaluation.measured import Measured, judged_side, measure
from radpath.evaluation.predictions import Predictions
from radpath.evaluation.sample import Sample, take_sample
from radpath.evaluation.thresholds import OperatingPointSettings, Threshold, ThresholdRule, choose_threshold
from radpath.evaluation.undefined import ratio
from radpath.records import Side

_RULES: Final[tuple[ThresholdRule, ...]] = get_args(ThresholdRule)


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """One threshold, and what it does on the judged side."""

    threshold: Threshold
    is_decision: bool
    """Whether it is the one that decides everywhere else in the report."""
    sensitivity: Measured
    specificity: Measured
    positive_predictive_value: Measured
    negative_predictive_value: Measured
    called_positive: Measured
    """Share of the images."""


@dataclass(frozen=True, kw_only=True)
class OperatingPoints:
    """All thresholds, the decision's first."""

    positive_class: str
    side: Side
    num_images: int
    num_cases: int
    confidence: float
    """Of every interval."""
    prevalence: float
    """Share of positive images on the judged side, on which both predictive values depend."""
    points: tuple[OperatingPoint, ...]
    without_answer: tuple[ThresholdRule, ...]
    """Rules that validation could not answer."""


def assess_operating_points(
    predictions: Predictions,
    evaluation: Evaluation,
    asked: OperatingPointSettings,
    *,
    frozen: tuple[Threshold, ...] | None = None,
) -> OperatingPoints | None:
    """Return every threshold with its numbers; ``None`` where more than two classes leave no threshold to choose.

    Args:
        predictions: of one model.
        evaluation: of them.
        asked: what the rules ask for.
        frozen: thresholds of an earlier run to use unchanged; without them, they are chosen on the validation side.
    """
    positive_class, decision = evaluation.positive_class, evaluation.threshold
    if positive_class is None or decision is None:
        return None
    side = judged_side(evaluation)
    sample = take_sample(predictions, side, positive_class=positive_class, threshold=decision)
    points = frozen_points(predictions, decision, asked) if frozen is None else frozen
    thresholds = (decision, *(threshold for threshold in points if threshold.rule != decision.rule))
    answered = {threshold.rule for threshold in thresholds}
    return OperatingPoints(
        positive_class=positive_class,
        side=side,
        num_images=len(sample),
        num_cases=sample.num_cases,
        confidence=evaluation.confidence,
        prevalence=float((sample.truth == sample.positive).mean()),
        points=tuple(
            _point(threshold, numbers, is_decision=threshold is decision)
            for threshold, numbers in zip(thresholds, _measured(thresholds, sample, side, evaluation), strict=True)
        ),
        without_answer=tuple(rule for rule in _RULES if rule not in answered),
    )


def frozen_points(
    predictions: Predictions, decision: Threshold, asked: OperatingPointSettings
) -> tuple[Threshold, ...]:
    """Return the threshold of every rule that has an answer on the validation side."""
    sample = take_sample(predictions, "validation", positive_class=decision.positive_class, threshold=None)
    column = predictions.classes.index(decision.positive_class)
    found = (
        choose_threshold(
            sample.probabilities[:, column].copy(),
            sample.truth == column,
            positive_class=decision.positive_class,
            rule=rule,
            asked=asked,
        )
        for rule in _RULES
    )
    return tuple(threshold for rule, threshold in zip(_RULES, found, strict=True) if threshold.rule == rule)


def _measured(
    thresholds: tuple[Threshold, ...], sample: Sample, side: Side, evaluation: Evaluation
) -> list[tuple[Measured, ...]]:
    """Return sensitivity, specificity, both predictive values and the share called positive, of each threshold."""
    positive = sample.truth == sample.positive
    scores = sample.probabilities[:, sample.positive or 0].copy()
    cells = np.zeros((4, len(thresholds), sample.num_cases))
    for place, threshold in enumerate(thresholds):
        np.add.at(cells[:, place], (2 * positive + threshold.apply(scores), sample.case_of), 1)

    def shares(weights: Float64[np.ndarray, "cases replicates"]) -> Float64[np.ndarray, "replicates numbers"]:
        rejected, alarms, missed, hits = cells @ weights
        found = (
            ratio(hits, hits + missed),
            ratio(rejected, rejected + alarms),
            ratio(hits, hits + alarms),
            ratio(rejected, rejected + missed),
            ratio(hits + alarms, hits + alarms + rejected + missed),
        )
        return np.concatenate(found).T

    numbers = measure(
        shares,
        sample,
        side=side,
        evaluation=evaluation,
        undefined_when="no image is of the kind that it divides by",
        formulas=_formulas(cells, evaluation.confidence),
    )
    return [numbers[place :: len(thresholds)] for place in range(len(thresholds))]


def _formulas(cells: Float64[np.ndarray, "4 thresholds cases"], confidence: float) -> list[Interval | None]:
    """Return Wilson's interval of every share, in the order in which the shares are computed."""
    rejected, alarms, missed, hits = cells
    pairs = (
        (hits, hits + missed),
        (rejected, rejected + alarms),
        (hits, hits + alarms),
        (rejected, rejected + missed),
        (hits + alarms, hits + alarms + rejected + missed),
    )
    return [
        share_interval(successes, trials, confidence=confidence)
        for succeeded, tried in pairs
        for successes, trials in zip(succeeded, tried, strict=True)
    ]


def _point(threshold: Threshold, numbers: tuple[Measured, ...], *, is_decision: bool) -> OperatingPoint:
    sensitivity, specificity, positive_value, negative_value, called = numbers
    return OperatingPoint(
        threshold=threshold,
        is_decision=is_decision,
        sensitivity=sensitivity,
        specificity=specificity,
        positive_predictive_value=positive_value,
        negative_predictive_value=negative_value,
        called_positive=called,
    )
