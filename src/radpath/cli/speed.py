"""The command that measures how fast a training would be."""

from pathlib import Path
from typing import Annotated

import typer

from radpath.cli.arguments import Sets, command_line


def benchmark(
    experiment: Annotated[
        Path | None, typer.Argument(metavar="EXPERIMENT", help="An experiment.toml; otherwise the usual settings.")
    ] = None,
    settings: Sets = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="JSON", help="A file for the numbers.")] = None,
    seconds: Annotated[float, typer.Option("--seconds", metavar="NUMBER", min=0, help="How long to measure.")] = 30.0,
) -> None:
    """Measure how many images a second a training takes here.

    The network alone, the batches alone, and both; what holds training up. On drawn images: needs no data.
    """
    from radpath.recipes.benchmark import benchmark as recipe

    recipe(experiment, assignments=settings or [], out=out, seconds=seconds, command=command_line())
