"""Several runs become one model: the mean of their weights, where that is better on validation.

In: finished runs of one architecture from the same start and on the same data. Out: a run folder like any other, which
``predict`` and ``evaluate`` take, and ``soup.json``, which names the runs and says which of them are in it.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from lightning_fabric import Fabric

from radpath import files
from radpath.data.batches import ImageSource
from radpath.data.findings import counted
from radpath.data.split import Split
from radpath.errors import SettingsError
from radpath.evaluation.probability import log_losses
from radpath.evaluation.ranking import macro_roc_auc
from radpath.models.classifier import Classifier
from radpath.recipes.beginning import default_folder, new_run
from radpath.recipes.experiment import Experiment
from radpath.recipes.judging import evaluate_run
from radpath.recipes.members import Member, open_members
from radpath.recipes.precision import with_precision_of_run
from radpath.recipes.report import write_run_report
from radpath.recipes.running import (
    build_model,
    predict_all,
    prepare_pixels,
    read_document,
    read_intensity,
    read_stain,
    sources_of,
    stamp_model,
)
from radpath.recipes.staleness import require_same_data
from radpath.recipes.telling import say, say_path, say_results, say_rows
from radpath.recipes.train import prepared_split
from radpath.run_folder import RunFolder
from radpath.settings import flatten
from radpath.training.checkpoints import Checkpoints, read_tensors, write_tensors
from radpath.training.device import on_devices
from radpath.training.prediction import predict
from radpath.training.soup import Tensors, greedy_soup, mean_of_tensors

_LEARNING_ONLY: Final = ("model.freeze", "model.norm_statistics", "model.head.dropout")
"""Settings of the model that change what is learned, and not what a trained model computes."""

_COPIED: Final = (
    "environment", "plan", "manifest", "splits", "exclusions", "checks", "findings", "intensity", "stain", "weights",
    "history", "padding", "precision",
)  # fmt: skip


def make_soup(runs: Sequence[Path], *, out: Path | None, command: str) -> RunFolder:
    """Mix the weights of finished runs greedily, as validation says, and predict, evaluate and report.

    Args:
        runs: run folders of one architecture, from the same start, on the same images with the same sides.
        out: the folder to write; None for a new one below ``runs``.
        command: the command line, for the report.

    Raises:
        SettingsError: the runs differ in what a mean of weights cannot join.
        WeightsError: their layers differ.
        RadpathError: the runs cannot be joined; the message says why.
    """
    members = open_members(runs)
    for other in members[1:]:
        require_same_start(members[0], other)
    ranked = sorted(members, key=_own_merit, reverse=True)
    mean_of_tensors([_tensors(member) for member in ranked])  # refuses other shapes before any image is read
    best = ranked[0]
    with new_run(default_folder(out, "soup")) as folder:
        _copy_beginning(best.folder, folder)
        split, _ = prepared_split(best.experiment, folder)
        require_same_data(folder, split.manifest)
        device = with_precision_of_run(best.experiment, best.folder).device
        chosen = on_devices(device, partial(_mix, ranked, split, folder))
        _describe(ranked, chosen, folder, command=command)
    _, evaluation = evaluate_run(best.experiment, folder)
    say_results(evaluation)
    rows = [("in" if place in chosen else "left out", member.name) for place, member in enumerate(ranked)]
    say_rows("Members, the best on validation first", rows)
    write_run_report(best.experiment, folder)
    say("")
    say_path("Soup", folder.root)
    say_path("Report", folder.report)
    return folder


def _own_merit(member: Member) -> tuple[float, float]:
    """Return what a run's own predictions are worth on validation."""
    predictions = member.predictions
    rows = [row for row, side in enumerate(predictions.sides) if side == "validation" and predictions.truth[row]]
    truth = np.array([predictions.classes.index(predictions.truth[row] or "") for row in rows], dtype=np.int64)
    return _merit(predictions.probabilities[rows], truth)


def _merit(probabilities: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Return numbers of which higher is better: the ROC AUC, and the log loss, which breaks ties."""
    return macro_roc_auc(probabilities, truth) or 0.0, -float(log_losses(probabilities, truth).mean())


def _tensors(member: Member) -> Tensors:
    return read_tensors(Checkpoints(member.folder.checkpoints).best)[0]


def require_same_start(first: Member, other: Member) -> None:
    """Refuse runs whose weights cannot be averaged, or whose soup could not be judged.

    Raises:
        SettingsError: naming what differs.
    """
    remedy = "average their predictions instead: radpath ensemble"
    differing = [key for key in _start(first) if _start(first)[key] != _start(other)[key]]
    if differing:
        raise SettingsError(f"{first.name} and {other.name} differ in {', '.join(differing[:3])}; {remedy}")
    settings = [_decisive(member.experiment) for member in (first, other)]
    changed = [key for key in settings[0] | settings[1] if settings[0].get(key) != settings[1].get(key)]
    if changed:
        key = changed[0]
        values = " and ".join(str(one.get(key)) for one in settings)
        raise SettingsError(f"{first.name} and {other.name} differ in {key} ({values}); {remedy}")


def _start(member: Member) -> dict[str, Any]:
    """Return what must be equal and is not a setting."""
    folder = member.folder
    origin = read_document(folder.weights, lambda found: (found["origin"], found["sha256"]))
    return {
        "the images, their labels or sides": folder.stamped("data")["the data"],
        "the order of the classes": member.predictions.classes,
        "the weights they started from": origin,
        "how levels become numbers (intensity.json)": files.read_json(folder.intensity),
        "the stain they were normalised to (stain.json)": files.read_json(folder.stain)
        if folder.stain.is_file()
        else "",
    }


def _decisive(experiment: Experiment) -> dict[str, Any]:
    """Return the settings that decide what a trained model computes, and where its training began."""
    values = experiment.model_dump(
        mode="json", include={"data", "pixels", "model", "prediction"}, exclude={"data": {"ray"}}
    )
    kept = {key: value for key, value in flatten(values).items() if key not in _LEARNING_ONLY}
    training = experiment.training
    starts_at_random = experiment.model.weights == "none" or training.head_start == "random"
    return {**kept, "training.loss.kind": training.loss.kind, "training.seed": training.seed if starts_at_random else 0}


def _copy_beginning(source: RunFolder, folder: RunFolder) -> None:
    """Give the soup what a run knows of its data and of how it began."""
    for name in _COPIED:
        path: Path = getattr(source, name)
        if path.is_file():
            files.write_bytes(getattr(folder, name), path.read_bytes())
    steps = files.read_json(source.stamps)
    for step in ("data", "settings", "stain"):
        if step in steps:
            folder.stamp(step, steps[step])


def _mix(ranked: Sequence[Member], split: Split, folder: RunFolder, fabric: Fabric) -> list[int]:
    """Choose the members on validation, keep their mean as the model, and predict every side with it."""
    experiment = ranked[0].experiment
    _, store = prepare_pixels(experiment, split.manifest, folder, stain=read_stain(experiment, folder))
    model = build_model(experiment, split.classes)
    sources = sources_of(experiment, split, store, model, intensity=read_intensity(folder))
    model.to(fabric.device)
    models = [_tensors(member) for member in ranked]
    measure = partial(_measure, model, sources["validation"], experiment, fabric)
    chosen, _ = greedy_soup(models, measure=measure)
    if fabric.is_global_zero:
        soup = mean_of_tensors([models[place] for place in chosen])
        write_tensors(Checkpoints(folder.checkpoints).best, soup, {"epoch": 0})
        stamp_model(folder)
    fabric.barrier()
    predict_all(experiment, model, split, sources, folder, fabric)
    return chosen


def _measure(
    model: Classifier, validation: ImageSource, experiment: Experiment, fabric: Fabric, tensors: Tensors
) -> tuple[float, float]:
    model.load_state_dict(dict(tensors))
    probabilities = predict(model, validation, experiment.prediction, fabric=fabric, what="validating")
    return _merit(probabilities, validation.labels)


def _describe(ranked: Sequence[Member], chosen: Sequence[int], folder: RunFolder, *, command: str) -> None:
    """Write down who is in the soup, where the report and later readers look."""
    members = [
        {"run": member.name, "model_digest": member.model_digest, "in_soup": place in chosen}
        for place, member in enumerate(ranked)
    ]
    files.write_json(folder.soup, {"members": members})
    story = (
        f"the mean of the weights of {len(chosen)} of {counted(len(ranked), 'run')}, taken greedily by validation; the "
        "history shown is that of the best of them"
    )
    files.write_json(folder.weights, {**files.read_json(folder.weights), "learns": story})
    files.write_json(folder.environment, {**files.read_json(folder.environment), "command": command})
    # Last: with it the folder is a run, and stays where something fails.
    files.write_bytes(folder.experiment, ranked[0].folder.experiment.read_bytes())
