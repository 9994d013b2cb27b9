"""Models are joined by record id, weighed on validation alone, and refused where one has seen another's test."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from radpath.errors import DataError
from radpath.evaluation.ensembles import (
    CommonValidation,
    WeightRule,
    choose_weights,
    combine,
    greedy_weights,
    likeliest_weights,
)
from radpath.evaluation.predictions import Predictions
from radpath.evaluation.probability import log_losses
from radpath.records import Side

MakePredictions = Callable[..., Predictions]


def retold(predictions: Predictions, seed: int, *, skill: float = 1.0) -> Predictions:
    """Return what another model says about the same images, in another order of rows and of classes."""
    rng = np.random.default_rng(seed)
    columns = [predictions.classes.index(str(truth)) for truth in predictions.truth]
    logits = rng.normal(size=predictions.probabilities.shape)
    logits[np.arange(len(columns)), columns] += skill
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return taken(dataclasses.replace(predictions, probabilities=probabilities), rng.permutation(len(predictions)))


def taken(predictions: Predictions, rows: Sequence[int] | np.ndarray) -> Predictions:
    names = ("record_ids", "cases", "sides", "truth")
    texts = {name: tuple(getattr(predictions, name)[row] for row in rows) for name in names}
    return dataclasses.replace(predictions, **texts, probabilities=predictions.probabilities[np.asarray(rows)])


def with_sides(predictions: Predictions, sides: dict[str, Side]) -> Predictions:
    changed = tuple(sides.get(case, side) for case, side in zip(predictions.cases, predictions.sides, strict=True))
    return dataclasses.replace(predictions, sides=changed)


def common(seed: int, *, members: int = 3, images: int = 25) -> CommonValidation:
    rng = np.random.default_rng(seed)
    powers = np.exp(2 * rng.normal(size=(members, images, 3)))
    return CommonValidation(
        probabilities=powers / powers.sum(axis=2, keepdims=True), truth=rng.integers(3, size=images)
    )


def loss_of(weights: np.ndarray, of: CommonValidation) -> float:
    return float(log_losses(np.tensordot(weights, of.probabilities, axes=1), of.truth).mean())


@given(st.integers(0, 10_000), st.integers(2, 5))
@hypothesis_settings(max_examples=25, deadline=None)
def test_weights_are_those_that_a_solver_finds(seed: int, members: int) -> None:
    these = common(seed, members=members)
    weights = likeliest_weights(these)
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1)
    solved = minimize(
        loss_of, np.full(members, 1 / members), args=(these,), method="SLSQP", bounds=[(0, 1)] * members,
        constraints={"type": "eq", "fun": lambda some: some.sum() - 1},
    )  # fmt: skip
    assert loss_of(weights, these) <= solved.fun + 1e-6


@given(st.integers(0, 10_000))
@hypothesis_settings(max_examples=25, deadline=None)
def test_a_greedy_choice_is_never_worse_on_validation_than_the_best_member(seed: int) -> None:
    these = common(seed)
    weights = greedy_weights(these)
    assert weights.sum() == pytest.approx(1)
    assert loss_of(weights, these) <= min(loss_of(one, these) for one in np.eye(3)) + 1e-12
    assert loss_of(likeliest_weights(these), these) <= loss_of(weights, these) + 1e-6


def test_a_perfect_member_gets_all_and_a_copy_gets_as_much() -> None:
    truth = np.array([0, 1, 2])
    perfect, poor = np.eye(3), np.full((3, 3), 1 / 3)
    alone = CommonValidation(probabilities=np.stack([poor, perfect]), truth=truth)
    assert greedy_weights(alone).tolist() == [0, 1]
    assert likeliest_weights(alone) == pytest.approx([0, 1], abs=1e-3)
    twice = CommonValidation(probabilities=np.stack([perfect, perfect]), truth=truth)
    assert likeliest_weights(twice) == pytest.approx([0.5, 0.5])


def test_probabilities_are_averaged_by_record_and_class(make_predictions: MakePredictions) -> None:
    first = make_predictions(0, classes=("a", "b", "c"))
    second = retold(first, 1)
    turned = dataclasses.replace(second, classes=("c", "a", "b"), probabilities=second.probabilities[:, [2, 0, 1]])
    joined = combine([first, turned], np.array([0.25, 0.75]))
    assert joined.classes == first.classes
    row = {record: place for place, record in enumerate(second.record_ids)}
    for place, record in enumerate(joined.record_ids):
        expected = 0.25 * first.probabilities[place] + 0.75 * second.probabilities[row[record]]
        assert joined.probabilities[place] == pytest.approx(expected)
    assert (joined.record_ids, joined.truth, joined.sides) == (first.record_ids, first.truth, first.sides)


def test_folds_speak_for_the_cases_they_held_out(make_predictions: MakePredictions) -> None:
    base = make_predictions(0, cases_per_side=4)
    folds = [
        with_sides(base, {"case 0": "validation", "case 4": "train", "case 5": "train", "case 6": "train",
                          "case 7": "train"}),
        with_sides(retold(base, 1), {}),
    ]  # fmt: skip
    joined = combine(folds, np.array([0.5, 0.5]))
    sides = dict(zip(joined.cases, joined.sides, strict=True))
    assert [sides[f"case {number}"] for number in range(8)] == ["validation", *["train"] * 3, *["validation"] * 4]
    for fold, held_out in ((folds[0], "case 0"), (folds[1], "case 5")):
        own = {record: fold.probabilities[row] for row, record in enumerate(fold.record_ids)}
        for record, case, row in zip(joined.record_ids, joined.cases, joined.probabilities, strict=True):
            if case == held_out:
                assert row == pytest.approx(own[record])


def test_weights_of_folds_need_validation_images_in_common(make_predictions: MakePredictions) -> None:
    base = make_predictions(0, cases_per_side=2)
    other = with_sides(base, {"case 0": "validation", "case 2": "train", "case 3": "train"})
    assert choose_weights("equal", [base, other]).tolist() == [0.5, 0.5]
    with pytest.raises(DataError, match=r"^the runs have no labelled validation image in common.*--weights equal$"):
        choose_weights("validation", [base, other])


@pytest.mark.parametrize("rule", ["validation", "greedy"])
def test_weights_never_depend_on_the_test_side(make_predictions: MakePredictions, rule: WeightRule) -> None:
    members = [make_predictions(0), retold(make_predictions(0), 1, skill=2.0)]
    swapped = {"benign": "malignant", "malignant": "benign"}
    lied = [
        dataclasses.replace(
            member,
            truth=tuple(swapped[str(t)] if s == "test" else t for t, s in zip(member.truth, member.sides, strict=True)),
            probabilities=np.where(
                np.array([s == "test" for s in member.sides])[:, None],
                member.probabilities[:, ::-1],
                member.probabilities,
            ),
        )
        for member in members
    ]
    assert choose_weights(rule, members).tobytes() == choose_weights(rule, lied).tobytes()


def test_a_member_without_weight_says_nothing(make_predictions: MakePredictions) -> None:
    first = make_predictions(0)
    joined = combine([first, retold(first, 1)], np.array([1.0, 0.0]))
    assert joined.probabilities == pytest.approx(first.probabilities)
