"""``prepare``: decode and scale every image before anything is trained, and on demand write plain PNG folders."""

from pathlib import Path
from typing import Any

import polars as pl

from radpath.data.fingerprint import measure
from radpath.data.ingest import pool_name, prepare
from radpath.data.location import Location
from radpath.data.manifest import Manifest
from radpath.data.pixel_store import PixelStore
from radpath.data.split import split_by_case
from radpath.data.stain.fitting import fit_stain_of
from radpath.errors import StorageError
from radpath.models.backbones import build_backbone
from radpath.recipes.experiment import Experiment, compose_experiment
from radpath.recipes.export import export_png
from radpath.recipes.fit import choices_as_made, compose_wanted
from radpath.recipes.gathering import data_values, gather_what_there_is, look_closer, pools_beside, run_name
from radpath.recipes.inspect import folder_to_write
from radpath.recipes.planning import derive_plan
from radpath.recipes.telling import say, say_findings, say_path, say_plan, say_rows
from radpath.settings import flatten, override
from radpath.training.device import require_device


def prepare_images(
    images: Location, *, labels: Location | None, assignments: list[str], out: Path | None, export: Path | None
) -> Path:
    """Prepare all images as ``fit`` would, so that a run on them begins at once; return the folder of the tables.

    Args:
        images: a folder or an array file.
        labels: a table; None where folders, names or an array file hold the labels, or nothing does.
        assignments: ``key=value`` settings that win over the plan.
        out: where manifest and exclusions are written; None for a new folder below ``runs``. Pixels lie beside it.
        export: an empty or new folder for PNG files, below a folder for each side and class; None for none.

    Raises:
        RadpathError: bad input; the message says what, where and what to do; also, where images are exported or stains
            normalised, if ``fit`` could not split the images.
    """
    given = {"data": data_values(images, labels)}
    wanted = compose_wanted(given, assignments)
    folder = folder_to_write(out, f"{run_name(images)}-prepared")
    if export is not None:
        _require_empty(export)
    manifest = gather_what_there_is(wanted.data, beside=folder)
    experiment = _planned(wanted, manifest, given, assignments, images)
    stores = pools_beside(folder)
    manifest, store = prepare(manifest, experiment.data, experiment.pixels, stores=stores)
    sided, stain = manifest, None
    if export is not None or experiment.pixels.stain.method != "none":
        sided = _with_sides(experiment, manifest, store)
        stain = fit_stain_of(_to_learn_from(sided), experiment.data, experiment.pixels.stain)
    if stain is not None:
        sided, store = prepare(sided, experiment.data, experiment.pixels, stores=stores, stain=stain)
    manifest.write(folder / "manifest.parquet")
    manifest.write_exclusions(folder / "exclusions.csv")
    say_findings(sided.findings)
    say("")
    if export is not None:
        export_png(experiment, sided, store, export)
        say_path("PNG files", export)
    say_path("Manifest", folder / "manifest.parquet")
    say_path("Exclusions", folder / "exclusions.csv")
    say_path("Pixels", stores / pool_name(experiment.data, experiment.pixels, stain))
    return folder


def _with_sides(experiment: Experiment, manifest: Manifest, store: PixelStore) -> Manifest:
    """Return the manifest with the sides that ``fit`` would make, or as it is where nothing is labelled."""
    if manifest.kept["label"].is_null().all():
        return manifest
    looked = look_closer(manifest, experiment.data, experiment.audit, store=store)
    return split_by_case(looked.manifest, experiment.split).manifest


def _to_learn_from(sided: Manifest) -> Manifest:
    """Return the training images, or all where there are no sides."""
    if sided.kept["split"].is_null().all():
        return sided
    return sided.replace(sided.table.filter(pl.col("split") == "train"))


def _require_empty(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StorageError(f"{folder} is not an empty folder; choose another with --export")


def _planned(
    wanted: Experiment, manifest: Manifest, given: dict[str, Any], assignments: list[str], images: Location
) -> Experiment:
    """Return the experiment that ``fit`` would run on these images, and say what was chosen for their pixels."""
    fingerprint = measure(manifest)
    say_rows(f"Images in {images}", fingerprint.to_rows())
    plan = derive_plan(
        fingerprint,
        sides_given=manifest.kept["split"].is_not_null().any(),
        asked=flatten(override(given, assignments)),
        backbone=build_backbone(wanted.model),
        accelerator=require_device(wanted.device),
    )
    experiment = compose_experiment({**plan.values, **given}, assignments)
    choices = choices_as_made(plan.choices, experiment)
    say_plan([choice for choice in choices if choice.setting.startswith("pixels.")])
    return experiment
