"""New images of known cases are decided as those cases were, whatever the rule."""

import dataclasses
import itertools
from collections.abc import Callable

import numpy as np
import pytest

from radpath.errors import DataError, StaleError
from radpath.evaluation.cases import CasePredictions, CaseSettings
from radpath.evaluation.estimates import Evaluation
from radpath.evaluation.evaluate import EvaluationSettings, evaluate_with_cases
from radpath.evaluation.new_cases import decide_new_cases
from radpath.evaluation.predictions import Predictions

MakePredictions = Callable[..., Predictions]

SVM_APART = CaseSettings(rule="svm", k=2, stains="apart")


def rows_of(predictions: Predictions, rows: list[int]) -> Predictions:
    stains = predictions.stains
    return Predictions(
        record_ids=tuple(predictions.record_ids[row] for row in rows),
        cases=tuple(predictions.cases[row] for row in rows),
        sides=tuple(predictions.sides[row] for row in rows),
        truth=tuple(predictions.truth[row] for row in rows),
        probabilities=predictions.probabilities[rows],
        classes=predictions.classes,
        stains=None if stains is None else tuple(stains[row] for row in rows),
    )


def with_one_label_a_case(predictions: Predictions) -> Predictions:
    """Give all images of a case the label of its first one, and every image one of two stains."""
    first: dict[str, str | None] = {}
    for case, truth in zip(predictions.cases, predictions.truth, strict=True):
        first.setdefault(case, truth)
    stains = tuple("he" if place % 2 else "melan" for place in range(len(predictions)))
    return dataclasses.replace(predictions, truth=tuple(first[case] for case in predictions.cases), stains=stains)


def judged(predictions: Predictions, settings: CaseSettings) -> tuple[Evaluation, CasePredictions]:
    evaluation, cases = evaluate_with_cases(predictions, EvaluationSettings(replicates=100, cases=settings))
    assert cases is not None
    return evaluation, cases


TWO, THREE = ("benign", "malignant"), ("a", "b", "c")
POOLING = ("mean", "maximum", "top_k_mean", "majority", "noisy_or")


@pytest.mark.parametrize(
    ("classes", "rule", "stains"),
    [
        *itertools.product((TWO, THREE), POOLING, ("together", "apart")),
        (TWO, "svm", "apart"),
        (THREE, "svm", "together"),
    ],
)
def test_test_cases_seen_as_new_ones_get_the_bits_that_they_had(
    make_predictions: MakePredictions, classes: tuple[str, ...], rule: str, stains: str
) -> None:
    seen = with_one_label_a_case(make_predictions(classes=classes, cases_per_side=8))
    evaluation, cases = judged(seen, CaseSettings.model_validate({"rule": rule, "k": 2, "stains": stains}))
    new = rows_of(seen, [row for row, side in enumerate(seen.sides) if side == "test"])
    decided = decide_new_cases(new, seen=seen, pooled=cases.predictions, evaluation=evaluation)
    assert decided is not None
    expected = [row for row, side in enumerate(cases.predictions.sides) if side == "test"]
    found = decided.cases.predictions
    assert found.cases == tuple(cases.predictions.cases[row] for row in expected)
    np.testing.assert_array_equal(found.probabilities, cases.predictions.probabilities[expected])
    assert decided.cases.num_images == tuple(cases.num_images[row] for row in expected)
    right = np.mean([name == truth for name, truth in zip(decided.decisions, new_truth(cases), strict=True)])
    assert evaluation.by_case is not None
    accuracy = evaluation.by_case.numbers.sides["test"].find("accuracy", None)
    assert accuracy is not None
    assert right == pytest.approx(accuracy.value)


def new_truth(cases: CasePredictions) -> list[str | None]:
    rows = zip(cases.predictions.sides, cases.predictions.truth, strict=True)
    return [truth for side, truth in rows if side == "test"]


def test_columns_in_another_order_are_the_same_classes(make_predictions: MakePredictions) -> None:
    seen = with_one_label_a_case(make_predictions(cases_per_side=8))
    evaluation, cases = judged(seen, CaseSettings())
    turned = dataclasses.replace(seen, probabilities=seen.probabilities[:, ::-1].copy(), classes=seen.classes[::-1])
    found = [
        decide_new_cases(new, seen=seen, pooled=cases.predictions, evaluation=evaluation) for new in (seen, turned)
    ]
    assert found[0] is not None
    assert found[1] is not None
    assert found[0].decisions == found[1].decisions


def test_without_several_images_of_a_case_there_is_nothing_to_decide(make_predictions: MakePredictions) -> None:
    seen = with_one_label_a_case(make_predictions(cases_per_side=8))
    evaluation, cases = judged(seen, CaseSettings())
    alone = rows_of(seen, [seen.cases.index(case) for case in cases.predictions.cases])
    assert decide_new_cases(alone, seen=seen, pooled=cases.predictions, evaluation=evaluation) is None
    by_image = dataclasses.replace(evaluation, by_case=None)
    assert decide_new_cases(seen, seen=seen, pooled=cases.predictions, evaluation=by_image) is None


def test_a_stain_that_the_svm_never_saw_is_refused_and_other_rules_take_it(make_predictions: MakePredictions) -> None:
    seen = with_one_label_a_case(make_predictions(cases_per_side=8))
    new = dataclasses.replace(seen, stains=("pas",) * len(seen))
    evaluation, cases = judged(seen, SVM_APART)
    with pytest.raises(DataError, match=r"^the SVM of cases has not seen the stain pas; leave these images out, or"):
        decide_new_cases(new, seen=seen, pooled=cases.predictions, evaluation=evaluation)
    nameless = dataclasses.replace(seen, stains=None)
    with pytest.raises(DataError, match=r"^the SVM of cases has not seen the stain none"):
        decide_new_cases(nameless, seen=seen, pooled=cases.predictions, evaluation=evaluation)
    evaluation, cases = judged(seen, CaseSettings(stains="apart"))
    assert decide_new_cases(new, seen=seen, pooled=cases.predictions, evaluation=evaluation) is not None


def test_an_svm_that_is_not_the_one_of_the_run_decides_nothing(make_predictions: MakePredictions) -> None:
    seen = with_one_label_a_case(make_predictions(cases_per_side=8))
    evaluation, cases = judged(seen, SVM_APART)
    other = np.clip(cases.predictions.probabilities + np.array([0.01, -0.01]), 0, 1)
    pooled = dataclasses.replace(cases.predictions, probabilities=other / other.sum(axis=1, keepdims=True))
    with pytest.raises(StaleError, match=r"^the SVM of cases, trained again, does not say what case_predictions.csv"):
        decide_new_cases(seen, seen=seen, pooled=pooled, evaluation=evaluation)
    single = dataclasses.replace(seen, cases=seen.record_ids)
    with pytest.raises(StaleError, match=r"^the run's case predictions are not those of its images"):
        decide_new_cases(seen, seen=single, pooled=cases.predictions, evaluation=evaluation)
