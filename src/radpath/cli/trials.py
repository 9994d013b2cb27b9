"""The commands that try a training before it begins, or after it failed."""

from typing import Annotated

import typer

from radpath.cli.arguments import Labels, Out, Sets, place
from radpath.data.location import parse_location

Target = Annotated[
    str, typer.Argument(metavar="EXPERIMENT|RUN|IMAGES", help="An experiment.toml, a run folder, or images.")
]


def check_learning(
    target: Target,
    labels: Labels = None,
    settings: Sets = None,
    out: Out = None,
    per_class: Annotated[int, typer.Option("--per-class", metavar="NUMBER", min=1, help="Images of each class.")] = 3,
    steps: Annotated[int, typer.Option("--steps", metavar="NUMBER", min=1, help="Steps at most.")] = 200,
) -> None:
    """Learn a handful of images by heart, or say why not.

    Also checks the first loss, the seed, that gradients reach what may learn, and that the frozen stays. Exit code 10
    says that a check failed, and the last line why.
    """
    from radpath.recipes.check_learning import check_learning as recipe

    recipe(
        parse_location(target),
        labels=place(labels),
        assignments=settings or [],
        out=out,
        per_class=per_class,
        num_steps=steps,
    )


def find_rate(
    target: Target,
    labels: Labels = None,
    settings: Sets = None,
    out: Out = None,
    steps: Annotated[int, typer.Option("--steps", metavar="NUMBER", min=1, help="Rates to try.")] = 100,
) -> None:
    """Test learning rates from 1e-6 to 1, and suggest one.

    A short training whose rate grows with every step until the loss explodes; its network is thrown away. Writes the
    losses as JSON, CSV and a figure.
    """
    from radpath.recipes.find_rate import find_rate as recipe

    recipe(parse_location(target), labels=place(labels), assignments=settings or [], out=out, num_steps=steps)
