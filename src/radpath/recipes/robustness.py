"""``robustness``: a run's model sees one side again, with every image made worse in many stated ways.

In: a finished run. Out: ``analyses/robustness.json`` and a section of its report. Finished corruptions are kept until
all are there, so that an interrupted work goes on.
"""

import dataclasses
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from jaxtyping import Float64
from lightning_fabric import Fabric

from radpath import files
from radpath.data.array_file import is_array_file
from radpath.data.batches import ImageSource
from radpath.data.corruptions import CORRUPTIONS
from radpath.data.manifest import Manifest
from radpath.data.spoiling import portions_to_spoil, spoil
from radpath.errors import SettingsError
from radpath.evaluation.predictions import Predictions
from radpath.evaluation.robustness import Dose, Robustness, assess_robustness
from radpath.progress import track
from radpath.recipes.analyses import ROBUSTNESS, write_analysis
from radpath.recipes.experiment import Experiment, read_experiment
from radpath.recipes.members import open_member
from radpath.recipes.portions import Portions
from radpath.recipes.precision import with_precision_of_run
from radpath.recipes.report import write_run_report
from radpath.recipes.running import build_model, image_source, prepare_pixels, read_intensity, read_stain
from radpath.recipes.staleness import require_same_settings
from radpath.recipes.telling import say, say_path, say_rows
from radpath.records import Side
from radpath.reporting.measured_cells import phrase
from radpath.reporting.robustness_section import verdict
from radpath.reporting.wording import metric_label
from radpath.run_folder import RunFolder
from radpath.training.checkpoints import Checkpoints, load_best
from radpath.training.device import on_devices
from radpath.training.prediction import predict

_JOBS: Final = tuple((name, level) for name, kind in CORRUPTIONS.items() for level in range(1, len(kind.levels) + 1))
_DOSES: Final = tuple(
    Dose(name=kind.name, parameter=kind.parameter, levels=kind.levels) for kind in CORRUPTIONS.values()
)


def assess_run(run: Path, *, side: Side = "test", assignments: Sequence[str] = ()) -> Robustness:
    """Measure how a run's numbers fall when images get worse, tell it, and write it into the run's report.

    Args:
        run: a finished run folder.
        side: whose images are made worse.
        assignments: ``key=value`` settings of ``[device]``. No other may change.

    Raises:
        SettingsError: the folder is an ensemble, or its images have several labels, or the side has none.
        StaleError: the run's settings, model or predictions are not those that it was evaluated with.
    """
    if RunFolder(run).ensemble.is_file():
        raise SettingsError(f"{run} is an ensemble, which has no network of its own; name one of its members")
    folder = RunFolder.open(run)
    experiment = read_experiment(folder.experiment, list(assignments))
    require_same_settings(folder, experiment)
    if experiment.training.loss.link == "sigmoid":
        raise SettingsError(f"{run} tells several labels an image; robustness is measured of one class an image")
    member = open_member(run)
    if side not in member.evaluation.sides:
        known = ", ".join(member.evaluation.sides)
        raise SettingsError(f"--side is '{side}', and {run} has no labelled images there; it has {known}")
    clean, keep = _of_side(member.predictions, side), folder.root / ".robustness"
    identity = [member.model_digest, clean.record_ids, [dataclasses.asdict(dose) for dose in _DOSES]]
    portions = Portions(folder=keep / files.digest_json(identity), num_images=len(_JOBS), size=1)
    # What is spoilt is small: one device is enough.
    device = with_precision_of_run(experiment, folder).device.model_copy(update={"num_devices": 1})
    seen = on_devices(device, partial(_see_spoilt, experiment, folder, clean, portions))
    spoilt = {job: seen[number] for number, job in enumerate(_JOBS)}
    found = assess_robustness(clean, spoilt, _DOSES, member.evaluation, side=side, model=member.model_digest)
    write_analysis(ROBUSTNESS, found, folder.root)
    write_run_report(experiment, folder)
    shutil.rmtree(keep, ignore_errors=True)
    _tell(found)
    say_path("Report", folder.report)
    return found


def _of_side(predictions: Predictions, side: Side) -> Predictions:
    """Return the labelled images of a side."""
    known = zip(predictions.sides, predictions.truth, strict=True)
    rows = [row for row, (there, truth) in enumerate(known) if there == side and truth is not None]
    return Predictions(
        record_ids=tuple(predictions.record_ids[row] for row in rows),
        cases=tuple(predictions.cases[row] for row in rows),
        sides=(side,) * len(rows),
        truth=tuple(predictions.truth[row] for row in rows),
        probabilities=predictions.probabilities[rows],
        classes=predictions.classes,
    )


def _see_spoilt(
    experiment: Experiment, folder: RunFolder, clean: Predictions, portions: Portions, fabric: Fabric
) -> Float64[np.ndarray, "jobs images classes"]:
    """Return the probabilities of the images of ``clean`` under every corruption and level."""
    missing = portions.missing()
    if len(missing) < len(_JOBS):
        say(f"{len(_JOBS) - len(missing)} of {len(_JOBS)} strengths were done before; the others follow")
    # The run's own file holds every tensor: what its training began with is not needed, and may be gone.
    model = build_model(experiment.model_copy(update={"model": experiment.model.unfilled()}), clean.classes)
    load_best(model, Checkpoints(folder.checkpoints).best)
    model.to(fabric.device)
    source = _source_of(experiment, folder, clean, smallest_canvas_px=model.backbone.smallest_canvas_px)
    for number in track(missing, total=len(missing), what="making images worse", unit="strengths"):
        name, level = _JOBS[number]
        seen = []
        for positions in portions_to_spoil(source):
            worse = spoil(source, positions, CORRUPTIONS[name], level, seed=experiment.training.seed)
            what = f"{name} {CORRUPTIONS[name].levels[level - 1]:g}"
            seen.append(predict(model, worse, experiment.prediction, fabric=fabric, what=what))
        portions.add(number, {"probabilities": np.concatenate(seen)[None]})
    return portions.all()["probabilities"]


def _source_of(
    experiment: Experiment, folder: RunFolder, clean: Predictions, *, smallest_canvas_px: int
) -> ImageSource:
    """Return the run's own images of some predictions, in their order."""
    images = experiment.data.images
    manifest = Manifest.read(folder.manifest, images=images.parent if is_array_file(images) else images)
    place = {record: row for row, record in enumerate(clean.record_ids)}
    rows = manifest.kept.filter(pl.col("record_id").is_in(list(place)))
    stain = read_stain(experiment, folder)
    prepared, store = prepare_pixels(experiment, manifest.replace(rows), folder, stain=stain)
    order = prepared.kept["record_id"].replace_strict(place, return_dtype=pl.Int64)
    return image_source(
        experiment,
        store,
        prepared.kept[order.arg_sort()],
        classes=clean.classes,
        smallest_canvas_px=smallest_canvas_px,
        intensity=read_intensity(folder),
    )


def _tell(found: Robustness) -> None:
    """Print what the section says first, and each corruption's strongest level."""
    label = metric_label(found.metrics[0])
    say_rows(
        f"{label} and share decided otherwise, in the strongest of {len(found.corruptions[0].strengths)} levels",
        [
            (
                one.name,
                f"{one.strengths[-1].level:g}",
                phrase(one.strengths[-1].metrics[0]),
                phrase(one.strengths[-1].flips),
            )
            for one in found.corruptions
        ],
    )
    say("")
    say(verdict(found))
