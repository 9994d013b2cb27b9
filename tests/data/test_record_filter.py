"""Which of the readable images a study wants."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radpath.data.inputs import DataSettings
from radpath.data.manifest import Manifest
from radpath.data.names import attach_names
from radpath.data.record_filter import exclude_where, keep_by_file, keep_by_labels, keep_where_known
from radpath.errors import DataError
from radpath.settings import parse_settings


def manifest_of(rows: list[dict[str, object]]) -> Manifest:
    named = [{"record_id": f"{number}.png", "path": f"{number}.png", **row} for number, row in enumerate(rows)]
    return Manifest.from_rows(Path("images"), named)


def chosen(**values: object) -> DataSettings:
    return parse_settings(DataSettings, {"images": "images", **values}, source="the test")


def reasons(manifest: Manifest) -> dict[str, str]:
    return dict(manifest.excluded.select("record_id", "reason").iter_rows())


@settings(max_examples=50, deadline=None)
@given(
    sizes=st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), max_size=20),
    smallest=st.integers(1, 30),
    largest=st.one_of(st.none(), st.integers(20, 70)),
)
def test_both_sides_of_an_image_must_be_wanted(
    sizes: list[tuple[int, int]], smallest: int, largest: int | None
) -> None:
    manifest = manifest_of([{"width_px": width, "height_px": height} for width, height in sizes])
    kept = keep_by_file(manifest, chosen(min_side_px=smallest, max_side_px=largest, max_pixels=1000)).kept
    expected = {
        (width, height)
        for width, height in sizes
        if min(width, height) >= smallest and (largest is None or max(width, height) <= largest)
        if width * height <= 1000
    }
    assert set(kept.select("width_px", "height_px").iter_rows()) == expected


def test_each_exclusion_has_its_reason_its_sentence_and_its_count() -> None:
    manifest = manifest_of([{"width_px": width, "height_px": 30} for width in (3, 30, 300, 4000)])
    filtered = keep_by_file(manifest, chosen(min_side_px=8, max_side_px=2000, max_pixels=5000))
    assert reasons(filtered) == {"0.png": "too small", "2.png": "over the pixel limit", "3.png": "too large"}
    assert filtered.excluded["detail"].to_list() == [
        "too small: 3 x 30 px; a side must have 8 px or more (data.min_side_px)",
        "over the pixel limit: 300 x 30 px are more than data.max_pixels = 5000",
        "too large: 4000 x 30 px; no side may have more than 2000 px (data.max_side_px)",
    ]
    assert [(finding.kind, finding.count) for finding in filtered.findings] == [
        ("too-small", 1),
        ("too-large", 1),
        ("over-the-pixel-limit", 1),
    ]


def test_a_product_of_sides_does_not_overflow() -> None:
    manifest = manifest_of([{"width_px": 100_000, "height_px": 100_000}])
    assert reasons(keep_by_file(manifest, chosen())) == {"0.png": "over the pixel limit"}


def test_a_slide_has_no_size_that_could_be_wrong() -> None:
    manifest = manifest_of([{"width_px": 100_000, "height_px": 90_000, "format": "slide"}])
    assert len(keep_by_file(manifest, chosen(max_side_px=500)).kept) == 1


def test_an_image_without_a_modality_is_not_one_that_was_named() -> None:
    manifest = manifest_of([{"modality": name, "width_px": 9, "height_px": 9} for name in ("MG", "CR", None)])
    filtered = keep_by_file(manifest, chosen(modalities=["MG", "US"]))
    assert reasons(filtered) == {"1.png": "other modality", "2.png": "other modality"}
    assert filtered.excluded["detail"][1] == "other modality: the modality is none; data.modalities names MG, US"


def test_the_stain_is_that_of_the_group_not_anything_in_the_path() -> None:
    paths = ["melan_study/1_HE.png", "melan_study/2_melan.png", "HE/3_melan.png"]
    manifest = Manifest.from_rows(Path("images"), [{"record_id": path, "path": path} for path in paths])
    named = attach_names(manifest, r"(?P<case>\d)_(?P<stain>\w+)\.")
    assert keep_by_labels(named, chosen(stains=["HE"])).kept["path"].to_list() == ["melan_study/1_HE.png"]


@pytest.mark.parametrize(
    ("keep", "kept"),
    [
        ("stain = 'HE' and width_px >= 64", [0]),
        ("stain == 'HE' or width_px < 10", [0, 1, 2]),
        ("stain in ('HE', 'PAS') and label <> 'benign'", [1]),
        ("upper(record_id) like '%2.PNG'", [2]),
        ("stain is null", [3]),
        ("not stain = 'HE'", [2]),  # unknown is not true
        ("site = 'north'", [0]),
    ],
)
def test_an_expression_chooses_from_any_column(keep: str, kept: list[int]) -> None:
    manifest = manifest_of(
        [
            {"stain": "HE", "width_px": 64, "label": "benign", "site": "north"},
            {"stain": "HE", "width_px": 63, "label": "malignant"},
            {"stain": "PAS", "width_px": 5, "label": "benign"},
            {"stain": None, "width_px": 99, "label": "benign"},
        ]
    )
    filtered = keep_by_labels(manifest, chosen(keep=keep))
    assert filtered.kept["record_id"].to_list() == [f"{number}.png" for number in kept]
    assert set(filtered.excluded["reason"]) == {"not wanted"}
    assert set(filtered.excluded["detail"]) == {f"not wanted: data.keep is not true: {keep}"}


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        ("stian = 'HE'", r"^data\.keep .* names the column 'stian', which there is not; did you mean 'stain'\?$"),
        ("zzz > 1", r"names the column 'zzz', which there is not; the columns are record_id, path, "),
        (
            "width_px >",
            r"^data\.keep 'width_px >' is no expression \(.*\); write for example stain = 'HE' and width_px",
        ),
        ("width_px + 1", r"^data\.keep 'width_px \+ 1' is neither true nor false; write for example"),
        ("width_px like 'a%'", r"^data\.keep .* does not fit its columns \(.*\); write for example"),
        ("(select 1) = 1", r"^data\.keep .*; write for example"),
    ],
)
def test_an_expression_that_cannot_be_meant_is_one_clear_line(keep: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        keep_by_labels(manifest_of([{"width_px": 5}]), chosen(keep=keep))
    assert "\n" not in str(caught.value)


def test_new_images_are_judged_by_what_is_known_of_them() -> None:
    manifest = manifest_of([{"width_px": 5, "stain": None}, {"width_px": 50, "stain": None}])
    judged = keep_where_known(manifest, chosen(stains=["HE"], keep="width_px > 9"))
    assert judged.kept["record_id"].to_list() == ["1.png"]
    assert [(finding.kind, finding.message) for finding in judged.findings] == [
        ("not-wanted", "1 image excluded: not wanted"),
        ("filters-left-out", "data.stains left out: nothing tells what they look at here"),
    ]
    assert len(keep_where_known(manifest, chosen(keep="label = 'benign'")).kept) == 2
    assert keep_where_known(manifest, chosen()).findings == ()


def test_a_record_that_was_excluded_before_keeps_its_first_reason() -> None:
    manifest = manifest_of([{"width_px": 1}, {"width_px": 1}]).exclude({"0.png": "broken"}, reason="empty file")
    filtered = exclude_where(manifest, pl.col("width_px") < 5, reason="too small", detail=pl.lit("1 px"))
    assert reasons(filtered) == {"0.png": "empty file", "1.png": "too small"}
