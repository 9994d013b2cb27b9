from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from radpath.evaluation.evaluate import EvaluationSettings, evaluate
from radpath.evaluation.intervals import IntervalMethod
from radpath.evaluation.predictions import Predictions
from radpath.evaluation.robustness import Dose, Robustness, assess_robustness
from radpath.evaluation.thresholds import decide

DOSES = (Dose(name="noise", parameter="of 0 to 1", levels=(0.1, 0.2)), Dose(name="blur", parameter="px", levels=(1.0,)))


def worse(predictions: Predictions, amount: float, seed: int) -> np.ndarray:
    logits = np.log(predictions.probabilities) + amount * np.random.default_rng(seed).normal(
        size=predictions.probabilities.shape
    )
    mixed: np.ndarray = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return mixed


def assessed(predictions: Predictions) -> tuple[Robustness, dict[tuple[str, int], np.ndarray]]:
    evaluation = evaluate(predictions, EvaluationSettings(replicates=100))
    spoilt = {
        ("noise", 1): worse(predictions, 0.5, 1),
        ("noise", 2): worse(predictions, 3, 2),
        ("blur", 1): predictions.probabilities.copy(),
    }
    return assess_robustness(predictions, spoilt, DOSES, evaluation, side="test", model="m"), spoilt


def on_test(predictions: Predictions) -> np.ndarray:
    return np.array([side == "test" for side in predictions.sides])


def test_numbers_and_drops_are_those_of_scikit_learn(make_predictions: Callable[..., Predictions]) -> None:
    predictions = make_predictions(0)
    found, spoilt = assessed(predictions)
    rows = on_test(predictions)
    positive = predictions.classes.index(found.positive_class or "")
    truth = np.array(predictions.truth)[rows] == found.positive_class
    clean = roc_auc_score(truth, predictions.probabilities[rows, positive])
    assert found.clean[0].value == pytest.approx(clean)
    for number, strength in enumerate(found.corruptions[0].strengths, start=1):
        area = roc_auc_score(truth, spoilt["noise", number][rows, positive])
        assert strength.metrics[0].value == pytest.approx(area)
        assert strength.drops[0].value == pytest.approx(clean - area)


@pytest.mark.parametrize("method", ["percentile", "bca", "analytic"])
def test_the_images_as_they_are_have_the_intervals_of_the_results(
    make_predictions: Callable[..., Predictions], method: IntervalMethod
) -> None:
    predictions = make_predictions(0)
    evaluation = evaluate(predictions, EvaluationSettings(replicates=100, interval=method))
    spoilt = {("blur", 1): predictions.probabilities.copy()}
    found = assess_robustness(predictions, spoilt, DOSES[1:], evaluation, side="test", model="m")
    strength = found.corruptions[0].strengths[0]
    for metric, clean, same in zip(found.metrics, found.clean, strength.metrics, strict=True):
        told = evaluation.sides["test"].find(metric, found.positive_class)
        assert told is not None
        assert (clean.value, clean.low, clean.high) == pytest.approx((told.value, told.low, told.high))
        assert same == clean
    # That no image of some was decided otherwise does not mean that none ever will.
    assert (strength.flips.low, (strength.flips.high or 0) > 0) == (0, method == "analytic")


def test_flips_are_the_share_of_other_decisions(make_predictions: Callable[..., Predictions]) -> None:
    predictions = make_predictions(1)
    found, spoilt = assessed(predictions)
    rows = on_test(predictions)
    threshold = evaluate(predictions, EvaluationSettings(replicates=100)).threshold
    before, after = (
        decide(of[rows], classes=predictions.classes, threshold=threshold)
        for of in (predictions.probabilities, spoilt["noise", 2])
    )
    assert found.corruptions[0].strengths[1].flips.value == pytest.approx((before != after).mean())
    assert found.corruptions[0].strengths[1].flips.low is not None


def test_images_that_stay_the_same_drop_by_nothing_in_every_resample(
    make_predictions: Callable[..., Predictions],
) -> None:
    (strength,) = assessed(make_predictions(2))[0].corruptions[1].strengths
    assert all((drop.value, drop.low, drop.high) == (0, 0, 0) for drop in strength.drops)
    assert strength.flips.value == 0


def test_drops_are_paired_and_so_narrower_than_the_numbers(make_predictions: Callable[..., Predictions]) -> None:
    strength = assessed(make_predictions(3))[0].corruptions[0].strengths[0]
    widths = [(one.high or 0) - (one.low or 0) for one in (strength.drops[0], strength.metrics[0])]
    assert 0 < widths[0] < widths[1]


def test_several_classes_are_judged_together(make_predictions: Callable[..., Predictions]) -> None:
    predictions = make_predictions(4, classes=("a", "b", "c"))
    found, spoilt = assessed(predictions)
    rows = on_test(predictions)
    assert found.metrics == ("roc_auc", "balanced_accuracy")
    truth = np.array([predictions.classes.index(name or "") for name in predictions.truth])[rows]
    expected = balanced_accuracy_score(truth, spoilt["noise", 2][rows].argmax(axis=1))
    assert found.corruptions[0].strengths[1].metrics[1].value == pytest.approx(expected)
