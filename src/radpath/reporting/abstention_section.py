"""The section on abstention: what is gained when the least certain images are left to a person.

In: ``Abstention``. Out: a ``Section``. Nothing is computed here.
"""

from typing import Final

from radpath.data.findings import counted
from radpath.evaluation.abstention import Abstention, KeptShare
from radpath.evaluation.measured import Measured
from radpath.reporting.blocks import Drawing, Number, Paragraph, Section, Table
from radpath.reporting.measured_cells import cell, draw_band, phrase
from radpath.reporting.svg import add_grid, colour_of, dash_of, house_style, new_figure, to_svg
from radpath.reporting.wording import SIDE_NAMES, percent

_SHOWN: Final = (1.0, 0.95, 0.9, 0.8, 0.7, 0.5)


def abstention_section(found: Abstention) -> Section:
    """Return the section."""
    blocks = (Paragraph(text=_introduction(found)), _drawing(found), _table(found))
    return Section(anchor="abstention", title="Leaving uncertain images to a person", blocks=blocks)


def _introduction(found: Abstention) -> str:
    order = "their probability is to the threshold, in log-odds" if found.positive_class else "no class stands out"
    certain = f"the closer {order}" if found.positive_class else "the lower their highest probability"
    everything = found.kept[0].risk
    return (
        f"Images are the less certain {certain}. Were the least certain ones left to a person, fewer of the remaining "
        f"decisions would be wrong, if certainty means anything: the area below this risk (AURC) is "
        f"{phrase(found.area)}; an order by chance would give {phrase(everything)}, the share of wrong decisions "
        f"over all images, and the best possible order {found.best_area:.3f}."
    )


def _table(found: Abstention) -> Table:
    binary = found.positive_class is not None
    return Table(
        name="abstention",
        caption=f"The decisions that remain on the {SIDE_NAMES[found.side].lower()} side "
        f"({counted(found.num_images, 'image')} of {counted(found.num_cases, 'case')}), with "
        f"{percent(found.confidence, 0)} intervals by case.",
        columns=("Share of images decided", "Wrong decisions", *(("Sensitivity", "Specificity") if binary else ())),
        rows=tuple(_row(kept, binary=binary) for kept in found.kept if kept.share in _SHOWN),
    )


def _row(kept: KeptShare, *, binary: bool) -> tuple[str | Number, ...]:
    share = Number(text=percent(kept.share, 0), value=kept.share)
    return (share, cell(kept.risk), *((cell(kept.sensitivity), cell(kept.specificity)) if binary else ()))


def _drawing(found: Abstention) -> Drawing:
    shares = [kept.share for kept in found.kept]
    lines: dict[str, list[Measured]] = {"Wrong decisions": [kept.risk for kept in found.kept]}
    if found.positive_class is not None:
        lines["Sensitivity"] = [kept.sensitivity for kept in found.kept if kept.sensitivity is not None]
        lines["Specificity"] = [kept.specificity for kept in found.kept if kept.specificity is not None]
    with house_style():
        figure, axis = new_figure(320)
        add_grid(axis)
        for number, (name, values) in enumerate(lines.items()):
            draw_band(axis, shares, values, colour=colour_of(number + 1), linestyle=dash_of(number), label=name)
        axis.set_xlim(1.01, 0)
        axis.set_ylim(-0.01, 1.01 if len(lines) > 1 else None)
        axis.set_xlabel("Share of images that the model decides")
        axis.set_ylabel("Share")
        figure.legend(loc="outside upper left", ncols=3, handlelength=2.6)
        svg = to_svg(
            figure,
            name="figure-abstention",
            title="Decisions that remain when uncertain images are left out",
            description=_description(found),
        )
    return Drawing(
        name="abstention",
        svg=svg,
        caption=f"The {SIDE_NAMES[found.side].lower()} side, from all images on the left to the most certain on the "
        f"right, with {percent(found.confidence, 0)} intervals by case.",
    )


def _description(found: Abstention) -> str:
    words = "; ".join(
        f"{kept.share:.0%} of the images decided: {phrase(kept.risk)} wrong"
        for kept in found.kept
        if kept.share in _SHOWN
    )
    return f"{words}. The area below the risk is {phrase(found.area)}."
