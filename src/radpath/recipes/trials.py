"""What a short trial of a training needs: the experiment, its training images, and how their levels become numbers.

In: an experiment, a run, or images, for which ``fit`` would make a plan. Out: ``TrialData``. Nothing is written but
prepared pixels, which the run will find there.
"""

import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import polars as pl
from lightning_fabric import Fabric

from radpath.data.batches import ImageSource
from radpath.data.fingerprint import measure
from radpath.data.intensity import Intensity, fit_intensity
from radpath.data.location import Location
from radpath.data.manifest import Manifest
from radpath.data.pixel_store import PixelStore
from radpath.data.split import Split
from radpath.data.stain.fitting import fit_stain_of
from radpath.models.backbones import build_backbone
from radpath.models.classifier import Classifier
from radpath.recipes.beginning import require_feasible
from radpath.recipes.experiment import Experiment, compose_experiment, read_experiment
from radpath.recipes.fit import compose_wanted, with_label_sets
from radpath.recipes.gathering import audited_split, data_values, gather, in_class_order, look_closer, run_name
from radpath.recipes.planning import derive_plan
from radpath.recipes.precision import measured_device
from radpath.recipes.running import build_model, image_source, prepare_pixels
from radpath.run_folder import RunFolder
from radpath.settings import flatten, override
from radpath.training.device import connect, require_device
from radpath.training.learners import Drawing, ImageLearner, Learner
from radpath.training.losses import Loss, build_loss


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrialData:
    """The training side of an experiment, ready to be learned from."""

    experiment: Experiment
    table: pl.DataFrame
    """One row a training image."""
    classes: tuple[str, ...]
    store: PixelStore
    intensity: Intensity

    def source(self, model: Classifier) -> ImageSource:
        """Return the training images as this model takes them."""
        return image_source(
            self.experiment,
            self.store,
            self.table,
            classes=self.classes,
            smallest_canvas_px=model.backbone.smallest_canvas_px,
            intensity=self.intensity,
        )

    def fresh_model(self, fabric: Fabric) -> Classifier:
        """Return the network as a run begins with it, its head with random weights."""
        model: Classifier = build_model(self.experiment, self.classes).to(fabric.device)
        return model

    def loss(self, source: ImageSource) -> Loss:
        """Return the run's loss for these images."""
        return build_loss(self.experiment.training.loss, source.labels, classes=self.classes)

    def learner(self, model: Classifier, source: ImageSource) -> Learner:
        """Return how the run draws examples; nothing is kept of them, since a trial is short."""
        training = self.experiment.training
        drawing = Drawing(
            augmentation=self.experiment.augmentation, seed=training.seed, sampling=training.sampling, mix=training.mix
        )
        return ImageLearner(model, source, drawing)


def name_of(target: Location) -> str:
    """Return what a trial of a target is called: a run's experiment after its run, any other after itself."""
    if target.suffix != ".toml":
        return run_name(target)
    return target.absolute().parent.name if target.stem == "experiment" else target.stem


def gather_trial(target: Location, *, labels: Location | None, assignments: Sequence[str], folder: Path) -> TrialData:
    """Scan, plan, prepare and split, as the run would.

    Args:
        target: an ``experiment.toml``, a run folder, or images.
        labels: a table, for images whose folders and names do not say the class.
        assignments: ``key=value`` settings that win.
        folder: where results will be, beside which prepared pixels are kept.

    Raises:
        RadpathError: bad input; the message says what, where and what to do.
    """
    experiment, manifest = _experiment_of(target, labels, list(assignments), folder)
    require_feasible(experiment)
    run = RunFolder(folder)
    manifest, store = prepare_pixels(experiment, manifest, run)
    looked = look_closer(manifest, experiment.data, experiment.audit, store=store)
    split = in_class_order(audited_split(looked, experiment.split, experiment.audit), experiment.data)
    stain = fit_stain_of(_training(split), experiment.data, experiment.pixels.stain)
    if stain is not None:
        manifest, store = prepare_pixels(experiment, split.manifest, run, stain=stain)
        split = dataclasses.replace(split, manifest=manifest)
    table, pixels = _training(split).kept, experiment.pixels
    known = store.statistics.of(store.index(table["record_id"].to_list()))
    return TrialData(
        experiment=experiment,
        table=table,
        classes=split.classes,
        store=store,
        intensity=fit_intensity(pixels.intensity, pixels.intensity_scope, pixels.range, known),
    )


def _training(split: Split) -> Manifest:
    return split.manifest.replace(split.manifest.table.filter(pl.col("split") == "train"))


def _experiment_of(
    target: Location, labels: Location | None, assignments: list[str], folder: Path
) -> tuple[Experiment, Manifest]:
    """Return the experiment that a target stands for, and its labelled images."""
    if isinstance(target, Path):
        path = target / "experiment.toml" if target.is_dir() else target
        if path.suffix == ".toml" and path.is_file():
            experiment = read_experiment(path, assignments)
            return experiment, gather(experiment.data, beside=folder)
    given, _ = with_label_sets({"data": data_values(target, labels)}, assignments)
    asked = flatten(override(given, assignments))
    wanted = compose_wanted(given, assignments)
    manifest = gather(wanted.data, beside=folder)
    plan = derive_plan(
        measure(manifest),
        sides_given=bool(manifest.kept["split"].is_not_null().any()),
        asked=asked,
        backbone=build_backbone(wanted.model),
        accelerator=require_device(wanted.device),
    )
    return compose_experiment({**plan.values, **given}, assignments), manifest


def one_device(data: TrialData) -> Fabric:
    """Return the first of the run's devices, on which a trial runs, in a precision that is measured where it is to be.

    Raises:
        DeviceError: the device is not there, or its memory is too small.
    """
    settings = measured_device(data.experiment, partial(build_model, data.experiment, data.classes), data.source)
    fabric = connect(settings.model_copy(update={"num_devices": 1, "launcher": "own"}))
    fabric.launch()
    return fabric
