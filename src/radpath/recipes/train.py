"""From a complete experiment to a report; from an unfinished run to the same report."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from lightning_fabric import Fabric

from radpath import files
from radpath.data.batches import ImageSource
from radpath.data.findings import counted
from radpath.data.label_sets import names_of
from radpath.data.pixel_store import PixelStore
from radpath.data.split import Split
from radpath.errors import SettingsError
from radpath.evaluation.evaluate import require_fitting_classes
from radpath.models.classifier import Classifier
from radpath.models.heads import num_parameters, too_large
from radpath.recipes.beginning import default_folder, new_run, require_feasible, require_trained_here, resumable
from radpath.recipes.concluding import conclude
from radpath.recipes.environment import describe_environment, device_name
from radpath.recipes.experiment import Experiment, read_experiment, render_experiment
from radpath.recipes.failures import told_failures
from radpath.recipes.gathering import audited_split, gather, in_class_order, look_closer, run_name
from radpath.recipes.precision import begin_precision
from radpath.recipes.running import (
    build_model,
    learn,
    normalise_stain,
    predict_all,
    prepare_pixels,
    read_intensity,
    read_stain,
    record_data,
    record_intensity,
    sources_of,
)
from radpath.recipes.staleness import require_same_data, require_same_settings, stamp_settings
from radpath.recipes.telling import say, say_findings, say_path, say_training
from radpath.records import Side
from radpath.reporting.content import Choice
from radpath.run_folder import RunFolder
from radpath.training.device import on_devices
from radpath.training.feature_cache import FeatureCache, features_beside
from radpath.training.feature_plan import plan_features
from radpath.training.history import read_history
from radpath.training.losses import require_fitting_loss, require_known_classes

_FEATURES: Final = "features"


def train_experiment(path: Path, *, assignments: list[str], out: Path | None, resume: bool, command: str) -> RunFolder:
    """Run an experiment from its file, or continue one that was interrupted.

    Args:
        path: an experiment.toml; with ``resume``, that of the run or the one the run was made from.
        assignments: ``key=value`` settings that win over the file.
        out: the run folder; None for a new one below ``runs`` or, with ``resume``, the folder of ``path``.
        resume: continue after the last finished epoch.
        command: the command line, for the report.

    Raises:
        StaleError: images, labels or settings are not those that the run began with.
        RadpathError: bad input; the message says what, where and what to do.
    """
    if resume:
        require_trained_here(RunFolder(_folder_to_resume(path, out)))
    experiment = read_experiment(path, assignments)
    if resume:
        folder = RunFolder.open(_folder_to_resume(path, out))
        require_same_settings(folder, experiment)
        split, _ = prepared_split(experiment, folder)
        require_same_data(folder, split.manifest)
        files.remove_unfinished(folder.root)
        return finish(experiment, split, folder, command=command)
    with new_run(default_folder(out, run_name(experiment.data.images))) as folder:
        require_feasible(experiment)
        split, store = normalise_stain(experiment, *prepared_split(experiment, folder), folder)
        say_findings(split.manifest.findings)
        start(experiment, split, store, [], folder=folder)
    return finish(experiment, split, folder, command=command)


def prepared_split(experiment: Experiment, folder: RunFolder) -> tuple[Split, PixelStore]:
    """Return the images with their sides, checked, and the store of their pixels."""
    manifest, store = prepare_pixels(experiment, gather(experiment.data, beside=folder.root), folder)
    looked = look_closer(manifest, experiment.data, experiment.audit, store=store)
    return in_class_order(audited_split(looked, experiment.split, experiment.audit), experiment.data), store


def _folder_to_resume(path: Path, out: Path | None) -> Path:
    if out is not None:
        return out
    if (path.parent / "stamps.json").is_file():
        return path.parent
    raise SettingsError(f"--resume needs the run: name its own experiment.toml, or its folder with --out; got {path}")


def start(
    experiment: Experiment, split: Split, store: PixelStore, choices: Sequence[Choice], *, folder: RunFolder
) -> None:
    """Write down what a run is about to do; the settings come last, since they make the folder a run.

    Raises:
        SettingsError: a setting of the loss or of the evaluation names what is no class, or is not for such labels.
    """
    several = names_of(split.manifest.kept["label"].to_list()) is not None
    require_fitting_loss(experiment.training.loss, has_several_labels=several)
    require_known_classes(experiment.training.loss, split.classes)
    if not several:
        require_fitting_classes(experiment.evaluation, split.classes)
    record_data(folder, split, choices)
    record_intensity(experiment, split, store, folder)
    stamp_settings(folder, experiment)
    reasons = {choice.setting: choice.reason for choice in choices}
    files.write_text(folder.experiment, render_experiment(experiment, reasons=reasons))


def finish(experiment: Experiment, split: Split, folder: RunFolder, *, command: str) -> RunFolder:
    """Learn, predict, evaluate and report."""
    with resumable(folder), told_failures(folder):
        experiment = _with_precision(experiment, split, folder)
        on_devices(experiment.device, partial(learn_and_predict, experiment, split, folder, command))
        conclude(experiment, folder)
    say("")
    say_path("Run folder", folder.root)
    say_path("Report", folder.report)
    return folder


def _with_precision(experiment: Experiment, split: Split, folder: RunFolder) -> Experiment:
    """Settle device.precision = "auto", on the training images."""

    def images(model: Classifier) -> ImageSource:
        _, store = prepare_pixels(experiment, split.manifest, folder, stain=read_stain(experiment, folder))
        return sources_of(experiment, split, store, model, intensity=read_intensity(folder))["train"]

    return begin_precision(experiment, folder, partial(build_model, experiment, split.classes), images)


def learn_and_predict(experiment: Experiment, split: Split, folder: RunFolder, command: str, fabric: Fabric) -> None:
    """Train, and predict every side with the best epoch; with several devices, each of their processes does this."""
    _, store = prepare_pixels(experiment, split.manifest, folder, stain=read_stain(experiment, folder))
    model = build_model(experiment, split.classes)
    sources = sources_of(experiment, split, store, model, intensity=read_intensity(folder))
    if fabric.is_global_zero:
        environment = describe_environment(experiment, command=command, device=device_name(fabric))
        files.write_json(folder.environment, environment)
        files.write_json(folder.padding, {side: source.padded_share() for side, source in sources.items()})
    say(f"Training on {device_name(fabric)}; {model.backbone.report.sentence()}")
    _say_what_learns(model, sources["train"])
    cache = _kept_features(experiment, model, sources, folder, fabric)
    learn(experiment, model, sources, folder, fabric, classes=split.classes, cache=cache)
    say_training(read_history(folder.history), experiment.training.monitor)
    predict_all(experiment, model, split, sources, folder, fabric, cache)


def _say_what_learns(model: Classifier, training: ImageSource) -> None:
    learning = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    say(f"The head has {counted(num_parameters(model.head), 'parameter')}")
    told = model.learning_sentence()
    say(f"{told[0].upper()}{told[1:]} ({learning:,} of {num_parameters(model):,} parameters)")
    for remark in (model.freeze_note, too_large(model.head, num_images=len(training))):
        if remark:
            say(f"Note: {remark}")


def _kept_features(
    experiment: Experiment, model: Classifier, sources: dict[Side, ImageSource], folder: RunFolder, fabric: Fabric
) -> FeatureCache | None:
    """Return where what the frozen stages compute is kept, or None, and say which; a resumed run does as it began."""
    begun = folder.has_stamp(_FEATURES)
    plan = plan_features(
        features_beside(folder.root),
        model,
        sources,
        experiment.training,
        augmentation=experiment.augmentation,
        prediction=experiment.prediction,
        fabric=fabric,
        begun_with=folder.stamped(_FEATURES)["kept"] == "yes" if begun else None,
    )
    fabric.barrier()  # before one of several processes writes what the others have just read
    if fabric.is_global_zero and not begun:
        folder.stamp(_FEATURES, {"kept": "no" if plan.cache is None else "yes"})
    if plan.sentence:
        say(plan.sentence)
    return plan.cache
