"""The command that makes a run's images worse and sees what becomes of its numbers."""

from pathlib import Path
from typing import Annotated

import typer

from radpath.cli.arguments import DeviceSets
from radpath.errors import SettingsError
from radpath.records import SIDES


def robustness(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A finished run folder.")],
    side: Annotated[
        str, typer.Option("--side", metavar="SIDE", help="Whose images: test, validation or train.")
    ] = "test",
    settings: DeviceSets = None,
) -> None:
    """Measure how the numbers fall when images get worse.

    Brightness, contrast, blur, noise, JPEG and rotation in five strengths each, with intervals, paired drops and the
    share of changed decisions; in the run's report. Goes on where it was stopped.
    """
    from radpath.recipes.robustness import assess_run

    if side not in SIDES:
        raise SettingsError(f"--side is '{side}'; it must be {', '.join(SIDES)}")
    assess_run(run, side=side, assignments=settings or [])
