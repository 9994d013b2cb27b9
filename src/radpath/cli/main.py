"""The command line: arguments become one recipe call, and a ``RadpathError`` becomes one line and an exit code.

Recipes are imported inside the commands, so that ``radpath --help`` answers at once.
"""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

import radpath
from radpath.errors import INTERRUPTED_EXIT_CODE, RadpathError, exit_codes

app = typer.Typer(
    name="radpath",
    help="From a folder of medical images and a table of labels to a classifier whose evaluation can be defended.",
    epilog="Exit codes: " + " ".join(f"{code}: {meaning}" for code, meaning in exit_codes().items()),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)

Images = Annotated[Path, typer.Argument(help="Folder of images, or a MedMNIST .npz file.")]
Labels = Annotated[
    Path | None, typer.Option("--labels", help="Table (CSV or TSV) of labels; not needed where folders are classes.")
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one setting, for example training.epochs=5; repeatable."),
]
Out = Annotated[Path | None, typer.Option("--out", help="Folder to write; otherwise a new one below runs/.")]


@app.command()
def fit(images: Images, labels: Labels = None, settings: Sets = None, out: Out = None) -> None:
    """Go from images and labels to a report, without a settings file: measure, plan, train, evaluate."""
    from radpath.recipes.fit import fit as recipe

    recipe(images, labels=labels, assignments=settings or [], out=out, command=_command())


@app.command()
def train(
    experiment: Annotated[Path, typer.Argument(help="A complete experiment.toml.")],
    settings: Sets = None,
    out: Out = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run to the same result.")] = False,
) -> None:
    """Run an experiment from its file, or continue one that was interrupted."""
    from radpath.recipes.train import train_experiment

    train_experiment(experiment, assignments=settings or [], out=out, resume=resume, command=_command())


@app.command()
def evaluate(
    target: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, or any program's predictions.csv.")],
    settings: Sets = None,
    out: Annotated[Path | None, typer.Option("--out", help="For a predictions.csv: folder for metrics.json.")] = None,
) -> None:
    """Compute all numbers and the report again from predictions.csv, without the model."""
    from radpath.recipes.evaluate import evaluate_again

    evaluate_again(target, assignments=settings or [], out=out)


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(help="A finished run folder.")],
    images: Images,
    out: Annotated[Path | None, typer.Option("--out", help="CSV to write; else one inside the run.")] = None,
) -> None:
    """Apply a trained run, with its frozen threshold, to new images."""
    from radpath.recipes.predict import predict_new

    predict_new(run, images, out=out)


@app.command()
def scan(images: Images, labels: Labels = None, settings: Sets = None, out: Out = None) -> None:
    """Look at the data: sizes, classes, cases, damaged files, missing labels; nothing is trained."""
    from radpath.recipes.inspect import scan_images

    scan_images(images, labels=labels, assignments=settings or [], out=out)


@app.command()
def split(images: Images, labels: Labels = None, settings: Sets = None, out: Out = None) -> None:
    """Divide the cases into train, validation and test, and check that nothing leaks."""
    from radpath.recipes.inspect import split_images

    split_images(images, labels=labels, assignments=settings or [], out=out)


@app.command()
def doctor() -> None:
    """Tell what is installed, which devices and weights there are, and what will work."""
    from radpath.recipes.doctor import examine

    if not examine():
        raise typer.Exit(1)


@app.command()
def demo(settings: Sets = None, out: Out = None) -> None:
    """Draw a small study with planted faults and run the main job on it; needs no data and no network."""
    from radpath.recipes.demo import demonstrate

    demonstrate(out=out, assignments=settings or [], command=_command())


@app.callback(invoke_without_command=True)
def _main(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.", is_eager=True)] = False,
) -> None:
    if version:
        typer.echo(f"radpath {radpath.__version__}")
        raise typer.Exit


def _command() -> str:
    return shlex.join(["radpath", *sys.argv[1:]])


def run() -> None:
    """Run the command line; the entry point of ``radpath``."""
    try:
        app()
    except RadpathError as error:
        typer.echo(f"radpath: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        typer.echo("radpath: interrupted; finished epochs are kept, continue with `radpath train --resume`", err=True)
        sys.exit(INTERRUPTED_EXIT_CODE)
