"""From images and labels, without a settings file, to a report."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from radpath.data.batches import ImageSource
from radpath.data.fingerprint import measure
from radpath.data.location import Location
from radpath.data.pixel_store import PixelStore
from radpath.data.split import Split
from radpath.models.backbones import build_backbone
from radpath.models.classifier import Classifier
from radpath.recipes.beginning import check_sizes, default_folder, new_run
from radpath.recipes.experiment import Experiment, compose_experiment
from radpath.recipes.gathering import (
    audited_split,
    data_values,
    gather,
    in_class_order,
    look_closer,
    recognised_label_sets,
    run_name,
)
from radpath.recipes.planning import derive_plan, follow_wishes
from radpath.recipes.precision import measure_open
from radpath.recipes.running import build_model, fitted_intensity, normalise_stain, prepare_pixels, sources_of
from radpath.recipes.telling import say, say_findings, say_plan, say_rows
from radpath.recipes.train import finish, start
from radpath.reporting.content import Choice
from radpath.run_folder import RunFolder
from radpath.settings import flatten, override
from radpath.training.device import require_device, settled


def fit(
    images: Location, *, labels: Location | None, assignments: list[str], out: Path | None, command: str
) -> RunFolder:
    """Measure the data, derive and print a plan, train, evaluate and report.

    Args:
        images: a folder or an array file.
        labels: a table; None where folders or the array file hold the labels.
        assignments: ``key=value`` settings that win over the plan.
        out: the run folder; None for a new one below ``runs``.
        command: the command line, for the report.

    Raises:
        RadpathError: bad input; the message says what, where and what to do.
    """
    given, understood = with_label_sets({"data": data_values(images, labels)}, assignments)
    asked = flatten(override(given, assignments))
    wanted = compose_wanted(given, assignments)
    accelerator = require_device(wanted.device)
    with new_run(default_folder(out, run_name(images))) as folder:
        backbone = build_backbone(wanted.model)
        manifest = gather(wanted.data, beside=folder.root)
        fingerprint = measure(manifest)
        say_rows(f"Images in {images}", fingerprint.to_rows())
        sides_given = manifest.kept["split"].is_not_null().any()
        plan = derive_plan(
            fingerprint, sides_given=sides_given, asked=asked, backbone=backbone, accelerator=accelerator
        )
        experiment = compose_experiment({**plan.values, **given}, assignments)
        choices = [*understood, *choices_as_made(plan.choices, experiment)]
        say_plan(choices)
        check_sizes(experiment, backbone)
        manifest, store = prepare_pixels(experiment, manifest, folder)
        looked = look_closer(manifest, experiment.data, experiment.audit, store=store)
        split = in_class_order(audited_split(looked, experiment.split, experiment.audit), experiment.data)
        split, store = normalise_stain(experiment, split, store, folder)
        say_findings(split.manifest.findings)
        say("")
        experiment, choices = _as_measured(experiment, split, store, choices)
        start(experiment, split, store, choices, folder=folder)
    return finish(experiment, split, folder, command=command)


def with_label_sets(given: Mapping[str, Any], assignments: list[str]) -> tuple[dict[str, Any], list[Choice]]:
    """Return the values with how several labels an image are read, where the table says it and the user does not.

    Raises:
        RadpathError: a setting is wrong, or the table cannot be read.
    """
    found = recognised_label_sets(compose_wanted(given, assignments).data)
    if found is None:
        return dict(given), []
    values, reason = found
    choices = [
        Choice(setting=f"data.label_sets.{name}", value=str(value), reason=reason) for name, value in values.items()
    ]
    return {**given, "data": {**given["data"], "label_sets": dict(values)}}, choices


def compose_wanted(given: Mapping[str, Any], assignments: list[str]) -> Experiment:
    """Build the experiment that the user's settings ask for, before anything is known of the data.

    Raises:
        SettingsError: a setting is unknown, has the wrong type, or contradicts another.
    """
    asked = flatten(override(given, assignments))
    return compose_experiment({**follow_wishes(asked).values, **given}, assignments)


def _as_measured(
    experiment: Experiment, split: Split, store: PixelStore, choices: Sequence[Choice]
) -> tuple[Experiment, list[Choice]]:
    """Measure what "auto" leaves open, and put what was found into the plan, so that it gives the same run again."""

    def images(model: Classifier) -> ImageSource:
        sides = sources_of(experiment, split, store, model, intensity=fitted_intensity(experiment, split, store))
        return sides["train"]

    found = measure_open(experiment, partial(build_model, experiment, split.classes), images)
    if found is None:
        return experiment, list(choices)
    device = settled(experiment.device, precision=found.precision, memory_format=found.memory_format)
    values = {"device.precision": device.precision, "device.memory_format": device.memory_format}
    made = [
        Choice(setting=choice.setting, value=values[choice.setting], reason=found.because.removeprefix("since "))
        if choice.value == "auto" and choice.setting in values
        else choice
        for choice in choices
    ]
    return experiment.model_copy(update={"device": device}), made


def choices_as_made(choices: Sequence[Choice], experiment: Experiment) -> list[Choice]:
    """Return the choices as they were made in the end: by their rules, or by the user."""
    made = flatten(experiment.model_dump(mode="json"))
    return [
        choice
        if str(made[choice.setting]) == choice.value
        else Choice(
            setting=choice.setting,
            value=str(made[choice.setting]),
            reason=f"you set it (the rule says {choice.value})",
        )
        for choice in choices
    ]
