"""The commands on finished runs that make no predictions: their pages, another epoch, runs beside each other."""

from pathlib import Path
from typing import Annotated

import typer

from radpath.cli.arguments import ComparedRuns, EvaluationSets, Metrics, Out, command_line


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A finished run folder.")],
    pdf: Annotated[bool, typer.Option("--pdf", help="Make report.pdf too; later reports renew it.")] = False,
) -> None:
    """Write the report again from the files of a run.

    Needs no model and computes no number again; the same files give the same bytes.
    """
    from radpath.recipes.report import rebuild_report

    rebuild_report(run, pdf=pdf)


def pick_epoch(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A finished run folder.")],
    epoch: Annotated[int, typer.Argument(metavar="EPOCH", help="Its number in the run's history.csv.")],
) -> None:
    """Put another epoch in the place of the best, by hand.

    Predictions, numbers and report are made again; the report says that the epoch was chosen by hand.
    """
    from radpath.recipes.pick_epoch import pick_epoch as recipe

    recipe(run, epoch)


def compare(
    runs: ComparedRuns,
    side: Annotated[
        str, typer.Option("--side", metavar="SIDE", help="What judges them: test, validation or train.")
    ] = "test",
    metric: Metrics = None,
    settings: EvaluationSets = None,
    out: Out = None,
) -> None:
    """Compare runs on the same images.

    Run folders, ensembles, or any program's predictions.csv. Tells who is best, who cannot be told from it, and every
    paired difference; writes compare.html, with the images on which they disagree.
    """
    from radpath.recipes.compare import compare_runs

    compare_runs(runs, side=side, metrics=metric or [], assignments=settings or [], out=out, command=command_line())
