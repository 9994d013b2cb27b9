"""Several labels are judged one by one, and together."""

import dataclasses
import json
from collections.abc import Callable

import numpy as np
import pytest

from radpath.errors import DataError, SettingsError
from radpath.evaluation.evaluate import EvaluationSettings, evaluate
from radpath.evaluation.label_evaluation import LabelEvaluation, evaluate_labels
from radpath.evaluation.label_metrics import LABEL_METRICS
from radpath.evaluation.label_predictions import LabelPredictions, of_label

MakeLabels = Callable[..., LabelPredictions]

FAST = EvaluationSettings(replicates=100)


@pytest.fixture(scope="module")
def judged(make_label_predictions: MakeLabels) -> tuple[LabelPredictions, LabelEvaluation]:
    predictions = make_label_predictions()
    return predictions, evaluate_labels(predictions, FAST)


def test_each_label_has_every_number_of_two_classes(judged: tuple[LabelPredictions, LabelEvaluation]) -> None:
    predictions, found = judged
    alone = evaluate(of_label(predictions, "mass"), FAST.model_copy(update={"positive_class": "mass"}))
    assert found.of_label["mass"] == alone
    assert found.thresholds["mass"] == alone.threshold
    assert alone.threshold is not None
    assert alone.threshold.fitted_on == "validation"


def test_all_labels_together_have_intervals_around_their_values(
    judged: tuple[LabelPredictions, LabelEvaluation],
) -> None:
    side = judged[1].sides["test"]
    assert [one.metric for one in side.estimates] == list(LABEL_METRICS)
    for one in side.estimates:
        assert one.value is not None
        assert one.low is not None
        assert one.high is not None
        assert one.low < one.value < one.high
    areas = [judged[1].of_label[name].sides["test"].find("roc_auc", name) for name in judged[1].names]
    assert side.find("macro_roc_auc").value == pytest.approx(np.mean([one.value for one in areas if one and one.value]))


def test_the_order_of_the_rows_changes_nothing(judged: tuple[LabelPredictions, LabelEvaluation]) -> None:
    predictions, found = judged
    order = np.random.default_rng(1).permutation(len(predictions))
    shuffled = LabelPredictions(
        record_ids=tuple(predictions.record_ids[row] for row in order),
        cases=tuple(predictions.cases[row] for row in order),
        sides=tuple(predictions.sides[row] for row in order),
        truth=predictions.truth[order],
        probabilities=predictions.probabilities[order],
        names=predictions.names,
    )
    assert evaluate_labels(shuffled, FAST) == found


def test_an_evaluation_survives_the_journey_through_json(judged: tuple[LabelPredictions, LabelEvaluation]) -> None:
    text = json.dumps(judged[1].to_dict(), allow_nan=False)
    assert LabelEvaluation.from_dict(json.loads(text)) == judged[1]
    with pytest.raises(DataError, match=r"^this is no evaluation of several labels that radpath wrote \(names: "):
        LabelEvaluation.from_dict({})


def test_what_does_not_fit_several_labels_is_refused_or_said(judged: tuple[LabelPredictions, LabelEvaluation]) -> None:
    predictions, _ = judged
    with pytest.raises(SettingsError, match=r"^evaluation.positive_class is 'mass', but of several labels each is pos"):
        evaluate_labels(predictions, FAST.model_copy(update={"positive_class": "mass"}))
    unknown = predictions.truth.copy()
    unknown[:, 2] = np.nan
    with pytest.raises(DataError, match=r"^nobody knows of any image whether it has 'nodule'; leave that label out"):
        evaluate_labels(dataclasses.replace(predictions, truth=unknown), FAST)
    told = evaluate_labels(predictions, FAST.model_copy(update={"interval": "bca"})).warnings
    assert any("are percentile intervals of plain resamples" in warning for warning in told)


def test_a_label_that_the_test_side_lacks_has_a_reason_instead_of_numbers(
    judged: tuple[LabelPredictions, LabelEvaluation],
) -> None:
    predictions, _ = judged
    on_test = np.array(predictions.sides) == "test"
    truth = predictions.truth.copy()
    truth[on_test, 0] = 0
    found = evaluate_labels(dataclasses.replace(predictions, truth=truth), FAST)
    macro = found.sides["test"].find("macro_roc_auc")
    assert macro.value is None
    assert macro.note == "undefined: a label is there in no image, or in every one"
    assert found.sides["test"].find("micro_roc_auc").value is not None
