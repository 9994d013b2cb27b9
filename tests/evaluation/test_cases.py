"""Images become cases by name and never by place, and each rule does what its name says."""

import csv
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from radpath.errors import DataError
from radpath.evaluation.cases import CasePredictions, CaseRule, CaseSettings, pool_cases, write_case_predictions
from radpath.evaluation.estimates import Evaluation
from radpath.evaluation.evaluate import EvaluationSettings, evaluate, evaluate_with_cases
from radpath.evaluation.predictions import Predictions, read_predictions, write_predictions
from radpath.evaluation.thresholds import Threshold
from radpath.records import SIDES, Side

MakePredictions = Callable[..., Predictions]

POOLING: tuple[CaseRule, ...] = ("mean", "maximum", "top_k_mean", "majority", "noisy_or")
HALF = Threshold(
    positive_class="malignant", value=0.5, rule="half", fitted_on=None, num_images=0, num_positive=0,
    sensitivity=None, specificity=None,
)  # fmt: skip


def study(
    images: dict[str, list[float]],
    *,
    truth: dict[str, str | None] | None = None,
    stains: list[str | None] | None = None,
    sides: dict[str, Side] | None = None,
) -> Predictions:
    """Return cases with the malignant probabilities of their images; each is benign, on the test side."""
    rows = [(case, value) for case, values in images.items() for value in values]
    scores = np.array([value for _, value in rows])
    return Predictions(
        record_ids=tuple(f"{place:03}.png" for place in range(len(rows))),
        cases=tuple(case for case, _ in rows),
        sides=tuple((sides or {}).get(case, "test") for case, _ in rows),
        truth=tuple((truth or {}).get(case, "benign") for case, _ in rows),
        probabilities=np.stack([1 - scores, scores], axis=1),
        classes=("benign", "malignant"),
        stains=None if stains is None else tuple(stains),
    )


def pooled(predictions: Predictions, **settings: object) -> CasePredictions:
    found = pool_cases(predictions, CaseSettings.model_validate(settings), threshold=HALF)
    assert found is not None
    return found


def scores_of(predictions: Predictions, **settings: object) -> dict[str, float]:
    found = pooled(predictions, **settings).predictions
    return dict(zip(found.cases, found.probabilities[:, 1], strict=True))


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("mean", 0.5), ("maximum", 0.9), ("top_k_mean", 0.75), ("majority", 2 / 3), ("noisy_or", 1 - 0.1 * 0.4 * 1.0)],
)
def test_each_rule_by_hand(rule: CaseRule, expected: float) -> None:
    scores = scores_of(study({"a": [0.0, 0.9, 0.6], "b": [0.2]}), rule=rule, k=2)
    assert scores["a"] == pytest.approx(expected)
    assert scores["b"] == pytest.approx(0.0 if rule == "majority" else 0.2)


def test_a_vote_follows_the_threshold_of_the_images() -> None:
    strict = dataclasses.replace(HALF, value=0.8)
    found = pool_cases(study({"a": [0.7, 0.6, 0.9]}), CaseSettings(rule="majority"), threshold=strict)
    assert found is not None
    assert found.predictions.probabilities == pytest.approx(np.array([[2 / 3, 1 / 3]]))


@pytest.mark.parametrize("rule", POOLING)
def test_more_than_two_classes_are_pooled_one_by_one(make_predictions: MakePredictions, rule: CaseRule) -> None:
    predictions = one_label_a_case(make_predictions(3, classes=("a", "b", "c")))
    found = pool_cases(predictions, CaseSettings(rule=rule, k=2), threshold=None)
    assert found is not None
    for case, row in zip(found.predictions.cases, found.predictions.probabilities, strict=True):
        values = predictions.probabilities[[place for place, name in enumerate(predictions.cases) if name == case]]
        votes = np.eye(3)[values.argmax(axis=1)]
        by_class = {
            "mean": values.mean(axis=0),
            "maximum": values.max(axis=0),
            "top_k_mean": np.sort(values, axis=0)[-2:].mean(axis=0),
            "majority": votes.mean(axis=0),
            "noisy_or": 1 - (1 - values).prod(axis=0),
        }[rule]
        assert row == pytest.approx(by_class / by_class.sum())


def one_label_a_case(predictions: Predictions) -> Predictions:
    first = dict(zip(reversed(predictions.cases), reversed(predictions.truth), strict=True))
    return dataclasses.replace(predictions, truth=tuple(first[case] for case in predictions.cases))


def shuffled(predictions: Predictions, seed: int) -> Predictions:
    rows = np.random.default_rng(seed).permutation(len(predictions)).tolist()
    columns = ("record_ids", "cases", "sides", "truth")
    texts = {name: tuple(getattr(predictions, name)[row] for row in rows) for name in columns}
    stains = None if predictions.stains is None else tuple(predictions.stains[row] for row in rows)
    return dataclasses.replace(predictions, **texts, stains=stains, probabilities=predictions.probabilities[rows])


@pytest.mark.parametrize("stains", ["together", "apart"])
@pytest.mark.parametrize("rule", [rule for rule in get_args(CaseRule) if rule != "none"])
def test_shuffled_rows_give_the_same_bits(make_predictions: MakePredictions, rule: CaseRule, stains: str) -> None:
    predictions = one_label_a_case(make_predictions(1))
    predictions = dataclasses.replace(
        predictions, stains=tuple("he" if hash(r) % 2 else "pas" for r in predictions.record_ids)
    )
    settings = CaseSettings.model_validate({"rule": rule, "stains": stains, "k": 3})
    quick = EvaluationSettings(replicates=100, cases=settings)
    before, cases = evaluate_with_cases(predictions, quick)
    after, cases_after = evaluate_with_cases(shuffled(predictions, 5), quick)
    assert before == after
    assert before.by_case is not None
    assert cases is not None
    assert cases_after is not None
    assert cases.predictions.cases == cases_after.predictions.cases
    assert cases.predictions.probabilities.tobytes() == cases_after.predictions.probabilities.tobytes()


def test_no_case_gets_the_images_of_another() -> None:
    predictions = study({"b": [0.9, 0.8], "a": [0.1], "c": [0.4, 0.6]})
    assert scores_of(shuffled(predictions, 1)) == pytest.approx({"a": 0.1, "b": 0.85, "c": 0.5})


@given(st.lists(st.lists(st.integers(0, 1000), min_size=1, max_size=7), min_size=1, max_size=8), st.integers(1, 5))
@hypothesis_settings(max_examples=40, deadline=None)
def test_rules_keep_their_order_and_their_range(values: list[list[int]], k: int) -> None:
    images = {str(case): [value / 1000 for value in some] for case, some in enumerate([*values, [0, 1000]])}
    by_rule = {rule: scores_of(study(images), rule=rule, k=k) for rule in POOLING}
    for case, some in images.items():
        mean, top, highest, any_one = (by_rule[rule][case] for rule in ("mean", "top_k_mean", "maximum", "noisy_or"))
        assert min(some) - 1e-12 <= mean <= top + 1e-12
        assert top <= highest + 1e-12
        assert highest <= any_one + 1e-12
        assert any_one <= 1


def test_stains_apart_count_alike_however_many_images_each_has() -> None:
    stains = ["he", "he", "he", "pas", "he", "he"]
    predictions = study({"a": [0.2, 0.2, 0.2, 0.8], "b": [0.3, 0.5]}, stains=[*stains])
    assert scores_of(predictions, stains="together") == pytest.approx({"a": 0.35, "b": 0.4})
    assert scores_of(predictions, stains="apart") == pytest.approx({"a": 0.5, "b": 0.4})


def test_images_without_a_stain_are_a_group_of_their_own() -> None:
    predictions = study({"a": [0.2, 0.4, 0.9]}, stains=["he", None, None])
    assert scores_of(predictions, stains="apart")["a"] == pytest.approx((0.2 + 0.65) / 2)


def test_cases_of_several_labels_are_left_out_and_counted() -> None:
    predictions = study({"a": [0.2, 0.4], "b": [0.6, 0.7], "c": [0.5]})
    mixed = dataclasses.replace(predictions, truth=("benign", "malignant", "benign", None, "benign"))
    found = pooled(mixed)
    assert (found.predictions.cases, found.num_ambiguous) == (("b", "c"), 1)
    assert found.predictions.truth == ("benign", "benign")
    assert found.num_images == (2, 1)  # the image of b without a label counts


def test_without_several_images_of_one_label_there_are_no_cases() -> None:
    one_each = study({"a": [0.2], "b": [0.4]})
    assert pool_cases(one_each, CaseSettings(), threshold=HALF) is None
    mixed = dataclasses.replace(study({"a": [0.2, 0.4], "b": [0.1]}), truth=("benign", "malignant", "benign"))
    assert pool_cases(mixed, CaseSettings(), threshold=HALF) is None
    assert pool_cases(study({"a": [0.2, 0.4]}), CaseSettings(rule="none"), threshold=HALF) is None


def test_the_file_is_one_that_can_be_evaluated(make_predictions: MakePredictions, tmp_path: Path) -> None:
    evaluation, cases = evaluate_with_cases(one_label_a_case(make_predictions(2)), EvaluationSettings(replicates=100))
    assert cases is not None
    assert evaluation.by_case is not None
    write_case_predictions(cases, tmp_path / "case_predictions.csv")
    with (tmp_path / "case_predictions.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    assert list(rows[0])[:5] == ["record_id", "case", "split", "truth", "num_images"]
    assert [int(row["num_images"]) for row in rows] == list(cases.num_images)
    again = evaluate(read_predictions(tmp_path / "case_predictions.csv"), EvaluationSettings(replicates=100))
    assert again.by_case is None
    assert again.sides == evaluation.by_case.numbers.sides


def test_the_threshold_of_cases_is_chosen_on_validation_cases(make_predictions: MakePredictions) -> None:
    predictions = one_label_a_case(make_predictions(4))
    numbers = by_case(predictions)
    assert numbers.threshold is not None
    assert numbers.threshold.fitted_on == "validation"
    swapped = {"benign": "malignant", "malignant": "benign"}
    lied = tuple(
        swapped[truth] if truth and side == "test" else truth
        for truth, side in zip(predictions.truth, predictions.sides, strict=True)
    )
    other = by_case(dataclasses.replace(predictions, truth=lied))
    assert other.threshold == numbers.threshold
    assert other.sides["test"] != numbers.sides["test"]


def by_case(predictions: Predictions, **settings: object) -> Evaluation:
    wanted = EvaluationSettings(replicates=100, positive_class="malignant", cases=CaseSettings.model_validate(settings))
    evaluation = evaluate(predictions, wanted)
    assert evaluation.by_case is not None
    return evaluation.by_case.numbers


def test_a_majority_is_more_than_half() -> None:
    images: dict[str, list[float]] = {}
    truth: dict[str, str | None] = {}
    sides: dict[str, Side] = {}
    for side in SIDES:
        for number in range(6):
            name = f"{side} {number}"
            images[name] = [0.1, 0.2, 0.9] if number % 2 else [0.1, 0.2, 0.3]
            truth[name] = "malignant" if number % 2 else "benign"
            sides[name] = side
    numbers = by_case(study(images, truth=truth, sides=sides), rule="majority")
    sensitivity = numbers.sides["test"].find("sensitivity", "malignant")
    assert numbers.threshold is not None
    assert sensitivity is not None
    assert (numbers.threshold.value, sensitivity.value) == (0.5, 0.0)  # Youden would have taken a sixth, and found all


def test_intervals_are_of_cases(make_predictions: MakePredictions) -> None:
    numbers = by_case(one_label_a_case(make_predictions(6)))
    for side in numbers.sides.values():
        assert side.num_images == side.num_cases == 20
    assert numbers.unit == "case"


def test_an_svm_without_cases_to_learn_from_leaves_a_warning(make_predictions: MakePredictions) -> None:
    few = one_label_a_case(make_predictions(0, cases_per_side=2))
    evaluation = evaluate(few, EvaluationSettings(replicates=100, cases=CaseSettings(rule="svm")))
    assert evaluation.by_case is None
    assert evaluation.warnings[-1].startswith("there are no numbers by case: the SVM of cases needs 3 labelled cases")


def test_numbers_by_case_survive_json(make_predictions: MakePredictions) -> None:
    settings = EvaluationSettings(replicates=100, cases=CaseSettings(rule="svm", k=2))
    evaluation = evaluate(one_label_a_case(make_predictions(2)), settings)
    assert evaluation.by_case is not None
    assert evaluation.by_case.fitted_on == ("train", "validation")  # 20 cases, so fewer than 20 of each class
    assert Evaluation.from_dict(json.loads(json.dumps(evaluation.to_dict(), allow_nan=False))) == evaluation


def test_stains_travel_with_the_predictions(tmp_path: Path) -> None:
    predictions = study({"a": [0.2, 0.4], "b": [0.1]}, stains=["he", None, "pas"])
    write_predictions(predictions, tmp_path / "predictions.csv")
    assert read_predictions(tmp_path / "predictions.csv").stains == ("he", None, "pas")
    without = dataclasses.replace(predictions, stains=None)
    write_predictions(without, tmp_path / "predictions.csv")
    assert "stain" not in (tmp_path / "predictions.csv").read_text()
    assert read_predictions(tmp_path / "predictions.csv").stains is None
    with pytest.raises(DataError, match=r"^stain has 1 values for 3 rows"):
        dataclasses.replace(predictions, stains=("he",))


def test_stains_apart_without_stains_are_a_warning(make_predictions: MakePredictions) -> None:
    settings = EvaluationSettings(replicates=100, cases=CaseSettings(stains="apart"))
    evaluation = evaluate(one_label_a_case(make_predictions(2)), settings)
    assert "by case, evaluation.cases.stains is 'apart', but no image has a stain" in evaluation.all_warnings[-1]
