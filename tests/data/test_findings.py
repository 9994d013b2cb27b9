"""Excluding images, and saying so."""

from pathlib import Path

import polars as pl

from radpath.data.findings import exclude_and_note
from radpath.data.manifest import Manifest


def manifest_of(number: int) -> Manifest:
    return Manifest.from_rows(Path("images"), [{"record_id": f"{place:02}.png"} for place in range(number)])


def test_exclusions_are_counted_with_up_to_ten_examples() -> None:
    manifest = manifest_of(15)
    details = dict.fromkeys(manifest.table["record_id"][:12], "nothing gives it a label")
    excluded = exclude_and_note(manifest, details, reason="no label")
    (finding,) = excluded.findings
    assert (finding.kind, finding.count, len(finding.examples)) == ("no-label", 12, 10)
    assert finding.message == "12 images excluded: no label"
    assert finding.examples[0] == "00.png: nothing gives it a label"
    assert len(excluded.kept) == 3


def test_an_image_excluded_before_keeps_its_reason_and_is_not_counted_again() -> None:
    first = exclude_and_note(manifest_of(2), {"00.png": "broken"}, reason="truncated or damaged")
    both = exclude_and_note(first, {"00.png": "none", "01.png": "none"}, reason="no label")
    assert both.excluded["reason"].to_list() == ["truncated or damaged", "no label"]
    assert [finding.count for finding in both.findings] == [1, 1]


def test_the_cases_of_excluded_images_are_counted_where_they_are_known() -> None:
    manifest = manifest_of(3)
    named = manifest.replace(manifest.table.with_columns(case=pl.Series(["1", "1", None])))
    excluded = exclude_and_note(named, dict.fromkeys(named.table["record_id"], "none"), reason="two labels")
    assert excluded.findings[0].message == "3 images of 1 case excluded: two labels"


def test_nothing_to_exclude_is_no_finding() -> None:
    untouched = exclude_and_note(manifest_of(2), {}, reason="no label")
    assert untouched.findings == ()
    assert len(untouched.kept) == 2
