"""New images are seen by a trained run, with everything frozen, some thousand at a time.

In: a run, or an ensemble, and images. Out: ``Seen``: which images could be used, and what the model said of each. What
is known of a finished portion is kept beside the table that is being made, so that an interrupted prediction goes on,
and the portions are cut by the images alone, so that it ends with the same bits. What is decided is ``predict``'s.
"""

import dataclasses
import importlib.metadata
import shutil
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from lightning_fabric import Fabric

from radpath import files
from radpath.data.augmentation.views import NUM_VIEWS
from radpath.data.batches import ImageSource
from radpath.data.findings import counted
from radpath.data.location import Location
from radpath.data.manifest import Manifest
from radpath.evaluation.distance import TrainingDistance
from radpath.evaluation.uncertainty import Spread
from radpath.models.classifier import Classifier
from radpath.progress import track
from radpath.recipes.distances import distance_of_run
from radpath.recipes.ensemble import read_ensemble, require_same_model
from radpath.recipes.experiment import Experiment, read_experiment
from radpath.recipes.gathering import gather_unlabelled
from radpath.recipes.named_images import is_table, only_named
from radpath.recipes.portions import Portion, Portions
from radpath.recipes.precision import with_precision_of_run
from radpath.recipes.running import build_model, image_source, prepare_pixels, read_classes, read_intensity, read_stain
from radpath.recipes.seen import Seen, compared, joined, spread_of
from radpath.recipes.staleness import require_same_settings
from radpath.recipes.telling import say
from radpath.run_folder import RunFolder
from radpath.training.checkpoints import Checkpoints, load_best
from radpath.training.device import on_devices
from radpath.training.prediction import PredictionSettings, view_features, view_probabilities

_FEATURE_ROWS: Final = 8192
"""Rows of features in memory at once: an image has one for each view."""
_LEAST_IMAGES: Final = 256


def seen_by_run(folder: RunFolder, images: Location, assignments: Sequence[str], *, keep: Path | None = None) -> Seen:
    """Look at images with one run's model, prepared as that run prepares them.

    Args:
        folder: of the run.
        images: a folder, a table that names images below its own folder, or an array file.
        assignments: ``key=value`` settings of ``[device]``, and ``data.ray``. No other may change.
        keep: a folder for what is finished; None to keep nothing.

    Raises:
        StaleError: the run's model is not the one that the run evaluated.
    """
    experiment = read_experiment(folder.experiment, list(assignments))
    require_same_settings(folder, experiment)
    experiment = with_precision_of_run(experiment, folder)
    best = Checkpoints(folder.checkpoints).best
    now = {"checkpoints/best.safetensors": files.digest_file(best)} if best.is_file() else {}
    folder.require_fresh("train", now, remedy="restore it, or train again")
    classes = read_classes(folder)
    place = images.parent if is_table(images) else images
    data = experiment.data.model_copy(update={"images": place.absolute(), "labels": None})
    looking = experiment.model_copy(update={"data": data})
    found = gather_unlabelled(data, beside=folder.root)
    if is_table(images):
        found = only_named(found, images)
    # Prepared here, before several processes look for it.
    manifest, _ = prepare_pixels(looking, found, folder, stain=read_stain(experiment, folder))
    portions = Portions(
        folder=None if keep is None else keep / _identity(looking, manifest, folder),
        num_images=len(manifest.kept),
        size=portion_size(experiment.prediction),
    )
    said = on_devices(experiment.device, partial(_look, looking, manifest, classes, folder, portions))
    deviation, information = said.get("view_deviation"), said.get("view_information")
    return Seen(
        manifest=compared(manifest, folder),
        classes=classes,
        link=experiment.training.loss.link,
        probabilities=said["probabilities"],
        views=None
        if deviation is None or information is None
        else Spread(deviation=deviation, mutual_information=information),
        members=None,
        distance=said.get("distance"),
    )


def portion_size(settings: PredictionSettings) -> int:
    """Return how many images are seen at a time, so that their features fit into memory whatever the views.

    >>> portion_size(PredictionSettings(flips="horizontal")), portion_size(PredictionSettings(augmented_views=60))
    (4096, 256)
    """
    return max(_LEAST_IMAGES, _FEATURE_ROWS // (NUM_VIEWS[settings.flips] + settings.augmented_views))


def _identity(experiment: Experiment, manifest: Manifest, folder: RunFolder) -> str:
    """Return a digest of all that decides the answers: the model, the settings, and the images."""
    used = (Checkpoints(folder.checkpoints).best, folder.intensity, folder.stain, folder.distance)
    settings = experiment.model_dump(mode="json", exclude={"evaluation": True, "data": {"ray"}})
    known = manifest.kept.select("record_id", "pixel_digest")
    return files.digest_json(
        [
            importlib.metadata.version("radpath"),
            [files.digest_file(path) if path.is_file() else "" for path in used],
            settings,
            [files.digest_bytes("\n".join(known[name].fill_null("").to_list()).encode()) for name in known.columns],
        ]
    )


def _look(
    experiment: Experiment,
    manifest: Manifest,
    classes: tuple[str, ...],
    folder: RunFolder,
    portions: Portions,
    fabric: Fabric,
) -> Portion:
    """Return what the model says of all images; on several devices, each of their processes does this."""
    missing = portions.missing()
    fabric.barrier()  # before one of several processes writes what the others have just looked for
    if len(missing) < len(portions) and fabric.is_global_zero:
        say(f"{counted(portions.num_done(missing), 'image')} predicted before; the others follow")
    answers = _answers(experiment, manifest, classes, folder, [portions.rows(number) for number in missing], fabric)
    for number, answer in zip(missing, answers, strict=True):
        if fabric.is_global_zero:
            portions.add(number, answer)
    fabric.barrier()
    return portions.all() if fabric.is_global_zero else {}


def _answers(
    experiment: Experiment,
    manifest: Manifest,
    classes: tuple[str, ...],
    folder: RunFolder,
    todo: Sequence[slice],
    fabric: Fabric,
) -> Iterator[Portion]:
    """Yield what the model says of some portions; nothing is loaded where there are none."""
    if not todo:
        return
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
    distance = distance_of_run(folder)
    whole = sum(rows.stop - rows.start for rows in todo)
    for rows in track(todo, total=whole, what="all images", weigh=lambda rows: rows.stop - rows.start):
        some = dataclasses.replace(source, rows=source.rows[rows], labels=source.labels[rows])
        yield _answer(model, some, experiment.prediction, distance, fabric)


def _answer(
    model: Classifier,
    source: ImageSource,
    settings: PredictionSettings,
    distance: TrainingDistance | None,
    fabric: Fabric,
) -> Portion:
    """Return what the model says of some images, by name."""
    features = view_features(model, source, settings, fabric=fabric, what="predicting")
    views = view_probabilities(model, features)
    found: dict[str, Any] = {"probabilities": views.mean(axis=0)}
    if len(views) > 1:
        apart = spread_of(views, link=model.link)
        found |= {"view_deviation": apart.deviation, "view_information": apart.mutual_information}
    if distance is not None:
        found["distance"] = distance.of(features[0].numpy())
    return found


def seen_by_members(
    folder: RunFolder, images: Location, assignments: Sequence[str], *, keep: Path | None = None
) -> Seen:
    """Look at the images with every member of an ensemble, and average; what one of them excludes is excluded."""
    shares = [share for share in read_ensemble(folder) if share.weight > 0]
    looks = []
    for share in track(shares, total=len(shares), what="predicting", unit="members"):
        member = RunFolder.open(share.run)
        require_same_model(share, member.stamped("train")["checkpoints/best.safetensors"])
        looks.append(seen_by_run(member, images, assignments, keep=keep))
    return joined(looks, [share.weight for share in shares])


def forget(keep: Path) -> None:
    """Remove what was kept of portions, when the table is there."""
    shutil.rmtree(keep, ignore_errors=True)
