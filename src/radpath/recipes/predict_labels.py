"""New images get a decision for each of several labels, by the thresholds that validation chose."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Float64

from radpath import files
from radpath.data.findings import counted
from radpath.data.manifest import Manifest
from radpath.recipes.label_judging import read_label_thresholds
from radpath.recipes.telling import say_rows
from radpath.records import probability_columns
from radpath.run_folder import RunFolder

DECISION_PREFIX = "decision:"
"""One column a label, named by this prefix and the label."""


def decides_labels(folder: RunFolder) -> bool:
    """Return whether a run was judged on several labels an image."""
    return folder.thresholds.is_file() and "labels" in files.read_json(folder.thresholds)


def write_label_decisions(
    folder: RunFolder,
    manifest: Manifest,
    probabilities: Float64[np.ndarray, "kept labels"],
    names: tuple[str, ...],
    path: Path,
    *,
    more: Sequence[pl.Series] = (),
) -> None:
    """Write and tell, for each image, which labels it is decided to have (1 or 0), and each label's probability.

    Args:
        folder: of the run.
        manifest: of the new images.
        probabilities: of its kept images.
        names: the columns of ``probabilities``.
        path: the table.
        more: what else is known of each image.
    """
    thresholds = read_label_thresholds(folder)
    decided = {name: thresholds[name].apply(column.copy()) for name, column in zip(names, probabilities.T, strict=True)}
    decisions = [pl.Series(f"{DECISION_PREFIX}{name}", there.astype(np.int8)) for name, there in decided.items()]
    columns = [
        pl.Series(name, column.copy())
        for name, column in zip(probability_columns(list(names)), probabilities.T, strict=True)
    ]
    table = manifest.kept.select("record_id").with_columns(*decisions, *columns, *more)
    with files.whole_file(path) as unfinished:
        table.write_csv(unfinished)
    excluded = f", {len(manifest.excluded):,} excluded" if len(manifest.excluded) else ""
    rows = [(name, str(int(there.sum()))) for name, there in decided.items()]
    say_rows(f"{counted(len(table), 'image')} decided{excluded}; images with each label", rows)
