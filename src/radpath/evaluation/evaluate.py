"""Predictions become an evaluation: the whole of ``metrics.json`` from ``predictions.csv`` alone.

In: ``Predictions`` of one model and the settings. Out: an ``Evaluation``, with the same numbers of whole cases where
some case has several images. Thresholds are chosen on the validation side, or given, and are the same on every side;
the test side's truth never touches them. Drawing is left to the report.
"""

import dataclasses
from collections import Counter
from typing import Final

import numpy as np
from pydantic import Field, model_validator

from radpath.errors import DataError, SettingsError
from radpath.evaluation.calibration import CalibrationSettings
from radpath.evaluation.cases import CasePredictions, CaseSettings, pool_cases
from radpath.evaluation.cautions import (
    label_cautions,
    metric_cautions,
    side_cautions,
    stratum_cautions,
    threshold_cautions,
)
from radpath.evaluation.conformal import ConformalSettings
from radpath.evaluation.decision_curve import DecisionCurveSettings, require_known_class
from radpath.evaluation.drift import DriftSettings
from radpath.evaluation.estimates import CaseEvaluation, Evaluation, SideEvaluation, Unit
from radpath.evaluation.estimating import IntervalPlan, estimate_all, estimate_baseline
from radpath.evaluation.intervals import IntervalMethod
from radpath.evaluation.metrics import METRICS, MetricSettings, chosen_metrics
from radpath.evaluation.predictions import Predictions
from radpath.evaluation.sample import Sample, take_sample
from radpath.evaluation.subgroups import SubgroupSettings
from radpath.evaluation.thresholds import (
    OperatingPointSettings,
    Threshold,
    ThresholdRule,
    choose_threshold,
    given_threshold,
)
from radpath.records import SIDES, Side
from radpath.seeding import generator_for
from radpath.settings import Settings

_NO_STAINS: Final = "evaluation.cases.stains is 'apart', but no image has a stain, so all count alike"


class EvaluationSettings(Settings):
    """How predictions are turned into decisions and numbers."""

    positive_class: str | None = None
    """The class that counts as positive where there are two; not set: the rarer one on the training side, without one
    on validation."""
    threshold_rule: ThresholdRule = "youden"
    """What the threshold of two classes shall do on validation. youden: the highest sensitivity + specificity;
    sensitivity, specificity: the share of operating_points, and the most of the other; cost: the cheapest decisions by
    its costs; f_beta: the highest F-beta, by its beta; half: the threshold is 0.5."""
    threshold: float | None = Field(default=None, ge=0, le=1)
    """A threshold of images set by hand, which no rule then chooses; not set: threshold_rule chooses one, as it always
    does for cases."""
    confidence: float = Field(default=0.95, ge=0.5, lt=1)
    """Confidence of every interval, in [0.5, 1)."""
    interval: IntervalMethod = "analytic"
    """percentile: of the resamples; bca: corrected for bias and skewness (Efron 1987), for up to as much work again;
    analytic: DeLong's for the ROC AUC of a class (Newcombe's where it is 0 or 1) and Wilson's for accuracy,
    sensitivity, specificity and precision, which hold for few cases too, and percentile for the others."""
    replicates: int = Field(default=2000, ge=100, le=100_000)
    """Bootstrap resamples of the cases."""
    stratified: bool = False
    """Whether every resample has as many cases of each class as there are, which is right where their numbers were
    chosen, as in a case-control study. A case with images of several classes counts for the rarest of them."""
    seed: int = Field(default=0, ge=0)
    """Seed of the resamples, and of the folds of an SVM of cases."""
    ordered_classes: bool | None = None
    """Whether the order of the classes means something, as that of grades does; quadratic kappa and the mean absolute
    error are then among the metrics. Not set: true where training.loss.kind is "ordinal"."""
    metrics: MetricSettings = Field(default_factory=MetricSettings)
    cases: CaseSettings = Field(default_factory=CaseSettings)
    operating_points: OperatingPointSettings = Field(default_factory=OperatingPointSettings)
    calibration: CalibrationSettings = Field(default_factory=CalibrationSettings)
    conformal: ConformalSettings = Field(default_factory=ConformalSettings)
    decision_curve: DecisionCurveSettings = Field(default_factory=DecisionCurveSettings)
    subgroups: SubgroupSettings = Field(default_factory=SubgroupSettings)
    drift: DriftSettings = Field(default_factory=DriftSettings)

    @model_validator(mode="after")
    def _an_order_is_stated(self) -> "EvaluationSettings":
        for name in self.metrics.also if self.ordered_classes is not True else ():
            if name != "all" and METRICS[name].needs == "ordered classes":
                raise ValueError(
                    f"metrics.also names '{name}', which is for classes with an order; set ordered_classes to true "
                    "where the order of the classes (data.class_order) means something"
                )
        return self

    def with_order(self, *, ordinal: bool) -> "EvaluationSettings":
        """Return the settings of a model that was trained on classes with an order, or without one.

        >>> EvaluationSettings().with_order(ordinal=True).ordered_classes
        True
        """
        return self if self.ordered_classes is not None else self.model_copy(update={"ordered_classes": ordinal})

    def interval_plan(self) -> IntervalPlan:
        """Return how intervals are found."""
        return IntervalPlan(
            method=self.interval, confidence=self.confidence, replicates=self.replicates, stratified=self.stratified
        )


def evaluate(
    predictions: Predictions, settings: EvaluationSettings, *, threshold: Threshold | None = None
) -> Evaluation:
    """Return every metric of every side that has labelled images, by image and, where it differs, by case.

    Args:
        predictions: of one model; images without a label are left out, and counted in a warning.
        settings: the rules.
        threshold: a frozen threshold of images to use unchanged, for example on new data; without it, one is chosen on
            the validation side where there are two classes.

    Raises:
        DataError: no image has a label, or the threshold is for other classes.
        SettingsError: the positive class is unknown, contradicts the threshold, or there are more than two classes.
    """
    return evaluate_with_cases(predictions, settings, threshold=threshold)[0]


def evaluate_with_cases(
    predictions: Predictions,
    settings: EvaluationSettings,
    *,
    threshold: Threshold | None = None,
    case_threshold: Threshold | None = None,
) -> tuple[Evaluation, CasePredictions | None]:
    """Return what ``evaluate`` returns, and the predictions behind its numbers by case, if it has any.

    ``case_threshold`` is a frozen threshold of cases, to use unchanged as ``threshold`` is of images.
    """
    if not any(predictions.truth):
        raise DataError("no image has a label, so nothing can be evaluated; give the labels of these images")
    positive_class = _positive_class(predictions, settings, threshold)
    by_image = _evaluate_units(predictions, settings, positive_class=positive_class, threshold=threshold, unit="image")
    try:
        cases = pool_cases(predictions, settings.cases, threshold=by_image.threshold, seed=settings.seed)
    except DataError as error:
        # The numbers by image took hours of training, and stand without those by case.
        warning = f"there are no numbers by case: {error}"
        return dataclasses.replace(by_image, warnings=(*by_image.warnings, warning)), None
    if cases is None:
        return by_image, None
    # A majority is half or more, as 0.5 decides; every other rule gives scores whose best cut validation has to tell.
    half = {"threshold_rule": "half", "threshold": None}
    # A threshold set by hand is of images: noisy_or of a hundred of them is near 1 whatever they show.
    of_cases = settings.model_copy(update=half if settings.cases.rule == "majority" else {"threshold": None})
    numbers = _evaluate_units(
        cases.predictions, of_cases, positive_class=positive_class, threshold=case_threshold, unit="case"
    )
    if settings.cases.stains == "apart" and predictions.stains is None:
        numbers = dataclasses.replace(numbers, warnings=(*numbers.warnings, _NO_STAINS))
    return dataclasses.replace(by_image, by_case=_case_evaluation(cases, settings.cases, numbers)), cases


def _case_evaluation(cases: CasePredictions, settings: CaseSettings, numbers: Evaluation) -> CaseEvaluation:
    return CaseEvaluation(
        rule=settings.rule,
        k=settings.k if settings.rule in {"top_k_mean", "svm"} else None,
        stains=settings.stains,
        num_ambiguous=cases.num_ambiguous,
        fitted_on=cases.svm.fitted_on if cases.svm else (),
        num_fitted=cases.svm.num_cases if cases.svm else 0,
        numbers=numbers,
    )


def _evaluate_units(
    predictions: Predictions,
    settings: EvaluationSettings,
    *,
    positive_class: str | None,
    threshold: Threshold | None,
    unit: Unit,
) -> Evaluation:
    """Return every metric of rows that are images, or cases."""
    cautions = [*label_cautions(_count_unlabelled(predictions), unit=unit)]
    frozen = threshold
    if positive_class is not None and threshold is None:
        frozen = _threshold_from_validation(predictions, positive_class, settings)
        cautions += threshold_cautions(frozen, settings.threshold_rule, unit=unit)
    samples = {
        side: take_sample(predictions, side, positive_class=positive_class, threshold=frozen)
        for side in SIDES
        if side in predictions.sides
    }
    sides = {side: _evaluate_side(side, samples, settings) for side, sample in samples.items() if len(sample)}
    if "train" not in sides:
        cautions.append(f"train: there are no labelled {unit}s, so there is no majority class to compare with")
    cautions += metric_cautions(settings.metrics, num_classes=len(predictions.classes), unit=unit)
    for numbers in sides.values():
        cautions += side_cautions(numbers, positive_class=positive_class, confidence=settings.confidence, unit=unit)
        cautions += stratum_cautions(samples[numbers.side]) if settings.stratified else ()
    return Evaluation(
        classes=predictions.classes,
        positive_class=positive_class,
        threshold=frozen,
        confidence=settings.confidence,
        replicates=settings.replicates,
        seed=settings.seed,
        sides=sides,
        warnings=tuple(cautions),
        unit=unit,
        ordered_classes=settings.ordered_classes is True,
        stratified=settings.stratified,
        interval=settings.interval,
    )


def _positive_class(predictions: Predictions, settings: EvaluationSettings, threshold: Threshold | None) -> str | None:
    """Return the class that counts as positive, or ``None`` with more than two classes."""
    classes, wanted = predictions.classes, settings.positive_class
    require_fitting_classes(settings, classes)
    if threshold is not None:
        if wanted not in {None, threshold.positive_class}:
            raise SettingsError(
                f"evaluation.positive_class is '{wanted}', but the threshold is for '{threshold.positive_class}'; "
                "leave it out"
            )
        return threshold.positive_class
    if len(classes) > 2:
        return None
    return wanted or _rarer_class(predictions)


def require_fitting_classes(settings: EvaluationSettings, classes: tuple[str, ...]) -> None:
    """Refuse settings that are for other classes, before a training that would end without its numbers.

    Raises:
        SettingsError: naming the setting, and the classes that there are.
    """
    wanted = settings.positive_class
    require_known_class(settings.decision_curve, classes)
    if wanted is not None and wanted not in classes:
        raise SettingsError(f"evaluation.positive_class is '{wanted}'; the classes are {', '.join(classes)}")
    if wanted is not None and len(classes) > 2:
        raise SettingsError(
            f"evaluation.positive_class is '{wanted}', but there are {len(classes)} classes; leave it out"
        )
    if settings.threshold is not None and len(classes) > 2:
        raise SettingsError(
            f"evaluation.threshold is {settings.threshold:g}, but with {len(classes)} classes the most probable one is "
            "the decision; leave it out"
        )


def _rarer_class(predictions: Predictions) -> str:
    """Return the class with fewer images on the first side of ``SIDES`` that has labels; of two equal, the second.

    The truth of the test side chooses nothing, unless it is all that there is.
    """
    known = [(truth, side) for truth, side in zip(predictions.truth, predictions.sides, strict=True) if truth]
    first_side = next(one for one in SIDES if any(side == one for _, side in known))
    counts = Counter(truth for truth, side in known if side == first_side)
    first, second = predictions.classes
    return first if counts[first] < counts[second] else second


def _count_unlabelled(predictions: Predictions) -> dict[Side, int]:
    counts = Counter(side for side, truth in zip(predictions.sides, predictions.truth, strict=True) if truth is None)
    return {side: counts[side] for side in SIDES}


def _threshold_from_validation(
    predictions: Predictions, positive_class: str, settings: EvaluationSettings
) -> Threshold:
    sample = take_sample(predictions, "validation", positive_class=positive_class, threshold=None)
    column = predictions.classes.index(positive_class)
    scores, is_positive = sample.probabilities[:, column].copy(), sample.truth == column
    if settings.threshold is not None:
        return given_threshold(settings.threshold, scores, is_positive, positive_class=positive_class)
    return choose_threshold(
        scores,
        is_positive,
        positive_class=positive_class,
        rule=settings.threshold_rule,
        asked=settings.operating_points,
    )


def _evaluate_side(side: Side, samples: dict[Side, Sample], settings: EvaluationSettings) -> SideEvaluation:
    sample = samples[side]
    weights = np.ones((sample.num_cases, 1))
    confusion = sample.confusion_under(weights)[0].astype(np.int64)
    decided, present = (np.unique(classes) for classes in (sample.decisions, sample.truth))
    collapsed = len(decided) == 1 and len(present) > 1
    ordered = settings.ordered_classes is True
    estimates = estimate_all(
        sample,
        chosen_metrics(settings.metrics, num_classes=len(sample.classes), ordered=ordered),
        settings.metrics,
        settings.interval_plan(),
        generator=generator_for(settings.seed, "bootstrap", side),
    )
    return SideEvaluation(
        side=side,
        num_images=len(sample),
        num_cases=sample.num_cases,
        images_per_class=sample.images_per_class(),
        cases_per_class=sample.cases_per_class(),
        estimates=tuple(estimates),
        confusion=tuple(tuple(int(count) for count in row) for row in confusion),
        collapsed_to=sample.classes[decided[0]] if collapsed else None,
        baseline=tuple(estimate_baseline(sample, samples.get("train"))),
    )
