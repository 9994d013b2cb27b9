"""The command that shows where a trained run looks."""

from pathlib import Path
from typing import Annotated

import typer

from radpath.cli.arguments import place
from radpath.errors import SettingsError
from radpath.records import SIDES

_Run = Annotated[Path, typer.Argument(metavar="RUN", help="A finished run folder.")]
_Method = Annotated[
    str | None,
    typer.Option(
        "--method",
        help="grad_cam, grad_cam_pp, hires_cam, integrated_gradients, occlusion or attention_rollout; the same as "
        "--set explanation.method=...",
    ),
]
_Images = Annotated[
    list[str] | None, typer.Option("--images", metavar="ID", help="One record id of the run; repeatable.")
]
_Side = Annotated[str | None, typer.Option("--side", help="All images of train, validation or test.")]
_Truth = Annotated[str | None, typer.Option("--truth", metavar="CLASS", help="Images of this class.")]
_Mistakes = Annotated[bool, typer.Option("--mistakes", help="Wrongly decided images, the worst first.")]
_Most = Annotated[int | None, typer.Option("--most", metavar="NUMBER", min=1, help="At most so many.")]
_Explained = Annotated[
    str | None, typer.Option("--class", metavar="CLASS", help="The class to explain; otherwise each image's decision.")
]
_New = Annotated[
    str | None, typer.Option("--new", metavar="IMAGES", help="A folder of images that are none of the run's.")
]
_Check = Annotated[bool, typer.Option("--check", help="Also see whether maps change when the weights are drawn anew.")]
_Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a setting of [explanation] or [device]; repeatable."),
]
_Out = Annotated[
    Path | None, typer.Option("--out", metavar="FOLDER", help="Where to write; otherwise RUN/explanations.")
]


def explain(
    run: _Run,
    method: _Method = None,
    images: _Images = None,
    side: _Side = None,
    truth: _Truth = None,
    mistakes: _Mistakes = False,
    most: _Most = None,
    explained: _Explained = None,
    new: _New = None,
    check: _Check = False,
    settings: _Set = None,
    out: _Out = None,
) -> None:
    """Draw where the evidence for a class lies.

    Of the worst mistakes and the surest right decisions, unless other images are named. Writes maps, pictures, an index
    and a contact sheet, and shows some of them in the report. Goes on where it was stopped.
    """
    from radpath.recipes.choosing import Selection
    from radpath.recipes.explain import explain as recipe

    if side is not None and side not in SIDES:
        raise SettingsError(f"--side is '{side}'; it must be {', '.join(SIDES)}")
    selection = Selection(
        images=tuple(images or ()),
        side=side,
        truth=truth,
        mistakes=mistakes,
        most=most,
        explained_class=explained,
    )
    chosen = [] if method is None else [f"explanation.method={method}"]
    assignments = [*(settings or []), *chosen]
    recipe(run, selection=selection, new=place(new), check=check, out=out, assignments=assignments)
