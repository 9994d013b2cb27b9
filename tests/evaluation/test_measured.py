from collections.abc import Callable

import numpy as np
import pytest

from radpath.evaluation.analytic import metric_interval
from radpath.evaluation.evaluate import EvaluationSettings, evaluate
from radpath.evaluation.intervals import IntervalMethod
from radpath.evaluation.measured import Measured, judged_side, measure
from radpath.evaluation.metrics import Column
from radpath.evaluation.predictions import Predictions
from radpath.evaluation.sample import take_sample

SETTINGS = EvaluationSettings(replicates=200, interval="percentile")


@pytest.mark.parametrize("method", ["percentile", "bca", "analytic"])
def test_a_number_has_the_interval_that_the_same_metric_has(
    make_predictions: Callable[..., Predictions], method: IntervalMethod
) -> None:
    predictions = make_predictions()
    evaluation = evaluate(predictions, SETTINGS.model_copy(update={"interval": method}))
    sample = take_sample(predictions, "test", positive_class="malignant", threshold=evaluation.threshold)
    right = (sample.decisions == sample.truth).astype(np.float64)
    formula = metric_interval(sample, Column(metric="accuracy", of_class=None), confidence=0.95)
    (found,) = measure(
        lambda weights: sample.mean_under(right, weights)[:, None],
        sample, side="test", evaluation=evaluation, undefined_when="never", formulas=[formula],
    )  # fmt: skip
    accuracy = evaluation.sides["test"].find("accuracy")
    assert accuracy is not None
    assert (found.value, found.low, found.high) == pytest.approx((accuracy.value, accuracy.low, accuracy.high))


def test_what_does_not_exist_says_why(make_predictions: Callable[..., Predictions]) -> None:
    predictions = make_predictions()
    evaluation = evaluate(predictions, SETTINGS)
    sample = take_sample(predictions, "test", positive_class="malignant", threshold=None)
    found = measure(
        lambda weights: np.full((weights.shape[1], 1), np.nan),
        sample, side="test", evaluation=evaluation, undefined_when="the moon is full",
    )  # fmt: skip
    assert found == (Measured(value=None, note="undefined: the moon is full"),)


def test_one_case_has_numbers_but_no_intervals(make_predictions: Callable[..., Predictions]) -> None:
    predictions = make_predictions(cases_per_side=1)
    evaluation = evaluate(predictions, SETTINGS)
    sample = take_sample(predictions, "test", positive_class="malignant", threshold=None)
    found = measure(
        lambda weights: np.ones((weights.shape[1], 1)),
        sample, side="test", evaluation=evaluation, undefined_when="never",
    )  # fmt: skip
    assert found == (Measured(value=1.0, note="no interval: there is only one case"),)


def test_the_side_that_the_model_has_seen_least_is_judged(make_predictions: Callable[..., Predictions]) -> None:
    evaluation = evaluate(make_predictions(), SETTINGS)
    assert judged_side(evaluation) == "test"
    del evaluation.sides["test"]
    assert judged_side(evaluation) == "validation"
