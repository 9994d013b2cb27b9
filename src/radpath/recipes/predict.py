"""A trained run looks at new images, with everything frozen: pixels, model, threshold."""

from pathlib import Path

import numpy as np
import polars as pl

from radpath import files
from radpath.data.inputs import DataSettings
from radpath.data.manifest import Manifest
from radpath.data.names import assume_cases
from radpath.data.preparation import prepare
from radpath.data.scan import scan
from radpath.data.verify import verify
from radpath.errors import DataError
from radpath.evaluation.thresholds import Threshold, decide
from radpath.recipes.experiment import Experiment, read_experiment
from radpath.recipes.gathering import run_name
from radpath.recipes.running import build_model, image_source, read_classes
from radpath.recipes.staleness import require_same_settings
from radpath.recipes.telling import say, say_findings, say_path, say_rows
from radpath.records import probability_columns
from radpath.run_folder import RunFolder
from radpath.training.checkpoints import Checkpoints, load_best
from radpath.training.device import launch
from radpath.training.prediction import predict


def predict_new(run: Path, images: Path, *, out: Path | None) -> Path:
    """Write one row for each new image: its decision and one probability a class; return the file.

    Args:
        run: a finished run folder.
        images: a folder or an array file.
        out: the CSV to write; None for one inside the run folder, named after the images.

    Raises:
        StaleError: the run's model is not the one that the run evaluated.
        RadpathError: bad input; the message says what, where and what to do.
    """
    folder = RunFolder.open(run)
    experiment = read_experiment(folder.experiment, [])
    require_same_settings(folder, experiment)
    classes = read_classes(folder)
    best = Checkpoints(folder.checkpoints).best
    now = {"checkpoints/best.safetensors": files.digest_file(best)} if best.is_file() else {}
    folder.require_fresh("train", now, remedy="restore it, or train again")
    threshold = _frozen_threshold(folder)
    data = experiment.data.model_copy(update={"images": images.absolute(), "labels": None})
    manifest = _look_at(data)
    probabilities = _probabilities(experiment, manifest, data, classes, folder)
    path = out or folder.root / "predictions" / f"{run_name(images)}.csv"
    decisions = decide(probabilities, classes=classes, threshold=threshold)
    _write(manifest, probabilities, [classes[place] for place in decisions], classes, path)
    say_findings(manifest.findings)
    counts = np.bincount(decisions, minlength=len(classes))
    say_rows(
        f"{len(decisions)} images decided, {len(manifest.excluded)} excluded",
        [(name, str(count)) for name, count in zip(classes, counts, strict=True)],
    )
    say("")
    say_path("Predictions", path)
    return path


def _look_at(data: DataSettings) -> Manifest:
    """Scan and verify images that need no labels."""
    manifest = verify(assume_cases(scan(data)), data)
    if manifest.kept.is_empty():
        raise DataError(
            f"none of the {len(manifest.table)} images in {data.images} can be read; see their reasons with "
            "`radpath scan`"
        )
    return manifest


def _frozen_threshold(folder: RunFolder) -> Threshold | None:
    values = files.read_json(folder.thresholds)
    return Threshold.from_dict(values) if "value" in values else None


def _probabilities(
    experiment: Experiment, manifest: Manifest, data: DataSettings, classes: tuple[str, ...], folder: RunFolder
) -> np.ndarray:
    store = prepare(manifest, data, experiment.pixels, stores=folder.root.parent / ".pixels")
    fabric = launch(experiment.device)
    model = build_model(experiment, classes)
    load_best(model, Checkpoints(folder.checkpoints).best)
    model.to(fabric.device)
    source = image_source(
        experiment,
        store,
        manifest.kept,
        classes=classes,
        smallest_canvas_px=model.backbone.smallest_canvas_px,
    )
    return predict(model, source, experiment.prediction, fabric=fabric)


def _write(
    manifest: Manifest, probabilities: np.ndarray, decisions: list[str], classes: tuple[str, ...], path: Path
) -> None:
    """Write the table, and beside it the images that were excluded."""
    columns = [
        pl.Series(name, column.copy())
        for name, column in zip(probability_columns(list(classes)), probabilities.T, strict=True)
    ]
    table = manifest.kept.select("record_id").with_columns(pl.Series("decision", decisions), *columns)
    with files.whole_file(path) as unfinished:
        table.write_csv(unfinished)
    if len(manifest.excluded):
        manifest.write_exclusions(path.with_name(f"{path.stem}-exclusions.csv"))
