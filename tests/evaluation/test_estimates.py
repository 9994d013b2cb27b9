import dataclasses
import json

import pytest

from radpath.errors import DataError
from radpath.evaluation.estimates import Estimate, Evaluation, SideEvaluation
from radpath.evaluation.thresholds import Threshold

ESTIMATE = Estimate(metric="roc_auc", of_class="b", value=0.8, low=0.7, high=0.9, note=None)
UNDEFINED = Estimate(metric="f1", of_class="a", value=None, low=None, high=None, note="undefined: no images")
SIDE = SideEvaluation(
    side="test",
    num_images=3,
    num_cases=2,
    images_per_class={"a": 1, "b": 2},
    cases_per_class={"a": 1, "b": 2},
    estimates=(ESTIMATE, UNDEFINED),
    confusion=((1, 0), (1, 1)),
    collapsed_to=None,
    baseline=(Estimate(metric="accuracy", of_class=None, value=2 / 3, low=None, high=None, note=None),),
)
THRESHOLD = Threshold(
    positive_class="b",
    value=1 / 3,
    rule="youden",
    fitted_on="validation",
    num_images=9,
    num_positive=3,
    sensitivity=1.0,
    specificity=None,
)
EVALUATION = Evaluation(
    classes=("a", "b"),
    positive_class="b",
    threshold=THRESHOLD,
    confidence=0.95,
    replicates=2000,
    seed=0,
    sides={"test": SIDE},
    warnings=("test: ein Wörtchen",),
)


@pytest.mark.parametrize("threshold", [THRESHOLD, None])
def test_an_evaluation_survives_json(threshold: Threshold | None) -> None:
    evaluation = dataclasses.replace(EVALUATION, threshold=threshold)
    assert Evaluation.from_dict(json.loads(json.dumps(evaluation.to_dict(), allow_nan=False))) == evaluation


@pytest.mark.parametrize("damage", [{"sides": []}, {"threshold": {"value": 1}}, {"unheard": 1}, {"classes": None}])
def test_something_else_is_no_evaluation(damage: dict[str, object]) -> None:
    with pytest.raises(DataError, match=r"that radpath wrote .*; evaluate the run again"):
        Evaluation.from_dict(EVALUATION.to_dict() | damage)
    with pytest.raises(DataError, match="this is no evaluation that radpath wrote"):
        Evaluation.from_dict({})


def test_a_number_is_found_by_metric_and_class() -> None:
    assert SIDE.find("roc_auc", "b") == ESTIMATE
    assert SIDE.find("roc_auc") is None
    assert EVALUATION.headline("test") == ESTIMATE
    assert EVALUATION.headline("train") is None
