"""Arguments that several commands take, and what they become."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from radpath.data.location import Location, parse_location

Images = Annotated[
    str,
    typer.Argument(
        metavar="IMAGES", help="Folder of images, or a MedMNIST .npz file; a path, or an address: s3://bucket/folder."
    ),
]
Labels = Annotated[
    str | None,
    typer.Option(
        "--labels", metavar="TABLE", help="Labels as CSV or TSV; not needed where folders or names say the class."
    ),
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one setting, for example training.epochs=5; repeatable."),
]
Runs = Annotated[list[Path], typer.Argument(metavar="RUN...", help="Two or more finished run folders.")]
Out = Annotated[
    Path | None, typer.Option("--out", metavar="FOLDER", help="Where to write; otherwise a new folder below runs/.")
]
ComparedRuns = Annotated[
    list[str],
    typer.Argument(metavar="RUN...", help="Two or more run folders or predictions.csv, each as RUN or NAME=RUN."),
]
Metrics = Annotated[
    list[str] | None,
    typer.Option(
        "--metric", metavar="NAME", help="What is compared, for example roc_auc; repeatable; the first ranks."
    ),
]
EvaluationSets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A setting of [evaluation], for example evaluation.seed=1."),
]
MemberWeights = Annotated[
    str, typer.Option("--weights", metavar="RULE", help="equal, validation (lowest log loss) or greedy.")
]
DeviceSets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a setting of [device], for example device.device=cpu."),
]
Table = Annotated[
    Path | None, typer.Option("--out", metavar="CSV", help="Table to write; otherwise one inside the run folder.")
]
Backbone = Annotated[str | None, typer.Argument(metavar="BACKBONE", help="A backbone's name; otherwise the usual one.")]


def place(given: str | None) -> Location | None:
    """Return the place that a word of the command line names, if there is one."""
    return None if given is None else parse_location(given)


def command_line() -> str:
    """Return the command as it could be typed again, for the report."""
    return shlex.join(["radpath", *sys.argv[1:]])
