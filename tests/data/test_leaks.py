"""A leak is found, named, and dealt with as the settings say; a split with a shared case never passes."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radpath.data.leaks import LEAK_REASON, Audit, Leak, audit, find_leaks, settle_leaks, stop_shared_cases
from radpath.data.manifest import Manifest
from radpath.errors import DataError, LeakError

SIDES = ("train", "validation", "test")


def manifest_of(*rows: tuple[str, str | None, str | None, str | None], label: str = "benign") -> Manifest:
    """Rows are side, case, file digest, pixel digest; record ids are a, b, c, ..."""
    names = ("split", "case", "file_digest", "pixel_digest")
    filled = [dict(zip(names, row, strict=True)) | {"record_id": chr(97 + i)} for i, row in enumerate(rows)]
    return Manifest.from_rows(Path(), [{**row, "label": label} for row in filled])


def test_the_same_file_on_two_sides_is_one_leak() -> None:
    manifest = manifest_of(("test", "1", "x", "p"), ("train", "2", "x", "p"), ("train", "3", "y", "q"))
    assert find_leaks(manifest) == (
        Leak(
            kind="identical file",
            sides=("train", "test"),
            num_images=(1, 1),
            record_ids=("b", "a"),
            labels=("benign", "benign"),
            cases=("2", "1"),
        ),
    )


def test_the_same_pixels_in_another_file_are_a_leak() -> None:
    (leak,) = find_leaks(manifest_of(("train", "1", "x", "p"), ("validation", "2", "y", "p")))
    assert (leak.kind, leak.sides) == ("identical pixels", ("train", "validation"))


def test_unknown_digests_and_copies_on_one_side_are_no_leak() -> None:
    assert find_leaks(manifest_of(("train", "1", None, None), ("test", "2", None, None))) == ()
    assert find_leaks(manifest_of(("train", "1", "x", "p"), ("train", "2", "x", "p"))) == ()


def test_many_copies_are_one_leak_for_each_pair_of_sides() -> None:
    sides = ["train"] * 4 + ["validation"] * 3 + ["test"] * 2
    leaks = find_leaks(manifest_of(*((side, str(i), f"{i}", "p") for i, side in enumerate(sides))))
    assert {leak.sides: leak.num_images for leak in leaks} == {
        ("train", "validation"): (4, 3),
        ("train", "test"): (4, 2),
        ("validation", "test"): (3, 2),
    }
    assert str(leaks[0]) == "train a (benign) and 3 more = validation e (benign) and 2 more, identical pixels"


def test_the_example_of_a_file_leak_is_the_same_file() -> None:
    rows = [("train", "1", "x", "p"), ("train", "2", "y", "p"), ("test", "3", "z", "p"), ("test", "4", "y", "p")]
    (leak,) = find_leaks(manifest_of(*rows))
    assert (leak.kind, leak.record_ids) == ("identical file", ("b", "d"))


def test_excluded_images_do_not_leak() -> None:
    manifest = manifest_of(("train", "1", "x", "p"), ("test", "2", "x", "p"))
    assert find_leaks(manifest.exclude({"a": "because"}, reason="damaged")) == ()


def test_stop_names_the_pairs_with_labels_and_the_setting() -> None:
    manifest = manifest_of(("train", "1", "x", "p"), ("test", "2", "x", "p"), label="in situ")
    with pytest.raises(LeakError) as caught:
        settle_leaks(manifest, find_leaks(manifest), policy="stop")
    assert str(caught.value) == (
        "1 identical image stands on two sides of the split; set split.leaks to 'exclude' to drop the training copies, "
        "or to 'allow' to train all the same:\n  train a (in situ) = test b (in situ), identical file"
    )


def test_stop_names_at_most_ten_pairs() -> None:
    rows = [(side, f"{side}{i}", f"{i}", None) for side in ("train", "test") for i in range(13)]
    manifest = manifest_of(*rows)
    with pytest.raises(LeakError, match=r"^13 identical images stand .*:(\n  train .*){10}\n  and 3 more$"):
        settle_leaks(manifest, find_leaks(manifest), policy="stop")


def test_exclude_keeps_the_copy_on_the_strongest_side_and_names_it() -> None:
    rows = [("train", "1", "x", "p"), ("validation", "2", "x", "p"), ("test", "3", "x", "p")]
    others = [("train", "4", "k", None), ("validation", "5", "l", None)]
    manifest = manifest_of(*rows, *others)
    settled = settle_leaks(manifest, find_leaks(manifest), policy="exclude")
    assert settled.kept["record_id"].to_list() == ["c", "d", "e"]
    assert settled.excluded["reason"].to_list() == [LEAK_REASON] * 2
    assert settled.excluded["detail"].to_list() == ["identical to c on the test side, labelled 'benign'"] * 2
    assert [finding.count for finding in settled.findings] == [2]


def test_exclude_stops_where_a_class_would_vanish_from_training() -> None:
    malignant = manifest_of(("train", "1", "x", "p"), ("test", "2", "x", "p"), label="malignant")
    benign = Manifest.from_rows(Path(), [{"record_id": "z", "case": "9", "label": "benign", "split": "train"}])
    manifest = malignant.replace(malignant.table.vstack(benign.table))
    with pytest.raises(DataError, match=r"^all training images of class 'malignant' are identical to validation or"):
        settle_leaks(manifest, find_leaks(manifest), policy="exclude")


def test_exclude_stops_where_a_side_would_be_empty() -> None:
    manifest = manifest_of(("validation", "1", "x", "p"), ("test", "2", "x", "p"), ("train", "3", "y", None))
    with pytest.raises(DataError, match=r"^all validation images are identical to images on another side; give"):
        settle_leaks(manifest, find_leaks(manifest), policy="exclude")


def test_allow_keeps_everything_and_warns() -> None:
    manifest = manifest_of(("train", "1", "x", "p"), ("test", "2", "x", "p"))
    settled = settle_leaks(manifest, find_leaks(manifest), policy="allow")
    assert settled.table.equals(manifest.table)
    (finding,) = settled.findings
    assert (finding.kind, finding.severity, finding.count) == ("leaks-allowed", "warning", 1)
    assert finding.examples == ("train a (benign) = test b (benign), identical file",)


def test_without_leaks_nothing_changes() -> None:
    manifest = manifest_of(("train", "1", "x", "p"), ("test", "2", "y", "q"))
    assert settle_leaks(manifest, (), policy="stop") is manifest


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(SIDES), st.integers(0, 5), st.integers(0, 5)), max_size=20))
def test_leaks_are_those_a_look_at_every_pair_finds_and_exclude_leaves_none(rows: list[tuple[str, int, int]]) -> None:
    fixed = [(side, side, f"only {side}", None) for side in SIDES]  # no side and no class can become empty
    manifest = manifest_of(*fixed, *((side, f"{i}", f"f{f}", f"p{p}") for i, (side, f, p) in enumerate(rows)))
    leaks = find_leaks(manifest)
    direct = {(one[0], other[0]) for one in rows for other in rows if one[1] == other[1] or one[2] == other[2]}
    assert {leak.sides for leak in leaks} >= {pair for pair in direct if SIDES.index(pair[0]) < SIDES.index(pair[1])}
    assert bool(leaks) == any(one != other for one, other in direct)
    settled = settle_leaks(manifest, leaks, policy="exclude")
    assert find_leaks(settled) == ()
    assert audit(settled).num_leaks == 0
    assert set(settled.kept["file_digest"]) == set(manifest.table["file_digest"]) or leaks


def test_a_case_on_two_sides_stops() -> None:
    rows = [(side, f"P{number}", None, None) for number in range(7) for side in ("train", "test")]
    with pytest.raises(
        LeakError, match=r"^7 cases on two sides of the split: P0 \(train, test\), .*P4 .* and 2 more; "
    ):
        stop_shared_cases(manifest_of(*rows))


def test_an_audit_counts_cases_and_images_on_each_side() -> None:
    rows = [
        ("train", "1", None, None),
        ("train", "1", None, None),
        ("train", "2", None, None),
        ("test", "3", "x", None),
    ]
    assert audit(manifest_of(*rows)) == Audit(
        num_cases={"train": 2, "validation": 0, "test": 1},
        num_images={"train": 3, "validation": 0, "test": 1},
        images_per_class={"benign": {"train": 3, "validation": 0, "test": 1}},
        cases_per_class={"benign": {"train": 2, "validation": 0, "test": 1}},
        num_shared_cases=0,
        num_leaks=0,
    )


def test_an_audit_stops_at_shared_cases_leaks_and_images_without_a_side() -> None:
    with pytest.raises(LeakError, match=r"^1 case on two sides of the split: 1 \(train, validation\); put all images"):
        audit(manifest_of(("train", "1", None, None), ("validation", "1", None, None)))
    leaking = manifest_of(("train", "1", "x", None), ("test", "2", "x", None))
    with pytest.raises(LeakError, match=r"^1 identical image stands on two sides"):
        audit(leaking)
    assert audit(leaking, policy="allow").num_leaks == 1
    unplaced = Manifest.from_rows(Path(), [{"record_id": "a", "case": "1", "label": "benign"}])
    with pytest.raises(DataError, match=r"^1 kept image without a side, for example a; split them first$"):
        audit(unplaced)
