"""A split of images with several labels: by case, and every label in proportion."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radpath.data.fingerprint import measure
from radpath.data.label_sets import label_matrix
from radpath.data.manifest import Manifest
from radpath.data.split import SplitSettings, split_by_case

NAMES = ("effusion", "mass", "hernia")
SHARES = (0.4, 0.15, 0.04)


def study(seed: int, *, num_cases: int = 200) -> Manifest:
    """Return cases of one to three images; what is there, and what nobody knows, is drawn for each image."""
    draw = np.random.default_rng(seed)
    rows = []
    for case in range(num_cases):
        for image in range(int(draw.integers(1, 4))):
            marks = ["?" if draw.random() < 0.1 else str(int(draw.random() < share)) for share in SHARES]
            label = "|".join(f"{name}={mark}" for name, mark in zip(NAMES, marks, strict=True))
            size = {"width_px": 8, "height_px": 8, "channels": 1, "bit_depth": 8, "mode": "grey", "format": "PNG"}
            rows.append({"record_id": f"{case}-{image}", "case": str(case), "label": f"{{{label}}}", **size})
    return Manifest.from_rows(Path(), rows)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_no_case_is_divided_and_every_label_is_shared_out_as_asked(seed: int) -> None:
    split = split_by_case(study(seed), SplitSettings(seed=seed, test_fraction=0.2, validation_fraction=0.2))
    kept = split.manifest.kept
    assert split.classes == ("effusion", "hernia", "mass")
    assert kept.group_by("case").agg(pl.col("split").n_unique())["split"].max() == 1
    there = label_matrix(kept["label"].to_list(), NAMES) == 1
    for place, name in enumerate(NAMES):
        on_side = {side: int(there[(kept["split"] == side).to_numpy(), place].sum()) for side in ("validation", "test")}
        wanted = 0.2 * there[:, place].sum()
        assert all(abs(number - wanted) <= max(2.0, 0.1 * wanted) for number in on_side.values()), (name, on_side)
        assert split.audit.images_per_class[name]["test"] == on_side["test"]


def test_the_fingerprint_counts_an_image_for_each_of_its_labels() -> None:
    manifest = study(3)
    there = label_matrix(manifest.kept["label"].to_list(), NAMES) == 1
    found = measure(manifest)
    assert {name: size.num_images for name, size in found.classes.items() if name in NAMES} == {
        name: int(there[:, place].sum()) for place, name in enumerate(NAMES)
    }
    assert found.classes["none of these"].num_images == int((~there.any(axis=1)).sum())
    assert found.imbalance_ratio == pytest.approx(there.sum(axis=0).max() / there.sum(axis=0).min())
