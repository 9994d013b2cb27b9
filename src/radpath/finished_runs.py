"""The Python functions on finished runs: other epochs, several runs together and beside each other, maps, robustness.

They are functions of ``radpath`` itself; recipes are imported inside them, so that ``import radpath`` takes no time.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from radpath.calling import Value, assignments_of, command_of, path_of
from radpath.run_folder import RunFolder

if TYPE_CHECKING:
    from radpath.evaluation.comparison_results import Comparison
    from radpath.evaluation.robustness import Robustness
    from radpath.records import Side


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
    assignments = assignments_of(settings)
    return recipe(Path(run), selection=selection, new=place, check=check, out=path_of(out), assignments=assignments)


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

    command = command_of("ensemble", runs, [], weights=weights, out=out)
    return make_ensemble([Path(run) for run in runs], weights=weights, out=path_of(out), command=command)


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
    assignments = assignments_of(settings)
    command = " ".join([command_of("compare", runs, assignments, side=side, out=out), *words])
    return compare_runs(
        [str(run) for run in runs],
        side=side,
        metrics=metrics,
        assignments=assignments,
        out=path_of(out),
        command=command,
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

    return make_soup([Path(run) for run in runs], out=path_of(out), command=command_of("soup", runs, [], out=out))


def robustness(run: Path | str, *, side: "Side" = "test", settings: Mapping[str, Value] | None = None) -> "Robustness":
    """Measure how the numbers of a finished run fall when the images of a side get worse; its report shows it too.

    Args:
        run: a finished run folder.
        side: whose images are made worse.
        settings: of ``[device]`` by dotted name: where the network runs today.

    Raises:
        StaleError: the run's settings, model or predictions are not those that it was evaluated with.
        RadpathError: bad input; the message says what, where and what to do.
    """
    from radpath.recipes.robustness import assess_run

    return assess_run(Path(run), side=side, assignments=assignments_of(settings))
