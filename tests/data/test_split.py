"""Every kept image gets one side, no case gets two, and what was given is respected."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radpath.data.manifest import Manifest
from radpath.data.split import SplitSettings, split_by_case, write_splits
from radpath.errors import DataError, LeakError, SettingsError
from radpath.files import digest_file
from radpath.settings import parse_settings

CLASSES = ("benign", "malignant")


def manifest_of(*rows: dict[str, Any]) -> Manifest:
    return Manifest.from_rows(Path(), [{"record_id": f"{number:04}", **row} for number, row in enumerate(rows)])


def cases_of_each_class(count: int, *, images: int = 1) -> list[dict[str, Any]]:
    """Rows of ``count`` cases a class, named B0, B1, ... and M0, M1, ..."""
    return [
        {"case": f"{label[0].upper()}{number}", "label": label}
        for label in CLASSES
        for number in range(count)
        for _ in range(images)
    ]


def on_sides(rows: list[dict[str, Any]], *sides: str | None) -> list[dict[str, Any]]:
    """Give the rows sides in turn, so that each class has all of them."""
    return [{**row, "split": sides[number % len(sides)]} for number, row in enumerate(rows)]


def sides_of(manifest: Manifest) -> dict[str, str]:
    return dict(manifest.kept.select("record_id", "split").iter_rows())


def finding_kinds(manifest: Manifest) -> list[str]:
    return [finding.kind for finding in manifest.findings]


digests = st.none() | st.integers(0, 40).map(str)
messy_rows = st.lists(
    st.fixed_dictionaries(
        {
            "case": st.integers(0, 12).map(str),
            "label": st.sampled_from(CLASSES),
            "file_digest": digests,
            "pixel_digest": digests,
        }
    ),
    max_size=25,
)


@settings(max_examples=25, deadline=None)
@given(rows=messy_rows, seed=st.integers(0, 99), shuffle=st.randoms(use_true_random=False))
def test_a_new_split_divides_no_case_and_no_identical_images_in_any_order(
    rows: list[dict[str, Any]], seed: int, shuffle: Any
) -> None:
    manifest = manifest_of(*cases_of_each_class(3), *rows)
    split = split_by_case(manifest, SplitSettings(seed=seed))
    kept = split.manifest.kept
    assert len(kept) == len(manifest.table)
    assert set(kept["split"]) == {"train", "validation", "test"}
    for column in ("case", "file_digest", "pixel_digest"):
        sides = defaultdict(set)
        for value, side in kept.drop_nulls(column).select(column, "split").iter_rows():
            sides[value].add(side)
        assert all(len(found) == 1 for found in sides.values())
    for label in CLASSES:
        assert set(kept.filter(pl.col("label") == label)["split"]) == {"train", "validation", "test"}
    order = list(range(len(manifest.table)))
    shuffle.shuffle(order)
    shuffled = split_by_case(manifest.replace(manifest.table[order]), SplitSettings(seed=seed))
    assert sides_of(shuffled.manifest) == sides_of(split.manifest)


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.tuples(st.sampled_from(CLASSES), st.integers(1, 6)), min_size=30, max_size=50),
    seed=st.integers(0, 99),
)
def test_a_new_split_gives_each_side_its_share_of_each_class(sizes: list[tuple[str, int]], seed: int) -> None:
    rows = [{"case": f"{case}", "label": label} for case, (label, count) in enumerate(sizes) for _ in range(count)]
    manifest = manifest_of(*cases_of_each_class(8, images=3), *rows)
    split = split_by_case(manifest, SplitSettings(seed=seed))
    for label in CLASSES:
        sides = [side for side, name in split.manifest.kept.select("split", "label").iter_rows() if name == label]
        largest_case = max((count for name, count in sizes if name == label), default=3)
        for side, share in {"train": 0.65, "validation": 0.15, "test": 0.2}.items():
            assert sides.count(side) == pytest.approx(share * len(sides), abs=max(largest_case, 3))


def test_another_seed_gives_another_split() -> None:
    manifest = manifest_of(*cases_of_each_class(30))
    splits = [sides_of(split_by_case(manifest, SplitSettings(seed=seed)).manifest) for seed in (1, 1, 2)]
    assert splits[0] == splits[1] != splits[2]


def test_the_split_says_where_it_came_from_and_counts() -> None:
    split = split_by_case(manifest_of(*cases_of_each_class(20)), SplitSettings())
    assert (split.source, split.classes, split.leaks) == ("fractions", CLASSES, ())
    assert split.audit.num_cases == {"train": 26, "validation": 6, "test": 8}
    assert split.audit.num_shared_cases == split.audit.num_leaks == 0
    assert split.manifest.findings == ()


def test_fractions_set_aside_what_was_given() -> None:
    rows = on_sides(cases_of_each_class(10), "test")
    split = split_by_case(manifest_of(*rows), SplitSettings(source="fractions"))
    assert split.source == "fractions"
    assert split.audit.num_images == {"train": 13, "validation": 3, "test": 4}


def test_identical_images_tie_their_cases_and_are_noted() -> None:
    rows = cases_of_each_class(6)
    rows[0]["pixel_digest"] = rows[7]["pixel_digest"] = "same"  # B0 and M1
    for seed in range(5):
        split = split_by_case(manifest_of(*rows), SplitSettings(seed=seed))
        sides = sides_of(split.manifest)
        assert sides["0000"] == sides["0007"]
        assert finding_kinds(split.manifest) == ["duplicate-images", "duplicate-images-with-different-labels"]
        assert split.manifest.findings[1].examples == ("0000 (benign) = 0007 (malignant)",)


def test_excluded_images_take_no_part_and_have_no_side() -> None:
    manifest = manifest_of(*cases_of_each_class(4)).exclude({"0000": "because"}, reason="damaged")
    split = split_by_case(manifest, SplitSettings())
    assert split.manifest.excluded.select("record_id", "split", "reason").rows() == [("0000", None, "damaged")]
    assert split.manifest.kept["split"].null_count() == 0


def test_a_class_with_two_cases_is_refused() -> None:
    rows = [*cases_of_each_class(4), {"case": "X1", "label": "rare"}, {"case": "X2", "label": "rare"}]
    with pytest.raises(
        DataError, match=r"^class 'rare' has 2 cases, but train, validation and test need one each; add"
    ):
        split_by_case(manifest_of(*rows), SplitSettings())


def test_a_class_whose_cases_are_tied_together_is_refused() -> None:
    rows = [row | ({"file_digest": "blank"} if row["label"] == "benign" else {}) for row in cases_of_each_class(4)]
    with pytest.raises(
        DataError, match=r"'benign' has 4 cases, tied into 1 by identical images \(0000 = 0001 and 2 more"
    ):
        split_by_case(manifest_of(*rows), SplitSettings())


@pytest.mark.parametrize("sides", [(None,), ("train", "test")])
def test_a_single_class_is_refused(sides: tuple[str | None, ...]) -> None:
    rows = [row | {"label": "benign"} for row in on_sides(cases_of_each_class(4), *sides)]
    with pytest.raises(DataError, match=r"^all 8 images have the label 'benign'; a classifier needs two or more"):
        split_by_case(manifest_of(*rows), SplitSettings())


@pytest.mark.parametrize("column", ["case", "label"])
def test_an_image_without_case_or_label_is_refused(column: str) -> None:
    rows = cases_of_each_class(4)
    rows[3][column] = None
    with pytest.raises(DataError, match=rf"^1 kept image without a {column}, for example 0003; attach labels before"):
        split_by_case(manifest_of(*rows), SplitSettings())


def test_no_images_are_refused() -> None:
    with pytest.raises(
        DataError, match=r"^no image below \. is left to split; look at the reasons in exclusions\.csv$"
    ):
        split_by_case(manifest_of(), SplitSettings())


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(["train", "validation", "test"]), min_size=1, max_size=20))
def test_a_complete_split_that_was_given_is_kept(sides: list[str]) -> None:
    base = on_sides(cases_of_each_class(6), "train", "validation", "test")
    more = [{"case": f"X{number}", "label": "benign", "split": side} for number, side in enumerate(sides)]
    manifest = manifest_of(*base, *more)
    split = split_by_case(manifest, SplitSettings())
    assert split.source == "given"
    assert sides_of(split.manifest) == sides_of(manifest)
    assert split.manifest.findings == ()


@pytest.mark.parametrize(
    ("given_sides", "made"), [(("train", "test"), ["validation"]), (("train",), ["validation", "test"])]
)
def test_missing_sides_are_taken_from_training_by_case(given_sides: tuple[str, ...], made: list[str]) -> None:
    rows = [row | {"split": given_sides[int(row["case"][1:]) % len(given_sides)]} for row in cases_of_each_class(40)]
    split = split_by_case(manifest_of(*rows, *rows), SplitSettings())
    assert [finding.kind for finding in split.manifest.findings] == [f"{side}-side-made" for side in made]
    sides = sides_of(split.manifest)
    for number, row in enumerate(rows * 2):
        assert sides[f"{number:04}"] == row["split"] or (row["split"] == "train" and sides[f"{number:04}"] in made)
    num_training = 80 // len(given_sides)
    assert split.audit.num_cases["validation"] == pytest.approx(0.15 * num_training, abs=1)
    assert split.manifest.findings[0].message == (
        f"the split that was given has no validation side; {split.audit.num_cases['validation']} of {num_training} "
        "training cases were moved there"
    )


def test_sides_made_from_training_keep_identical_images_together() -> None:
    rows = on_sides(cases_of_each_class(5), "train")
    rows[0]["file_digest"] = rows[9]["file_digest"] = "same"
    for seed in range(5):
        split = split_by_case(manifest_of(*rows), SplitSettings(seed=seed))
        assert sides_of(split.manifest)["0000"] == sides_of(split.manifest)["0009"]


def test_training_too_small_to_spare_a_case_is_refused() -> None:
    rows = on_sides(cases_of_each_class(2), "train", "test")
    with pytest.raises(
        DataError, match=r"^the validation side is empty, and training has no case to spare for it; add"
    ):
        split_by_case(manifest_of(*rows), SplitSettings())


def test_images_that_were_given_no_side_are_excluded_with_a_count() -> None:
    rows = [*on_sides(cases_of_each_class(6), "train", "validation", "test"), {"case": "X", "label": "benign"}]
    split = split_by_case(manifest_of(*rows), SplitSettings())
    assert split.manifest.excluded.select("record_id", "reason").rows() == [("0012", "no side given")]
    assert [(finding.kind, finding.count) for finding in split.manifest.findings] == [("no-side-given", 1)]


def test_a_split_that_was_given_without_training_is_refused() -> None:
    rows = on_sides(cases_of_each_class(4), "validation", "test")
    with pytest.raises(DataError, match=r"^no image was given the training side; give some, or set split\.source"):
        split_by_case(manifest_of(*rows), SplitSettings())


def test_an_unknown_side_is_refused() -> None:
    rows = on_sides(cases_of_each_class(4), "train", "holdout")
    with pytest.raises(DataError, match=r"^'holdout' is not a side; sides are train, validation, test$"):
        split_by_case(manifest_of(*rows), SplitSettings())


def test_asking_for_a_given_split_where_there_is_none_is_refused() -> None:
    with pytest.raises(DataError, match=r"^no image was given the training side"):
        split_by_case(manifest_of(*cases_of_each_class(4)), SplitSettings(source="given"))


@pytest.mark.parametrize("leaks", ["stop", "exclude", "allow"])
def test_a_case_on_two_sides_always_stops(leaks: Any) -> None:
    rows = on_sides(cases_of_each_class(6), "train", "validation", "test")
    shared = [{"case": "B0", "label": "benign", "split": "test"}]
    with pytest.raises(LeakError, match=r"^1 case on two sides of the split: B0 \(train, test\); put all images of a"):
        split_by_case(manifest_of(*rows, *shared), SplitSettings(leaks=leaks))


def leaking_manifest() -> Manifest:
    rows = on_sides(cases_of_each_class(6), "train", "test")
    rows[0]["file_digest"] = rows[1]["file_digest"] = "same"
    return manifest_of(*rows)


def test_a_leak_in_a_given_split_stops_by_default() -> None:
    with pytest.raises(
        LeakError, match=r"^1 identical image stands .*\n  train 0000 \(benign\) = test 0001 \(benign\)"
    ):
        split_by_case(leaking_manifest(), SplitSettings())


def test_a_leak_in_a_given_split_can_be_excluded() -> None:
    split = split_by_case(leaking_manifest(), SplitSettings(leaks="exclude"))
    assert [leak.record_ids for leak in split.leaks] == [("0000", "0001")]
    assert split.manifest.excluded["record_id"].to_list() == ["0000"]
    assert split.audit.num_leaks == 0


def test_a_leak_that_is_allowed_is_named_on_the_sides_where_it_ends() -> None:
    for seed in range(6):  # validation is taken from training, sometimes with the image in question
        split = split_by_case(leaking_manifest(), SplitSettings(leaks="allow", seed=seed))
        (leak,) = split.leaks
        assert leak.sides == (sides_of(split.manifest)["0000"], "test")
        assert "leaks-allowed" in finding_kinds(split.manifest)
        assert split.audit.num_leaks == 1


def test_listed_cases_get_their_sides_and_others_are_excluded() -> None:
    manifest = manifest_of(*on_sides(cases_of_each_class(5, images=2), "test"))
    lists = SplitSettings(train_cases=("B0", "B1", "M0", "M1"), validation_cases=("B2", "M2"), test_cases=("B3", "M3"))
    split = split_by_case(manifest, lists)
    assert split.source == "cases"
    by_case = dict(split.manifest.kept.select("case", "split").iter_rows())
    assert by_case == {
        **dict.fromkeys(("B0", "B1", "M0", "M1"), "train"),
        **dict.fromkeys(("B2", "M2"), "validation"),
        **dict.fromkeys(("B3", "M3"), "test"),
    }
    assert set(split.manifest.excluded["case"]) == {"B4", "M4"}
    assert set(split.manifest.excluded["reason"]) == {"case in no list"}


def test_a_list_of_training_cases_alone_gives_the_other_sides_from_it() -> None:
    train_cases = tuple(f"{letter}{number}" for letter in "BM" for number in range(8))
    split = split_by_case(manifest_of(*cases_of_each_class(10)), SplitSettings(train_cases=train_cases))
    assert sum(split.audit.num_cases.values()) == 16
    assert min(split.audit.num_cases.values()) >= 2


def test_listed_cases_that_do_not_exist_are_named() -> None:
    listed = SplitSettings(train_cases=("B0", "M0"), test_cases=tuple(f"Q{number}" for number in range(7)))
    with pytest.raises(
        DataError, match=r"^7 listed cases without an image: 'Q0', 'Q1', 'Q2', 'Q3', 'Q4'; correct split"
    ):
        split_by_case(manifest_of(*cases_of_each_class(4)), listed)


def test_test_cases_without_training_cases_are_refused() -> None:
    with pytest.raises(DataError, match=r"^split\.train_cases names no kept image; give some, or set split\.source"):
        split_by_case(manifest_of(*cases_of_each_class(4)), SplitSettings(test_cases=("B0", "M0")))


def test_a_class_missing_from_training_stops_and_from_the_test_warns() -> None:
    base = on_sides(cases_of_each_class(6), "train", "validation", "test")
    rare = {"case": "R", "label": "rare"}
    with pytest.raises(
        DataError, match=r"^the train side has no image of 'rare'; give that side such cases, or leave the"
    ):
        split_by_case(manifest_of(*base, rare | {"split": "test"}), SplitSettings())
    split = split_by_case(manifest_of(*base, rare | {"split": "train"}), SplitSettings())
    assert finding_kinds(split.manifest) == ["class-missing-from-validation", "class-missing-from-test"]
    assert {finding.severity for finding in split.manifest.findings} == {"warning"}
    assert split.manifest.findings[1].message == "the test side has no image of 'rare'; give that side such cases"


def test_classes_are_in_natural_order() -> None:
    rows = [{"case": f"{grade}-{number}", "label": f"{grade}"} for grade in (10, 9, 1) for number in range(3)]
    assert split_by_case(manifest_of(*rows), SplitSettings()).classes == ("1", "9", "10")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"test_fraction": 0.6, "validation_fraction": 0.4},
            r"0\.6 and validation_fraction 0\.4 leave nothing to train",
        ),
        ({"test_fraction": 0.0}, r"setting 'test_fraction' is 0\.0; it must be greater than 0"),
        ({"source": "cases"}, r"source is 'cases' but train_cases, .* are empty; fill them"),
        ({"source": "given", "test_cases": ["P1"]}, r"source is 'given' but cases are listed; empty the lists or set"),
        (
            {"train_cases": ["P1", "P2"], "test_cases": ["P2"]},
            r"1 case in two lists: 'P2'; leave each case in one list",
        ),
    ],
)
def test_settings_that_contradict_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        parse_settings(SplitSettings, values, source="experiment.toml")


def test_the_sides_are_written_one_row_an_image(tmp_path: Path) -> None:
    manifest = manifest_of(*on_sides(cases_of_each_class(3), "train", "validation", "test"))
    write_splits(split_by_case(manifest, SplitSettings()), tmp_path / "splits.csv")
    lines = (tmp_path / "splits.csv").read_text(encoding="utf-8").splitlines()
    assert lines[:3] == ["record_id,case,label,split", "0000,B0,benign,train", "0001,B1,benign,validation"]
    assert len(lines) == 7


def test_real_cells_are_split_by_frame_and_stratified(shared_data: Path) -> None:
    folder = shared_data / "bccd_crops"
    cells = pl.read_csv(folder / "manifest.csv").to_dicts()
    manifest = Manifest.from_rows(
        folder,
        [
            {
                "record_id": cell["file"],
                "case": cell["case_id"],
                "label": cell["label"],
                "file_digest": digest_file(folder / cell["file"]),
            }
            for cell in cells
        ],
    )
    split = split_by_case(manifest, SplitSettings())
    assert split.classes == ("Platelets", "RBC", "WBC")
    sides_of_frame = split.manifest.kept.group_by("case").agg(pl.col("split").n_unique())
    assert sides_of_frame["split"].to_list() == [1] * 364
    for counts in split.audit.images_per_class.values():
        total = sum(counts.values())
        shares = {side: count / total for side, count in counts.items()}
        assert shares == pytest.approx({"train": 0.65, "validation": 0.15, "test": 0.2}, abs=0.02)


def cases_at_sites(num_sites: int, *, cases: int = 4) -> list[dict[str, Any]]:
    """Rows of ``cases`` cases of each class at each site."""
    return [
        {"case": f"{site}-{label}-{number}", "label": label, "site": f"site {site}"}
        for site in range(num_sites)
        for label in CLASSES
        for number in range(cases)
    ]


@settings(max_examples=25, deadline=None)
@given(num_sites=st.integers(3, 9), seed=st.integers(0, 99), cases=st.integers(1, 4))
def test_all_images_of_a_site_are_on_one_side_and_every_side_has_every_class(
    num_sites: int, seed: int, cases: int
) -> None:
    manifest = manifest_of(*cases_at_sites(num_sites, cases=cases), {"case": "nobody knows", "label": "benign"})
    split = split_by_case(manifest, SplitSettings(seed=seed, apart_by="site"))
    sides = split.manifest.kept.drop_nulls("site").group_by("site").agg(pl.col("split").n_unique())
    assert sides["split"].to_list() == [1] * num_sites
    for label in CLASSES:
        assert set(split.manifest.kept.filter(pl.col("label") == label)["split"]) == {"train", "validation", "test"}


def test_sites_of_unequal_size_are_dealt_near_the_shares() -> None:
    rows = [
        {"case": f"{site}-{label}-{number}", "label": label, "site": f"site {site}"}
        for site, size in enumerate((40, 25, 10, 9, 8, 8))
        for label in CLASSES
        for number in range(size)
    ]
    split = split_by_case(
        manifest_of(*rows), SplitSettings(apart_by="site", test_fraction=0.25, validation_fraction=0.1)
    )
    shares = {side: number / 200 for side, number in split.audit.num_images.items()}
    assert shares["test"] == pytest.approx(0.25, abs=0.02)
    assert shares["validation"] == pytest.approx(0.1, abs=0.02)


def test_a_given_split_that_divides_a_site_stops() -> None:
    rows = on_sides(cases_at_sites(2), "train", "validation", "test")
    with pytest.raises(
        LeakError, match=r"^2 values of site on two sides of the split: site 0 \(train, validation, tes"
    ):
        split_by_case(manifest_of(*rows), SplitSettings(apart_by="site"))


def test_too_few_sites_for_three_sides_are_named_as_the_reason() -> None:
    message = r"^class 'benign' has 8 cases, tied into 2 by split\.apart_by = 'site', but train, validation and test"
    with pytest.raises(DataError, match=message):
        split_by_case(manifest_of(*cases_at_sites(2)), SplitSettings(apart_by="site"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hospital", r"^split\.apart_by is 'hospital', which is no column; known: record_id, path, "),
        ("scanner", r"^split\.apart_by is 'scanner', which no kept image has; give it in the labels or by data\.name_"),
    ],
)
def test_a_column_that_says_nothing_keeps_nothing_apart(name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        split_by_case(manifest_of(*cases_at_sites(3)), SplitSettings(apart_by=name))


def near(rows: list[dict[str, Any]]) -> Manifest:
    """Tie the first benign case with every other benign case, by nearly identical images."""
    benign = [row for row in rows if row["label"] == "benign"]
    return manifest_of(*rows, *({**row, "near_duplicates": "0000"} for row in benign[::2]))


def test_cases_with_nearly_identical_images_stay_together_unless_a_setting_says_otherwise() -> None:
    manifest = near(cases_of_each_class(20))
    tied = split_by_case(manifest, SplitSettings()).manifest.kept.drop_nulls("near_duplicates")
    assert tied["split"].n_unique() == 1
    free = split_by_case(manifest, SplitSettings(near_duplicates="ignore")).manifest.kept.drop_nulls("near_duplicates")
    assert free["split"].n_unique() == 3


def test_nearly_identical_images_that_leave_too_few_groups_are_named_as_the_reason() -> None:
    message = r"^class 'benign' has 4 cases, tied into 2 by nearly identical images, but"
    rows = [{**row, "near_duplicates": "x"} for row in cases_of_each_class(3)]
    with pytest.raises(DataError, match=message):
        split_by_case(manifest_of(*rows, {"case": "alone", "label": "benign"}), SplitSettings())
