from collections.abc import Callable

import numpy as np
import pytest

from radpath.errors import SettingsError
from radpath.evaluation.calibration import CalibrationSettings, Calibrator, fit_calibrator
from radpath.evaluation.decision_curve import DecisionCurveSettings, assess_decision_curve
from radpath.evaluation.evaluate import EvaluationSettings, evaluate
from radpath.evaluation.predictions import Predictions
from radpath.settings import parse_settings

SETTINGS = EvaluationSettings(replicates=100)
MakePredictions = Callable[..., Predictions]


@pytest.mark.parametrize(("classes", "of_class"), [(("benign", "malignant"), None), (("a", "b", "c"), "b")])
def test_net_benefits_are_those_of_counting(
    make_predictions: MakePredictions, classes: tuple[str, ...], of_class: str | None
) -> None:
    predictions = make_predictions(1, classes=classes, cases_per_side=40)
    evaluation = evaluate(predictions, SETTINGS)
    calibrator = fit_calibrator(predictions, CalibrationSettings())
    assert isinstance(calibrator, Calibrator)
    wanted = DecisionCurveSettings(of_class=of_class, lowest=0.05, highest=0.9)
    found = assess_decision_curve(predictions, evaluation, wanted, calibrator=calibrator)
    assert found is not None
    assert found.of_class == (of_class or evaluation.positive_class)
    rows = [row for row, side in enumerate(predictions.sides) if side == "test"]
    truth = np.array([predictions.truth[row] == found.of_class for row in rows])
    column = predictions.classes.index(found.of_class)
    raw = predictions.probabilities[rows]

    def benefit(called: np.ndarray, threshold: float) -> float:
        odds = threshold / (1 - threshold)
        return float(((called & truth).sum() - (called & ~truth).sum() * odds) / len(truth))

    assert (found.points[0].threshold, found.points[-1].threshold) == (0.05, 0.9)
    for point in found.points:
        expected = [
            benefit(scores >= point.threshold, point.threshold)
            for scores in (np.ones(len(rows)), raw[:, column], calibrator.apply(raw)[:, column])
        ]
        assert point.calibrated is not None
        assert [point.treat_all.value, point.model.value, point.calibrated.value] == pytest.approx(expected)
        assert point.gain.value == pytest.approx(expected[2] - max(expected[0], 0))
        assert point.model.low is not None


def test_acting_on_all_is_worth_the_prevalence_at_first_and_nothing_at_the_prevalence(
    make_predictions: MakePredictions,
) -> None:
    predictions = make_predictions(cases_per_side=40)
    evaluation = evaluate(predictions, SETTINGS)
    found = assess_decision_curve(
        predictions, evaluation, DecisionCurveSettings(lowest=0.0001, highest=0.99), calibrator=None
    )
    assert found is not None
    assert all(point.calibrated is None for point in found.points)
    worth = [point.treat_all.value or 0.0 for point in found.points]
    assert worth[0] == pytest.approx(found.prevalence, abs=1e-3)
    where = np.interp(0, worth[::-1], [point.threshold for point in found.points][::-1])
    assert where == pytest.approx(found.prevalence, abs=0.02)


def test_a_threshold_next_to_certainty_has_a_finite_net_benefit(make_predictions: MakePredictions) -> None:
    predictions = make_predictions(cases_per_side=40)
    wish = DecisionCurveSettings(lowest=0.5, highest=0.99999)
    found = assess_decision_curve(predictions, evaluate(predictions, SETTINGS), wish, calibrator=None)
    assert found is not None
    assert found.points[-1].threshold == 0.99999
    assert all(np.isfinite(point.treat_all.value or 0.0) for point in found.points)


def test_thresholds_are_the_decimal_numbers_that_probabilities_are_written_as(
    make_predictions: MakePredictions,
) -> None:
    predictions = make_predictions(cases_per_side=40)
    found = assess_decision_curve(
        predictions, evaluate(predictions, SETTINGS), DecisionCurveSettings(), calibrator=None
    )
    assert found is not None
    assert [point.threshold for point in found.points] == [number / 100 for number in range(1, 51)]


def test_several_classes_need_a_name_and_a_wrong_name_is_refused(make_predictions: MakePredictions) -> None:
    predictions = make_predictions(classes=("a", "b", "c"))
    evaluation = evaluate(predictions, SETTINGS)
    assert assess_decision_curve(predictions, evaluation, DecisionCurveSettings(), calibrator=None) is None
    with pytest.raises(SettingsError, match=r"^evaluation\.decision_curve\.of_class is 'd'; the classes are a, b, c$"):
        assess_decision_curve(predictions, evaluation, DecisionCurveSettings(of_class="d"), calibrator=None)


def test_ends_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"lowest is 0\.5 and highest is 0\.2; set highest above lowest"):
        parse_settings(DecisionCurveSettings, {"lowest": 0.5, "highest": 0.2}, source="here")
