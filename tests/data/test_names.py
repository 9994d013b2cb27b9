"""What an image's name says."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radpath.data.manifest import Manifest
from radpath.data.names import assume_cases, attach_cases, attach_names, read_sides, side_named
from radpath.errors import DataError


def manifest_of(*paths: str) -> Manifest:
    return Manifest.from_rows(Path("images"), [{"record_id": path, "path": path} for path in paths])


def test_groups_fill_their_columns_and_others_become_extra_columns() -> None:
    pattern = r"(?P<label>[a-z]+)/case_(?P<case>\d+)_(?P<stain>[a-z]+)_(?P<match>\d)"
    table = attach_names(manifest_of("benign/case_007_melan_2.tif"), pattern).table
    row = table.row(0, named=True)
    assert (row["label"], row["case"], row["stain"], row["name_match"]) == ("benign", "007", "melan", "2")


def test_a_group_split_is_read_as_a_side() -> None:
    table = attach_names(manifest_of("Training/a.png", "valid/b.png"), r"(?P<split>\w+)/").table
    assert table["split"].to_list() == ["train", "validation"]


def test_a_group_split_that_says_something_else_is_refused() -> None:
    with pytest.raises(
        DataError, match=r"group split of data.name_pattern .* says 'fold1'; a side is train, validation"
    ):
        attach_names(manifest_of("fold1/a.png"), r"(?P<split>\w+)/")


def test_an_image_that_the_pattern_does_not_fit_is_excluded() -> None:
    named = attach_names(manifest_of("12_he.png", "scan.png"), r"(?P<case>\d+)_")
    assert named.excluded.select("record_id", "reason", "detail").rows() == [
        ("scan.png", "name does not match the pattern", r"data.name_pattern '(?P<case>\\d+)_' does not fit 'scan.png'")
    ]
    assert [(finding.kind, finding.count) for finding in named.findings] == [("name-does-not-match-the-pattern", 1)]


def test_an_empty_case_does_not_fit() -> None:
    named = attach_names(manifest_of("12_he.png", "_he.png"), r"(?P<case>\d*)_")
    assert named.excluded["record_id"].to_list() == ["_he.png"]


def test_an_optional_group_that_found_nothing_is_null() -> None:
    named = attach_names(manifest_of("12.png", "13_he.png"), r"(?P<case>\d+)(_(?P<stain>\w+))?")
    assert named.kept["stain"].to_list() == [None, "he"]


def test_names_of_new_images_tell_cases_and_no_labels_and_exclude_nobody() -> None:
    pattern = r"(?P<split>\w+)/(?P<label>[a-z]+)_(?P<case>\d+)(_(?P<stain>he))?_(?P<region>\d)"
    before = manifest_of("fold1/benign_7_he_2.png", "fold1/benign_8_1.png", "scan.png")
    known = before.replace(before.table.with_columns(case=pl.Series(["old", "old", "of its header"])))
    named = attach_cases(known, pattern)
    assert named.kept.sort("record_id").select("case", "stain", "name_region", "label", "split").rows() == [
        ("7", "he", "2", None, None),
        ("8", None, "1", None, None),
        ("of its header", None, None, None, None),
    ]


def test_a_pattern_that_fits_nothing_shows_a_name() -> None:
    with pytest.raises(DataError, match=r"fits no image below images; a path is for example 'scan.png'$"):
        attach_names(manifest_of("scan.png"), r"(?P<case>\d+)_")


def test_cases_that_nothing_names_are_assumed_and_reported() -> None:
    manifest = manifest_of("1.png", "2.png", "3.png")
    table = manifest.table.with_columns(case=pl.Series(["9", None, None]))
    excluded = manifest.replace(table).exclude({"3.png": "broken"}, reason="truncated or damaged")
    assumed = assume_cases(excluded)
    assert assumed.table["case"].to_list() == ["9", "2.png", None]
    assert assumed.table["case_assumed"].to_list() == [False, True, False]
    assert [(finding.kind, finding.severity, finding.count) for finding in assumed.findings] == [
        ("case-assumed", "warning", 1)
    ]


def test_the_images_of_one_file_are_one_case() -> None:
    pages = [{"record_id": f"a.tif#page[{n}]", "path": "a.tif", "member": f"page[{n}]"} for n in range(2)]
    assumed = assume_cases(Manifest.from_rows(Path("images"), [*pages, {"record_id": "b.tif", "path": "b.tif"}]))
    assert assumed.table["case"].to_list() == ["a.tif", "a.tif", "b.tif"]
    arrays = [{**page, "format": "NPZ"} for page in pages]
    assert assume_cases(Manifest.from_rows(Path("images"), arrays)).table["case"].to_list() == [
        "a.tif#page[0]",
        "a.tif#page[1]",
    ]


def test_cases_that_all_have_names_give_no_finding() -> None:
    manifest = manifest_of("1.png")
    assert not assume_cases(manifest.replace(manifest.table.with_columns(case=pl.lit("9")))).findings


@given(st.sampled_from(["train", "training", "val", "valid", "validation", "test", "testing"]), st.data())
@settings(max_examples=25, deadline=None)
def test_sides_are_read_in_any_case_and_with_spaces_around(word: str, data: st.DataObject) -> None:
    upper = data.draw(st.lists(st.booleans(), min_size=len(word), max_size=len(word)))
    spelled = "".join(letter.upper() if high else letter for letter, high in zip(word, upper, strict=True))
    side = side_named(f" {spelled}  ")
    assert side is not None
    assert side[:2] == word[:2]


def test_unknown_sides_are_listed_and_empty_ones_are_none() -> None:
    assert read_sides(["test", ""], source="labels.csv") == ["test", None]
    with pytest.raises(DataError, match=r"^labels.csv says '0', '1', '2', '3', '4' and more; a side is train, valid"):
        read_sides(["3", "0", "1", "2", "4", "5", "train"], source="labels.csv")
