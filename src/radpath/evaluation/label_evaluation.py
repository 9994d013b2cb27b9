"""Predictions of several labels become an evaluation: every label by itself, and all of them together.

In: ``LabelPredictions`` and the settings. Out: a ``LabelEvaluation``. A label is a question with two answers, with a
threshold of its own from the validation side, and has every number of two classes, by image and by case; images of
which it is not known are left out of its numbers alone. Intervals of all labels together are percentile intervals of
resampled cases, the same resamples for each number.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from radpath.errors import DataError, SettingsError
from radpath.evaluation.estimates import Estimate, Evaluation
from radpath.evaluation.evaluate import EvaluationSettings, evaluate
from radpath.evaluation.intervals import Interval, percentile_interval, resample_cases
from radpath.evaluation.label_metrics import LABEL_METRICS, LabelSample, label_values_under, take_label_sample
from radpath.evaluation.label_predictions import LabelPredictions, of_label
from radpath.evaluation.thresholds import Threshold
from radpath.evaluation.undefined import number_or_none
from radpath.records import SIDES, Side
from radpath.seeding import generator_for


@dataclass(frozen=True, kw_only=True)
class LabelSide:
    """The numbers of all labels together on one side."""

    side: Side
    num_images: int
    """Of which any label is known."""
    num_cases: int
    estimates: tuple[Estimate, ...]
    """Keys of ``LABEL_METRICS``, in its order."""

    def find(self, metric: str) -> Estimate:
        """Return one estimate."""
        return next(one for one in self.estimates if one.metric == metric)


@dataclass(frozen=True, kw_only=True)
class LabelEvaluation:
    """Everything that predictions of several labels say about a model."""

    names: tuple[str, ...]
    of_label: Mapping[str, Evaluation]
    """Each label as two classes, of which the one with its name counts as positive."""
    sides: Mapping[Side, LabelSide]
    """Sides with known labels, in the order train, validation, test."""
    confidence: float
    replicates: int
    warnings: tuple[str, ...]
    """Of all labels together; those of a label are with it."""

    @property
    def thresholds(self) -> dict[str, Threshold]:
        """The threshold of each label."""
        return {name: _threshold(self.of_label[name]) for name in self.names}

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; there is no NaN among them."""
        plain: dict[str, Any] = TypeAdapter(LabelEvaluation).dump_python(self, mode="json")
        return plain

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "LabelEvaluation":
        """Rebuild an evaluation from ``to_dict``.

        Raises:
            DataError: it is none of several labels, or was changed.
        """
        try:
            return TypeAdapter(LabelEvaluation).validate_python(values)
        except ValidationError as error:
            wrong = error.errors()[0]
            place = ".".join(str(part) for part in wrong["loc"])
            raise DataError(
                f"this is no evaluation of several labels that radpath wrote ({place}: {wrong['msg']}); evaluate the "
                "run again"
            ) from None


def evaluate_labels(predictions: LabelPredictions, settings: EvaluationSettings) -> LabelEvaluation:
    """Return every number of every label, and of all together, on every side.

    Raises:
        DataError: nothing is known of some label.
        SettingsError: a class is to be positive, where every label is.
    """
    if settings.positive_class is not None:
        raise SettingsError(
            f"evaluation.positive_class is '{settings.positive_class}', but of several labels each is positive where "
            "it is there; leave it out"
        )
    known = ~np.isnan(predictions.truth)
    unknown = [name for name, column in zip(predictions.names, known.T, strict=True) if not column.any()]
    if unknown:
        raise DataError(f"nobody knows of any image whether it has '{unknown[0]}'; leave that label out")
    evaluations = {
        name: evaluate(of_label(predictions, name), settings.model_copy(update={"positive_class": name}))
        for name in predictions.names
    }
    thresholds = {name: _threshold(evaluation) for name, evaluation in evaluations.items()}
    samples = {side: take_label_sample(predictions, side, thresholds) for side in SIDES}
    cautions = []
    if settings.stratified or settings.interval == "bca":
        cautions.append(
            "the intervals of all labels together are percentile intervals of plain resamples, whatever "
            "evaluation.interval and evaluation.stratified say; those of each label are as set"
        )
    return LabelEvaluation(
        names=predictions.names,
        of_label=evaluations,
        sides={side: _evaluate_side(side, sample, settings) for side, sample in samples.items() if len(sample)},
        confidence=settings.confidence,
        replicates=settings.replicates,
        warnings=tuple(cautions),
    )


def _threshold(evaluation: Evaluation) -> Threshold:
    assert evaluation.threshold is not None  # two classes have one
    return evaluation.threshold


def _evaluate_side(side: Side, sample: LabelSample, settings: EvaluationSettings) -> LabelSide:
    values = label_values_under(sample, np.ones((sample.num_cases, 1)))[0]
    resampled = None
    if sample.num_cases > 1:
        portions = resample_cases(
            sample.num_cases,
            num_images=int(sample.known.sum()),
            replicates=settings.replicates,
            generator=generator_for(settings.seed, "bootstrap", side),
        )
        resampled = np.concatenate([label_values_under(sample, weights) for weights in portions])
    estimates = []
    for place, (name, value) in enumerate(zip(LABEL_METRICS, values, strict=True)):
        spread = None if resampled is None else resampled[:, place].copy()
        estimates.append(_estimate(name, float(value), spread, confidence=settings.confidence))
    return LabelSide(side=side, num_images=len(sample), num_cases=sample.num_cases, estimates=tuple(estimates))


def _estimate(name: str, value: float, spread: np.ndarray | None, *, confidence: float) -> Estimate:
    """Join a value and its interval; an undefined value has none."""
    undefined_when = LABEL_METRICS[name].undefined_when
    number = number_or_none(value)
    if number is None:
        interval = Interval(low=None, high=None, num_undefined=0, note=f"undefined: {undefined_when}")
    elif spread is None:
        interval = Interval(low=None, high=None, num_undefined=0, note="no interval: there is only one case")
    else:
        interval = percentile_interval(spread, confidence=confidence, undefined_when=undefined_when)
    return Estimate(metric=name, of_class=None, value=number, low=interval.low, high=interval.high, note=interval.note)
