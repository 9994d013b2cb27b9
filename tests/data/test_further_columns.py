"""Columns of the labels beside label and case reach the manifest."""

import csv
from collections.abc import Sequence
from pathlib import Path

import pytest

from radpath.data.inputs import DataSettings
from radpath.data.labels import attach_labels
from radpath.data.manifest import Manifest
from radpath.errors import DataError

ROWS = (
    ("file", "label", "Sex", "age", "Site", "nurse"),
    ("a.png", "x", "f", "61", "north", "N1"),
    ("b.png", "y", "m", "", "south", "N2"),
)


def attach(folder: Path, rows: Sequence[Sequence[str]], **data: object) -> Manifest:
    path = folder / "labels.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(rows)
    known = [{"record_id": name, "path": name, "site": "of the file"} for name in ("a.png", "b.png")]
    manifest = Manifest.from_rows(Path("images"), known)
    return attach_labels(manifest, DataSettings.model_validate({"images": "images", "labels": path, **data}))


def test_well_known_columns_are_kept_and_others_are_not(tmp_path: Path) -> None:
    table = attach(tmp_path, ROWS).table
    assert table.select("Sex", "age", "site").rows() == [("f", "61", "north"), ("m", None, "south")]
    assert "nurse" not in table.columns
    assert "Site" not in table.columns


def test_named_columns_are_kept_and_no_others(tmp_path: Path) -> None:
    table = attach(tmp_path, ROWS, keep_columns=("nurse",)).table
    assert table["nurse"].to_list() == ["N1", "N2"]
    assert table["site"].to_list() == ["of the file", "of the file"]
    assert "Sex" not in table.columns
    assert "nurse" not in attach(tmp_path, ROWS, keep_columns=()).table.columns


def test_rows_of_a_case_that_disagree_give_nothing_and_are_told(tmp_path: Path) -> None:
    rows = [*ROWS, ("a.png", "x", "m", "61", "north", "N1")]
    manifest = attach(tmp_path, rows)
    assert manifest.table["Sex"].to_list() == [None, "m"]
    (finding,) = (one for one in manifest.findings if one.kind == "unclear-column")
    assert finding.message == "1 image with several values of 'Sex' in the table: none is taken"
    assert finding.examples == ("a.png: f, m",)


def test_a_missing_column_and_a_name_that_is_needed_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no column 'sex' \(data\.keep_columns\); its columns: file, label, Sex"):
        attach(tmp_path, ROWS, keep_columns=("sex",))
    rows = [(*row, value) for row, value in zip(ROWS, ("status", "ok", "ok"), strict=True)]
    with pytest.raises(DataError, match="radpath needs the name 'status' itself; rename this column"):
        attach(tmp_path, rows, keep_columns=("status",))


def test_columns_without_a_table_are_refused() -> None:
    settings = DataSettings.model_validate({"images": "images", "keep_columns": ("sex",)})
    with pytest.raises(DataError, match=r"data\.keep_columns names columns of a table of labels; name the table"):
        attach_labels(Manifest.from_rows(Path("images"), []), settings)
