"""From images and labels, without a settings file, to a report."""

from pathlib import Path
from typing import Any

from radpath.data.fingerprint import measure
from radpath.data.inputs import DataSettings
from radpath.data.split import split_by_case
from radpath.recipes.experiment import compose_experiment
from radpath.recipes.gathering import gather, run_name
from radpath.recipes.planning import derive_plan
from radpath.recipes.running import default_folder
from radpath.recipes.telling import say, say_findings, say_plan, say_rows
from radpath.recipes.train import finish, start
from radpath.reporting.content import Choice
from radpath.run_folder import RunFolder
from radpath.settings import flatten, override, parse_settings


def fit(images: Path, *, labels: Path | None, assignments: list[str], out: Path | None, command: str) -> RunFolder:
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
    given = {"data": data_values(images, labels)}
    data = parse_settings(DataSettings, override(given, assignments)["data"], source="--set")
    folder = RunFolder.create(default_folder(out, run_name(images)))
    manifest = gather(data)
    fingerprint = measure(manifest)
    say_rows(f"Images in {images}", fingerprint.to_rows())
    plan = derive_plan(fingerprint, sides_given=manifest.kept["split"].is_not_null().any())
    experiment = compose_experiment({**plan.values, **given}, assignments)
    chosen = flatten(experiment.model_dump(mode="json"))
    choices = [_as_run(choice, chosen[choice.setting]) for choice in plan.choices]
    say_plan(choices)
    split = split_by_case(manifest, experiment.split)
    say_findings(split.manifest.findings)
    say("")
    start(experiment, split, choices, folder=folder)
    return finish(experiment, split, folder, command=command)


def data_values(images: Path, labels: Path | None) -> dict[str, Any]:
    """Return the ``[data]`` table that the arguments of a command stand for, with absolute paths."""
    values = {"images": str(images.absolute())}
    return values if labels is None else {**values, "labels": str(labels.absolute())}


def _as_run(choice: Choice, value: Any) -> Choice:  # noqa: ANN401 - whatever a setting holds
    """Return the choice as it was made in the end: by its rule, or by the user."""
    if str(value) == choice.value:
        return choice
    return Choice(setting=choice.setting, value=str(value), reason=f"you set it (the rule says {choice.value})")
