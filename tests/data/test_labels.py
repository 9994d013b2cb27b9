"""Giving every image its label, case and side."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radpath.data.inputs import DataSettings
from radpath.data.labels import attach_labels
from radpath.data.manifest import Finding, Manifest
from radpath.data.scan import scan
from radpath.errors import DataError

IMAGES = Path("images")


def manifest_of(*paths: str, images: Path = IMAGES) -> Manifest:
    return Manifest.from_rows(images, [{"record_id": path, "path": path} for path in paths])


def write_table(folder: Path, *rows: Sequence[str]) -> Path:
    path = folder / "labels.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(rows)
    return path


def attach(manifest: Manifest, **data: object) -> Manifest:
    return attach_labels(manifest, DataSettings.model_validate({"images": manifest.images, **data}))


def told(manifest: Manifest, *columns: str) -> list[tuple[object, ...]]:
    return manifest.table.select("record_id", *columns).rows()


def finding_of(manifest: Manifest, kind: str) -> Finding:
    (finding,) = [finding for finding in manifest.findings if finding.kind == kind]
    return finding


# Folders


def test_folders_are_classes_and_deeper_folders_do_not_count() -> None:
    labelled = attach(manifest_of("benign/1.png", "benign/ward 7/2.png", "invasive/3.png"))
    assert told(labelled, "label", "split") == [
        ("benign/1.png", "benign", None),
        ("benign/ward 7/2.png", "benign", None),
        ("invasive/3.png", "invasive", None),
    ]


@pytest.mark.parametrize(
    "names", [("training", "validation", "test"), ("Train", "VAL", "Test"), ("train", "valid", "test")]
)
def test_folders_of_sides_stand_above_the_classes(names: tuple[str, str, str]) -> None:
    train, validation, test = names
    labelled = attach(manifest_of(f"{train}/a/1.png", f"{train}/b/2.png", f"{validation}/a/3.png", f"{test}/b/c/4.png"))
    by_path = {str(path): (label, side) for path, label, side in told(labelled, "label", "split")}
    assert by_path == {
        f"{train}/a/1.png": ("a", "train"),
        f"{train}/b/2.png": ("b", "train"),
        f"{validation}/a/3.png": ("a", "validation"),
        f"{test}/b/c/4.png": ("b", "test"),
    }
    assert finding_of(labelled, "split-by-folders").count == 4


def test_sides_beside_classes_are_refused() -> None:
    with pytest.raises(
        DataError, match=r"^images has folders named after sides of a split \(test\) beside others \(a, b\);"
    ):
        attach(manifest_of("a/1.png", "b/2.png", "test/3.png"))


def test_an_image_outside_the_class_folders_has_no_label() -> None:
    labelled = attach(manifest_of("train/a/1.png", "train/b/2.png", "train/3.png", "4.png"))
    assert dict(labelled.excluded.select("record_id", "reason").iter_rows()) == {
        "4.png": "no label",
        "train/3.png": "no label",
    }
    assert finding_of(labelled, "no-label").count == 2


def test_a_damaged_image_keeps_its_reason_and_gets_its_label() -> None:
    manifest = manifest_of("a/1.png", "a/2.png", "b/3.png").exclude({"a/1.png": "cut"}, reason="truncated or damaged")
    labelled = attach(manifest)
    assert labelled.excluded.select("record_id", "label", "reason").rows() == [("a/1.png", "a", "truncated or damaged")]


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (
            ["a/1.png"],
            r"^images: the only class is 'a' \(1 image\); a classifier needs two classes or more; use one folder",
        ),
        (
            ["1.png", "2.png"],
            r"^images: no image is left; .*; excluded: no label \(2\); .* name a table with data.labels$",
        ),
    ],
)
def test_fewer_than_two_classes_are_refused(paths: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        attach(manifest_of(*paths))


# Names


def test_names_give_case_stain_label_and_side() -> None:
    pattern = r"(?P<split>\w+)/(?P<label>[a-z]+)_(?P<case>\d+)_(?P<stain>\w+)"
    labelled = attach(manifest_of("train/benign_1_he.png", "test/normal_2_melan.png"), name_pattern=pattern)
    assert told(labelled, "label", "case", "stain", "split", "case_assumed") == [
        ("test/normal_2_melan.png", "normal", "2", "melan", "test", False),
        ("train/benign_1_he.png", "benign", "1", "he", "train", False),
    ]


def test_images_of_one_case_with_different_labels_are_noted() -> None:
    labelled = attach(manifest_of("a/7_1.png", "b/7_2.png", "b/8_1.png"), name_pattern=r"(?P<case>\d+)_")
    finding = finding_of(labelled, "mixed-case")
    assert (finding.severity, finding.count, finding.examples) == ("note", 1, ("7: a, b",))
    assert len(labelled.kept) == 3


# A table of images


def test_a_table_of_images_gives_label_case_and_side(tmp_path: Path) -> None:
    table = write_table(
        tmp_path,
        ("file", "diagnosis", "patient", "split", "age"),
        ("1.png", "benign", "A", "Training", "60"),
        ("2.png", "normal", "B", "valid", "61"),
        ("3.png", "normal", "B", "", "61"),
    )
    labelled = attach(manifest_of("1.png", "2.png", "3.png"), labels=table)
    assert told(labelled, "label", "case", "split", "case_assumed") == [
        ("1.png", "benign", "A", "train", False),
        ("2.png", "normal", "B", "validation", False),
        ("3.png", "normal", "B", None, False),
    ]
    assert not labelled.findings


def test_images_without_a_label_and_labels_without_an_image_are_counted(tmp_path: Path) -> None:
    table = write_table(
        tmp_path, ("file", "label"), ("1.png", "a"), ("2.png", "b"), ("3.png", " "), ("5.png", "b"), ("", "a")
    )
    labelled = attach(manifest_of("1.png", "2.png", "3.png", "4.png"), labels=table)
    assert dict(labelled.excluded.select("record_id", "reason").iter_rows()) == {
        "3.png": "no label",
        "4.png": "no label",
    }
    assert finding_of(labelled, "label-without-image").examples == ("line 5: '5.png'", "line 6: ''")


def test_an_image_with_two_labels_is_excluded(tmp_path: Path) -> None:
    rows = [
        ("1.png", "a"),
        ("2.png", "b"),
        ("3.png", "a"),
        ("3.png", "b"),
        ("3.png", "a"),
        ("2.png", "b"),
        ("2.png", ""),
    ]
    labelled = attach(manifest_of("1.png", "2.png", "3.png"), labels=write_table(tmp_path, ("file", "label"), *rows))
    assert labelled.excluded.select("record_id", "reason", "detail").rows() == [
        ("3.png", "two labels", "the table gives it the labels 'a' and 'b'")
    ]
    assert finding_of(labelled, "repeated-row").count == 2


def test_an_image_with_two_cases_or_two_sides_is_excluded(tmp_path: Path) -> None:
    table = write_table(
        tmp_path,
        ("file", "label", "case", "split"),
        ("1.png", "a", "1", "train"),
        ("2.png", "b", "2", "train"),
        ("3.png", "b", "3", "train"),
        ("3.png", "b", "4", "train"),
        ("4.png", "b", "5", "train"),
        ("4.png", "b", "5", "test"),
    )
    labelled = attach(manifest_of("1.png", "2.png", "3.png", "4.png"), labels=table)
    assert dict(labelled.excluded.select("record_id", "reason").iter_rows()) == {
        "3.png": "two cases",
        "4.png": "two splits",
    }


def test_the_table_may_lie_anywhere_and_name_whole_paths(tmp_path: Path) -> None:
    images = tmp_path / "images"
    table = write_table(tmp_path, ("path", "label"), ("images/x/1.png", "a"), (str(images / "x" / "2.png"), "b"))
    labelled = attach(manifest_of("x/1.png", "x/2.png", images=images), labels=table)
    assert told(labelled, "label") == [("x/1.png", "a"), ("x/2.png", "b")]


def test_a_name_that_fits_several_images_is_refused(tmp_path: Path) -> None:
    table = write_table(tmp_path, ("file", "label"), ("x/1.png", "a"), ("1", "b"))
    with pytest.raises(DataError, match=r"labels.csv line 3: '1' fits several images; write their paths below images$"):
        attach(manifest_of("x/1.png", "y/1.png"), labels=table)


def test_a_table_that_fits_no_image_shows_both_sides(tmp_path: Path) -> None:
    table = write_table(tmp_path, ("file", "label"), ("z/1.png", "a"))
    message = r"column 'file' fits no image below images, for example 'z/1.png'; an image there is 'x/1.png'$"
    with pytest.raises(DataError, match=message):
        attach(manifest_of("x/1.png"), labels=table, path_column="file")


def test_unknown_sides_in_the_table_are_listed_with_the_way_to_ignore_them(tmp_path: Path) -> None:
    table = write_table(tmp_path, ("file", "label", "set"), ("1.png", "a", "train"), ("2.png", "b", "holdout"))
    message = (
        r"labels.csv, column 'set' \(ignore it with --set data.split_column=\), says 'holdout'; "
        "a side is train, validation or test"
    )
    with pytest.raises(DataError, match=message):
        attach(manifest_of("1.png", "2.png"), labels=table)
    assert len(attach(manifest_of("1.png", "2.png"), labels=table, split_column="").kept) == 2


def test_a_column_of_numbered_folds_is_ignored_with_a_warning(tmp_path: Path) -> None:
    table = write_table(tmp_path, ("file", "label", "fold"), ("1.png", "a", "0"), ("2.png", "b", "1"))
    labelled = attach(manifest_of("1.png", "2.png"), labels=table)
    assert labelled.kept["split"].null_count() == 2
    (finding,) = [finding for finding in labelled.findings if finding.kind == "split-column-ignored"]
    assert finding.message.startswith("column 'fold' of labels.csv names no side and is ignored")
    assert finding.examples == ("0", "1")


def test_sides_of_folders_hold_where_the_table_gives_none(tmp_path: Path) -> None:
    table = write_table(tmp_path, ("file", "label"), ("train/1.png", "a"), ("test/2.png", "b"))
    labelled = attach(manifest_of("train/1.png", "test/2.png"), labels=table)
    assert told(labelled, "split") == [("test/2.png", "test"), ("train/1.png", "train")]


# Table and names


def test_the_tables_case_goes_before_the_names(tmp_path: Path) -> None:
    table = write_table(
        tmp_path, ("file", "label", "case"), ("007_a.png", "a", "7"), ("8_b.png", "b", "8"), ("9_c.png", "b", "")
    )
    labelled = attach(manifest_of("007_a.png", "8_b.png", "9_c.png"), labels=table, name_pattern=r"(?P<case>\d+)_")
    assert told(labelled, "case") == [("007_a.png", "7"), ("8_b.png", "8"), ("9_c.png", "9")]


@pytest.mark.parametrize("column", ["case", "label"])
def test_a_table_that_contradicts_a_name_is_refused(tmp_path: Path, column: str) -> None:
    table = write_table(tmp_path, ("file", "label", "case"), ("1_a.png", "a", "1"), ("2_b.png", "x", "3"))
    pattern = {"case": r"(?P<case>\d+)_", "label": r"_(?P<label>\w)"}[column]
    in_table, in_name = {"case": ("3", "2"), "label": ("x", "b")}[column]
    message = (
        rf"^the {column} of '2_b.png' is '{in_table}' in the table and '{in_name}' by data.name_pattern; correct one"
    )
    with pytest.raises(DataError, match=message):
        attach(manifest_of("1_a.png", "2_b.png"), labels=table, name_pattern=pattern)


# A table of cases


def test_a_table_of_cases_labels_every_image_of_a_case(tmp_path: Path) -> None:
    table = write_table(
        tmp_path,
        ("Case", "Class", "split"),
        ("1", "benign", "train"),
        ("2", "normal", "test"),
        ("3", "benign", "train"),
        ("3", "normal", "train"),
        ("9", "normal", "train"),
    )
    manifest = manifest_of("001_he.png", "001_melan.png", "002_he.png", "003_he.png", "004_he.png", "x.png")
    labelled = attach(manifest, labels=table, name_pattern=r"^(?P<case>\d+)_(?P<stain>\w+)")
    assert told(labelled, "case", "label", "split", "reason") == [
        ("001_he.png", "1", "benign", "train", None),
        ("001_melan.png", "1", "benign", "train", None),
        ("002_he.png", "2", "normal", "test", None),
        ("003_he.png", "3", None, "train", "two labels"),
        ("004_he.png", "004", None, None, "no label"),
        ("x.png", None, None, None, "name does not match the pattern"),
    ]
    details = dict(labelled.excluded.select("record_id", "detail").iter_rows())
    assert details["004_he.png"] == "nothing gives the image or its case '004' a label"
    assert finding_of(labelled, "label-without-image").examples == ("line 6: '9'",)


# An array file


def test_an_array_file_brings_its_labels_and_its_split(tmp_path: Path) -> None:
    arrays = {f"{name}_images": np.zeros((2, 4, 5), np.uint8) for name in ("train", "val", "test")}
    arrays |= {f"{name}_labels": np.array([0, 1]) for name in ("train", "val", "test")}
    np.savez(tmp_path / "cells.npz", allow_pickle=False, **arrays)
    data = DataSettings(images=tmp_path / "cells.npz")
    labelled = attach_labels(scan(data), data)
    assert labelled.kept["case"].to_list() == labelled.kept["record_id"].to_list()
    assert finding_of(labelled, "case-assumed").severity == "note"
    with pytest.raises(DataError, match=r"cells.npz holds its labels, sides and no names; leave out data.labels$"):
        attach_labels(scan(data), data.model_copy(update={"labels": tmp_path / "labels.csv"}))


# For all tables

NAMES = st.integers(0, 7).map(lambda number: f"{number}.png")
ROWS = st.lists(
    st.tuples(NAMES, st.sampled_from(["", "a", "b", "c"]), st.sampled_from(["", "1", "2"])), min_size=1, max_size=20
)


@given(st.sets(NAMES, min_size=1, max_size=8), ROWS)
@settings(max_examples=50, deadline=None)
def test_every_image_has_label_and_case_or_a_reason(
    tmp_path_factory: pytest.TempPathFactory, names: set[str], rows: list[tuple[str, str, str]]
) -> None:
    table = write_table(tmp_path_factory.mktemp("table"), ("file", "label", "case"), *rows)
    labels = {name: {label for file, label, _ in rows if file == name} - {""} for name in names}
    cases = {name: {case for file, _, case in rows if file == name} - {""} for name in names}
    usable = {name for name in names if len(labels[name]) == 1 and len(cases[name]) < 2}
    if len(set().union(*(labels[name] for name in usable))) < 2:
        with pytest.raises(DataError, match=r"fits no image|two classes or more"):
            attach(manifest_of(*names), labels=table, path_column="file")
        return
    labelled = attach(manifest_of(*names), labels=table, path_column="file")
    assert set(labelled.kept["record_id"]) == usable
    assert len(labelled.kept) + len(labelled.excluded) == len(names)
    for row in labelled.kept.iter_rows(named=True):
        assert {row["label"]} == labels[row["record_id"]]
        assert {row["case"]} == (cases[row["record_id"]] or {row["record_id"]})
        assert row["case_assumed"] == (not cases[row["record_id"]])
    assert labelled.excluded["reason"].null_count() == labelled.excluded["detail"].null_count() == 0
    counts = {finding.kind: finding.count for finding in labelled.findings}
    excluded = sum(counts.get(kind, 0) for kind in ("no-label", "two-labels", "two-cases"))
    assert excluded == len(labelled.excluded)
    assert counts.get("label-without-image", 0) == sum(file not in names for file, _, _ in rows)


# Real images


def test_the_columns_of_the_blood_cells_are_found(shared_data: Path) -> None:
    crops = shared_data / "bccd_crops"
    paths = [path.relative_to(crops).as_posix() for path in crops.glob("*/*.jpg")]
    kept = attach(manifest_of(*paths, images=crops), labels=crops / "manifest.csv").kept
    stated = pl.read_csv(crops / "manifest.csv").sort("file")
    assert kept.select("record_id", "label", "case").rows() == stated.select("file", "label", "case_id").rows()
    assert not kept["case_assumed"].any()


def test_the_folders_of_mednist_are_its_classes(shared_data: Path) -> None:
    data = DataSettings(images=shared_data / "mednist_600")
    kept = attach_labels(scan(data), data).kept
    assert kept["label"].value_counts().sort("label").rows() == [
        (name, 100) for name in ("AbdomenCT", "BreastMRI", "CXR", "ChestCT", "Hand", "HeadCT")
    ]


# Files of several images


def test_a_row_about_a_file_holds_for_its_images_unless_one_has_its_own(tmp_path: Path) -> None:
    pages = [{"record_id": f"a.tif#page[{n}]", "path": "a.tif", "member": f"page[{n}]"} for n in range(3)]
    manifest = Manifest.from_rows(IMAGES, [*pages, {"record_id": "b.tif", "path": "b.tif"}])
    table = write_table(
        tmp_path, ("path", "label"), ("a", "benign"), ("a.tif#page[1]", "malignant"), ("b.tif", "benign")
    )
    assert told(attach(manifest, labels=table), "label") == [
        ("a.tif#page[0]", "benign"),
        ("a.tif#page[1]", "malignant"),
        ("a.tif#page[2]", "benign"),
        ("b.tif", "benign"),
    ]
