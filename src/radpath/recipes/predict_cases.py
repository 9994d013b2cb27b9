"""New images are decided case by case, beside the table of images, where the run was judged by case."""

from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Float64

from radpath import files
from radpath.data.findings import counted
from radpath.data.manifest import Manifest
from radpath.errors import DataError, StaleError
from radpath.evaluation.cases import NUM_IMAGES_COLUMN
from radpath.evaluation.estimates import Evaluation
from radpath.evaluation.new_cases import CaseDecisions, decide_new_cases
from radpath.evaluation.predictions import Predictions, read_predictions
from radpath.recipes.running import read_document
from radpath.recipes.telling import say, say_path, say_rows
from radpath.records import Side, probability_columns
from radpath.run_folder import RunFolder


def predict_cases(
    folder: RunFolder,
    manifest: Manifest,
    probabilities: Float64[np.ndarray, "kept classes"],
    classes: tuple[str, ...],
    *,
    path: Path,
) -> None:
    """Write and tell one decision a case; nothing where no new case has several images, or the run has no cases.

    Where cases cannot be decided, a line says why: the decisions of images stand without them.

    Args:
        folder: of the run, or of an ensemble.
        manifest: of the new images.
        probabilities: of its kept images.
        classes: the columns of ``probabilities``.
        path: the table of images, beside which that of cases is written.
    """
    evaluation = read_document(folder.metrics, Evaluation.from_dict)
    if evaluation.by_case is None:
        return
    try:
        decided = _decide(folder, manifest, probabilities, classes, evaluation)
    except (DataError, StaleError) as error:
        say("")
        say(f"No decisions of cases: {error}")
        return
    if decided is None:
        return
    table = path.with_name(f"{path.stem}-cases.csv")
    _write(decided, table)
    counts = [(name, str(decided.decisions.count(name))) for name in decided.cases.predictions.classes]
    say_rows(f"{counted(len(decided.decisions), 'case')} decided", counts)
    say("")
    say_path("Cases", table)


def _decide(
    folder: RunFolder,
    manifest: Manifest,
    probabilities: Float64[np.ndarray, "kept classes"],
    classes: tuple[str, ...],
    evaluation: Evaluation,
) -> CaseDecisions | None:
    now = {"predictions.csv": files.digest_file(folder.predictions)}
    folder.require_fresh("evaluate", now, remedy=f"evaluate the run again: radpath evaluate {folder.root}")
    kept = manifest.kept
    side: Side = "test"  # of which nothing is learned
    new = Predictions(
        record_ids=tuple(kept["record_id"]),
        cases=tuple(kept["case"]),
        sides=(side,) * len(kept),
        truth=(None,) * len(kept),
        probabilities=probabilities,
        classes=classes,
        stains=None if kept["stain"].null_count() == len(kept) else tuple(kept["stain"]),
    )
    return decide_new_cases(
        new,
        seen=read_predictions(folder.predictions),
        pooled=read_predictions(folder.case_predictions),
        evaluation=evaluation,
    )


def _write(decided: CaseDecisions, path: Path) -> None:
    found = decided.cases.predictions
    names = probability_columns(list(found.classes))
    table = pl.DataFrame(
        [
            pl.Series("case", found.cases, dtype=pl.String),
            pl.Series("decision", decided.decisions, dtype=pl.String),
            pl.Series(NUM_IMAGES_COLUMN, decided.cases.num_images, dtype=pl.Int64),
            *(pl.Series(name, column.copy()) for name, column in zip(names, found.probabilities.T, strict=True)),
        ]
    )
    with files.whole_file(path) as unfinished:
        table.write_csv(unfinished)
