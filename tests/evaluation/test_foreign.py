"""Tables of other programs: what they leave out gets its plain meaning and is told; what contradicts is refused."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radpath.errors import DataError
from radpath.evaluation.foreign import ForeignPredictions, read_foreign
from radpath.evaluation.predictions import read_predictions, write_predictions


@pytest.fixture
def write(tmp_path: Path) -> "Writer":
    return Writer(tmp_path / "other.csv")


class Writer:
    """Writes a table and reads it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, text: str) -> ForeignPredictions:
        self.path.write_text(text, encoding="utf-8")
        return read_foreign(self.path)


def test_a_complete_table_is_read_as_it_is(write: Writer) -> None:
    header = "record_id,case,split,truth,probability:a,probability:b\n"
    found = write(f"{header}1,P1,test,a,0.7,0.3\n2,P1,test,,0.1,0.9\n")
    assert found.assumptions == ()
    assert found.positive_class is None
    assert found.characteristics is None
    assert found.predictions.cases == ("P1", "P1")
    assert found.predictions.probabilities.tolist() == [[0.7, 0.3], [0.1, 0.9]]


def test_three_columns_are_enough(write: Writer) -> None:
    found = write("record_id,truth,probability:positive\nx,positive,0.8\ny,negative,0.25\nz,,1\n")
    assert found.predictions.classes == ("negative", "positive")
    assert found.predictions.probabilities.tolist() == [[1 - 0.8, 0.8], [0.75, 0.25], [0.0, 1.0]]
    assert found.predictions.cases == ("x", "y", "z")
    assert found.predictions.sides == ("test", "test", "test")
    assert found.predictions.truth == ("positive", "negative", None)
    assert found.positive_class == "positive"
    assert [sentence.split(":")[0] for sentence in found.assumptions] == [
        "The table has no column 'case'",
        "The table has no column 'split'",
        "The table gives the probability of 'positive' alone",
    ]


def test_without_any_other_truth_the_other_class_is_named_after_the_first(write: Writer) -> None:
    found = write("record_id,probability:tumour\nx,0.8\n")
    assert found.predictions.classes == ("not tumour", "tumour")
    assert found.predictions.truth == (None,)
    assert "The table has no column 'truth': no image has a label." in found.assumptions


def test_rounded_numbers_are_divided_by_their_sum_and_exact_ones_stay(write: Writer) -> None:
    header = "record_id,case,split,truth,probability:a,probability:b,probability:c\n"
    found = write(f"{header}1,1,test,a,0.33,0.33,0.33\n2,2,test,b,0.5,0.25,0.25\n")
    assert found.predictions.probabilities[0] == pytest.approx([1 / 3] * 3, abs=1e-15)
    assert found.predictions.probabilities[1].tolist() == [0.5, 0.25, 0.25]
    (said,) = found.assumptions
    assert said.startswith("The probabilities of 1 of 2 images sum to 1 within 0.01 only, as rounded numbers do")


def test_every_further_column_describes_the_images_but_what_a_model_said_does_not(write: Writer) -> None:
    header = "site,record_id,truth,decision,calibrated:a,probability:a,age\n"
    found = write(f"{header}X,1,a,a,0.6,0.5,61\n,2,b,a,0.6,0.5,\n")
    assert found.characteristics is not None
    assert found.characteristics.rows() == [("1", "X", "61"), ("2", None, None)]
    assert found.characteristics.columns == ["record_id", "site", "age"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("case,probability:a\n1,0.5\n", "column 'record_id' is missing; it names each image once"),
        ("record_id,truth\n1,a\n", "no column starts with 'probability:'"),
        ("record_id,truth,probability:a\n", "there are no rows below the header"),
        ("record_id,truth,probability:a\n1,b,0.5\n2,c,0.5\n", "the truth names 'b', 'c' beside 'a', whose probability"),
        ("record_id,truth,probability:a\n1,b,1.5\n", "row 1: column 'probability:.*' is .*probabilities lie between"),
        ("record_id,truth,probability:a\n1,b,high\n", "row 1: column 'probability:a' is 'high'; it must be a number"),
        ("record_id,truth,probability:a,probability:b\n1,b,0.5,0.52\n", r"sum to 1\.02, not 1: apply a softmax first"),
        ("record_id,truth,probability:a,probability:b\n1,b,-3,4\n", "probabilities lie between 0 and 1"),
    ],
)
def test_what_cannot_be_completed_is_refused_with_the_file_and_the_place(
    write: Writer, text: str, message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        write(text)
    assert str(caught.value).startswith(str(write.path))
    assert "\n" not in str(caught.value)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_one_probability_keeps_every_bit_and_the_completed_table_reads_strictly(
    tmp_path_factory: pytest.TempPathFactory, scores: list[float]
) -> None:
    path = tmp_path_factory.getbasetemp() / "one.csv"
    rows = [f"{number},yes,{score!r}\n" for number, score in enumerate(scores)]
    path.write_text("record_id,truth,probability:yes\n" + "".join(rows), encoding="utf-8")
    predictions = read_foreign(path).predictions
    assert predictions.probabilities[:, 1].tolist() == scores
    write_predictions(predictions, path)
    assert np.array_equal(read_predictions(path).probabilities, predictions.probabilities)
