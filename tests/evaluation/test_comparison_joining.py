"""Models are compared on the same images or not at all: each refusal says how many differ and names some."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from radpath.errors import DataError, LeakError
from radpath.evaluation.comparison_joining import require_comparable, with_classes_in_order
from radpath.evaluation.predictions import Predictions
from radpath.records import Side

MakePredictions = Callable[..., Predictions]


def taken(predictions: Predictions, rows: Sequence[int] | np.ndarray) -> Predictions:
    names = ("record_ids", "cases", "sides", "truth")
    texts = {name: tuple(getattr(predictions, name)[row] for row in rows) for name in names}
    return dataclasses.replace(predictions, **texts, probabilities=predictions.probabilities[np.asarray(rows)])


def with_sides(predictions: Predictions, sides: dict[str, Side]) -> Predictions:
    changed = tuple(sides.get(case, side) for case, side in zip(predictions.cases, predictions.sides, strict=True))
    return dataclasses.replace(predictions, sides=changed)


def rows_on(predictions: Predictions, side: Side) -> list[int]:
    return [row for row, there in enumerate(predictions.sides) if there == side]


def test_a_test_case_that_another_learned_from_is_refused_by_count_and_name(make_predictions: MakePredictions) -> None:
    first = make_predictions(0, cases_per_side=3)
    other = with_sides(first, {"case 0": "test", "case 7": "validation", "case 8": "train"})
    with pytest.raises(LeakError, match=r"^2 test cases of A are training or validation cases of B \(case 7, case 8\)"):
        require_comparable({"A": first, "B": other})
    learned: dict[str, Side] = {"case 7": "train", "case 8": "train"}
    with pytest.raises(LeakError, match=r"^1 test cases of B are training or validation cases of A \(case 0\)"):
        require_comparable({"A": with_sides(first, learned), "B": with_sides(first, {**learned, "case 0": "test"})})


def test_on_validation_only_training_cases_are_a_leak(make_predictions: MakePredictions) -> None:
    first = make_predictions(0, cases_per_side=3)
    with pytest.raises(LeakError, match=r"^1 validation cases of A are training cases of B \(case 4\)"):
        require_comparable({"A": first, "B": with_sides(first, {"case 4": "train"})}, side="validation")
    require_comparable({"A": first, "B": with_sides(first, {"case 7": "train"})}, side="validation")


def test_other_classes_images_or_labels_are_refused(make_predictions: MakePredictions) -> None:
    first = make_predictions(0)
    with pytest.raises(DataError, match=r"^B knows the classes a, b, and A benign, malignant"):
        require_comparable({"A": first, "B": make_predictions(0, classes=("a", "b"))})
    tested = rows_on(first, "test")
    with pytest.raises(DataError, match=r"^1 images are on the test side of only one of A and B"):
        require_comparable({"A": first, "B": taken(first, [*range(tested[0]), *tested[1:]])})
    truth = list(first.truth)
    truth[tested[0]] = "malignant" if truth[tested[0]] == "benign" else "benign"
    with pytest.raises(DataError, match=r"^1 test images have another label in B than in A"):
        require_comparable({"A": first, "B": dataclasses.replace(first, truth=tuple(truth))})
    learned = [row for row, side in enumerate(first.sides) if side != "test"]
    with pytest.raises(DataError, match=r"^A has no test images"):
        require_comparable({"A": taken(first, learned), "B": taken(first, learned)})


def test_images_that_moved_to_another_case_are_refused(make_predictions: MakePredictions) -> None:
    first = make_predictions(0)
    cases = list(first.cases)
    cases[-1] = "a new case"
    match = rf"^1 test images belong to another case in B than in A \({first.record_ids[-1]}\)"
    with pytest.raises(DataError, match=match):
        require_comparable({"A": first, "B": dataclasses.replace(first, cases=tuple(cases))})


def test_runs_on_the_same_images_are_left_alone_in_any_order_of_rows_and_classes(
    make_predictions: MakePredictions,
) -> None:
    first = make_predictions(0)
    turned = with_classes_in_order(first, ("malignant", "benign"))
    other = taken(turned, np.random.default_rng(1).permutation(len(first)))
    require_comparable({"A": first, "B": other, "C": first})
    assert turned.probabilities[:, 0].tolist() == first.probabilities[:, 1].tolist()
    assert with_classes_in_order(turned, first.classes).probabilities.tolist() == first.probabilities.tolist()
