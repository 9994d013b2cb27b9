"""A trained run looks at new images, with everything frozen: pixels, model, threshold."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from radpath import files
from radpath.data.findings import counted
from radpath.data.location import Location
from radpath.evaluation.thresholds import decide
from radpath.recipes.frozen import Frozen, frozen_columns, read_frozen
from radpath.recipes.gathering import run_name
from radpath.recipes.named_images import is_table
from radpath.recipes.new_images import forget, seen_by_members, seen_by_run
from radpath.recipes.predict_cases import predict_cases
from radpath.recipes.predict_labels import decides_labels, write_label_decisions
from radpath.recipes.seen import Seen
from radpath.recipes.telling import say, say_findings, say_path, say_rows
from radpath.records import probability_columns
from radpath.run_folder import RunFolder

_UNFINISHED: Final = ".predicting"
"""The folder beside the table that holds what is finished of it."""


def predict_new(run: Path, images: Location, *, out: Path | None, assignments: Sequence[str] = ()) -> Path:
    """Write one row for each new image that can be decided; return the file.

    A row has the decision, the probabilities as given and corrected, the prediction set, how unsure the model is, and
    how far the image is from the training data. Beside it go the images that were excluded, with the reason, and where
    cases have several images, one row a case. An interrupted prediction goes on when it is asked for again.

    Args:
        run: a finished run folder, or that of an ensemble.
        images: a folder, a table that names images below its own folder, or an array file.
        out: the CSV to write, or an existing folder for it; None for one inside the run folder. A folder's CSV is
            named after the images.
        assignments: ``key=value`` settings of ``[device]``: where the network runs; and ``data.ray``, where images
            images are prepared. No other may change.

    Raises:
        StaleError: the run's model is not the one that the run evaluated.
        RadpathError: bad input; the message says what, where and what to do.
    """
    folder = RunFolder(run) if RunFolder(run).ensemble.is_file() else RunFolder.open(run)
    # A table of names must not be taken for its own answer.
    name = f"{images.stem}-predicted.csv" if is_table(images) else f"{run_name(images)}.csv"
    path = _table_to_write(out, folder, name)
    keep = path.with_name(f".{path.stem}{_UNFINISHED}")
    see = seen_by_members if folder.ensemble.is_file() else seen_by_run
    seen = see(folder, images, assignments, keep=keep)
    manifest, probabilities, classes = seen.manifest, seen.probabilities, seen.classes
    unlike = seen.unlike_training()
    say_findings((manifest if unlike is None else manifest.note(unlike)).findings)
    if decides_labels(folder):
        write_label_decisions(folder, manifest, probabilities, classes, path, more=seen.columns())
    else:
        _decide(folder, seen, path)
    manifest.write_exclusions(_beside(path))
    forget(keep)
    say("")
    say_path("Predictions", path)
    say_path("Exclusions", _beside(path))
    if not decides_labels(folder):
        predict_cases(folder, manifest, probabilities, classes, path=path)
    return path


def _decide(folder: RunFolder, seen: Seen, path: Path) -> None:
    """Write and tell the class that each image is decided for."""
    manifest, probabilities, classes = seen.manifest, seen.probabilities, seen.classes
    frozen = read_frozen(folder)
    decisions = decide(probabilities, classes=classes, threshold=frozen.threshold)
    _write(seen, [classes[place] for place in decisions], path, frozen=frozen)
    counts = np.bincount(decisions, minlength=len(classes))
    excluded = f", {len(manifest.excluded):,} excluded" if len(manifest.excluded) else ""
    say_rows(
        f"{counted(len(decisions), 'image')} decided{excluded}",
        [(name, str(count)) for name, count in zip(classes, counts, strict=True)],
    )


def _table_to_write(out: Path | None, folder: RunFolder, name: str) -> Path:
    if out is None:
        return folder.root / "predictions" / name
    return out / name if out.is_dir() else out


def _beside(path: Path) -> Path:
    """Return the path of the table of exclusions."""
    return path.with_name(f"{path.stem}-exclusions.csv")


def _write(seen: Seen, decisions: list[str], path: Path, *, frozen: Frozen) -> None:
    """Write the table."""
    columns = [
        pl.Series(name, column.copy())
        for name, column in zip(probability_columns(list(seen.classes)), seen.probabilities.T, strict=True)
    ]
    columns += frozen_columns(frozen, seen.probabilities, seen.classes)
    table = seen.manifest.kept.select("record_id").with_columns(
        pl.Series("decision", decisions), *columns, *seen.columns()
    )
    with files.whole_file(path) as unfinished:
        table.write_csv(unfinished)
