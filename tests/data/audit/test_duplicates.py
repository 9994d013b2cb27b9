"""Tests of what near duplicates mean for records, cases, labels and sides."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from radpath.data.audit.collecting import Signatures
from radpath.data.audit.duplicates import (
    NearDuplicates,
    near_duplicates_of,
    near_findings,
    pairs_with_facts,
    tie_near_duplicates,
)
from radpath.data.audit.near import MOST_PAIRS, SIMILARITY
from radpath.data.audit.signature import signature_of
from radpath.data.manifest import Manifest

Draw = Callable[..., np.ndarray]


def found(*pairs: tuple[str, str, float], num_skipped: int = 0) -> NearDuplicates:
    table = pl.DataFrame(list(pairs), schema=["first", "second", "similarity"], orient="row")
    return NearDuplicates(pairs=table, similarity=0.9, num_compared=9, num_skipped=num_skipped)


def manifest_of(**facts: dict[str, object]) -> Manifest:
    return Manifest.from_rows(Path(), [{"record_id": name, **values} for name, values in facts.items()])


def test_pairs_name_records_and_identical_images_are_looked_at_once(draw_texture: Draw) -> None:
    images = {name: draw_texture(seed) for seed, name in enumerate("abcdefgh")}
    images["copy of c"] = images["c"][::-1]
    images["same as c"] = images["c"]
    rows: dict[str, dict[str, object]] = {name: {"pixel_digest": name.replace("same as ", "")} for name in images}
    signatures = Signatures.of({name: signature_of(image) for name, image in images.items()})
    near = near_duplicates_of(manifest_of(**rows), signatures, similarity=SIMILARITY, most_pairs=MOST_PAIRS)
    assert near.pairs.select("first", "second").rows() == [("c", "copy of c")]
    assert near.pairs["similarity"][0] == pytest.approx(1, abs=0.01)


def test_images_that_are_joined_by_others_are_one_set_named_by_the_smallest() -> None:
    manifest = manifest_of(**{name: {} for name in "abcdef"})
    tied = tie_near_duplicates(manifest, found(("c", "d", 0.99), ("a", "f", 0.95), ("d", "f", 0.92)))
    assert tied.table["near_duplicates"].to_list() == ["a", None, "a", "a", None, "a"]


def test_without_pairs_nothing_is_tied() -> None:
    near = NearDuplicates(
        pairs=pl.DataFrame(schema={"first": pl.String(), "second": pl.String(), "similarity": pl.Float64()}),
        similarity=0.9,
        num_compared=0,
        num_skipped=0,
    )
    tied = tie_near_duplicates(manifest_of(a={}), near)
    assert tied.table["near_duplicates"].to_list() == [None]
    assert tied.table.schema["near_duplicates"] == pl.String()
    assert near_findings([], near)[0].count == 0


def test_findings_count_pairs_across_sides_and_labels() -> None:
    manifest = manifest_of(
        a={"case": "1", "label": "benign", "split": "train"},
        b={"case": "2", "label": "malignant", "split": "test"},
        c={"case": "3", "label": "benign", "split": "train"},
        d={"case": "3", "label": "benign", "split": "train"},
        gone={"case": "4", "label": "benign", "status": "excluded"},
    )
    near = found(("a", "b", 0.99), ("c", "d", 0.95), ("a", "gone", 0.93), num_skipped=7)
    findings = {finding.kind: finding for finding in near_findings(pairs_with_facts(manifest, near), near)}
    assert {kind: finding.count for kind, finding in findings.items()} == {
        "near-duplicates": 2,
        "near-duplicates-across-sides": 1,
        "near-duplicates-with-different-labels": 1,
        "near-duplicates-not-all-looked-at": 7,
    }
    assert findings["near-duplicates"].message.startswith("2 pairs of nearly identical images, 1 of them across cases")
    assert findings["near-duplicates-across-sides"].examples == ("train a (benign) ~ test b (malignant), 0.99",)
