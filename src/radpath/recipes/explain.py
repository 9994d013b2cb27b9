"""Where a trained run looks: maps of the evidence for a class, of its own images or of new ones.

In: a finished run. Out: below ``explanations``, for each image a map, the picture of it, and a row of ``index.csv``;
a contact sheet; and for the run's own images a section of the report. What is there already is not computed again.
"""

import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from lightning_fabric import Fabric

from radpath import files
from radpath.data.array_file import is_array_file
from radpath.data.batches import Batch, ImageSource
from radpath.data.findings import counted
from radpath.data.location import Location
from radpath.data.manifest import Manifest
from radpath.errors import SettingsError
from radpath.evaluation.estimates import Evaluation
from radpath.evaluation.explanations import Sanity
from radpath.evaluation.predictions import read_predictions
from radpath.evaluation.thresholds import decide
from radpath.explanation.maps import Explainer, make_explainer
from radpath.explanation.randomised import check_sanity
from radpath.progress import track
from radpath.recipes.choosing import Selection, Wanted, choose, choose_new
from radpath.recipes.experiment import Experiment, read_experiment
from radpath.recipes.explained import MODEL, MapIndex, MapRow, record_explanations, write_map, write_sheet
from radpath.recipes.frozen import read_frozen
from radpath.recipes.gathering import run_name
from radpath.recipes.new_images import seen_by_run
from radpath.recipes.precision import with_precision_of_run
from radpath.recipes.report import write_run_report
from radpath.recipes.running import build_model, image_source, prepare_pixels, read_classes, read_intensity, read_stain
from radpath.recipes.staleness import require_same_settings
from radpath.recipes.telling import say, say_path
from radpath.reporting.explanation_section import METHOD_TITLES, sanity_sentence
from radpath.reporting.wording import reported_sides
from radpath.run_folder import RunFolder
from radpath.training.checkpoints import Checkpoints, load_best
from radpath.training.device import explained_memory_errors, on_devices

CHECKED_IMAGES: Final = 16
"""So many images, spread over those that were asked for, are explained by ever more random networks."""

_SAVED_EVERY: Final = 16  # maps, between two times that the index is written


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Task:
    """What is to be explained, and where it goes."""

    experiment: Experiment
    folder: RunFolder
    manifest: Manifest
    """The images that were asked for, and no others."""
    wanted: tuple[Wanted, ...]
    classes: tuple[str, ...]
    root: Path
    """The folder of the index."""
    model: str
    """The model's digest."""

    def keys(self) -> dict[str, str]:
        """Return for each record a digest of all that its map is made from."""
        known = self.manifest.table.select("record_id", "pixel_digest").iter_rows()
        pixels = dict(known)
        settings = self.experiment.explanation.model_dump(mode="json")
        return {
            one.record_id: files.digest_json(
                [one.record_id, pixels[one.record_id], one.explained_class, self.model, settings]
            )
            for one in self.wanted
        }


def explain(
    run: Path,
    *,
    selection: Selection,
    new: Location | None = None,
    check: bool = False,
    out: Path | None = None,
    assignments: Sequence[str] = (),
) -> Path:
    """Explain images, and return the folder with their maps.

    Args:
        run: a finished run folder.
        selection: which of its images, and for which class.
        new: images that are none of the run's; None for its own.
        check: also look whether the maps depend on what the model has learned.
        out: the folder; None for ``explanations`` of the run, whose report then shows some of the maps.
        assignments: ``key=value`` settings of ``[explanation]`` and ``[device]``. No other may change.

    Raises:
        StaleError: the run's model, predictions or settings are not those of the run.
        RadpathError: bad input; the message says what, where and what to do.
    """
    if RunFolder(run).ensemble.is_file():
        raise SettingsError(f"{run} is an ensemble, which has no network of its own; explain one of its members")
    folder = RunFolder.open(run)
    experiment = read_experiment(folder.experiment, list(assignments))
    require_same_settings(folder, experiment)
    if new is None:
        task = _task_of_run(experiment, folder, selection, out)
    else:
        task = _task_of_new(experiment, folder, selection, new, out, assignments)
    device = with_precision_of_run(experiment, folder).device
    # Maps are made one by one, and in 32 bits: gradients of single images are small.
    alone = device.model_copy(update={"num_devices": 1, "precision": "32-true"})
    sanity = on_devices(alone, partial(_explain, task, check=check))
    rows = _rows_of(task)
    _tell(task, rows, sanity)
    if new is None and out is None:
        record_explanations(folder, task.model, rows, sanity)
        write_run_report(experiment, folder)
        say_path("Report", folder.report)
    return task.root


def _task_of_run(experiment: Experiment, folder: RunFolder, selection: Selection, out: Path | None) -> _Task:
    """Return the run's images that were asked for."""
    model = _model_of(folder)
    now = {"predictions.csv": files.digest_file(folder.predictions)} if folder.predictions.is_file() else {}
    folder.require_fresh("predict", now, remedy="restore it, or pick the epoch again: radpath pick-epoch")
    predictions = read_predictions(folder.predictions)
    evaluation = Evaluation.from_dict(files.read_json(folder.metrics))
    decisions = decide(predictions.probabilities, classes=predictions.classes, threshold=evaluation.threshold)
    wanted = choose(predictions, decisions, selection, usual_side=reported_sides(evaluation)[0].side)
    images = experiment.data.images
    manifest = Manifest.read(folder.manifest, images=images.parent if is_array_file(images) else images)
    return _Task(
        experiment=experiment,
        folder=folder,
        manifest=_only(manifest, wanted),
        wanted=wanted,
        classes=predictions.classes,
        root=out or folder.explanations,
        model=model,
    )


def _task_of_new(
    experiment: Experiment,
    folder: RunFolder,
    selection: Selection,
    images: Location,
    out: Path | None,
    assignments: Sequence[str],
) -> _Task:
    """Return new images, with what the run decides on them."""
    model = _model_of(folder)
    seen = seen_by_run(folder, images, assignments)
    decisions = decide(seen.probabilities, classes=seen.classes, threshold=read_frozen(folder).threshold)
    kept = seen.manifest.kept
    wanted = choose_new(
        kept["record_id"].to_list(),
        kept["case"].to_list(),
        seen.probabilities,
        decisions,
        selection,
        classes=seen.classes,
    )
    data = experiment.data.model_copy(update={"images": images.absolute(), "labels": None})
    return _Task(
        experiment=experiment.model_copy(update={"data": data}),
        folder=folder,
        manifest=_only(seen.manifest, wanted),
        wanted=wanted,
        classes=seen.classes,
        root=out or folder.explanations / "new" / run_name(images),
        model=model,
    )


def _model_of(folder: RunFolder) -> str:
    """Return the digest of the run's model.

    Raises:
        StaleError: it is not the one that the run evaluated.
        DataError: the training is not finished.
    """
    best = Checkpoints(folder.checkpoints).best
    now = {MODEL: files.digest_file(best)} if best.is_file() else {}
    folder.require_fresh("train", now, remedy="restore it, or train again")
    return folder.stamped("train")[MODEL]


def _only(manifest: Manifest, wanted: Sequence[Wanted]) -> Manifest:
    names = [one.record_id for one in wanted]
    return manifest.replace(manifest.kept.filter(pl.col("record_id").is_in(names)))


def _explain(task: _Task, fabric: Fabric, *, check: bool) -> Sanity | None:
    """Write the maps that are not there yet, and look whether they depend on the model."""
    stain = read_stain(task.experiment, task.folder)
    manifest, store = prepare_pixels(task.experiment, task.manifest, task.folder, stain=stain)
    # The run's own file holds every tensor: what its training began with is not needed, and may be gone.
    backbone = task.experiment.model.unfilled()
    as_written = task.experiment.device.model_copy(update={"compile": False})  # a translation hears no hooks
    experiment = task.experiment.model_copy(update={"model": backbone, "device": as_written})
    model = build_model(experiment, read_classes(task.folder))
    load_best(model, Checkpoints(task.folder.checkpoints).best)
    model.to(fabric.device)
    explainer = make_explainer(model, task.experiment.explanation)
    table = manifest.kept
    source = image_source(
        task.experiment,
        store,
        table,
        classes=task.classes,
        smallest_canvas_px=model.backbone.smallest_canvas_px,
        intensity=read_intensity(task.folder),
    )
    by_name = {one.record_id: one for one in task.wanted}
    known = [by_name[record_id] for record_id in table["record_id"]]
    with explained_memory_errors():
        _write_maps(task, explainer, source, known)
        return _check(task, explainer, source, known) if check else None


def _write_maps(task: _Task, explainer: Explainer, source: ImageSource, known: Sequence[Wanted]) -> None:
    """Write what is not there yet; an interruption keeps what is finished."""
    index, keys = MapIndex(task.root, model=task.model), task.keys()
    todo = [
        position
        for batch in source.in_order()
        for position in batch.tolist()
        if keys[known[position].record_id] not in index.rows
    ]
    try:
        for number, position in enumerate(track(todo, total=len(todo), what="explaining"), start=1):
            batch = source.assemble(np.array([position]))
            one = known[position]
            (found,) = explainer.maps(batch, [task.classes.index(one.explained_class)])
            layer = explainer.layer_of(*found.shape)
            index.add(
                write_map(
                    task.root,
                    one,
                    found,
                    _as_seen(batch),
                    method=task.experiment.explanation.method,
                    layer=layer,
                    key=keys[one.record_id],
                    model=task.model,
                )
            )
            if number % _SAVED_EVERY == 0:
                index.save()
    finally:
        index.save()


def _as_seen(batch: Batch) -> np.ndarray:
    """Return the one image of a batch as the network sees it, for eyes: 0 is black, 1 white, beyond is cut off."""
    height, width = int(batch.heights_px[0]), int(batch.widths_px[0])
    levels = (batch.images[0, :, :height, :width] * 255).round().clamp(0, 255).byte()
    image: np.ndarray = levels.permute(1, 2, 0).contiguous().numpy()
    return image[:, :, 0] if image.shape[2] == 1 else image


def _check(task: _Task, explainer: Explainer, source: ImageSource, known: Sequence[Wanted]) -> Sanity:
    """Compare maps of some of the images with those of networks whose weights are random."""
    places = np.unique(np.linspace(0, len(known) - 1, min(len(known), CHECKED_IMAGES)).round().astype(int))
    return check_sanity(
        explainer,
        [source.assemble(np.array([place])) for place in places],
        [[task.classes.index(known[place].explained_class)] for place in places],
        [known[place].case for place in places],
        seed=task.experiment.training.seed,
    )


def _rows_of(task: _Task) -> list[MapRow]:
    """Return what the index says of the images that were asked for, in their order."""
    index, keys = MapIndex(task.root, model=task.model), task.keys()
    found = (index.rows.get(keys[one.record_id]) for one in task.wanted)
    return [row for row in found if row is not None]


def _tell(task: _Task, rows: Sequence[MapRow], sanity: Sanity | None) -> None:
    method = task.experiment.explanation.method
    without = sum(not row.has_evidence for row in rows)
    none = f"; in {without} of them nothing speaks for the class" if without else ""
    say(f"{counted(len(rows), 'image')} explained by {METHOD_TITLES[method]}{none}")
    if sanity is not None:
        say(sanity_sentence(method, sanity))
    say("")
    say_path("Maps", task.root / "index.csv")
    if rows:
        say_path("Contact sheet", write_sheet(task.root, rows, method=method))
