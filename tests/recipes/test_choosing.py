"""Which images are explained: what was asked for, the worst first, and nothing that is not there."""

import numpy as np
import pytest

from radpath.errors import SettingsError
from radpath.evaluation.predictions import Predictions
from radpath.recipes.choosing import Selection, choose, choose_new

SCORES = np.array([0.9, 0.2, 0.6, 0.4, 0.1, 0.8, 0.7])
PREDICTIONS = Predictions(
    record_ids=tuple("abcdefg"),
    cases=tuple("1234567"),
    sides=("test", "test", "test", "test", "test", "train", "test"),
    truth=("y", "y", "x", "x", "x", "x", None),
    probabilities=np.column_stack([1 - SCORES, SCORES]),
    classes=("x", "y"),
)
DECISIONS = (SCORES >= 0.5).astype(np.int64)


def chosen(**wishes: object) -> str:
    selection = Selection(**wishes)  # type: ignore[arg-type] # any of its fields
    return "".join(one.record_id for one in choose(PREDICTIONS, DECISIONS, selection, usual_side="test"))


def test_without_a_wish_the_worst_mistakes_come_before_the_surest_right_ones() -> None:
    assert chosen() == "bcaed"


def test_wishes_choose_and_keep_their_order() -> None:
    assert chosen(mistakes=True) == "bc"
    assert chosen(side="train") == "f"
    assert chosen(side="train", mistakes=True) == "f"
    assert chosen(truth="x") == "cde"
    assert chosen(truth="x", most=2) == "cd"
    assert chosen(images=("g", "a", "g")) == "ga"


def test_the_decision_is_explained_unless_a_class_is_named() -> None:
    (one,) = choose(PREDICTIONS, DECISIONS, Selection(images=("b",)), usual_side="test")
    assert (one.decision, one.explained_class, one.probability) == ("x", "x", 0.8)
    (other,) = choose(PREDICTIONS, DECISIONS, Selection(images=("b",), explained_class="y"), usual_side="test")
    assert (other.decision, other.explained_class, other.probability) == ("x", "y", 0.2)
    assert (other.truth, other.side, other.case) == ("y", "test", "2")


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"explained_class": "z"}, r"--class is 'z', which is none of the classes x, y"),
        ({"truth": "z"}, r"--truth is 'z'"),
        ({"images": ("q",)}, r"--images names 'q', which is no record of predictions.csv; for other files use --new"),
        ({"images": ("a",), "mistakes": True}, r"--images names the images already"),
        ({"side": "validation"}, r"no image of the run fits what was asked for"),
    ],
)
def test_what_cannot_be_is_refused(wishes: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        chosen(**wishes)


def test_new_images_are_explained_in_their_order_and_have_no_truth() -> None:
    def new(selection: Selection) -> list[tuple[str, str, float]]:
        found = choose_new(
            ["n", "m"], ["1", "2"], PREDICTIONS.probabilities[:2], DECISIONS[:2], selection, classes=("x", "y")
        )
        assert all(one.truth is None and one.side == "" for one in found)
        return [(one.record_id, one.explained_class, one.probability) for one in found]

    assert new(Selection()) == [("n", "y", 0.9), ("m", "x", 0.8)]
    assert new(Selection(explained_class="y", most=1)) == [("n", "y", 0.9)]
    with pytest.raises(SettingsError, match="--new images have no side and no truth"):
        new(Selection(mistakes=True))
