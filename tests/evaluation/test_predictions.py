import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from radpath.errors import DataError, LeakError
from radpath.evaluation.predictions import Predictions, read_predictions, write_predictions
from radpath.records import SIDES

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8)
HEADER = "record_id,case,split,truth,probability:benign,probability:malignant\n"


@st.composite
def columns_of_predictions(draw: st.DrawFn) -> dict[str, Any]:
    classes = draw(st.lists(TEXT, min_size=2, max_size=4, unique=True))
    record_ids = draw(st.lists(TEXT, min_size=1, max_size=6, unique=True))
    size = len(record_ids)
    numbers = st.floats(0, 1, allow_subnormal=True)
    weights = np.array(draw(st.lists(st.tuples(*[numbers] * len(classes)), min_size=size, max_size=size)))
    weights[:, 0] += 1 - weights.max(axis=1) + 1e-3
    return {
        "record_ids": tuple(record_ids),
        "cases": tuple(draw(st.lists(TEXT, min_size=size, max_size=size, unique=True))),
        "sides": tuple(draw(st.lists(st.sampled_from(SIDES), min_size=size, max_size=size))),
        "truth": tuple(draw(st.lists(st.sampled_from([None, *classes]), min_size=size, max_size=size))),
        "probabilities": weights / weights.sum(axis=1, keepdims=True),
        "classes": tuple(classes),
    }


@given(columns_of_predictions())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_predictions_survive_the_file_to_the_last_bit(tmp_path: Path, columns: dict[str, Any]) -> None:
    before = Predictions(**columns)
    write_predictions(before, tmp_path / "predictions.csv")
    after = read_predictions(tmp_path / "predictions.csv")
    assert after.probabilities.tobytes() == before.probabilities.tobytes()
    assert (after.record_ids, after.cases, after.sides) == (before.record_ids, before.cases, before.sides)
    assert (after.truth, after.classes) == (before.truth, before.classes)


def test_the_file_can_be_read_by_any_other_program(tmp_path: Path) -> None:
    before = Predictions(
        record_ids=('a, "b".png', "ü.png"),
        cases=("P1", "P2"),
        sides=("test", "train"),
        truth=("in situ, grade 1", None),
        probabilities=np.array([[0.1, 0.9], [1 / 3, 2 / 3]]),
        classes=("in situ, grade 1", "良性"),
    )
    write_predictions(before, tmp_path / "predictions.csv")
    with (tmp_path / "predictions.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert rows[0]["record_id"] == 'a, "b".png'
    assert rows[0]["truth"] == "in situ, grade 1"
    assert rows[1]["truth"] == ""
    assert [float(row["probability:良性"]) for row in rows] == [0.9, 2 / 3]


def test_a_file_of_another_program_with_more_columns_is_read(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_bytes(
        "\ufeffsite,record_id,truth,split,case,probability:b,probability:a\r\nX,1,a,test,P1, 0.25 ,7.5e-1\r\n".encode()
    )
    predictions = read_predictions(path)
    assert predictions.classes == ("b", "a")
    assert predictions.probabilities.tolist() == [[0.25, 0.75]]
    assert predictions.truth == ("a",)


def test_images_without_a_label_are_kept_with_no_truth(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    path.write_text(HEADER + '1,P1,test,,0.5,0.5\n2,P2,test,"",0.5,0.5\n', encoding="utf-8")
    assert read_predictions(path).truth == (None, None)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("1,P1,test,benign,0.5,0.5\n1,P2,test,benign,0.5,0.5\n", "row 2: column 'record_id' is '1', as in row 1"),
        ("1,P1,val,benign,0.5,0.5\n", "row 1: column 'split' is 'val'; it must be train, validation, test"),
        (
            "1,P1,test,Benign,0.5,0.5\n",
            "row 1: column 'truth' is 'Benign', which is none of the classes benign, malignant",
        ),
        (
            "1,P1,test,,0.5,0.5\n2,P2,test,,-3.2,4.2\n",
            r"row 2: column 'probability:benign' is -3\.2; .* apply a softmax first",
        ),
        ("1,P1,test,,0.5,nan\n", "row 1: column 'probability:malignant' is nan; probabilities lie between 0 and 1"),
        ("1,P1,test,,0.5,inf\n", "row 1: column 'probability:malignant' is inf"),
        ("1,P1,test,,0.5,0.6\n", r"row 1: the columns 'probability:\.\.\.' sum to 1\.1, not 1: apply a softmax first"),
        ("1,P1,test,,0.5,high\n", "row 1: column 'probability:malignant' is 'high'; it must be a number"),
        ("1,P1,test,,0.5,0.5\n2,P2,test,,0.5\n", "row 2: column 'probability:malignant' is empty"),
        (",P1,test,,0.5,0.5\n", "row 1: column 'record_id' is empty"),
        ("1,,test,,0.5,0.5\n", "row 1: column 'case' is empty"),
        ("", "there are no rows below the header"),
        ("1,P1,test,,0.5,0.5,0.5,0.5\n", "cannot be read as CSV"),
    ],
)
def test_a_wrong_value_is_named_by_file_row_and_column(tmp_path: Path, rows: str, message: str) -> None:
    path = tmp_path / "predictions.csv"
    path.write_text(HEADER + rows, encoding="utf-8")
    with pytest.raises(DataError, match=message) as caught:
        read_predictions(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; it needs a header"),
        (HEADER.replace("case,", ""), "column 'case' is missing; the first columns are record_id, case, split, truth"),
        ("record_id,case,split,truth\n1,P1,test,a\n", "no column starts with 'probability:'"),
        ("record_id,case,split,truth,probability:a\n1,P1,test,a,1\n", r"there is one class, \('a',\)"),
        ("record_id,case,split,truth,probability:a,probability:\n1,P1,test,a,1,0\n", "names no class"),
        (
            "record_id,case,split,truth,probability:a,probability:a\n1,P1,test,a,1,0\n",
            "column 'probability:a' stands there twice",
        ),
    ],
)
def test_a_wrong_header_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "predictions.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_predictions(path)


def test_a_missing_file_a_folder_and_another_encoding_are_explained(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no file .*nowhere\.csv; run the step that predicts"):
        read_predictions(tmp_path / "nowhere.csv")
    with pytest.raises(DataError, match="cannot be read as CSV"):
        read_predictions(tmp_path)
    (tmp_path / "latin.csv").write_bytes(HEADER.encode() + b"\xfc,P1,test,,0.5,0.5\n")
    with pytest.raises(DataError, match="save it as UTF-8"):
        read_predictions(tmp_path / "latin.csv")


def test_a_case_on_two_sides_is_a_leak_that_names_both_images(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    path.write_text(HEADER + "1,P1,train,,0.5,0.5\n2,P1,test,,0.5,0.5\n", encoding="utf-8")
    with pytest.raises(LeakError, match=r"row 2: case 'P1' stands on test \('2'\) and on train \('1'\)"):
        read_predictions(path)


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(DataError, match="case has 2 values for 1 rows of probabilities"):
        Predictions(
            record_ids=("1",),
            cases=("P1", "P2"),
            sides=("test",),
            truth=(None,),
            probabilities=np.array([[0.5, 0.5]]),
            classes=("a", "b"),
        )


@pytest.mark.parametrize(
    ("classes", "message"),
    [(("a", "b", "c"), "2 columns of probabilities for 3 classes"), (("a", "a"), "a class is named twice among a, a")],
)
def test_classes_that_do_not_fit_the_columns_are_refused(classes: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Predictions(
            record_ids=("1",),
            cases=("P1",),
            sides=("test",),
            truth=(None,),
            probabilities=np.array([[0.5, 0.5]]),
            classes=classes,
        )


def test_predictions_count_their_images() -> None:
    predictions = Predictions(
        record_ids=("1",),
        cases=("P1",),
        sides=("test",),
        truth=(None,),
        probabilities=np.array([[0.5, 0.5]]),
        classes=("a", "b"),
    )
    assert len(predictions) == 1
