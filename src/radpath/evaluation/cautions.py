"""Sentences that a reader of the results must not miss.

In: the numbers of the sides. Out: warnings, each one line that names the side. Nothing here changes a number.
"""

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from radpath.evaluation.estimates import SideEvaluation, Unit, find
from radpath.evaluation.intervals import width_note
from radpath.evaluation.metrics import METRICS, MetricSettings
from radpath.evaluation.sample import Sample
from radpath.evaluation.thresholds import Threshold, ThresholdRule
from radpath.records import Side

FEWEST_IMAGES_FOR_A_THRESHOLD: Final = 10
"""Images of each class on the validation side below which the threshold is called uncertain."""

FEWEST_CASES_FOR_AN_INTERVAL: Final = 30
"""Cases of each class below which percentile intervals are known to be too narrow."""


def side_cautions(
    numbers: SideEvaluation,
    *,
    positive_class: str | None,
    confidence: float,
    unit: Unit = "image",
) -> Iterator[str]:
    """Yield what is wrong with the predictions of one side, or with what can be said about it.

    Args:
        numbers: of the side.
        positive_class: of two classes.
        confidence: of the intervals.
        unit: what a row of predictions is.
    """
    side = numbers.side
    if numbers.collapsed_to is not None:
        yield f"{side}: every {unit} was decided for '{numbers.collapsed_to}'; the model does not tell classes apart"
    if side == "train":
        return
    absent = [name for name, count in numbers.images_per_class.items() if count == 0]
    if absent:
        yield f"{side}: there are no {unit}s of {', '.join(absent)}; what needs them is left undefined"
    accuracy, majority = numbers.find("accuracy"), find(numbers.baseline, "accuracy", None)
    if accuracy and majority and accuracy.low is not None and accuracy.low <= (majority.value or 0):
        yield (
            f"{side}: the interval of the accuracy, {accuracy.low:.3f} to {accuracy.high:.3f}, does not lie above "
            f"{majority.value:.3f}, which predicting the majority class everywhere gives"
        )
    area = numbers.find("roc_auc", positive_class)
    if area and area.low is not None and area.low <= 0.5:
        yield f"{side}: the interval of the ROC AUC starts at {area.low:.3f}; it may be no better than chance (0.5)"
    fewest = min(numbers.cases_per_class.values())
    if 0 < fewest < FEWEST_CASES_FOR_AN_INTERVAL:
        limit = limit_note(numbers, confidence=confidence)
        resampled = area is not None and area.interval in {"percentile", "bca"}
        yield f"{side}: {limit} With so few, bootstrap intervals are too narrow." if resampled else f"{side}: {limit}"


def limit_note(numbers: SideEvaluation, *, confidence: float) -> str:
    """Say how well this side's number of cases can know an AUC; of several classes, that of the rarest.

    A case with images of several classes counts in each, and all cases count as independent.
    """
    counts = numbers.cases_per_class
    rarest = min(counts, key=lambda name: counts[name])
    others = sum(count for name, count in counts.items() if name != rarest)
    area = find(numbers.estimates, "roc_auc", rarest)
    if area is None:
        area = next(one for one in numbers.estimates if one.metric == "roc_auc")
    # Hanley and McNeil's error is 0 for a perfect AUC, which would promise what no small test can know.
    likely = 0.9 if area.value is None else min(max(area.value, 0.5), 0.99)
    return width_note(counts[rarest], others, of_class=rarest, auc=likely, confidence=confidence)


def threshold_cautions(threshold: Threshold, rule: ThresholdRule, *, unit: Unit = "image") -> Iterator[str]:
    """Yield what is uncertain about a threshold that was chosen on validation just now."""
    if rule == "half" or threshold.rule == "given":
        return
    num_negative = threshold.num_images - threshold.num_positive
    if threshold.rule == "half":
        fails = "is better than chance" if rule == "youden" else f"can be chosen by the rule '{rule}'"
        yield (
            f"validation: no threshold on {threshold.num_positive} {unit}s of '{threshold.positive_class}' and "
            f"{num_negative} others {fails}; 0.5 is used"
        )
    elif min(threshold.num_positive, num_negative) < FEWEST_IMAGES_FOR_A_THRESHOLD:
        yield (
            f"validation: the threshold was chosen on {threshold.num_positive} {unit}s of "
            f"'{threshold.positive_class}' and {num_negative} others; with so few it is uncertain"
        )


def stratum_cautions(sample: Sample) -> Iterator[str]:
    """Yield the classes of which stratified resamples always hold the same case."""
    for place, count in enumerate(np.bincount(sample.stratum_of_case, minlength=len(sample.classes))):
        if count == 1:
            yield (
                f"{sample.classes[place]}: only one case counts for this class, so that every stratified resample has "
                "it; intervals do not say what another case would change"
            )


def metric_cautions(settings: MetricSettings, *, num_classes: int, unit: Unit = "image") -> Iterator[str]:
    """Yield which metrics were asked for and do not exist for two classes; by image alone, to say it once."""
    left_out = [name for name in settings.also if name in METRICS and METRICS[name].needs == "several classes"]
    if left_out and num_classes == 2 and unit == "image":
        yield f"{', '.join(left_out)}: left out, since there are two classes, and this is for more"


def label_cautions(num_unlabelled: Mapping[Side, int], *, unit: Unit = "image") -> Iterator[str]:
    """Yield which images, or cases, no metric could use."""
    for side, count in num_unlabelled.items():
        if count:
            yield f"{side}: {count:,} {unit}s without a label are left out of every number"
