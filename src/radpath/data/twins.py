"""Finds images that are the same image: the same file, or the same pixels in another file.

In: manifest rows with ``file_digest`` and ``pixel_digest`` (null where unknown: it equals nothing). Out: numbers that
are equal where images are identical, or where cases are tied together by them. What is done about it is up to
``split``, which keeps tied cases together, and ``leaks``, which judges splits that were given.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl
from jaxtyping import Int
from scipy import sparse

from radpath.data.findings import MAX_EXAMPLES, counted
from radpath.data.manifest import Finding

NEAR_COLUMN: Final = "near_duplicates"
"""Column that is equal for images that are nearly the same, and null for all others; ``audit.duplicates`` fills it."""


def identical_sets(table: pl.DataFrame) -> Int[np.ndarray, " rows"]:
    """Number the rows so that identical images, and only those, have the same number.

    >>> table = pl.DataFrame({"file_digest": ["a", "b", "a"], "pixel_digest": [None, "p", "q"]})
    >>> identical_sets(table).tolist()
    [0, 1, 0]
    """
    return _numbered_by_shared_values(table["file_digest"], table["pixel_digest"])


def tied_cases(table: pl.DataFrame, *, also_by: Sequence[str] = ()) -> Int[np.ndarray, " rows"]:
    """Number the rows so that two rows of one case, or of cases joined by identical images, have the same number.

    Args:
        table: rows of a manifest.
        also_by: further columns whose equal values tie cases; one that the table lacks ties nothing.

    >>> table = pl.DataFrame({"case": ["1", "2", "3"], "file_digest": ["a", "b", "a"], "pixel_digest": None})
    >>> tied_cases(table).tolist()
    [0, 1, 0]
    """
    further = [table[name] for name in also_by if name in table.columns]
    return _numbered_by_shared_values(table["case"], table["file_digest"], table["pixel_digest"], *further)


def _numbered_by_shared_values(*columns: pl.Series) -> Int[np.ndarray, " rows"]:
    """Number the connected components of the graph that joins each row to each of its values; null joins nothing."""
    num_rows = num_nodes = len(columns[0])
    rows, nodes = [], []
    for column in columns:
        ranks = column.cast(pl.String).rank("dense").drop_nulls().to_numpy()  # 1 for the smallest value
        rows.append(np.flatnonzero(column.is_not_null().to_numpy()))
        nodes.append(ranks.astype(np.int64) - 1 + num_nodes)
        num_nodes += int(ranks.max(initial=0))
    ends = (np.concatenate(rows), np.concatenate(nodes))
    graph = sparse.coo_array((np.ones(len(ends[0]), dtype=np.int8), ends), shape=(num_nodes, num_nodes))
    numbers: Int[np.ndarray, " nodes"] = sparse.csgraph.connected_components(graph, directed=False)[1]
    return numbers[:num_rows]


def describe_duplicates(kept: pl.DataFrame, *, treatment: str) -> tuple[Finding, Finding]:
    """Return what a person should know about identical images: how many there are, and which have different labels.

    Args:
        kept: the rows that take part.
        treatment: what is done about them, as the end of the sentence.
    """
    rows = kept.sort("record_id").with_columns(twins=pl.Series(identical_sets(kept.sort("record_id"))))
    twins = rows.filter(pl.len().over("twins") > 1)
    disputed = twins.filter(pl.col("label").n_unique().over("twins") > 1)
    one_a_label = disputed.unique(["twins", "label"], keep="first", maintain_order=True)
    named = pl.format("{} ({})", "record_id", pl.col("label").fill_null("no label"))
    lines = one_a_label.group_by("twins", maintain_order=True).agg(line=named.str.join(" = "))["line"]
    num_sets, num_disputed = twins["twins"].n_unique(), disputed["twins"].n_unique()
    return (
        Finding(
            kind="duplicate-images",
            severity="note",
            count=len(twins),
            message=f"{len(twins)} images in {counted(num_sets, 'set')} are identical (same file or same pixels); "
            f"{treatment}",
            examples=_examples(twins),
        ),
        Finding(
            kind="duplicate-images-with-different-labels",
            severity="warning",
            count=num_disputed,
            message=f"{counted(num_disputed, 'set')} of identical images with different labels; correct the wrong ones",
            examples=tuple(lines.head(MAX_EXAMPLES)),
        ),
    )


def _examples(twins: pl.DataFrame) -> tuple[str, ...]:
    """Name the first two images of the largest sets, and how many more each set has."""
    sets = twins.group_by("twins", maintain_order=True).agg("record_id")
    largest = sets.sort(pl.col("record_id").list.len(), descending=True, maintain_order=True).head(MAX_EXAMPLES)
    return tuple(
        f"{first} = {second}" + (f" and {len(others)} more" if others else "")
        for first, second, *others in largest["record_id"].to_list()
    )
