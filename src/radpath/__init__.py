"""radpath: from a folder of medical images and a table of labels to a classifier that can be defended.

The functions are the commands of the same names; those on finished runs stand in ``finished_runs``. Everything else is
imported where it is used, so that ``import radpath`` takes no time and needs no PyTorch.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from radpath.calling import Value, assignments_of, command_of, path_of, place_of
from radpath.finished_runs import compare, ensemble, explain, pick_epoch, robustness, soup
from radpath.run_folder import RunFolder

if TYPE_CHECKING:
    from radpath.evaluation.estimates import Evaluation
    from radpath.evaluation.label_evaluation import LabelEvaluation
    from radpath.reporting.content import Check
    from radpath.training.rate_test import RateTest

__version__: Final = "0.1.0"

__all__ = [
    "RunFolder",
    "Value",
    "check_learning",
    "compare",
    "ensemble",
    "evaluate",
    "explain",
    "find_rate",
    "fit",
    "pick_epoch",
    "predict",
    "robustness",
    "soup",
    "train",
]


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

    assignments = assignments_of(settings)
    command = command_of("fit", [images], assignments, labels=labels, out=out)
    return recipe(
        parse_location(images), labels=place_of(labels), assignments=assignments, out=path_of(out), command=command
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

    assignments = assignments_of(settings)
    command = command_of("train", [experiment], assignments, out=out) + (" --resume" if resume else "")
    return train_experiment(Path(experiment), assignments=assignments, out=path_of(out), resume=resume, command=command)


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

    command = command_of("evaluate", [target], assignments_of(settings), images=images, labels=labels, out=out)
    return evaluate_target(
        Path(target), images=place_of(images), labels=place_of(labels), assignments=assignments_of(settings),
        out=path_of(out), other_patients=other_patients, command=command,
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

    return predict_new(Path(run), parse_location(images), out=path_of(out), assignments=assignments_of(settings))


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
        parse_location(target), labels=place_of(labels), assignments=assignments_of(settings), out=path_of(out),
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
        parse_location(target), labels=place_of(labels), assignments=assignments_of(settings), out=path_of(out),
        num_steps=steps,
    )  # fmt: skip
