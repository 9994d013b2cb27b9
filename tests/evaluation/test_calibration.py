import dataclasses
import json
from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special
from sklearn.metrics import log_loss

from radpath.errors import DataError
from radpath.evaluation.calibration import CalibrationSettings, Calibrator, assess_calibration, fit_calibrator
from radpath.evaluation.evaluate import EvaluationSettings, evaluate
from radpath.evaluation.predictions import Predictions

MakePredictions = Callable[..., Predictions]
Method = Literal["temperature", "platt", "isotonic"]
METHODS: tuple[Method, ...] = ("temperature", "platt", "isotonic")
THREE = ("a", "b", "c")


def sharpened(predictions: Predictions, power: float) -> Predictions:
    return dataclasses.replace(
        predictions, probabilities=special.softmax(power * np.log(predictions.probabilities), axis=1)
    )


def fitted(predictions: Predictions, method: Method) -> Calibrator:
    found = fit_calibrator(predictions, CalibrationSettings(method=method))
    assert isinstance(found, Calibrator)
    return found


def validation(predictions: Predictions) -> tuple[np.ndarray, np.ndarray]:
    rows = [row for row, side in enumerate(predictions.sides) if side == "validation"]
    truth = np.array([predictions.classes.index(predictions.truth[row] or "") for row in rows])
    return predictions.probabilities[rows], truth


@pytest.mark.parametrize("classes", [("benign", "malignant"), THREE])
def test_no_other_temperature_has_a_lower_log_loss(make_predictions: MakePredictions, classes: tuple[str, ...]) -> None:
    predictions = sharpened(make_predictions(classes=classes, cases_per_side=60), 3.0)
    probabilities, truth = validation(predictions)

    def loss(log_temperature: float) -> float:
        powers = probabilities ** np.exp(-log_temperature)
        return float(log_loss(truth, powers / powers.sum(axis=1, keepdims=True)))

    oracle = np.exp(optimize.minimize_scalar(loss, bounds=(-3, 3), options={"xatol": 1e-9}).x)
    found = fitted(predictions, "temperature")
    assert found.temperature == pytest.approx(oracle, rel=1e-5)
    assert found.num_images == len(truth)
    assert found.num_cases == 60


@given(st.integers(0, 100), st.floats(0.3, 3))
@settings(max_examples=25, deadline=None)
def test_sharper_probabilities_get_a_higher_temperature_and_end_alike(
    make_predictions: MakePredictions, seed: int, power: float
) -> None:
    predictions = make_predictions(seed, classes=THREE, cases_per_side=40)
    sharper = sharpened(predictions, power)
    plain, other = fitted(predictions, "temperature"), fitted(sharper, "temperature")
    assert plain.temperature is not None
    assert other.temperature == pytest.approx(power * plain.temperature, rel=1e-6)
    assert np.allclose(other.apply(sharper.probabilities), plain.apply(predictions.probabilities))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("classes", [("benign", "malignant"), THREE])
def test_corrected_rows_are_probabilities_and_a_temperature_changes_no_order(
    make_predictions: MakePredictions, method: Method, classes: tuple[str, ...]
) -> None:
    predictions = make_predictions(5, classes=classes, cases_per_side=90)
    corrected = fitted(predictions, method).apply(predictions.probabilities)
    dataclasses.replace(predictions, probabilities=corrected)  # refuses what are no probabilities
    if method == "temperature":
        assert (corrected.argmax(axis=1) == predictions.probabilities.argmax(axis=1)).all()
    if len(classes) == 2:
        assert (np.diff(corrected[np.argsort(predictions.probabilities[:, 1]), 1]) >= -1e-12).all()


def test_platts_line_agrees_with_a_search_without_derivatives(make_predictions: MakePredictions) -> None:
    predictions = make_predictions(2, cases_per_side=60)
    probabilities, truth = validation(predictions)
    odds, positive = special.logit(probabilities[:, 1]), truth.sum()
    targets = np.where(truth == 1, (positive + 1) / (positive + 2), 1 / (len(truth) - positive + 2))

    def loss(line: np.ndarray) -> float:
        answer = line[0] * odds + line[1]
        return float((np.logaddexp(0, answer) - targets * answer).sum())

    oracle = optimize.minimize(loss, [1.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12})
    assert fitted(predictions, "platt").lines[0] == pytest.approx(tuple(oracle.x), abs=1e-5)


def test_isotonic_steps_agree_with_their_definition_and_stay_off_certainty(make_predictions: MakePredictions) -> None:
    predictions = make_predictions(2, cases_per_side=60, skill=3.0)
    probabilities, truth = validation(predictions)
    places, place, counts = np.unique(probabilities[:, 1], return_inverse=True, return_counts=True)
    hits, images = np.append(0, np.bincount(place, truth).cumsum()), np.append(0, counts.cumsum())
    # The highest over all beginnings of the lowest over all ends of the share in between (Barlow et al. 1972).
    shares = [
        max(
            min((hits[end] - hits[start]) / (images[end] - images[start]) for end in range(now + 1, len(images)))
            for start in range(now + 1)
        )
        for now in range(len(places))
    ]
    least = 1 / (len(truth) + 2)
    corrected = fitted(predictions, "isotonic").apply(np.column_stack([1 - places, places]))[:, 1]
    assert corrected == pytest.approx(np.clip(shares, least, 1 - least))
    assert 0 < corrected.min() < corrected.max() < 1


@pytest.mark.parametrize("method", METHODS)
def test_a_calibrator_corrects_the_same_bits_after_json(make_predictions: MakePredictions, method: Method) -> None:
    predictions = make_predictions(classes=THREE, cases_per_side=90)
    found = fitted(predictions, method)
    again = Calibrator.from_dict(json.loads(json.dumps(found.to_dict())))
    assert again == found
    assert (again.apply(predictions.probabilities) == found.apply(predictions.probabilities)).all()


def test_something_else_is_no_calibration() -> None:
    with pytest.raises(DataError, match="this is no calibration that radpath wrote"):
        Calibrator.from_dict({"method": "temperature"})


@pytest.mark.parametrize("method", METHODS)
def test_the_truth_of_the_test_side_changes_nothing(make_predictions: MakePredictions, method: Method) -> None:
    predictions = make_predictions(cases_per_side=90)
    swapped = tuple(
        "benign" if side == "test" else truth for side, truth in zip(predictions.sides, predictions.truth, strict=True)
    )
    assert fitted(predictions, method) == fitted(dataclasses.replace(predictions, truth=swapped), method)


def test_few_images_no_class_and_no_wish_have_their_reasons(make_predictions: MakePredictions) -> None:
    few = make_predictions(cases_per_side=10)
    assert str(fit_calibrator(few, CalibrationSettings(method="isotonic"))).endswith(
        "isotonic needs 30 images of every class to be fitted."
    )
    absent = dataclasses.replace(few, truth=("benign",) * len(few))
    assert "0 of 'malignant'" in str(fit_calibrator(absent, CalibrationSettings()))
    assert 'is "none"' in str(fit_calibrator(few, CalibrationSettings(method="none")))


def test_probabilities_that_say_nothing_and_those_without_a_mistake_have_no_temperature(
    make_predictions: MakePredictions,
) -> None:
    predictions = make_predictions(cases_per_side=30)
    truth = np.array([name == "malignant" for name in predictions.truth])
    wrong = dataclasses.replace(predictions, probabilities=np.column_stack([0.1 + 0.8 * truth, 0.9 - 0.8 * truth]))
    right = dataclasses.replace(predictions, probabilities=wrong.probabilities[:, ::-1].copy())
    assert "say nothing about the truth" in str(fit_calibrator(wrong, CalibrationSettings()))
    assert "no temperature can be estimated" in str(fit_calibrator(right, CalibrationSettings()))
    nearly = right.probabilities.copy()
    nearly[predictions.sides.index("validation")] = [0.5, 0.5]
    assert "all but near ties" in str(
        fit_calibrator(dataclasses.replace(right, probabilities=nearly), CalibrationSettings())
    )
    assert fitted(right, "platt").apply(right.probabilities).max() < 0.999


def test_the_error_of_a_temperature_is_that_of_refits_without_one_case(make_predictions: MakePredictions) -> None:
    predictions = make_predictions(classes=THREE, cases_per_side=80)
    found = fitted(predictions, "temperature")

    def without(case: str) -> float:
        hidden = tuple(
            None if of == case else truth for of, truth in zip(predictions.cases, predictions.truth, strict=True)
        )
        left_out = fitted(dataclasses.replace(predictions, truth=hidden), "temperature")
        return float(np.log(left_out.temperature or np.nan))

    refits = np.array([without(f"case {number}") for number in range(80, 160)])
    jackknife = np.sqrt(79 / 80 * ((refits - refits.mean()) ** 2).sum())
    assert found.temperature_error == pytest.approx(jackknife, rel=0.05)
    evaluation = evaluate(predictions, EvaluationSettings(replicates=100))
    shown = assess_calibration(predictions, evaluation, CalibrationSettings(), frozen=found).temperature
    assert shown is not None
    assert shown.high is not None
    assert np.log(shown.high / (found.temperature or np.nan)) == pytest.approx(1.959964 * jackknife, rel=0.05)
    of_old = dataclasses.replace(found, temperature_error=None)
    shown = assess_calibration(predictions, evaluation, CalibrationSettings(), frozen=of_old).temperature
    assert shown is not None
    assert (shown.value, shown.low) == (found.temperature, None)


def test_an_overconfident_model_is_corrected_on_the_test_side(make_predictions: MakePredictions) -> None:
    predictions = sharpened(make_predictions(cases_per_side=150), 4.0)
    evaluation = evaluate(predictions, EvaluationSettings(replicates=100))
    found = assess_calibration(predictions, evaluation, CalibrationSettings(), moved_by="class weights")
    assert found.calibrator is not None
    assert found.after is not None
    assert (found.side, found.num_cases, found.reason, found.moved_by) == ("test", 150, "", "class weights")
    for before, after in ((found.before.log_loss, found.after.log_loss), (found.before.brier, found.after.brier)):
        assert before.value is not None
        assert after.value is not None
        assert after.value < before.value
    slope = found.after.lines[0].slope
    assert slope.low is not None
    assert slope.high is not None
    assert slope.low < 1 < slope.high


def test_a_shift_that_no_temperature_repairs_is_found_on_validation(make_predictions: MakePredictions) -> None:
    plain = make_predictions(cases_per_side=150)
    odds = special.logit(plain.probabilities[:, 1]) + 1.5  # as class weights would do
    shifted = dataclasses.replace(plain, probabilities=np.column_stack([special.expit(-odds), special.expit(odds)]))
    evaluation = evaluate(shifted, EvaluationSettings(replicates=100, positive_class="malignant"))
    left = {
        method: assess_calibration(shifted, evaluation, CalibrationSettings(method=method)).left_on_validation[0]
        for method in METHODS
    }
    high = left["temperature"].intercept.high
    assert high is not None
    assert high < 0
    for method in ("platt", "isotonic"):
        assert left[method].intercept.value == pytest.approx(0, abs=0.05)


def test_what_is_left_on_validation_is_told_of_a_frozen_correction_that_it_gave_and_of_no_other(
    make_predictions: MakePredictions,
) -> None:
    predictions = make_predictions(cases_per_side=60)
    evaluation = evaluate(predictions, EvaluationSettings(replicates=100))
    plain = assess_calibration(predictions, evaluation, CalibrationSettings(method="platt"))
    own, foreign = fitted(predictions, "platt"), fitted(make_predictions(1, cases_per_side=60), "platt")
    again = assess_calibration(predictions, evaluation, CalibrationSettings(), frozen=own)
    assert len(again.left_on_validation) == 1
    assert again == plain
    other = assess_calibration(predictions, evaluation, CalibrationSettings(), frozen=foreign)
    assert (other.calibrator, other.left_on_validation) == (foreign, ())


def test_without_a_calibrator_there_is_a_before_and_a_reason(make_predictions: MakePredictions) -> None:
    predictions = make_predictions()
    evaluation = evaluate(predictions, EvaluationSettings(replicates=100))
    found = assess_calibration(predictions, evaluation, CalibrationSettings(method="none"))
    assert (found.after, found.calibrator) == (None, None)
    assert found.reason
    frozen = assess_calibration(predictions, evaluation, CalibrationSettings(), frozen="The run has none.")
    assert (frozen.calibrator, frozen.reason) == (None, "The run has none.")
