"""Whether acting on the model does more good than acting on everybody or on nobody: the decision curve.

In: predictions, their evaluation, and the calibrator. Out: ``DecisionCurve``: the net benefit (Vickers and Elkin 2006)
of one class against the rest over the probabilities at which a person would act, with intervals clustered by case.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from pydantic import Field, model_validator

from radpath.errors import SettingsError
from radpath.evaluation.calibration import Calibrator
from radpath.evaluation.estimates import Evaluation
from radpath.evaluation.measured import Measured, judged_side, measure
from radpath.evaluation.predictions import Predictions
from radpath.evaluation.sample import Sample, take_sample
from radpath.evaluation.undefined import ratio
from radpath.records import Side
from radpath.settings import Settings

_NUM_POINTS = 50


class DecisionCurveSettings(Settings):
    """For which class and which probabilities the net benefit is shown."""

    of_class: str | None = None
    """The class that an action is for; not set: the positive one of two, and no curve with more."""
    lowest: float = Field(default=0.01, gt=0, lt=1)
    """The lowest probability at which anybody would act."""
    highest: float = Field(default=0.5, gt=0, lt=1)
    """The highest probability at which nobody would act yet."""

    @model_validator(mode="after")
    def _ends_are_apart(self) -> "DecisionCurveSettings":
        if self.lowest >= self.highest:
            raise ValueError(f"lowest is {self.lowest:g} and highest is {self.highest:g}; set highest above lowest")
        return self


@dataclass(frozen=True, kw_only=True)
class DecisionPoint:
    """Net benefit at one threshold probability: right actions minus weighed needless ones, a share of all images."""

    threshold: float
    model: Measured
    calibrated: Measured | None
    """Of the corrected probabilities; ``None`` where nothing is corrected."""
    treat_all: Measured
    """Of acting on everybody; acting on nobody has 0."""
    gain: Measured
    """Of the corrected probabilities (the model's own where there are none) over the better of all and nobody."""


@dataclass(frozen=True, kw_only=True)
class DecisionCurve:
    """The whole curve."""

    of_class: str
    side: Side
    num_images: int
    num_cases: int
    confidence: float
    """Of every interval."""
    prevalence: float
    points: tuple[DecisionPoint, ...]


def assess_decision_curve(
    predictions: Predictions,
    evaluation: Evaluation,
    settings: DecisionCurveSettings,
    *,
    calibrator: Calibrator | None,
) -> DecisionCurve | None:
    """Return the curve; ``None`` with more than two classes where none is named.

    Raises:
        SettingsError: the class is unknown.
    """
    require_known_class(settings, predictions.classes)
    of_class = settings.of_class or evaluation.positive_class
    if of_class is None:
        return None
    side, place = judged_side(evaluation), predictions.classes.index(of_class)
    sample = take_sample(predictions, side, positive_class=evaluation.positive_class, threshold=evaluation.threshold)
    # Rounding makes 0.06 of 0.060000000000000005, so that equal probabilities are called; it must not reach 0 or 1.
    evenly = np.linspace(settings.lowest, settings.highest, _NUM_POINTS).round(12)
    thresholds = np.clip(evenly, settings.lowest, settings.highest)
    looks = [sample.probabilities[:, place].copy()]
    if calibrator is not None:
        looks.append(calibrator.apply(sample.probabilities)[:, place].copy())
    found = _net_benefits(sample, place, looks, thresholds, side, evaluation)
    return DecisionCurve(
        of_class=of_class,
        side=side,
        num_images=len(sample),
        num_cases=sample.num_cases,
        confidence=evaluation.confidence,
        prevalence=float((sample.truth == place).mean()),
        points=tuple(
            DecisionPoint(
                threshold=float(threshold),
                treat_all=numbers[0],
                model=numbers[1],
                calibrated=numbers[2] if calibrator is not None else None,
                gain=numbers[-1],
            )
            for threshold, numbers in zip(thresholds, found, strict=True)
        ),
    )


def require_known_class(settings: DecisionCurveSettings, classes: tuple[str, ...]) -> None:
    """Refuse a class that is none.

    Raises:
        SettingsError: naming the classes that there are.
    """
    if settings.of_class is not None and settings.of_class not in classes:
        known = ", ".join(classes)
        raise SettingsError(f"evaluation.decision_curve.of_class is '{settings.of_class}'; the classes are {known}")


def _net_benefits(
    sample: Sample,
    place: int,
    looks: list[Float64[np.ndarray, " images"]],
    thresholds: Float64[np.ndarray, " thresholds"],
    side: Side,
    evaluation: Evaluation,
) -> list[tuple[Measured, ...]]:
    """Return for each threshold: acting on all, on each look's positives, and the gain of the last look."""
    wanted = sample.truth == place
    everybody = np.ones(len(sample))
    scores = [everybody, *looks]
    shape = (len(thresholds), sample.num_cases)
    benefits = []
    for values in scores:
        benefit = np.zeros(shape)
        for row, threshold in enumerate(thresholds):
            worth = np.where(wanted, 1.0, -threshold / (1 - threshold)) * (values >= threshold)
            benefit[row] = np.bincount(sample.case_of, weights=worth, minlength=sample.num_cases)
        benefits.append(benefit)
    num_images = np.bincount(sample.case_of, minlength=sample.num_cases).astype(np.float64)

    def compute(weights: Float64[np.ndarray, "cases replicates"]) -> Float64[np.ndarray, "replicates numbers"]:
        total = np.tile(num_images @ weights, (len(thresholds), 1))
        shares = [ratio(benefit @ weights, total) for benefit in benefits]
        gain = shares[-1] - np.maximum(shares[0], 0)
        return np.concatenate([*shares, gain]).T

    numbers = measure(compute, sample, side=side, evaluation=evaluation, undefined_when="there are no images")
    steps = range(0, len(numbers), len(thresholds))
    return [tuple(numbers[start + row] for start in steps) for row in range(len(thresholds))]
