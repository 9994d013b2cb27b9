import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from radpath.evaluation.abstention import SHARES, assess_abstention, certainty
from radpath.evaluation.evaluate import EvaluationSettings, evaluate
from radpath.evaluation.predictions import Predictions
from radpath.evaluation.sample import take_sample

SETTINGS = EvaluationSettings(replicates=100, interval="percentile")
MakePredictions = Callable[..., Predictions]


@pytest.mark.parametrize("classes", [("benign", "malignant"), ("a", "b", "c")])
def test_risks_and_area_are_those_of_counting(make_predictions: MakePredictions, classes: tuple[str, ...]) -> None:
    predictions = make_predictions(2, classes=classes)
    evaluation = evaluate(predictions, SETTINGS)
    found = assess_abstention(predictions, evaluation)
    sample = take_sample(predictions, "test", positive_class=evaluation.positive_class, threshold=evaluation.threshold)
    certain = certainty(sample.probabilities, positive=sample.positive, threshold=evaluation.threshold)
    wrong = sample.decisions != sample.truth
    risk_of_each = [wrong[certain >= one].mean() for one in certain]
    assert found.area.value == pytest.approx(np.mean(risk_of_each))
    for kept in found.kept:
        cut = max(one for one in certain if (certain >= one).mean() >= kept.share - 1e-12)
        inside = certain >= cut
        assert kept.risk.value == pytest.approx(wrong[inside].mean())
        if sample.positive is None:
            assert (kept.sensitivity, kept.specificity) == (None, None)
            continue
        assert kept.sensitivity is not None
        assert kept.specificity is not None
        positive = sample.truth == sample.positive
        for rate, group in ((kept.sensitivity, positive & inside), (kept.specificity, ~positive & inside)):
            expected = None if not group.any() else pytest.approx(1 - wrong[group].mean())
            assert rate.value == expected


def test_keeping_every_image_gives_the_accuracy_with_its_interval(make_predictions: MakePredictions) -> None:
    predictions = make_predictions(4)
    evaluation = evaluate(predictions, SETTINGS)
    everything = assess_abstention(predictions, evaluation).kept[0]
    accuracy = evaluation.sides["test"].find("accuracy")
    assert accuracy is not None
    assert accuracy.value is not None
    assert accuracy.low is not None
    assert everything.share == SHARES[0] == 1
    assert everything.risk.value == pytest.approx(1 - accuracy.value)
    assert everything.risk.high == pytest.approx(1 - accuracy.low)


def test_no_order_is_better_than_errors_last(make_predictions: MakePredictions) -> None:
    predictions = make_predictions(3)
    found = assess_abstention(predictions, evaluate(predictions, SETTINGS))
    risk = found.kept[0].risk.value
    assert risk is not None
    assert found.area.value is not None
    assert found.best_area <= found.area.value
    wrong = round(risk * found.num_images)
    right = found.num_images - wrong
    assert found.best_area == pytest.approx(sum(k / (right + k) for k in range(1, wrong + 1)) / found.num_images)


def test_an_image_at_the_threshold_is_the_least_certain(make_predictions: MakePredictions) -> None:
    threshold = evaluate(make_predictions(), SETTINGS).threshold
    assert threshold is not None
    low = dataclasses.replace(threshold, value=0.2)
    positive = np.array([0.01, 0.1, 0.2, 0.5, 0.99])
    found = certainty(np.column_stack([1 - positive, positive]), positive=1, threshold=low)
    assert found.argmin() == 2
    assert found[2] == pytest.approx(0)
    assert certainty(np.array([[0.2, 0.5, 0.3]]), positive=None, threshold=None) == pytest.approx([0.5])
