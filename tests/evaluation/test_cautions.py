import dataclasses

import numpy as np
import pytest

from radpath.evaluation.cautions import (
    label_cautions,
    limit_note,
    metric_cautions,
    side_cautions,
    stratum_cautions,
    threshold_cautions,
)
from radpath.evaluation.estimates import Estimate, SideEvaluation
from radpath.evaluation.metrics import MetricSettings
from radpath.evaluation.sample import Sample
from radpath.evaluation.thresholds import Threshold
from radpath.records import Side


def estimate(metric: str, value: float | None, low: float | None, of_class: str | None = None) -> Estimate:
    one = Estimate(metric=metric, of_class=of_class, value=value, low=low, high=None, note=None)
    return one if low is None else dataclasses.replace(one, high=0.95, interval="percentile")


GOOD = SideEvaluation(
    side="test",
    num_images=200,
    num_cases=90,
    images_per_class={"benign": 150, "malignant": 50},
    cases_per_class={"benign": 60, "malignant": 40},
    estimates=(estimate("roc_auc", 0.9, 0.85, "malignant"), estimate("accuracy", 0.88, 0.8)),
    confusion=((140, 10), (14, 36)),
    collapsed_to=None,
    baseline=(estimate("accuracy", 0.75, None),),
)
THRESHOLD = Threshold(
    positive_class="malignant",
    value=0.4,
    rule="youden",
    fitted_on="validation",
    num_images=80,
    num_positive=30,
    sensitivity=0.9,
    specificity=0.8,
)


def sentences(**changes: object) -> list[str]:
    numbers = dataclasses.replace(GOOD, **changes)  # type: ignore[arg-type] # each test changes a field of its own
    return list(side_cautions(numbers, positive_class="malignant", confidence=0.95))


def test_good_numbers_need_no_caution() -> None:
    assert sentences() == []
    assert list(threshold_cautions(THRESHOLD, "youden")) == []


def test_decisions_for_one_class_only_are_said_on_every_side() -> None:
    side: Side
    for side in ("train", "test"):
        assert sentences(side=side, collapsed_to="benign")[0] == (
            f"{side}: every image was decided for 'benign'; the model does not tell classes apart"
        )


def test_an_accuracy_that_guessing_may_reach_is_said() -> None:
    assert sentences(estimates=(estimate("roc_auc", 0.9, 0.8, "malignant"), estimate("accuracy", 0.8, 0.7))) == [
        (
            "test: the interval of the accuracy, 0.700 to 0.950, does not lie above 0.750, "
            "which predicting the majority class everywhere gives"
        )
    ]


def test_an_area_that_may_be_chance_is_said() -> None:
    assert sentences(estimates=(estimate("roc_auc", 0.6, 0.45, "malignant"),)) == [
        "test: the interval of the ROC AUC starts at 0.450; it may be no better than chance (0.5)"
    ]


def test_few_cases_are_said_with_what_they_can_know() -> None:
    (sentence,) = sentences(cases_per_class={"benign": 60, "malignant": 12})
    assert sentence.startswith("test: With 12 cases of 'malignant' and 60 others, an AUC of 0.90 is known to about")
    assert sentence.endswith("With so few, bootstrap intervals are too narrow.")


def test_an_absent_class_is_said() -> None:
    no_malignant = {"benign": 150, "malignant": 0}
    assert sentences(images_per_class=no_malignant, cases_per_class=no_malignant) == [
        "test: there are no images of malignant; what needs them is left undefined"
    ]


def test_the_training_side_is_not_measured_against_chance() -> None:
    assert sentences(side="train", estimates=(estimate("roc_auc", 0.5, 0.4, "malignant"),)) == []


def test_a_perfect_area_does_not_promise_certainty() -> None:
    perfect = dataclasses.replace(GOOD, estimates=(estimate("roc_auc", 1.0, 1.0, "malignant"),))
    assert "an AUC of 0.99 is known to about plus or minus 0.02" in limit_note(perfect, confidence=0.95)


@pytest.mark.parametrize(("value", "likely"), [(None, "0.90"), (0.3, "0.50"), (0.8, "0.80")])
def test_the_limit_is_stated_for_the_area_found(value: float | None, likely: str) -> None:
    numbers = dataclasses.replace(GOOD, estimates=(estimate("roc_auc", value, None, "malignant"),))
    assert f"an AUC of {likely}" in limit_note(numbers, confidence=0.95)


def test_the_rarest_of_several_classes_sets_the_limit() -> None:
    numbers = dataclasses.replace(
        GOOD,
        cases_per_class={"a": 50, "b": 9, "c": 30},
        estimates=(estimate("roc_auc", 0.7, None), estimate("roc_auc", 0.8, None, "b")),
    )
    assert limit_note(numbers, confidence=0.95).startswith("With 9 cases of 'b' and 80 others, an AUC of 0.80")


def test_a_threshold_from_few_images_is_called_uncertain() -> None:
    few = dataclasses.replace(THRESHOLD, num_images=40, num_positive=9)
    assert list(threshold_cautions(few, "youden")) == [
        "validation: the threshold was chosen on 9 images of 'malignant' and 31 others; with so few it is uncertain"
    ]


def test_a_rule_without_an_answer_is_said_and_half_by_choice_is_not() -> None:
    half = dataclasses.replace(THRESHOLD, value=0.5, rule="half", fitted_on=None)
    (caution,) = threshold_cautions(half, "sensitivity")
    assert caution.endswith("others can be chosen by the rule 'sensitivity'; 0.5 is used")
    assert list(threshold_cautions(dataclasses.replace(half, rule="given"), "youden")) == []
    assert list(threshold_cautions(half, "youden")) == [
        "validation: no threshold on 30 images of 'malignant' and 50 others is better than chance; 0.5 is used"
    ]
    assert list(threshold_cautions(half, "half")) == []


def test_images_without_a_label_are_counted() -> None:
    assert list(label_cautions({"train": 0, "test": 1200})) == [
        "test: 1,200 images without a label are left out of every number"
    ]


def test_a_class_of_one_case_is_told_where_resamples_are_stratified() -> None:
    sample = Sample(
        classes=("benign", "malignant"),
        positive=1,
        truth=np.array([0, 0, 1]),
        decisions=np.array([0, 0, 1]),
        probabilities=np.array([[0.8, 0.2], [0.7, 0.3], [0.1, 0.9]]),
        case_of=np.arange(3),
        num_cases=3,
    )
    found = list(stratum_cautions(sample))
    assert len(found) == 1
    assert found[0].startswith("malignant: only one case counts for this class, so that every stratified resample")


def test_metrics_for_more_classes_are_told_once_where_there_are_two() -> None:
    asked = MetricSettings(also=("mcc", "pairwise_roc_auc"))
    assert list(metric_cautions(asked, num_classes=2)) == [
        "pairwise_roc_auc: left out, since there are two classes, and this is for more"
    ]
    assert list(metric_cautions(asked, num_classes=3)) == []
    assert list(metric_cautions(asked, num_classes=2, unit="case")) == []
    assert list(metric_cautions(MetricSettings(also=("all",)), num_classes=2)) == []
