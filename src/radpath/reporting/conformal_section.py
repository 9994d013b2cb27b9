"""The section on prediction sets: what they promise, and how often they hold the truth.

In: ``Conformal``. Out: a ``Section``. Nothing is computed here.
"""

from typing import Final

from radpath.data.findings import counted
from radpath.evaluation.conformal import Conformal, ConformalMethod, ConformalSets
from radpath.evaluation.measured import Measured
from radpath.reporting.blocks import Block, Drawing, Note, Number, Paragraph, Section, Table
from radpath.reporting.measured_cells import cell, phrase
from radpath.reporting.svg import INK, PAPER, add_grid, colour_of, house_style, new_figure, shortened, to_svg
from radpath.reporting.wording import SIDE_NAMES, percent

_METHODS: Final[dict[ConformalMethod, str]] = {
    "class_conditional": "each class by its own limit, so that the promise is kept for each class by itself",
    "lac": "all classes by one limit, so that the promise is kept over all images but not for each class",
    "aps": "the most probable classes up to one limit; the promise is kept over all images but not for each class",
}
_LONGEST_NAME: Final = 24


def conformal_section(found: Conformal) -> Section:
    """Return the section."""
    blocks: list[Block] = []
    if found.sets is None or found.coverage is None or found.mean_size is None:
        blocks.append(Paragraph(text=f"There are no prediction sets. {found.reason}"))
    else:
        blocks += [Paragraph(text=_promise(found, found.sets)), Note(text=_assumption(found.sets))]
        if found.side != "test":
            text = "There is no test side: the sets are judged on images that their limits were found on."
            blocks.append(Note(kind="warning", text=text))
        coverages = {"All images": found.coverage, **found.class_coverage}
        blocks += [_drawing(found, found.sets, coverages), _coverage_table(found, found.sets, coverages), _sizes(found)]
    return Section(anchor="prediction-sets", title="Prediction sets", blocks=tuple(blocks))


def _promise(found: Conformal, sets: ConformalSets) -> str:
    size = "" if found.mean_size is None else f" On average a set holds {phrase(found.mean_size, 2)} classes."
    return (
        f"Instead of one class, each image gets the set of classes that cannot be ruled out, made to hold its truth "
        f"with a chance of at least {percent(1 - sets.alpha, 0)}: {_METHODS[sets.method]}. The limits were found on "
        f"validation cases (split conformal prediction), are kept in conformal.json, and are used unchanged.{size}"
    )


def _assumption(sets: ConformalSets) -> str:
    text = (
        "The promise is about an image, drawn by chance, of a new case that comes from where the validation cases came "
        "from; it need not hold at another site. One image of each case, drawn by chance, was ranked, so that cases "
        "count alike; in the numbers below, too, a case counts once, by the mean of its images. Where validation also "
        "chose the epoch or the weights of an ensemble, the promise holds approximately."
    )
    unlimited = [name for name, limit in zip(sets.classes, sets.limits, strict=True) if limit is None]
    if unlimited:
        text += f" In every set, for want of cases: {', '.join(unlimited)}."
    return text


def _coverage_table(found: Conformal, sets: ConformalSets, coverages: dict[str, Measured]) -> Table:
    cases = dict(zip(sets.classes, sets.num_cases, strict=True))
    limits = dict(zip(sets.classes, sets.limits, strict=True))
    return Table(
        name="prediction-sets",
        caption=f"How often the set held the truth on the {SIDE_NAMES[found.side].lower()} side "
        f"({counted(found.num_images, 'image')} of {counted(found.num_cases, 'case')}), with "
        f"{percent(found.confidence, 0)} intervals by case, each case counting once; {percent(1 - sets.alpha, 0)} were "
        "promised.",
        columns=("Truth", "Held", "Limit of the score", "Validation cases behind it"),
        rows=tuple(
            (
                name,
                cell(measured),
                "–" if name not in limits else _limit(limits[name]),  # noqa: RUF001 - the dash of an empty cell is meant
                "–" if name not in cases else Number(text=f"{cases[name]:,}", value=float(cases[name])),  # noqa: RUF001 - likewise
            )
            for name, measured in coverages.items()
        ),
    )


def _limit(limit: float | None) -> Number:
    if limit is None:
        return Number(text="none", value=None, note="too few validation cases: the class is in every set")
    return Number(text=f"{limit:.4g}", value=limit)


def _sizes(found: Conformal) -> Table:
    names = ["none: nothing fits", "one class", *(f"{size} classes" for size in range(2, len(found.sizes)))]
    return Table(
        name="prediction-set-sizes",
        caption="Share of the images by the size of their set, each case counting once.",
        columns=("Classes in the set", "Share"),
        rows=tuple((name, cell(share)) for name, share in zip(names, found.sizes, strict=True)),
    )


def _drawing(found: Conformal, sets: ConformalSets, coverages: dict[str, Measured]) -> Drawing:
    with house_style():
        figure, axis = new_figure(80 + 27 * len(coverages))
        add_grid(axis, "x")
        axis.axvline(1 - sets.alpha, color=INK, alpha=0.7, linewidth=1, linestyle=(0, (3, 2)))
        for place, measured in enumerate(coverages.values()):
            if measured.value is None:
                axis.text(0.02, place, "undefined", va="center", alpha=0.75)
                continue
            if measured.low is not None and measured.high is not None:
                axis.plot([measured.low, measured.high], [place, place], color=colour_of(0), linewidth=2.4, alpha=0.75)
            axis.plot(
                measured.value, place, marker="o", markersize=6, color=colour_of(0), markeredgecolor=PAPER,
                linestyle="none", clip_on=False,
            )  # fmt: skip
        axis.set_yticks(range(len(coverages)), [shortened(name, _LONGEST_NAME) for name in coverages])
        axis.set_ylim(len(coverages) - 0.5, -0.5)
        axis.set_xlim(0, 1.01)
        axis.set_xlabel("Share of the sets that hold the truth")
        words = "; ".join(f"{name}: {phrase(measured, 2)}" for name, measured in coverages.items())
        svg = to_svg(
            figure,
            name="figure-prediction-sets",
            title="How often prediction sets hold the truth",
            description=f"{words}. The dashed line is the promise, {1 - sets.alpha:.4g}.",
        )
    side = SIDE_NAMES[found.side].lower()
    caption = f"How often the sets held the truth on the {side} side. The dashed line is what was promised."
    return Drawing(name="prediction_sets", svg=svg, caption=caption)
