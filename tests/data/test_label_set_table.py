"""Sets of labels in a table."""

from pathlib import Path
from typing import Any

import pytest

from radpath.data.inputs import DataSettings
from radpath.data.label_set_table import recognise_label_sets, with_label_sets
from radpath.data.label_sets import LabelSetSettings
from radpath.data.label_table import LabelTable, read_label_table
from radpath.errors import DataError

COLUMNS = "image,effusion,mass,age\n1.png,1,0,61\n2.png,,1.0,62\n3.png,-1,0,63\n4.png,,,64\n"
JOINED = "Image Index,Finding Labels\n1.png,Effusion|Mass\n2.png,no finding\n3.png,Mass\n4.png,\n"


def table_of(text: str, tmp_path: Path) -> LabelTable:
    (tmp_path / "labels.csv").write_text(text)
    return read_label_table(tmp_path / "labels.csv")


def data(**sets: Any) -> DataSettings:
    return DataSettings(images=Path("images"), label_sets=LabelSetSettings(**sets))


def sets_of(text: str, tmp_path: Path, **sets: Any) -> list[str]:
    table, settings = with_label_sets(table_of(text, tmp_path), data(**sets))
    assert settings.label_column is not None
    return table.columns[settings.label_column]


@pytest.mark.parametrize(("uncertain", "third"), [("missing", "?"), ("positive", "1"), ("negative", "0")])
def test_columns_become_sets_and_minus_one_means_what_is_set(tmp_path: Path, uncertain: str, third: str) -> None:
    sets = sets_of(COLUMNS, tmp_path, columns=("effusion", "mass"), uncertain=uncertain)
    assert sets == ["{effusion=1|mass=0}", "{effusion=?|mass=1}", f"{{effusion={third}|mass=0}}", ""]


def test_columns_of_labels_are_gone_from_the_table(tmp_path: Path) -> None:
    table, _ = with_label_sets(table_of(COLUMNS, tmp_path), data(columns=("effusion", "mass")))
    assert list(table.columns) == ["image", "age", "set of labels"]


def test_one_column_between_separators_becomes_sets(tmp_path: Path) -> None:
    sets = sets_of(JOINED, tmp_path, separator="|")
    assert sets == ["{Effusion=1|Mass=1}", "{Effusion=0|Mass=0}", "{Effusion=0|Mass=1}", ""]
    assert sets_of(JOINED, tmp_path, separator="|", names=("Mass",))[:2] == ["{Mass=1}", "{Mass=0}"]


def test_a_table_of_classes_stays_as_it_is(tmp_path: Path) -> None:
    table, settings = table_of(COLUMNS, tmp_path), data()
    assert with_label_sets(table, settings) == (table, settings)


@pytest.mark.parametrize(
    ("text", "sets", "message"),
    [
        (
            COLUMNS,
            {"columns": ("effusion", "nodule")},
            r"no column 'nodule' \(data.label_sets.columns\); its columns: im",
        ),
        (COLUMNS, {"columns": ("effusion", "age")}, r"line 2, column 'age': '61' is no answer; write 1, 0, -1"),
        (COLUMNS, {"separator": "|"}, "no column is known to hold the labels"),
        (JOINED, {"separator": "|", "names": ("Hernia",)}, "names has 'Hernia', which column 'Finding Labels' of"),
        (JOINED + "5.png,No Finding|Mass\n", {"separator": "|"}, "line 6: 'No Finding' stands beside another label"),
    ],
)
def test_what_cannot_be_understood_is_named(tmp_path: Path, text: str, sets: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        sets_of(text, tmp_path, **sets)


def test_columns_of_answers_are_recognised(tmp_path: Path) -> None:
    text = COLUMNS + "5.png,0,1,65\n"
    found = recognise_label_sets(table_of(text, tmp_path), data())
    assert found is not None
    assert found[0] == {"columns": ["effusion", "mass"]}
    assert found[1].startswith("2 columns hold nothing but 1, 0, -1 and nothing")


def test_a_separator_is_recognised(tmp_path: Path) -> None:
    found = recognise_label_sets(table_of(JOINED, tmp_path), data())
    assert found == (
        {"separator": "|"},
        "column 'Finding Labels' names several labels of one image, as in 'Effusion|Mass'",
    )


@pytest.mark.parametrize(
    "text",
    [
        "image,label,smoker,male\n1.png,a,0,1\n2.png,b,1,0\n",  # a column is called a label
        "image,tumour\n1.png,1\n2.png,0\n",  # one question
        "image,a,b\n1.png,1,3\n2.png,0,4\n",  # one question, and numbers
    ],
)
def test_tables_of_classes_are_not_taken_for_sets(tmp_path: Path, text: str) -> None:
    assert recognise_label_sets(table_of(text, tmp_path), data()) is None


def test_what_the_user_said_is_not_recognised_again(tmp_path: Path) -> None:
    assert recognise_label_sets(table_of(COLUMNS, tmp_path), data(columns=("effusion", "mass"))) is None
