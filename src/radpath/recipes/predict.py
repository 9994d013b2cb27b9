"""A trained run looks at new images, with everything frozen: pixels, model, threshold."""

import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Float64
from lightning_fabric import Fabric

from radpath import files
from radpath.data.findings import counted, shortened
from radpath.data.location import Location
from radpath.data.manifest import Finding, Manifest
from radpath.evaluation.thresholds import decide
from radpath.progress import track
from radpath.recipes.ensemble import read_ensemble, require_same_model
from radpath.recipes.experiment import Experiment, read_experiment
from radpath.recipes.frozen import Frozen, frozen_columns, read_frozen
from radpath.recipes.gathering import gather_unlabelled, run_name
from radpath.recipes.precision import with_precision_of_run
from radpath.recipes.predict_cases import predict_cases
from radpath.recipes.running import build_model, image_source, prepare_pixels, read_classes, read_intensity, read_stain
from radpath.recipes.staleness import require_same_settings
from radpath.recipes.telling import say, say_findings, say_path, say_rows
from radpath.records import probability_columns
from radpath.run_folder import RunFolder
from radpath.training.checkpoints import Checkpoints, load_best
from radpath.training.device import on_devices
from radpath.training.prediction import predict


def predict_new(run: Path, images: Location, *, out: Path | None, assignments: Sequence[str] = ()) -> Path:
    """Write one row for each new image: its decision, probabilities as given and corrected, its set; return the file.

    Beside it go the images that were excluded and, where cases have several images, one row a case.

    Args:
        run: a finished run folder, or that of an ensemble.
        images: a folder or an array file.
        out: the CSV to write, or an existing folder for it; None for one inside the run folder. A folder's CSV is
            named after the images.
        assignments: ``key=value`` settings of ``[device]``: where the network runs today. No other may change.

    Raises:
        StaleError: the run's model is not the one that the run evaluated.
        RadpathError: bad input; the message says what, where and what to do.
    """
    folder = RunFolder(run) if RunFolder(run).ensemble.is_file() else RunFolder.open(run)
    seen = (_seen_by_members if folder.ensemble.is_file() else _seen_by_run)(folder, images, assignments)
    manifest, probabilities, classes = seen.manifest, seen.probabilities, seen.classes
    frozen = read_frozen(folder)
    decisions = decide(probabilities, classes=classes, threshold=frozen.threshold)
    path = _table_to_write(out, folder, f"{run_name(images)}.csv")
    _write(manifest, probabilities, [classes[place] for place in decisions], classes, path, frozen=frozen)
    say_findings(manifest.findings)
    counts = np.bincount(decisions, minlength=len(classes))
    excluded = f", {len(manifest.excluded):,} excluded" if len(manifest.excluded) else ""
    say_rows(
        f"{counted(len(decisions), 'image')} decided{excluded}",
        [(name, str(count)) for name, count in zip(classes, counts, strict=True)],
    )
    say("")
    say_path("Predictions", path)
    say_path("Exclusions", _beside(path))
    predict_cases(folder, manifest, probabilities, classes, path=path)
    return path


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Seen:
    """New images and what a model, or several, said about them."""

    manifest: Manifest
    probabilities: Float64[np.ndarray, "kept classes"]
    """One row for each kept image of the manifest."""
    classes: tuple[str, ...]


def _seen_by_run(folder: RunFolder, images: Location, assignments: Sequence[str]) -> _Seen:
    """Look at the images with one run's model, prepared as that run prepares them."""
    experiment = read_experiment(folder.experiment, list(assignments))
    require_same_settings(folder, experiment)
    experiment = with_precision_of_run(experiment, folder)
    classes = read_classes(folder)
    best = Checkpoints(folder.checkpoints).best
    now = {"checkpoints/best.safetensors": files.digest_file(best)} if best.is_file() else {}
    folder.require_fresh("train", now, remedy="restore it, or train again")
    data = experiment.data.model_copy(update={"images": images.absolute(), "labels": None})
    looking = experiment.model_copy(update={"data": data})
    # Prepared here, before several processes look for it.
    found = gather_unlabelled(data, beside=folder.root)
    manifest, _ = prepare_pixels(looking, found, folder, stain=read_stain(experiment, folder))
    manifest = _compared(manifest, folder)
    work = partial(_probabilities, looking, manifest, classes, folder)
    return _Seen(manifest=manifest, probabilities=on_devices(experiment.device, work), classes=classes)


def _seen_by_members(folder: RunFolder, images: Location, assignments: Sequence[str]) -> _Seen:
    """Look at the images with every member of an ensemble, and average; what one of them excludes is excluded."""
    shares = [share for share in read_ensemble(folder) if share.weight > 0]
    looks = []
    for share in track(shares, total=len(shares), what="predicting", unit="members"):
        member = RunFolder.open(share.run)
        require_same_model(share, member.stamped("train")["checkpoints/best.safetensors"])
        looks.append(_seen_by_run(member, images, assignments))
    manifest, classes = looks[0].manifest, looks[0].classes
    rows = [{record: row for row, record in enumerate(look.manifest.kept["record_id"])} for look in looks]
    for look in looks[1:]:
        excluded = look.manifest.excluded
        details = {record: detail or "" for record, detail in excluded.select("record_id", "detail").iter_rows()}
        manifest = manifest.exclude(details, reason="excluded by a member")
    kept = manifest.kept["record_id"].to_list()
    total = sum(share.weight for share in shares)
    mean = np.zeros((len(kept), len(classes)))
    for share, look, row in zip(shares, looks, rows, strict=True):
        columns = [look.classes.index(name) for name in classes]
        mean += share.weight / total * look.probabilities[[row[record] for record in kept]][:, columns]
    return _Seen(manifest=manifest, probabilities=mean, classes=classes)


def _table_to_write(out: Path | None, folder: RunFolder, name: str) -> Path:
    if out is None:
        return folder.root / "predictions" / name
    return out / name if out.is_dir() else out


def _beside(path: Path) -> Path:
    """Return the path of the table of exclusions."""
    return path.with_name(f"{path.stem}-exclusions.csv")


def _compared(manifest: Manifest, folder: RunFolder) -> Manifest:
    """Compare images with those that the run has seen."""
    seen = Manifest.read(folder.manifest, images=manifest.images).kept
    relevant = tuple(finding for finding in manifest.findings if finding.kind != "case-assumed")  # nothing is split
    return dataclasses.replace(manifest, findings=relevant).note(*_compare(manifest.kept, seen))


def _compare(new: pl.DataFrame, seen: pl.DataFrame) -> tuple[Finding, Finding]:
    """Say which images the model has learned from, and which are of a kind that it never saw."""
    learned = seen.filter(pl.col("split") != "test")
    known = new.filter(pl.col("pixel_digest").is_in(learned["pixel_digest"].drop_nulls().to_list()))
    kinds = ["channels", "bit_depth"]
    strange = new.join(seen, on=kinds, how="anti", maintain_order="left")
    named = strange.select(pl.format("{}: {} channels, {} bit", "record_id", *kinds)).to_series()
    return (
        Finding(
            kind="seen-in-training",
            severity="note",
            count=len(known),
            message=f"{counted(len(known), 'image')} the same as in the run's training or validation: no test of it",
            examples=shortened(known["record_id"]),
        ),
        Finding(
            kind="other-pixels",
            severity="warning",
            count=len(strange),
            message=f"{counted(len(strange), 'image')} with channels or bits per channel that the run never saw",
            examples=shortened(named),
        ),
    )


def _probabilities(
    experiment: Experiment, manifest: Manifest, classes: tuple[str, ...], folder: RunFolder, fabric: Fabric
) -> np.ndarray:
    _, store = prepare_pixels(experiment, manifest, folder, stain=read_stain(experiment, folder))
    # The run's own file holds every tensor: what its training began with is not needed, and may be gone.
    model = build_model(experiment.model_copy(update={"model": experiment.model.unfilled()}), classes)
    load_best(model, Checkpoints(folder.checkpoints).best)
    model.to(fabric.device)
    source = image_source(
        experiment,
        store,
        manifest.kept,
        classes=classes,
        smallest_canvas_px=model.backbone.smallest_canvas_px,
        intensity=read_intensity(folder),
    )
    return predict(model, source, experiment.prediction, fabric=fabric)


def _write(
    manifest: Manifest,
    probabilities: np.ndarray,
    decisions: list[str],
    classes: tuple[str, ...],
    path: Path,
    *,
    frozen: Frozen,
) -> None:
    """Write the table, and beside it the images that were excluded."""
    columns = [
        pl.Series(name, column.copy())
        for name, column in zip(probability_columns(list(classes)), probabilities.T, strict=True)
    ]
    columns += frozen_columns(frozen, probabilities, classes)
    table = manifest.kept.select("record_id").with_columns(pl.Series("decision", decisions), *columns)
    with files.whole_file(path) as unfinished:
        table.write_csv(unfinished)
    manifest.write_exclusions(_beside(path))
