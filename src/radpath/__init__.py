"""radpath: from a folder of medical images and a table of labels to a classifier that can be defended.

The functions below are the commands of the same names. Everything else is imported where it is used, so that
``import radpath`` takes no time and needs no PyTorch.
"""

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from radpath.run_folder import RunFolder

if TYPE_CHECKING:
    from radpath.data.location import Location
    from radpath.evaluation.comparison_results import Comparison
    from radpath.evaluation.estimates import Evaluation
    from radpath.records import Side
    from radpath.evaluation.label_evaluation import LabelEvaluation
    from radpath.reporting.content import Check
    from radpath.training.rate_test import RateTest

__version__: Final = "0.1.0"

__all__ = [
    "RunFolder",
    "check_learning",
    "compare",
    "ensemble",
    "evaluate",
    "explain",
    "find_rate",
    "fit",
    "pick_epoch",
    "predict",
    "soup",
    "train",
]

Value = str | bool | int | float | Path | Sequence[str]
"""What a setting can hold."""


def fit(
    images: Path | str,
    *,
    labels: Path | str | None = None,
    settings: Mapping[str, Value] | None = None,
    out: Path | str | None = None,
) -> RunFolder:
    """Go from images and labels to a report, without a settings file: measure, plan, train, evaluate.

    Args:
        images: a folder of images, a path or an address (``s3://...``), or a MedMNIST ``.npz`` file.
        labels: a table (CSV or TSV) of labels; not needed where folders are classes.
        settings: changes to the plan by dotted name, for example ``{"training.epochs": 5}``.
        out: the run folder; None for a new one below ``runs``.

    Raises:
        RadpathError: bad input; the message says what, where and what to do.
    """
    from radpath.data.location import parse_location
    from radpath.recipes.fit import fit as recipe

    assignments = _assignments(settings)
    command = _command("fit", [images], assignments, labels=labels, out=out)
    return recipe(
        parse_location(images), labels=_place(labels), assignments=assignments, out=_path(out), command=command
    )


def train(
    experiment: Path | str,
    *,
    settings: Mapping[str, Value] | None = None,
    out: Path | str | None = None,
    resume: bool = False,
) -> RunFolder:
    """Run an experiment from its file, or continue one that was interrupted.

    Args:
        experiment: a complete ``experiment.toml``.
        settings: changes to it by dotted name.
        out: the run folder; None for a new one below ``runs``.
        resume: continue an interrupted run to the same result.

    Raises:
        StaleError: with ``resume``, images, labels or settings are not those that the run began with.
        RadpathError: bad input; the message says what, where and what to do.
    """
    from radpath.recipes.train import train_experiment

    assignments = _assignments(settings)
    command = _command("train", [experiment], assignments, out=out) + (" --resume" if resume else "")
    return train_experiment(Path(experiment), assignments=assignments, out=_path(out), resume=resume, command=command)


def evaluate(
    target: Path | str,
    *,
    images: Path | str | None = None,
    labels: Path | str | None = None,
    settings: Mapping[str, Value] | None = None,
    other_patients: bool = False,
    out: Path | str | None = None,
) -> "Evaluation | LabelEvaluation":
    """Compute all numbers again from ``predictions.csv``, without the model; or judge a run on new images.

    Args:
        target: a run folder, or any program's ``predictions.csv``.
        images: new images, on which the run is judged with everything frozen (external validation).
        labels: the table of their labels, where folders or names do not say the class.
        settings: for a table ``[evaluation]``, for new images ``[device]`` and names of columns, by dotted name.
        other_patients: new cases that are named like training cases are other people.
        out: the folder to write; for a table None writes nothing.

    Raises:
        RadpathError: bad input; the message says what, where and what to do.
    """
    from radpath.recipes.evaluate import evaluate_target

    command = _command("evaluate", [target], _assignments(settings), images=images, labels=labels, out=out)
    return evaluate_target(
        Path(target), images=_place(images), labels=_place(labels), assignments=_assignments(settings),
        out=_path(out), other_patients=other_patients, command=command,
    )  # fmt: skip


def predict(
    run: Path | str,
    images: Path | str,
    *,
    settings: Mapping[str, Value] | None = None,
    out: Path | str | None = None,
) -> Path:
    """Apply a trained run, with its frozen threshold, to new images; return the CSV that was written.

    Args:
        run: a finished run folder.
        images: a folder of images, a path or an address (``s3://...``), or a MedMNIST ``.npz`` file.
        settings: of ``[device]`` by dotted name: where the network runs today.
        out: the CSV to write; None for one inside the run.

    Raises:
        StaleError: the run's model is not the one that the run evaluated.
        RadpathError: bad input; the message says what, where and what to do.
    """
    from radpath.data.location import parse_location
    from radpath.recipes.predict import predict_new

    return predict_new(Path(run), parse_location(images), out=_path(out), assignments=_assignments(settings))


def explain(
    run: Path | str,
    *,
    images: Sequence[str] = (),
    side: "Side | None" = None,
    truth: str | None = None,
    mistakes: bool = False,
    most: int | None = None,
    explained_class: str | None = None,
    new: Path | str | None = None,
    check: bool = False,
    settings: Mapping[str, Value] | None = None,
    out: Path | str | None = None,
) -> Path:
    """Write maps of where the evidence for a class lies; return the folder with their ``index.csv``.

    Without a choice of images these are the worst mistakes and the surest right decisions of the side that is reported.

    Args:
        run: a finished run folder.
        images: record ids of the run.
        side: all images of a side, or only those of it that fit the next two.
        truth: images of this class.
        mistakes: images that were decided wrongly, the worst first.
        most: at most so many.
        explained_class: the class to explain; None for each image's decision.
        new: a folder or an array file of images that are none of the run's.
        check: also look whether the maps depend on what the model has learned.
        settings: of ``[explanation]`` (the method, ...) and ``[device]`` by dotted name.
        out: the folder; None for one inside the run, whose report then shows some of the maps.

    Raises:
        StaleError: the run's model is not the one that the run evaluated.
        RadpathError: bad input; the message says what, where and what to do.
    """
    from radpath.data.location import parse_location
    from radpath.recipes.choosing import Selection
    from radpath.recipes.explain import explain as recipe

    selection = Selection(
        images=tuple(images), side=side, truth=truth, mistakes=mistakes, most=most, explained_class=explained_class
    )
    place = None if new is None else parse_location(new)
    assignments = _assignments(settings)
    return recipe(Path(run), selection=selection, new=place, check=check, out=_path(out), assignments=assignments)


def pick_epoch(run: Path | str, epoch: int) -> RunFolder:
    """Put another epoch of a finished run in the place of the best; predictions, numbers and report are made again.

    Args:
        run: a finished run folder.
        epoch: its number in the run's ``history.csv``.

    Raises:
        StaleError: images, labels or settings are not those that the run began with.
        RadpathError: bad input; the message says what, where and what to do.
    """
    from radpath.recipes.pick_epoch import pick_epoch as recipe

    return recipe(Path(run), epoch)


def ensemble(
    runs: Sequence[Path | str],
    *,
    weights: Literal["equal", "validation", "greedy"] = "equal",
    out: Path | str | None = None,
) -> RunFolder:
    """Average the predictions of finished runs: folds, seeds or architectures with the same test side.

    Args:
        runs: run folders; they stay where they are.
        weights: how much each counts: "equal", or as images that all validate on say ("validation", "greedy").
        out: the folder of the ensemble; None for a new one below ``runs``.

    Raises:
        LeakError: a test case of one run is a training or validation case of another.
        RadpathError: the runs cannot be joined; the message says why.
    """
    from radpath.recipes.ensemble import make_ensemble

    command = _command("ensemble", runs, [], weights=weights, out=out)
    return make_ensemble([Path(run) for run in runs], weights=weights, out=_path(out), command=command)


def compare(
    runs: Sequence[Path | str],
    *,
    side: Literal["train", "validation", "test"] = "test",
    metrics: Sequence[str] = (),
    settings: Mapping[str, Value] | None = None,
    out: Path | str | None = None,
) -> "Comparison":
    """Compare models on the same images: paired differences with intervals, and who cannot be told from the best.

    Args:
        runs: two or more run folders, ensembles, or any program's ``predictions.csv``; ``"NAME=PLACE"`` gives a name.
        side: the side of the split that judges them.
        metrics: what is compared, for example ``["roc_auc", "f1"]``; the first names the best; empty for the usual.
        settings: of ``[evaluation]`` by dotted name: confidence, replicates, seed, positive class.
        out: the folder to write; None for a new one below ``runs``.

    Raises:
        LeakError: a case that judges one model is one that another learned from.
        RadpathError: the models cannot be compared; the message says why.
    """
    from radpath.recipes.compare import compare_runs

    words = [f"--metric {name}" for name in metrics]
    assignments = _assignments(settings)
    command = " ".join([_command("compare", runs, assignments, side=side, out=out), *words])
    return compare_runs(
        [str(run) for run in runs], side=side, metrics=metrics, assignments=assignments, out=_path(out), command=command
    )


def soup(runs: Sequence[Path | str], *, out: Path | str | None = None) -> RunFolder:
    """Average the weights of finished runs of one architecture, from the same start, on the same images.

    Args:
        runs: run folders; each is taken where validation gets no worse with it.
        out: the run folder; None for a new one below ``runs``.

    Raises:
        SettingsError: the runs differ in what a mean of weights cannot join.
        RadpathError: the runs cannot be joined; the message says why.
    """
    from radpath.recipes.soup import make_soup

    return make_soup([Path(run) for run in runs], out=_path(out), command=_command("soup", runs, [], out=out))


def check_learning(
    target: Path | str,
    *,
    labels: Path | str | None = None,
    settings: Mapping[str, Value] | None = None,
    out: Path | str | None = None,
    per_class: int = 3,
    steps: int = 200,
) -> "tuple[Check, ...]":
    """Learn a handful of images by heart, and return what was checked on the way.

    Args:
        target: an ``experiment.toml``, a run folder, or images.
        labels: a table, for images whose folders and names do not say the class.
        settings: changes by dotted name.
        out: the folder; None for one below ``runs``.
        per_class: images of each class.
        steps: at most.

    Raises:
        TrainingError: a check failed; the message says which, and why.
        RadpathError: bad input; the message says what, where and what to do.
    """
    from radpath.data.location import parse_location
    from radpath.recipes.check_learning import check_learning as recipe

    return recipe(
        parse_location(target), labels=_place(labels), assignments=_assignments(settings), out=_path(out),
        per_class=per_class, num_steps=steps,
    )  # fmt: skip


def find_rate(
    target: Path | str,
    *,
    labels: Path | str | None = None,
    settings: Mapping[str, Value] | None = None,
    out: Path | str | None = None,
    steps: int = 100,
) -> "RateTest":
    """Test learning rates from 1e-6 to 1 in a short training, and return the losses and a suggestion.

    Args:
        target: an ``experiment.toml``, a run folder, or images.
        labels: a table, for images whose folders and names do not say the class.
        settings: changes by dotted name.
        out: the folder; None for one below ``runs``.
        steps: rates to try.

    Raises:
        RadpathError: bad input; the message says what, where and what to do.
    """
    from radpath.data.location import parse_location
    from radpath.recipes.find_rate import find_rate as recipe

    return recipe(
        parse_location(target), labels=_place(labels), assignments=_assignments(settings), out=_path(out),
        num_steps=steps,
    )  # fmt: skip


def _assignments(settings: Mapping[str, Value] | None) -> list[str]:
    """Return settings as the command line takes them: JSON's texts, numbers and lists are TOML's too."""
    plain = {name: str(value) if isinstance(value, Path) else value for name, value in (settings or {}).items()}
    return [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in plain.items()]


def _command(name: str, places: Sequence[Path | str], assignments: list[str], **options: Path | str | None) -> str:
    """Return the command line that does the same, for the report."""
    given = [word for option, value in options.items() if value is not None for word in (f"--{option}", str(value))]
    sets = [word for assignment in assignments for word in ("--set", assignment)]
    return shlex.join(["radpath", name, *map(str, places), *given, *sets])


def _place(given: Path | str | None) -> "Location | None":
    from radpath.data.location import parse_location

    return None if given is None else parse_location(given)


def _path(given: Path | str | None) -> Path | None:
    return None if given is None else Path(given)
