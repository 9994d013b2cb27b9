"""Near duplicates become records, cases, labels and sides: which pairs there are, and which cases they tie together.

In: a manifest and signatures. Out: the pairs; the manifest with a column that ties near duplicates, which ``split``
reads; and findings, once sides are known. Identical images are found in ``twins``; of those one is looked at here.
"""

import dataclasses
from collections.abc import Iterator
from typing import Final

import numpy as np
import polars as pl
from scipy import sparse

from radpath.data.audit.collecting import Signatures
from radpath.data.audit.near import find_near_pairs
from radpath.data.findings import counted, shortened
from radpath.data.manifest import Finding, Manifest
from radpath.data.twins import NEAR_COLUMN, identical_sets


@dataclasses.dataclass(frozen=True, kw_only=True)
class NearDuplicates:
    """Pairs of nearly identical images, and how they were looked for."""

    pairs: pl.DataFrame
    """Columns ``first``, ``second`` (record ids, the smaller first) and ``similarity``; the most similar first."""
    similarity: float
    """The threshold."""
    num_compared: int
    num_skipped: int
    """Candidates that were not looked at, since there were too many."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class NearPair:
    """Two nearly identical images, with what is known of each."""

    record_ids: tuple[str, str]
    cases: tuple[str | None, str | None]
    labels: tuple[str | None, str | None]
    sides: tuple[str | None, str | None]
    similarity: float

    def __str__(self) -> str:
        """Return one line with both images, their sides and labels."""
        ends = zip(self.record_ids, self.sides, self.labels, strict=True)
        named = [f"{f'{side} ' if side else ''}{record_id} ({label or 'no label'})" for record_id, side, label in ends]
        return f"{' ~ '.join(named)}, {self.similarity:.2f}"

    @property
    def is_leak(self) -> bool:
        """Whether the two stand on different sides of the split."""
        return None not in self.sides and self.sides[0] != self.sides[1]

    @property
    def is_disputed(self) -> bool:
        """Whether the two have different labels."""
        return None not in self.labels and self.labels[0] != self.labels[1]


def near_duplicates_of(
    manifest: Manifest, signatures: Signatures, *, similarity: float, most_pairs: int
) -> NearDuplicates:
    """Return the near duplicates among the kept images; of identical images the first one stands for all.

    Args:
        manifest: verified images.
        signatures: of all kept images, at least.
        similarity: threshold on the correlation of detail.
        most_pairs: how many pairs to compare in detail.
    """
    kept = manifest.kept.sort("record_id")
    each_once = kept.with_columns(twins=pl.Series(identical_sets(kept))).unique(
        "twins", keep="first", maintain_order=True
    )
    record_ids = each_once["record_id"].to_numpy()
    thumbnails = signatures.thumbnails[signatures.places(record_ids.tolist())]
    found = find_near_pairs(thumbnails, similarity=similarity, most_pairs=most_pairs)
    pairs = pl.DataFrame(
        {
            "first": record_ids[found.places[:, 0]].tolist(),
            "second": record_ids[found.places[:, 1]].tolist(),
            "similarity": found.similarity.astype(np.float64),
        },
        schema={"first": pl.String(), "second": pl.String(), "similarity": pl.Float64()},
    )
    return NearDuplicates(
        pairs=pairs, similarity=similarity, num_compared=found.num_compared, num_skipped=found.num_skipped
    )


def tie_near_duplicates(manifest: Manifest, near: NearDuplicates) -> Manifest:
    """Return the manifest with a column that is equal for images tied by near pairs: the smallest record id of them.

    Images without a near duplicate have null there, which ties nothing.
    """
    names = sorted({*near.pairs["first"], *near.pairs["second"]})
    place = {name: number for number, name in enumerate(names)}
    ends = [[place[name] for name in near.pairs[end]] for end in ("first", "second")]
    graph = sparse.coo_array((np.ones(len(near.pairs), dtype=np.int8), ends), shape=(len(names), len(names)))
    numbers = sparse.csgraph.connected_components(graph, directed=False)[1] if names else []
    smallest: dict[int, str] = {}
    for name, number in zip(names, numbers, strict=True):
        smallest.setdefault(int(number), name)
    leader = {name: smallest[int(number)] for name, number in zip(names, numbers, strict=True)}
    column = pl.col("record_id").replace_strict(leader, default=None, return_dtype=pl.String)
    return manifest.replace(manifest.table.with_columns(column.alias(NEAR_COLUMN)))


def pairs_with_facts(manifest: Manifest, near: NearDuplicates) -> list[NearPair]:
    """Return the pairs whose images both still take part, with their cases, labels and sides; most similar first."""
    rows = {row[0]: row[1:] for row in manifest.kept.select("record_id", "case", "label", "split").iter_rows()}
    return list(_with_facts(near, rows))


def _with_facts(near: NearDuplicates, rows: dict[str, tuple[str | None, ...]]) -> Iterator[NearPair]:
    for first, second, similarity in near.pairs.iter_rows():
        if first in rows and second in rows:
            (case, label, side), (other_case, other_label, other_side) = rows[first], rows[second]
            yield NearPair(
                record_ids=(first, second),
                cases=(case, other_case),
                labels=(label, other_label),
                sides=(side, other_side),
                similarity=similarity,
            )


_REMEDY: Final = "scores there are too good; for a new split, set split.near_duplicates to 'together'"


def near_findings(pairs: list[NearPair], near: NearDuplicates) -> tuple[Finding, ...]:
    """Return what a person should know of near duplicates."""
    leaks, disputed = [pair for pair in pairs if pair.is_leak], [pair for pair in pairs if pair.is_disputed]
    across_cases = sum(pair.cases[0] != pair.cases[1] for pair in pairs)
    return (
        Finding(
            kind="near-duplicates",
            severity="note",
            count=len(pairs),
            message=f"{counted(len(pairs), 'pair')} of nearly identical images, {across_cases:,} of them across cases "
            f"(detail correlates above {near.similarity:g} once one lies over the other)",
            examples=shortened(map(str, pairs)),
        ),
        Finding(
            kind="near-duplicates-across-sides",
            severity="warning",
            count=len(leaks),
            message=f"{counted(len(leaks), 'pair')} of nearly identical images on two sides of the split: {_REMEDY}",
            examples=shortened(map(str, leaks)),
        ),
        Finding(
            kind="near-duplicates-with-different-labels",
            severity="warning",
            count=len(disputed),
            message=f"{counted(len(disputed), 'pair')} of nearly identical images with different labels; look at them",
            examples=shortened(map(str, disputed)),
        ),
        Finding(
            kind="near-duplicates-not-all-looked-at",
            severity="note",
            count=near.num_skipped,
            message=f"{near.num_compared:,} pairs were compared in detail, {near.num_skipped:,} less similar ones were "
            "not; raise audit.most_pairs to look at them",
        ),
    )
