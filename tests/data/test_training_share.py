"""A share of the training cases: of every class, nested, and validation and test as they are."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radpath.data.manifest import Manifest
from radpath.data.split import SplitSettings, split_by_case
from radpath.data.training_share import keep_training_share

CLASSES = ("benign", "malignant")


def study(cases: int = 20) -> Manifest:
    """Return cases of both classes with two images each, in turn on each side."""
    rows = [
        {"record_id": f"{label}{number}-{image}", "case": f"{label}{number}", "label": label, "split": side}
        for label in CLASSES
        for number, side in zip(range(cases), ["train", "train", "validation", "test"] * cases, strict=False)
        for image in range(2)
    ]
    return Manifest.from_rows(Path(), rows)


def kept_on(manifest: Manifest, side: str) -> set[str]:
    return set(manifest.kept.filter(pl.col("split") == side)["record_id"])


@settings(max_examples=25, deadline=None)
@given(st.floats(0.01, 1), st.floats(0.01, 1), st.integers(0, 9))
def test_a_smaller_share_lies_inside_a_larger_one_and_every_class_has_its_share(
    first: float, second: float, seed: int
) -> None:
    whole = study()
    small, large = (keep_training_share(whole, share, seed=seed) for share in sorted((first, second)))
    assert kept_on(small, "train") <= kept_on(large, "train") <= kept_on(whole, "train")
    for side in ("validation", "test"):
        assert kept_on(small, side) == kept_on(whole, side)
    training = small.kept.filter(pl.col("split") == "train")
    for label in CLASSES:
        cases = training.filter(pl.col("label") == label)["case"]
        assert cases.n_unique() == max(1, round(min(first, second) * 10))
        assert len(cases) == 2 * cases.n_unique()  # whole cases


def test_another_seed_takes_other_cases() -> None:
    taken = {frozenset(kept_on(keep_training_share(study(), 0.3, seed=seed), "train")) for seed in range(4)}
    assert len(taken) > 1


@pytest.mark.parametrize("source", ["given", "fractions"])
def test_the_split_leaves_cases_out_with_a_reason_and_tells_it(source: str) -> None:
    whole = split_by_case(study(), SplitSettings.model_validate({"source": source}))
    reduced = split_by_case(study(), SplitSettings.model_validate({"source": source, "train_share": 0.2}))
    assert reduced.classes == whole.classes
    assert kept_on(reduced.manifest, "test") == kept_on(whole.manifest, "test")
    left_out = kept_on(whole.manifest, "train") - kept_on(reduced.manifest, "train")
    assert set(reduced.manifest.excluded["record_id"]) == left_out
    assert left_out
    assert "outside-the-training-share" in [finding.kind for finding in reduced.manifest.findings]


def test_of_several_labels_a_share_of_all_cases_is_left_and_of_each_label_one() -> None:
    rows = [
        {
            "record_id": f"{number}",
            "case": f"{number}",
            "label": f"{{often={number % 2}|rare={int(number == 7)}}}",
            "split": "train",
        }
        for number in range(40)
    ]
    kept = keep_training_share(Manifest.from_rows(Path(), rows), 0.1, seed=1).kept
    smaller = keep_training_share(Manifest.from_rows(Path(), rows), 0.05, seed=1).kept
    assert 4 <= len(kept) <= 4 + 3  # the first with each label, and with none, may come on top
    assert "7" in kept["case"]
    assert set(smaller["case"]) <= set(kept["case"])
