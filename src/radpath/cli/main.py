"""The command line: arguments become one recipe call, and a ``RadpathError`` becomes one line and an exit code.

Recipes are imported inside the commands, so that ``radpath --help`` answers at once.
"""

import io
import sys
from pathlib import Path
from typing import Annotated

import typer

import radpath
from radpath.cli.application import app, helped_by_others
from radpath.cli.arguments import (
    Backbone,
    DeviceSets,
    Images,
    Labels,
    MemberWeights,
    Out,
    Runs,
    Sets,
    Table,
    command_line,
    place,
)
from radpath.cli.evaluating import evaluate
from radpath.cli.explaining import explain
from radpath.cli.finished import compare, pick_epoch, report
from radpath.cli.robustness import robustness
from radpath.cli.speed import benchmark
from radpath.cli.trials import check_learning, find_rate
from radpath.data.location import parse_location
from radpath.errors import RadpathError

__all__ = ["app", "run"]


@app.command()
def fit(images: Images, labels: Labels = None, settings: Sets = None, out: Out = None) -> None:
    """Go from images and labels to a report.

    Needs no settings file. Measures the data, prints the plan and why, writes it to experiment.toml, trains, evaluates
    and reports.
    """
    from radpath.recipes.fit import fit as recipe

    recipe(parse_location(images), labels=place(labels), assignments=settings or [], out=out, command=command_line())


@app.command()
def train(
    experiment: Annotated[Path, typer.Argument(metavar="EXPERIMENT", help="A complete experiment.toml.")],
    settings: Sets = None,
    out: Out = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run to the same result.")] = False,
) -> None:
    """Run an experiment, or continue one that stopped."""
    from radpath.recipes.train import train_experiment

    train_experiment(experiment, assignments=settings or [], out=out, resume=resume, command=command_line())


app.command()(evaluate)


app.command()(report)
app.command()(pick_epoch)


@app.command()
def ensemble(
    runs: Runs,
    weights: MemberWeights = "equal",
    out: Out = None,
) -> None:
    """Average the predictions of several runs.

    Folds, seeds or architectures with the same test side. Writes predictions, numbers and a report, with each member's
    own score; `radpath predict` takes the folder too, while the members stay where they are.
    """
    from radpath.recipes.ensemble import make_ensemble

    make_ensemble(runs, weights=weights, out=out, command=command_line())


@app.command()
def soup(runs: Runs, out: Out = None) -> None:
    """Average the weights of several runs.

    Runs of one architecture, from the same start, on the same images; each is taken where validation gets no worse with
    it. Gives a run like any other.
    """
    from radpath.recipes.soup import make_soup

    make_soup(runs, out=out, command=command_line())


app.command()(compare)


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A finished run folder.")],
    images: Images,
    settings: DeviceSets = None,
    out: Table = None,
) -> None:
    """Apply a trained run and its threshold to new images."""
    from radpath.recipes.predict import predict_new

    predict_new(run, parse_location(images), out=out, assignments=settings or [])


app.command()(explain)


app.command()(robustness)


@app.command()
def scan(images: Images, labels: Labels = None, settings: Sets = None, out: Out = None) -> None:
    """Look at the data: sizes, classes, cases, damage."""
    from radpath.recipes.inspect import scan_images

    scan_images(parse_location(images), labels=place(labels), assignments=settings or [], out=out)


@app.command()
def split(images: Images, labels: Labels = None, settings: Sets = None, out: Out = None) -> None:
    """Divide cases into train, validation and test."""
    from radpath.recipes.inspect import split_images

    split_images(parse_location(images), labels=place(labels), assignments=settings or [], out=out)


@app.command()
def prepare(
    images: Images,
    labels: Labels = None,
    settings: Sets = None,
    out: Out = None,
    export: Annotated[
        Path | None,
        typer.Option("--export", metavar="FOLDER", help="Also write PNG files, below a folder a side and class."),
    ] = None,
) -> None:
    """Decode and scale every image before a run.

    The run then begins at once. Can be stopped and continued; what is prepared is kept beside the runs. Trains nothing.
    """
    from radpath.recipes.prepare import prepare_images

    prepare_images(parse_location(images), labels=place(labels), assignments=settings or [], out=out, export=export)


@app.command()
def preview(
    target: Annotated[
        str,
        typer.Argument(metavar="EXPERIMENT|RUN|IMAGES", help="An experiment.toml, a run folder, or images."),
    ],
    settings: Sets = None,
    out: Out = None,
) -> None:
    """Show what the network sees: images after every step.

    Writes preview.png, with each random change alone and all together, and padding drawn as stripes. Trains nothing.
    """
    from radpath.recipes.preview import preview as recipe

    recipe(parse_location(target), assignments=settings or [], out=out)


@app.command()
def steps(images: Images, settings: Sets = None, out: Out = None) -> None:
    """Show a few images after each stage of preparation.

    Writes steps.png: as decoded, after thresholds and morphology, resized. Trains nothing.
    """
    from radpath.recipes.steps import show_steps

    show_steps(parse_location(images), assignments=settings or [], out=out)


@app.command()
def describe(images: Images, labels: Labels = None, settings: Sets = None, out: Out = None) -> None:
    """Show on one page what is in the data.

    Samples, classes, sizes, balance by side and site, what is excluded and why. Trains nothing.
    """
    from radpath.recipes.describe import describe_images

    describe_images(
        parse_location(images), labels=place(labels), assignments=settings or [], out=out, command=command_line()
    )


@app.command()
def audit(images: Images, labels: Labels = None, settings: Sets = None, out: Out = None) -> None:
    """Look for what would make a score too good.

    Identical images, near duplicates side by side, columns that give the label or the side away. Trains nothing.
    """
    from radpath.recipes.audit import audit_images

    audit_images(
        parse_location(images), labels=place(labels), assignments=settings or [], out=out, command=command_line()
    )


app.command()(check_learning)
app.command()(find_rate)


@app.command()
def describe_model(
    backbone: Backbone = None,
    settings: Sets = None,
    classes: Annotated[int, typer.Option("--classes", metavar="NUMBER", min=2, help="How many the head tells.")] = 2,
) -> None:
    """List a network's stages, what learns, and its head.

    Needs no data; for settings such as --set model.freeze=top-1.
    """
    from radpath.recipes.describe_model import describe_model as recipe

    recipe(backbone, assignments=settings or [], num_classes=classes)


@app.command()
def convert_weights(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="A checkpoint: .pt, .pth, .ckpt or .safetensors.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="A new .safetensors file, for model.weights_file.")],
    backbone: Annotated[str, typer.Option("--backbone", metavar="NAME", help="The network that the weights are for.")],
    layout: Annotated[
        str,
        typer.Option("--layout", help="Whose names: timm, torchvision, radimagenet, kimianet, efficientnet_pytorch."),
    ] = "auto",
    prefix: Annotated[
        str | None,
        typer.Option("--prefix", help="What stands in front of the names that are wanted, for files with more."),
    ] = None,
) -> None:
    """Bring the weights of others into a run's form.

    Pickles are read by PyTorch's restricted reader, in a process of its own. A report tells what became of each tensor.
    """
    from radpath.recipes.convert_weights import convert_weights as recipe

    recipe(source, target, backbone=backbone, layout=layout, prefix=prefix)


app.command()(benchmark)


@app.command()
def doctor() -> None:
    """Tell what is installed, and try what a run needs.

    Exit code 1 says that `radpath fit` will not work here.
    """
    from radpath.recipes.doctor import examine

    if not examine():
        raise typer.Exit(1)


@app.command()
def demo(settings: Sets = None, out: Out = None) -> None:
    """Draw a small study and run `fit` on it.

    The study has planted faults. Needs no data and no network.
    """
    from radpath.recipes.demo import demonstrate

    demonstrate(out=out, assignments=settings or [], command=command_line())


@app.callback(invoke_without_command=True)
def _main(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.", is_eager=True)] = False,
) -> None:
    if version:
        typer.echo(f"radpath {radpath.__version__}")
        raise typer.Exit


def run() -> None:
    """Run the command line; the entry point of ``radpath``."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A class or file name that the terminal's encoding lacks must not end a run that took hours.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with helped_by_others() as first:
            if first:
                app(prog_name="radpath")
    except RadpathError as error:
        typer.echo(f"radpath: {error}", err=True)
        sys.exit(error.exit_code)
