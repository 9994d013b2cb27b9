import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from radpath.evaluation.evaluate import EvaluationSettings, evaluate
from radpath.evaluation.intervals import IntervalMethod
from radpath.evaluation.operating_points import assess_operating_points
from radpath.evaluation.predictions import Predictions
from radpath.evaluation.thresholds import OperatingPointSettings

SETTINGS = EvaluationSettings(replicates=100)
ASKED = OperatingPointSettings(sensitivity=0.9, specificity=0.8)
MakePredictions = Callable[..., Predictions]


def test_each_threshold_does_on_the_test_side_what_counting_says(make_predictions: MakePredictions) -> None:
    predictions = make_predictions(1)
    evaluation = evaluate(predictions, SETTINGS)
    found = assess_operating_points(predictions, evaluation, ASKED)
    assert found is not None
    rows = [row for row, side in enumerate(predictions.sides) if side == "test"]
    scores = predictions.probabilities[rows, predictions.classes.index(found.positive_class)]
    truth = np.array([predictions.truth[row] == found.positive_class for row in rows])
    assert found.prevalence == pytest.approx(truth.mean())
    for point in found.points:
        called = scores >= point.threshold.value
        assert point.sensitivity.value == pytest.approx(called[truth].mean())
        assert point.specificity.value == pytest.approx(1 - called[~truth].mean())
        assert point.called_positive.value == pytest.approx(called.mean())
        if called.any():
            assert point.positive_predictive_value.value == pytest.approx(truth[called].mean())
        if not called.all():
            assert point.negative_predictive_value.value == pytest.approx(1 - truth[~called].mean())
        assert point.sensitivity.low is not None


@pytest.mark.parametrize("method", ["percentile", "bca", "analytic"])
def test_the_decisions_threshold_has_the_intervals_of_the_results(
    make_predictions: MakePredictions, method: IntervalMethod
) -> None:
    predictions = make_predictions(3, skill=5.0)
    evaluation = evaluate(predictions, SETTINGS.model_copy(update={"interval": method}))
    found = assess_operating_points(predictions, evaluation, ASKED)
    assert found is not None
    shares = {
        "sensitivity": found.points[0].sensitivity,
        "specificity": found.points[0].specificity,
        "precision": found.points[0].positive_predictive_value,
    }
    for name, share in shares.items():
        told = evaluation.sides["test"].find(name, found.positive_class)
        assert told is not None
        assert (share.value, share.low, share.high) == pytest.approx((told.value, told.low, told.high))


def test_the_decision_comes_first_and_every_rule_once(make_predictions: MakePredictions) -> None:
    predictions = make_predictions()
    evaluation = evaluate(predictions, SETTINGS)
    found = assess_operating_points(predictions, evaluation, ASKED)
    assert found is not None
    assert [point.is_decision for point in found.points] == [True, *[False] * 5]
    assert found.points[0].threshold is evaluation.threshold
    assert sorted(point.threshold.rule for point in found.points) == [
        "cost", "f_beta", "half", "sensitivity", "specificity", "youden",
    ]  # fmt: skip
    assert found.without_answer == ()
    asked = {point.threshold.rule: point.threshold for point in found.points}
    assert (asked["sensitivity"].sensitivity or 0) >= 0.9
    assert (asked["specificity"].specificity or 0) >= 0.8


def test_no_threshold_looks_at_the_test_side(make_predictions: MakePredictions) -> None:
    predictions = make_predictions()
    evaluation = evaluate(predictions, SETTINGS)
    swap = {"benign": "malignant", "malignant": "benign"}
    pairs = zip(predictions.sides, predictions.truth, strict=True)
    swapped = dataclasses.replace(
        predictions, truth=tuple(swap[truth or ""] if side == "test" else truth for side, truth in pairs)
    )
    settings = SETTINGS.model_copy(update={"positive_class": evaluation.positive_class})
    both = [assess_operating_points(one, evaluate(one, settings), ASKED) for one in (predictions, swapped)]
    first, second = ([point.threshold for point in found.points] for found in both if found is not None)
    assert first == second


def test_without_validation_only_half_is_left(make_predictions: MakePredictions) -> None:
    predictions = make_predictions()
    sides = tuple("train" if side == "validation" else side for side in predictions.sides)
    alone = dataclasses.replace(predictions, sides=sides)
    found = assess_operating_points(alone, evaluate(alone, SETTINGS), ASKED)
    assert found is not None
    assert [point.threshold.rule for point in found.points] == ["half"]
    assert found.without_answer == ("youden", "sensitivity", "specificity", "cost", "f_beta")


def test_several_classes_have_no_threshold(make_predictions: MakePredictions) -> None:
    predictions = make_predictions(classes=("a", "b", "c"))
    assert assess_operating_points(predictions, evaluate(predictions, SETTINGS), ASKED) is None
