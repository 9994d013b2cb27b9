"""The parts of a run that several recipes share, each one step from one file of the run folder to the next."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import polars as pl
from lightning_fabric import Fabric

from radpath import files
from radpath.data.batches import UNLABELLED, ImageSource
from radpath.data.ingest import prepare
from radpath.data.intensity import Intensity, fit_intensity
from radpath.data.label_sets import label_matrix
from radpath.data.leaks import Audit
from radpath.data.manifest import Finding, Manifest
from radpath.data.pixel_store import PixelStore
from radpath.data.split import Split, write_splits
from radpath.data.stain.fitting import fit_stain_of
from radpath.data.stain.normalisation import StainReference
from radpath.errors import DataError
from radpath.models.classifier import Classifier, Link, build_classifier
from radpath.models.heads import too_large
from radpath.recipes.beginning import check_sizes
from radpath.recipes.distances import record_distance
from radpath.recipes.experiment import Experiment
from radpath.recipes.gathering import pools_beside
from radpath.recipes.run_predictions import write_run_predictions
from radpath.recipes.telling import say
from radpath.records import Side
from radpath.reporting.content import Choice
from radpath.run_folder import RunFolder
from radpath.seeding import derived_seed
from radpath.training.checkpoints import Checkpoints, load_best
from radpath.training.device import arrange
from radpath.training.feature_cache import FeatureCache
from radpath.training.loop import Sides, train
from radpath.training.prediction import average_views, view_features

Nouns = TypeVar("Nouns")

_STAIN: Final = "stain"


def record_data(folder: RunFolder, split: Split, choices: Sequence[Choice]) -> None:
    """Write everything that is known of the data before the training."""
    split.manifest.write(folder.manifest)
    split.manifest.write_exclusions(folder.exclusions)
    write_splits(split, folder.splits)
    files.write_json(folder.plan, [dataclasses.asdict(choice) for choice in choices])
    checks = {
        "classes": list(split.classes),
        "source": split.source,
        "leaks": [str(leak) for leak in split.leaks],
        "audit": dataclasses.asdict(split.audit),
    }
    files.write_json(folder.checks, checks)
    files.write_json(folder.findings, [dataclasses.asdict(finding) for finding in split.manifest.findings])
    folder.stamp("data", {"the data": split.manifest.content_digest()})


def read_findings(folder: RunFolder) -> tuple[Finding, ...]:
    """Read what ``record_data`` found."""
    return read_document(
        folder.findings,
        lambda rows: tuple(Finding(**{**row, "examples": tuple(row["examples"])}) for row in rows),
    )


def read_choices(folder: RunFolder) -> tuple[Choice, ...]:
    """Read the plan."""
    return read_document(folder.plan, lambda rows: tuple(Choice(**row) for row in rows))


def read_audit(folder: RunFolder) -> Audit:
    """Read what was checked on the split."""
    return read_document(folder.checks, lambda checks: Audit(**checks["audit"]))


def read_classes(folder: RunFolder) -> tuple[str, ...]:
    """Read the classes of a run, in the order of the model's outputs."""
    return read_document(folder.checks, lambda checks: tuple(checks["classes"]))


def read_document(path: Path, rebuild: Callable[[Any], Nouns]) -> Nouns:
    """Read a JSON file of a run and make what it stands for.

    Raises:
        DataError: it is missing, or is not what radpath wrote.
    """
    values = files.read_json(path)
    try:
        return rebuild(values)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{path} is not what radpath wrote ({error}); restore it, or run the experiment again"
        ) from None


def build_model(experiment: Experiment, classes: Sequence[str]) -> Classifier:
    """Build the network and refuse sizes that it cannot take.

    Raises:
        SettingsError: the backbone cannot work with pixels.size or pixels.size_px.
    """
    model = build_classifier(
        experiment.model,
        num_classes=len(classes),
        seed=derived_seed(experiment.training.seed, "head"),
        link=experiment.training.loss.link,
    )
    model.plan_thaw(experiment.training.num_thawed(experiment.training.epochs))
    check_sizes(experiment, model.backbone)
    return arrange(model, experiment.device)


def prepare_pixels(
    experiment: Experiment, manifest: Manifest, folder: RunFolder, *, stain: StainReference | None = None
) -> tuple[Manifest, PixelStore]:
    """Decode and prepare what is not prepared yet; return the manifest with what could not be decoded excluded.

    Args:
        experiment: how files are read, and what becomes of their pixels.
        manifest: the images.
        folder: the run, beside which pixels are kept.
        stain: what colours are brought to, as ``read_stain`` returns it; None before that is known.

    Raises:
        DataError: no image can be used.
    """
    return prepare(manifest, experiment.data, experiment.pixels, stores=pools_beside(folder.root), stain=stain)


def normalise_stain(
    experiment: Experiment, split: Split, store: PixelStore, folder: RunFolder
) -> tuple[Split, PixelStore]:
    """Fit the typical stain on training images, write it down, and prepare all images again with it.

    Where no normalisation is wanted, split and store are returned as they are.

    Raises:
        DataError: no training image shows tissue with two stains.
    """
    training = split.manifest.replace(split.manifest.table.filter(pl.col("split") == "train"))
    reference = fit_stain_of(training, experiment.data, experiment.pixels.stain)
    if reference is None:
        return split, store
    files.write_json(folder.stain, reference.model_dump(mode="json"))
    folder.stamp(_STAIN, {folder.stain.name: files.digest_file(folder.stain)})
    manifest, store = prepare_pixels(experiment, split.manifest, folder, stain=reference)
    return dataclasses.replace(split, manifest=manifest), store


def read_stain(experiment: Experiment, folder: RunFolder) -> StainReference | None:
    """Read what a run fitted on its training images; None where it normalises no stain.

    Raises:
        DataError: the file is missing or damaged.
        StaleError: it is not what the run wrote.
    """
    if experiment.pixels.stain.method == "none":
        return None
    reference = read_document(folder.stain, lambda values: StainReference.model_validate_json(json.dumps(values)))
    now = {folder.stain.name: files.digest_file(folder.stain)}
    folder.require_fresh(_STAIN, now, remedy="restore it, or run the experiment again")
    return reference


def record_intensity(experiment: Experiment, split: Split, store: PixelStore, folder: RunFolder) -> None:
    """Fit how levels become numbers on the training images, and write it down."""
    files.write_json(folder.intensity, fitted_intensity(experiment, split, store).to_dict())


def fitted_intensity(experiment: Experiment, split: Split, store: PixelStore) -> Intensity:
    """Return how levels become numbers, as the training images say."""
    training = split.manifest.kept.filter(pl.col("split") == "train")["record_id"].to_list()
    pixels, known = experiment.pixels, store.statistics.of(store.index(training))
    return fit_intensity(pixels.intensity, pixels.intensity_scope, pixels.range, known)


def read_intensity(folder: RunFolder) -> Intensity:
    """Read how levels become numbers in a run."""
    return read_document(folder.intensity, Intensity.from_dict)


def image_source(
    experiment: Experiment,
    store: PixelStore,
    table: pl.DataFrame,
    *,
    classes: Sequence[str],
    smallest_canvas_px: int,
    intensity: Intensity,
) -> ImageSource:
    """Return the images of a manifest's rows with their labels."""
    return ImageSource(
        store=store,
        rows=store.index(table["record_id"].to_list()),
        labels=_labels_of(table["label"].to_list(), classes, link=experiment.training.loss.link),
        pixels=experiment.pixels,
        batches=experiment.batches,
        intensity=intensity,
        smallest_canvas_px=smallest_canvas_px,
        random_views=experiment.augmentation if experiment.prediction.augmented_views else None,
    )


def _labels_of(labels: Sequence[str | None], classes: Sequence[str], *, link: Link) -> np.ndarray:
    """Return the position of each image's class or, of several labels, the answer to each."""
    if link == "sigmoid":
        return label_matrix(labels, classes)
    place = {name: number for number, name in enumerate(classes)}
    return np.array([place.get(label or "", UNLABELLED) for label in labels], dtype=np.int64)


def sources_of(
    experiment: Experiment, split: Split, store: PixelStore, model: Classifier, *, intensity: Intensity
) -> dict[Side, ImageSource]:
    """Return one source a side."""
    kept = split.manifest.kept
    sides: tuple[Side, ...] = ("train", "validation", "test")
    return {
        side: image_source(
            experiment,
            store,
            kept.filter(pl.col("split") == side),
            classes=split.classes,
            smallest_canvas_px=model.backbone.smallest_canvas_px,
            intensity=intensity,
        )
        for side in sides
    }


def learn(
    experiment: Experiment,
    model: Classifier,
    sources: dict[Side, ImageSource],
    folder: RunFolder,
    fabric: Fabric,
    *,
    classes: Sequence[str],
    cache: FeatureCache | None = None,
) -> None:
    """Train, and prove that what is frozen stayed as it was."""
    before = model.frozen_checksum()
    if fabric.is_global_zero:
        story = {
            "learns": model.learning_sentence(),
            "caution": too_large(model.head, num_images=len(sources["train"])),
        }
        files.write_json(folder.weights, {**model.backbone.report.to_dict(), **story, "frozen_checksum": before})
    train(
        model,
        Sides(train=sources["train"], validation=sources["validation"], classes=classes),
        experiment.training,
        augmentation=experiment.augmentation,
        prediction=experiment.prediction,
        folder=folder,
        fabric=fabric,
        cache=cache,
        warn=say,
    )
    if model.frozen_checksum() != before:
        raise AssertionError("frozen weights changed during training")  # a defect of radpath, never a user's
    if fabric.is_global_zero:
        stamp_model(folder)


def stamp_model(folder: RunFolder) -> None:
    """Record which model later steps use; what was asked of another one is forgotten."""
    best = files.digest_file(Checkpoints(folder.checkpoints).best)
    if folder.has_stamp("train") and folder.stamped("train")["checkpoints/best.safetensors"] != best:
        folder.analysis("robustness").unlink(missing_ok=True)
    folder.stamp("train", {"the data": folder.stamped("data")["the data"], "checkpoints/best.safetensors": best})


def predict_all(
    experiment: Experiment,
    model: Classifier,
    split: Split,
    sources: dict[Side, ImageSource],
    folder: RunFolder,
    fabric: Fabric,
    cache: FeatureCache | None = None,
) -> None:
    """Write ``predictions.csv`` of the best epoch for all sides, and how far from training images others are."""
    load_best(model, Checkpoints(folder.checkpoints).best)
    model.to(fabric.device)
    kept = split.manifest.kept
    tables = [kept.filter(pl.col("split") == side) for side in sources]
    probabilities, plain = [], {}
    for side, source in sources.items():
        what = f"predicting {side}"
        views = view_features(model, source, experiment.prediction, fabric=fabric, what=what, cache=cache)
        probabilities.append(average_views(model, views))
        plain[side] = views[0].numpy()
    if fabric.is_global_zero:
        table, found = pl.concat(tables), np.concatenate(probabilities)
        write_run_predictions(table, found, split.classes, link=model.link, folder=folder)
        record_distance(plain, sources["train"].labels, experiment.prediction.distance, folder)
