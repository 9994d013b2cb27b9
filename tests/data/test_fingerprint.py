"""A data set is measured as a person with a calculator would."""

import json
from pathlib import Path

import pytest

from radpath.data.fingerprint import ClassSize, measure
from radpath.data.manifest import Manifest
from radpath.errors import DataError

COMMON: dict[str, object] = {"channels": 3, "bit_depth": 8, "mode": "RGB", "format": "PNG", "case_assumed": False}


def small_set(**changes: object) -> Manifest:
    """Four images, two of one case; one excluded."""
    rows: list[dict[str, object]] = [
        {"record_id": "a", "case": "1", "label": "grade 10", "width_px": 100, "height_px": 50},
        {"record_id": "b", "case": "1", "label": "grade 10", "width_px": 50, "height_px": 100},
        {"record_id": "c", "case": "2", "label": "grade 9", "width_px": 200, "height_px": 100},
        {"record_id": "d", "case": "3", "label": "grade 10", "width_px": 100, "height_px": 50, "stain": "HE"},
        {"record_id": "e", "status": "excluded", "reason": "damaged"},
    ]
    rows[0] |= changes
    return Manifest.from_rows(Path(), [COMMON | row for row in rows])


def test_images_cases_and_classes_are_counted() -> None:
    fingerprint = measure(small_set())
    assert (fingerprint.num_images, fingerprint.num_excluded, fingerprint.excluded_share) == (4, 1, 0.2)
    assert (fingerprint.num_cases, fingerprint.cases) == (3, "known")
    assert (fingerprint.median_images_per_case, fingerprint.max_images_per_case) == (1, 2)
    assert list(fingerprint.classes.items()) == [
        ("grade 9", ClassSize(num_images=1, num_cases=1)),
        ("grade 10", ClassSize(num_images=3, num_cases=2)),
    ]
    assert fingerprint.imbalance_ratio == 3


def test_sizes_are_measured_on_the_long_and_the_short_side() -> None:
    fingerprint = measure(small_set())
    assert (fingerprint.long_side_px.minimum, fingerprint.long_side_px.maximum) == (100, 200)
    assert (fingerprint.short_side_px.median, fingerprint.short_side_px.maximum) == (50, 100)
    assert fingerprint.long_side_px.p95 == pytest.approx(185)  # 95 % of the way from 1st to 4th: 0.85 from 100 to 200
    assert fingerprint.size_spread == pytest.approx(1.85)
    assert (fingerprint.most_common_size_px, fingerprint.most_common_size_share) == ((100, 50), 0.5)
    assert fingerprint.total_megapixels == pytest.approx(0.035)


def test_megapixels_of_huge_images_do_not_overflow() -> None:
    assert measure(small_set(width_px=100_000, height_px=100_000)).total_megapixels == pytest.approx(10_000.03)


@pytest.mark.parametrize(("first", "others", "colour"), [(3, 3, "colour"), (1, 1, "grey"), (1, 3, "mixed")])
def test_colour_follows_the_channels(first: int, others: int, colour: str) -> None:
    manifest = small_set()
    changed = [COMMON | row | {"channels": others} for row in manifest.table.to_dicts()]
    changed[0]["channels"] = first
    assert measure(Manifest.from_rows(Path(), changed)).colour == colour


def test_depths_modes_formats_and_stains_are_counted_with_the_unknown() -> None:
    fingerprint = measure(small_set(bit_depth=16, mode="grey", format=None))
    assert fingerprint.bit_depths == {"8": 3, "16": 1}
    assert fingerprint.modes == {"RGB": 3, "grey": 1}
    assert fingerprint.formats == {"PNG": 3, "unknown": 1}
    assert fingerprint.stains == {"unknown": 3, "HE": 1}


def test_assumed_cases_are_said_to_be_assumed() -> None:
    assert measure(small_set(case_assumed=True)).cases == "partly assumed"
    rows = [row | {"case_assumed": True} for row in small_set().table.to_dicts()]
    assert measure(Manifest.from_rows(Path(), rows)).cases == "assumed"


def test_without_labels_there_is_no_imbalance() -> None:
    rows = [row | {"label": None, "stain": None} for row in small_set().table.to_dicts()]
    fingerprint = measure(Manifest.from_rows(Path(), rows))
    assert (fingerprint.classes, fingerprint.imbalance_ratio, fingerprint.stains) == ({}, None, {})
    assert ("images (cases) of each class", "no labels") in fingerprint.to_rows()


def test_rows_for_a_person_and_json_for_a_program_hold_the_same() -> None:
    fingerprint = measure(small_set())
    rows = dict(fingerprint.to_rows())
    assert rows["images"] == "4, 1 excluded (20.0%)"
    assert rows["images (cases) of each class"] == "grade 9: 1 (1), grade 10: 3 (2)"
    assert rows["long side, px"] == "100 to 200, median 100, 90 % within 100 to 185"
    assert rows["most common size, px"] == "100 x 50 (50.0% of images)"
    plain = fingerprint.to_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["classes"]["grade 10"] == {"num_images": 3, "num_cases": 2}
    assert plain["most_common_size_px"] == [100, 50]


def test_nothing_to_measure_is_an_error() -> None:
    empty = small_set().exclude(dict.fromkeys("abcd", "because"), reason="damaged")
    with pytest.raises(DataError, match=r"^no image below \. is left to measure; look at the reasons in exclusions"):
        measure(empty)


def test_an_unknown_size_is_an_error() -> None:
    with pytest.raises(DataError, match=r"^the size or the channels of a are not known; scan the images again$"):
        measure(small_set(width_px=None))
