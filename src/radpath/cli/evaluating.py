"""The command that judges: a run again, any program's predictions, or a run on new images."""

from pathlib import Path
from typing import Annotated

import typer

from radpath.cli.arguments import Labels, Sets, command_line, place

_NEW_IMAGES = "New images to judge the run on, with everything frozen: an external validation."
_OTHERS = "With --images: cases that are named like training cases are other people."
_OUT = "Where to write: for a predictions.csv (else nothing is written), and with --images."


def evaluate(
    target: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, or any program's predictions.csv.")],
    images: Annotated[str | None, typer.Option("--images", metavar="IMAGES", help=_NEW_IMAGES)] = None,
    labels: Labels = None,
    settings: Sets = None,
    other_patients: Annotated[bool, typer.Option("--other-patients", help=_OTHERS)] = False,
    out: Annotated[Path | None, typer.Option("--out", metavar="FOLDER", help=_OUT)] = None,
) -> None:
    """Compute all numbers again, or of new images.

    For a run folder the report is written again too, without the model. Any program's predictions.csv gets a report
    where --out says. With --images the run's model looks at new images, whose labels it is judged by.
    """
    from radpath.recipes.evaluate import evaluate_target

    evaluate_target(
        target,
        images=place(images),
        labels=place(labels),
        assignments=settings or [],
        out=out,
        other_patients=other_patients,
        command=command_line(),
    )
