"""Tests of the columns from which a label should not be readable."""

from pathlib import Path

import numpy as np

from radpath.data.audit.collecting import Signatures
from radpath.data.audit.signature import signature_of
from radpath.data.audit.telltales import NUM_BINS, Telltale, telltales_of
from radpath.data.manifest import Manifest


def columns_of(rows: list[dict[str, object]]) -> dict[str, Telltale]:
    filled = [
        {"width_px": 10, "height_px": 10, "bytes": 100, "bit_depth": 8, "channels": 1, "format": "PNG", **row}
        for row in rows
    ]
    manifest = Manifest.from_rows(Path(), filled)
    image = np.arange(100, dtype=np.uint8).reshape(10, 10)
    signatures = Signatures.of({str(row["record_id"]): signature_of(image) for row in filled})
    return {one.name: one for one in telltales_of(manifest, signatures)}


def test_columns_of_one_value_are_left_out() -> None:
    assert columns_of([{"record_id": "a", "path": "a.png"}, {"record_id": "b", "path": "b.png"}]).keys() == {
        "name_prefix"
    }


def test_what_a_name_says_is_taken_from_the_file_and_not_from_its_folders() -> None:
    columns = columns_of(
        [{"record_id": name, "path": name} for name in ("tumour12/x1.png", "normal/x25.png", "normal3/y7.png")]
    )
    assert columns["name_prefix"].bins.tolist() == [0, 1, 0]
    assert columns["name_length"].num_bins == 2
    assert columns["name_number"].num_bins == 3


def test_a_missing_value_is_a_value_of_its_own() -> None:
    rows: list[dict[str, object]] = [
        {"record_id": str(number), "path": "a", "scanner": scanner} for number, scanner in enumerate(["S", None, "S"])
    ]
    assert columns_of(rows)["scanner"].bins.tolist() == [0, 1, 0]


def test_numbers_are_binned_by_equal_counts_and_rare_texts_together() -> None:
    rows: list[dict[str, object]] = [
        {"record_id": f"{number:03}", "path": "a", "width_px": 100 + number, "site": f"site {number // 2}"}
        for number in range(60)
    ]
    columns = columns_of(rows)
    assert columns["width_px"].num_bins == NUM_BINS
    assert np.bincount(columns["width_px"].bins).tolist() == [6] * NUM_BINS
    assert columns["site"].num_bins == NUM_BINS
    assert columns["site"].origin == "acquisition"


def test_the_bytes_of_a_file_with_many_images_say_nothing_of_one() -> None:
    rows: list[dict[str, object]] = [
        {
            "record_id": str(number),
            "path": "a.npz",
            "member": f"[{number}]",
            "bytes": 100 * number,
            "width_px": number + 5,
        }
        for number in range(3)
    ]
    assert "bytes_per_pixel" not in columns_of(rows)
