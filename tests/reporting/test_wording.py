import dataclasses
from typing import Any, get_args

from radpath.evaluation.cases import CaseRule
from radpath.evaluation.estimates import Estimate
from radpath.evaluation.intervals import IntervalName
from radpath.evaluation.thresholds import ThresholdRule
from radpath.reporting.content import ReportContent
from radpath.reporting.wording import (
    CASE_RULES,
    THRESHOLD_RULES,
    case_sentence,
    estimate_label,
    estimate_text,
    headline_sentence,
    interval_sentence,
    metric_label,
    overall_label,
    reported_sides,
    threshold_sentence,
    value_text,
)

UNDEFINED = Estimate(metric="roc_auc", of_class=None, value=None, low=None, high=None, note="undefined: no images")


def test_what_is_undefined_is_shown_as_its_reason() -> None:
    assert value_text(UNDEFINED) == "undefined: no images"
    assert estimate_text(UNDEFINED) == "undefined: no images"
    assert value_text(dataclasses.replace(UNDEFINED, note=None)) == "undefined"


def test_a_mean_of_classes_says_so_and_a_binary_metric_does_not() -> None:
    assert overall_label("roc_auc", None) == "ROC AUC, mean of classes"
    assert overall_label("roc_auc", "malignant") == "ROC AUC"
    assert overall_label("accuracy", None) == metric_label("accuracy") == "Accuracy"


def test_the_test_side_is_reported_first(two_classes: ReportContent) -> None:
    assert [side.side for side in reported_sides(two_classes.evaluation)] == ["test", "validation", "train"]


def test_the_headline_names_side_interval_and_sizes(two_classes: ReportContent) -> None:
    sentence = headline_sentence(two_classes.evaluation)
    area = two_classes.evaluation.headline("test")
    assert area is not None
    assert sentence.startswith(f"Test ROC AUC {area.value:.3f} (95\N{NO-BREAK SPACE}% interval {area.low:.3f} to ")
    assert sentence.endswith("on 24 images of 12 cases.")


def test_a_headline_without_width_says_that_it_is_not_certain(two_classes: ReportContent) -> None:
    evaluation = two_classes.evaluation
    area = evaluation.headline("test")
    assert area is not None
    note = "every resample gave the same value, so this interval has no width; it does not mean certainty"
    perfect = dataclasses.replace(area, value=1.0, low=1.0, high=1.0, note=note)
    side = dataclasses.replace(evaluation.sides["test"], estimates=(perfect,))
    sentence = headline_sentence(dataclasses.replace(evaluation, sides={"test": side}))
    assert sentence.endswith(
        "on 24 images of 12 cases. Every resample gave the same value, so this interval has no "
        "width; it does not mean certainty."
    )


def test_the_threshold_says_by_which_rule(two_classes: ReportContent) -> None:
    assert set(THRESHOLD_RULES) == {*get_args(ThresholdRule), "given"}
    chosen = two_classes.evaluation.threshold
    assert chosen is not None

    def sentence(**changes: Any) -> str:
        threshold = dataclasses.replace(chosen, **changes)
        return threshold_sentence(dataclasses.replace(two_classes.evaluation, threshold=threshold))

    assert "has the highest sensitivity + specificity (Youden) on the validation side" in sentence()
    reached = sentence(rule="sensitivity", asked={"sensitivity": 0.95})
    assert "has the highest specificity with a sensitivity of at least 0.95 on the validation side" in reached
    costs = {"false_negative_cost": 5.0, "false_positive_cost": 1.0, "prevalence": 0.25}
    cheapest = sentence(rule="cost", asked=costs)
    assert "the lowest expected cost (a missed positive 5, a false alarm 1, prevalence 0.25) on" in cheapest
    assert "was set by hand (evaluation.threshold)" in sentence(rule="given", fitted_on=None)
    assert sentence(rule="half", fitted_on=None).endswith("The threshold is 0.5 and depends on no data.")


def test_the_threshold_says_on_what_it_was_chosen(two_classes: ReportContent, four_classes: ReportContent) -> None:
    assert "on the validation side, 24 images of which 12 are positive" in threshold_sentence(two_classes.evaluation)
    assert "It was chosen there alone, without the truth of the test side, and" in threshold_sentence(
        two_classes.evaluation
    )
    assert "no threshold" in threshold_sentence(four_classes.evaluation)


def test_a_headline_by_case_counts_cases(two_classes: ReportContent) -> None:
    by_case = two_classes.evaluation.by_case
    assert by_case is not None
    assert headline_sentence(by_case.numbers).endswith("on 12 cases.")
    assert threshold_sentence(by_case.numbers).startswith("A case is called malignant when")
    assert "12 cases of which 6 are positive" in threshold_sentence(by_case.numbers)


def test_how_images_became_cases_is_told(two_classes: ReportContent) -> None:
    by_case = two_classes.evaluation.by_case
    assert by_case is not None
    assert case_sentence(by_case) == "A case has the mean of its images' probabilities."
    machine = dataclasses.replace(
        by_case, rule="svm", k=25, stains="apart", fitted_on=("train", "validation"), num_fitted=7, num_ambiguous=1
    )
    assert case_sentence(machine) == (
        "A support vector machine looked at the 25 highest probabilities of each case. The images of each stain were "
        "taken by themselves first. It learned from 7 cases (train and validation), and each of them was scored by "
        "machines that were trained without it, of a kind that was chosen with it. 1 case with labels of several "
        "classes left out."
    )
    assert set(CASE_RULES) == set(get_args(CaseRule)) - {"none"}


def test_a_metric_that_is_set_to_something_is_named_with_it() -> None:
    estimate = Estimate(
        metric="sensitivity_at_specificity", of_class="malignant", value=0.8, low=0.7, high=0.9, note=None, at=0.95
    )
    assert estimate_label(estimate, "malignant") == "Sensitivity at specificity 0.95, malignant"
    of_all = dataclasses.replace(estimate, of_class=None)
    assert estimate_label(of_all, None) == "Sensitivity at specificity 0.95, mean of classes"


def test_how_intervals_were_found_is_said_by_what_was_used(two_classes: ReportContent) -> None:
    evaluation = two_classes.evaluation
    replicates = f"{evaluation.replicates:,}"
    side = evaluation.sides["test"]
    resampled = tuple(dataclasses.replace(one, interval="percentile") for one in side.estimates)
    plain = dataclasses.replace(evaluation, sides={"test": dataclasses.replace(side, estimates=resampled)})
    assert interval_sentence(plain) == f"Intervals: percentiles of {replicates} bootstrap resamples of whole cases."
    kinds: tuple[IntervalName | None, ...] = ("delong", None, "wilson", "percentile")
    estimates = tuple(dataclasses.replace(one, interval=kind) for one, kind in zip(side.estimates, kinds, strict=False))
    mixed = dataclasses.replace(
        evaluation, stratified=True, sides={"test": dataclasses.replace(side, estimates=estimates)}
    )
    assert interval_sentence(mixed) == (
        f"Intervals: DeLong for the ROC AUC of a class, Wilson for shares, percentiles of {replicates} bootstrap "
        "resamples of whole cases within each class for the others."
    )
    nothing = dataclasses.replace(mixed, sides={"test": dataclasses.replace(side, estimates=())})
    assert interval_sentence(nothing) == "There are no intervals."
