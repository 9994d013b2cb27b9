import dataclasses
import json
from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radpath.errors import DataError
from radpath.evaluation.conformal import ConformalSets, ConformalSettings, assess_conformal, fit_conformal
from radpath.evaluation.evaluate import EvaluationSettings, evaluate
from radpath.evaluation.predictions import Predictions
from radpath.records import Side

MakePredictions = Callable[..., Predictions]
Method = Literal["class_conditional", "lac", "aps"]
METHODS: tuple[Method, ...] = ("class_conditional", "lac", "aps")
THREE = ("a", "b", "c")


def fitted(predictions: Predictions, method: Method, alpha: float = 0.1) -> ConformalSets:
    found = fit_conformal(predictions, ConformalSettings(method=method, alpha=alpha), seed=0)
    assert isinstance(found, ConformalSets)
    return found


def single(probabilities: np.ndarray, truth: np.ndarray, num_validation: int) -> Predictions:
    """One image a case; the first rows are validation, the others test."""
    sides: list[Side] = ["validation" if row < num_validation else "test" for row in range(len(truth))]
    names = tuple(f"case {row}" for row in range(len(truth)))
    classes = THREE[: probabilities.shape[1]]
    return Predictions(
        record_ids=names,
        cases=names,
        sides=tuple(sides),
        truth=tuple(classes[place] for place in truth),
        probabilities=probabilities,
        classes=classes,
    )


def drawn(seed: int, num_validation: int, num_test: int) -> Predictions:
    rng = np.random.default_rng(seed)
    truth = rng.integers(3, size=num_validation + num_test)
    powers = np.exp(rng.normal(size=(len(truth), 3)) + 1.5 * np.eye(3)[truth] * (truth == 2)[:, None])
    return single(powers / powers.sum(axis=1, keepdims=True), truth, num_validation)


@given(st.integers(9, 60), st.sampled_from([0.05, 0.1, 0.2, 0.5]), st.integers(0, 100))
@settings(max_examples=40, deadline=None)
def test_the_limit_is_the_score_of_its_rank(num_cases: int, alpha: float, seed: int) -> None:
    predictions = drawn(seed, num_cases, 1)
    truth = [predictions.classes.index(name or "") for name in predictions.truth[:num_cases]]
    scores = sorted(1 - predictions.probabilities[row, place] for row, place in enumerate(truth))
    rank = -(-(num_cases + 1) * round(100 - 100 * alpha) // 100)
    found = fit_conformal(predictions, ConformalSettings(method="lac", alpha=alpha), seed=0)
    if rank > num_cases:
        assert isinstance(found, str)
        assert f"The validation side has {num_cases} cases; to promise {1 - alpha:.4g}, 19 are needed." == found
        return
    assert isinstance(found, ConformalSets)
    assert found.limits == (scores[rank - 1],) * 3


@pytest.mark.parametrize("method", METHODS)
def test_sets_hold_the_truth_as_often_as_promised(method: Method) -> None:
    held = np.zeros((2, 3))
    for seed in range(60):
        predictions = drawn(seed, 90, 60)
        sets = fitted(predictions, method, alpha=0.2).sets(predictions.probabilities[90:])
        truth = np.array([predictions.classes.index(name or "") for name in predictions.truth[90:]])
        np.add.at(held[0], truth, sets[np.arange(60), truth])
        np.add.at(held[1], truth, 1)
    assert held[0].sum() / held[1].sum() >= 0.8 - 0.012
    coverage = held[0] / held[1]
    if method == "class_conditional":
        assert (coverage >= 0.8 - 0.025).all()
        assert (coverage <= 0.8 + 0.06).all()
    if method == "lac":
        assert coverage.max() - coverage.min() > 0.1


def test_most_probable_classes_are_added_until_the_limit() -> None:
    found = ConformalSets(
        method="aps", alpha=0.1, classes=THREE, fitted_on="validation", num_cases=(20,) * 3, limits=(0.9,) * 3
    )
    table = np.array([[0.5, 0.3, 0.2], [0.1, 0.05, 0.85], [0.02, 0.95, 0.03]])
    assert found.sets(table).tolist() == [[True, True, False], [False, False, True], [False, False, False]]


def test_a_class_without_enough_cases_is_in_every_set() -> None:
    probabilities = np.tile([0.98, 0.01, 0.01], (30, 1))
    found = fitted(single(probabilities, np.array([0] * 20 + [1] * 9 + [2]), 30), "class_conditional")
    assert found.num_cases == (20, 9, 1)
    assert found.limits[2] is None
    assert found.sets(probabilities[:1]).tolist() == [[True, True, True]]


def test_a_case_counts_once_however_many_images_it_has(make_predictions: MakePredictions) -> None:
    predictions = make_predictions(cases_per_side=40)
    found = fitted(predictions, "lac")
    assert found.num_cases == (40, 40)
    assert found == fitted(predictions, "lac")
    other = fit_conformal(predictions, ConformalSettings(method="lac"), seed=1)
    assert isinstance(other, ConformalSets)
    assert other.limits != found.limits  # another image stands for the case


def test_the_truth_of_the_test_side_changes_nothing(make_predictions: MakePredictions) -> None:
    predictions = make_predictions(cases_per_side=40)
    truth = tuple(
        "benign" if side == "test" else name for side, name in zip(predictions.sides, predictions.truth, strict=True)
    )
    assert fitted(predictions, "lac") == fitted(dataclasses.replace(predictions, truth=truth), "lac")


@pytest.mark.parametrize("method", METHODS)
def test_numbers_on_the_test_side_are_those_of_counting(make_predictions: MakePredictions, method: Method) -> None:
    predictions = make_predictions(3, classes=THREE, cases_per_side=60)
    evaluation = evaluate(predictions, EvaluationSettings(replicates=100))
    found = assess_conformal(predictions, evaluation, ConformalSettings(method=method))
    assert found.sets is not None
    assert found.coverage is not None
    assert found.mean_size is not None
    rows = np.array([row for row, side in enumerate(predictions.sides) if side == "test"])
    sets = found.sets.sets(predictions.probabilities[rows])
    truth = np.array([THREE.index(predictions.truth[row] or "") for row in rows])
    held, sizes = sets[np.arange(len(rows)), truth], sets.sum(axis=1)
    cases = np.array([predictions.cases[row] for row in rows])

    def by_case(values: np.ndarray, chosen: np.ndarray) -> float:
        means = [values[chosen & (cases == case)].mean() for case in sorted(set(cases[chosen]))]
        return float(np.mean(means))

    everything = np.ones(len(rows), dtype=bool)
    assert by_case(sizes, everything) != pytest.approx(sizes.mean())  # cases have one to three images
    assert found.coverage.value == pytest.approx(by_case(held, everything))
    assert found.coverage.low is not None
    assert [one.value for one in found.class_coverage.values()] == pytest.approx(
        [by_case(held, truth == place) for place in range(3)]
    )
    assert found.mean_size.value == pytest.approx(by_case(sizes, everything))
    assert [one.value for one in found.sizes] == pytest.approx([by_case(sizes == n, everything) for n in range(4)])


def test_without_enough_cases_or_a_wish_there_is_a_reason(make_predictions: MakePredictions) -> None:
    predictions = make_predictions(cases_per_side=5)
    evaluation = evaluate(predictions, EvaluationSettings(replicates=100))
    found = assess_conformal(predictions, evaluation, ConformalSettings(alpha=0.01))
    assert (found.sets, found.coverage, found.class_coverage, found.sizes) == (None, None, {}, ())
    assert "cases of a class; to promise 0.99, 99 are needed" in found.reason
    assert 'is "none"' in str(fit_conformal(predictions, ConformalSettings(method="none"), seed=0))
    frozen = assess_conformal(predictions, evaluation, ConformalSettings(alpha=0.5), frozen="The run has none.")
    assert (frozen.sets, frozen.reason) == (None, "The run has none.")


def test_sets_survive_json_and_nothing_else_does(make_predictions: MakePredictions) -> None:
    found = fitted(make_predictions(cases_per_side=40), "class_conditional")
    assert ConformalSets.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    with pytest.raises(DataError, match="these are no prediction sets that radpath wrote"):
        ConformalSets.from_dict({"method": "lac"})
