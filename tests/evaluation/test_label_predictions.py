"""Tables of predictions of several labels."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from radpath.errors import DataError, LeakError
from radpath.evaluation.label_predictions import (
    LabelPredictions,
    has_several_labels,
    of_label,
    read_label_predictions,
    write_label_predictions,
)
from radpath.evaluation.predictions import read_predictions, write_predictions

MakeLabels = Callable[..., LabelPredictions]

TABLE = (
    "record_id,case,split,truth:a,truth:b,probability:a,probability:b,remark\n"
    "1.png,1,train,1,,0.9,0.9,x\n"
    "2.png,2,test,0,1.0,0.1,0.2,\n"
)


def test_a_table_survives_the_journey_through_its_file(make_label_predictions: MakeLabels, tmp_path: Path) -> None:
    predictions = make_label_predictions()
    predictions = dataclasses.replace(predictions, stains=("HE", *[None] * (len(predictions) - 1)))
    write_label_predictions(predictions, tmp_path / "predictions.csv")
    found = read_label_predictions(tmp_path / "predictions.csv")
    assert (found.record_ids, found.cases, found.sides) == (
        predictions.record_ids,
        predictions.cases,
        predictions.sides,
    )
    assert (found.names, found.stains) == (predictions.names, predictions.stains)
    np.testing.assert_array_equal(found.truth, predictions.truth)
    assert (found.probabilities == predictions.probabilities).all()


def test_a_table_by_hand_is_read(tmp_path: Path) -> None:
    (tmp_path / "by_hand.csv").write_text(TABLE)
    found = read_label_predictions(tmp_path / "by_hand.csv")
    np.testing.assert_array_equal(found.truth, [[1, np.nan], [0, 1]])
    assert found.probabilities.tolist() == [[0.9, 0.9], [0.1, 0.2]]  # rows need no sum
    assert found.stains is None


def test_one_label_is_a_question_with_two_answers(tmp_path: Path) -> None:
    (tmp_path / "by_hand.csv").write_text(TABLE)
    one = of_label(read_label_predictions(tmp_path / "by_hand.csv"), "b")
    assert one.classes == ("no b", "b")
    assert one.truth == (None, "b")
    assert one.probabilities[:, 1].tolist() == [0.9, 0.2]
    write_predictions(one, tmp_path / "one.csv")
    assert read_predictions(tmp_path / "one.csv").truth == (None, "b")


def test_tables_of_several_labels_are_told_from_others(tmp_path: Path) -> None:
    (tmp_path / "several.csv").write_text(TABLE)
    (tmp_path / "one.csv").write_text("record_id,case,split,truth,probability:a,probability:b\n")
    assert [has_several_labels(tmp_path / name) for name in ("several.csv", "one.csv", "none.csv")] == [
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("old", "new", "error", "message"),
    [
        ("probability:b", "probability:c", DataError, "column 'probability:b' is missing; there must be record_id"),
        ("truth:b", "told:b", DataError, r"the labels are 'a'; give two or more"),
        ("0,1.0,0.1", "0,maybe,0.1", DataError, r"row 2: column 'truth:b' is 'maybe'; it must be 1, 0, or empty"),
        ("0.9,0.9", "0.9,1.9", DataError, r"row 1: column 'probability:b' is 1\.9; .* apply a sigmoid first"),
        ("0.9,0.9", "0.9,", DataError, "row 1: column 'probability:b' is empty"),
        ("2,test", "2,later", DataError, r"row 2: column 'split' is 'later'; it must be train, validation, test"),
        ("2,test", "1,test", LeakError, "case '1' stands on test"),
        ("2.png", "1.png", DataError, "row 2: column 'record_id' is '1.png', as in row 1"),
    ],
)
def test_what_cannot_be_is_named(tmp_path: Path, old: str, new: str, error: type[Exception], message: str) -> None:
    path = tmp_path / "wrong.csv"
    path.write_text(TABLE.replace(old, new))
    with pytest.raises(error, match=f"wrong.csv: .*{message}"):
        read_label_predictions(path)


def test_a_table_without_rows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "wrong.csv"
    path.write_text(TABLE.splitlines()[0] + "\n")
    with pytest.raises(DataError, match="there are no rows below the header"):
        read_label_predictions(path)
