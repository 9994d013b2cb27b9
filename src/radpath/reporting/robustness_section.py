"""The section on robustness: what worse images do to the numbers, as small multiples and as a table.

In: ``Robustness``. Out: a ``Section``. Nothing is computed here.
"""

import itertools
from collections.abc import Sequence
from typing import Final

from matplotlib.axes import Axes

from radpath.data.findings import counted
from radpath.evaluation.measured import Measured
from radpath.evaluation.robustness import Corruption, Robustness, Strength
from radpath.reporting.blocks import Cell, Drawing, Note, Number, Paragraph, Section, Table
from radpath.reporting.measured_cells import cell, draw_band, phrase
from radpath.reporting.svg import INK, add_grid, colour_of, house_style, new_figure, to_svg
from radpath.reporting.wording import SIDE_NAMES, metric_label, percent

_COLUMNS: Final = 2
_ROW_PX: Final = 150
_HEADINGS: Final = {"jpeg": "JPEG"}


def robustness_section(found: Robustness) -> Section:
    """Return the section."""
    blocks = (
        Paragraph(text=_introduction(found)),
        Paragraph(text=verdict(found)),
        Note(text="These are made changes, each by itself; what another scanner or laboratory does is another matter."),
        _drawing(found),
        _table(found),
    )
    return Section(anchor="robustness", title="Robustness to worse images", blocks=blocks)


def _introduction(found: Robustness) -> str:
    return (
        f"The {SIDE_NAMES[found.side].lower()} side ({counted(found.num_images, 'image')} of "
        f"{counted(found.num_cases, 'case')}) seen again with every image made worse, after it was prepared and before "
        "the network normalises it, in 0 to 1. What is drawn depends on the image and the run's seed alone. The frozen "
        f"threshold decides. Intervals ({percent(found.confidence, 0)}) come from {found.replicates:,} resamples of "
        "whole cases; a drop is paired: the same cases, as they are and made worse."
    )


def verdict(found: Robustness) -> str:
    """Return from which strength on the first number is lower beyond chance, and how far at worst."""
    label = metric_label(found.metrics[0])
    first = [(_title(one), _first_lasting(one.strengths)) for one in found.corruptions]
    harmful = [f"{title} from {_level(strength)} on" for title, strength in first if strength is not None]
    count = sum(len(one.strengths) for one in found.corruptions)
    intervals = f"the interval of the drop lies above 0, not corrected for {counted(count, 'strength')}"
    if not harmful:
        return (
            f"The {label} of the images as they are is {phrase(found.clean[0])}. In no kind of change is it lower "
            f"beyond chance at the strongest ({intervals})."
        )
    worst, of = max(
        ((strength, one) for one in found.corruptions for strength in one.strengths),
        key=lambda pair: pair[0].drops[0].value or 0.0,
    )
    return (
        f"The {label} of the images as they are is {phrase(found.clean[0])}. It is lower beyond chance ({intervals}) "
        f"under {', '.join(harmful)}; the largest drop is {phrase(worst.drops[0])}, under {_title(of)} {_level(worst)}."
    )


def _first_lasting(strengths: Sequence[Strength]) -> Strength | None:
    """Return the weakest strength from which on every one falls; None where the strongest does not."""
    lasting = list(itertools.takewhile(_falls, reversed(strengths)))
    return lasting[-1] if lasting else None


def _falls(strength: Strength) -> bool:
    """Say whether the whole interval of the first drop lies above 0."""
    low = strength.drops[0].low
    return low is not None and low > 0


def _title(corruption: Corruption) -> str:
    return _HEADINGS.get(corruption.name, corruption.name)


def _level(strength: Strength) -> str:
    return f"{strength.level:g}"


def _table(found: Robustness) -> Table:
    labels = [metric_label(name) for name in found.metrics]
    parameters = "; ".join(f"{_title(one)}: {one.parameter}" for one in found.corruptions)
    as_is: tuple[Cell, ...] = ("as they are", "–")  # noqa: RUF001 - the dash of an empty cell is meant
    return Table(
        name="robustness",
        caption=f"Numbers in every strength, how much lower the {labels[0]} is, and the share of images that are "
        f"decided otherwise. {parameters}.",
        columns=("Images", "Strength", *labels, f"Drop of {labels[0]}", "Decided otherwise"),
        rows=(
            (*as_is, *(cell(one) for one in found.clean), cell(None), cell(None)),
            *(_row(one, strength) for one in found.corruptions for strength in one.strengths),
        ),
    )


def _row(corruption: Corruption, strength: Strength) -> tuple[Cell, ...]:
    level = Number(text=_level(strength), value=strength.level)
    numbers = (cell(one) for one in strength.metrics)
    return (_title(corruption), level, *numbers, cell(strength.drops[0]), cell(strength.flips))


def _drawing(found: Robustness) -> Drawing:
    label = metric_label(found.metrics[0])
    count = len(found.corruptions)
    rows = -(-count // _COLUMNS)
    with house_style():
        figure, axes = new_figure(40 + _ROW_PX * rows, nrows=rows, ncols=_COLUMNS, sharey=True, squeeze=False)
        for place, axis in enumerate(axes.ravel()):
            if place < count:
                _draw(axis, found, found.corruptions[place])
            else:
                axis.set_visible(False)
        figure.supylabel(label, fontsize=12)
        figure.supxlabel("Level", fontsize=12)
        svg = to_svg(
            figure,
            name="figure-robustness",
            title=f"{label} under worse images",
            description=_description(found),
        )
    return Drawing(
        name="robustness",
        svg=svg,
        caption=f"{label} with {percent(found.confidence, 0)} intervals, from the images as they are (level 0, and the "
        "dashed line) to the strongest change (level 5).",
    )


def _draw(axis: Axes, found: Robustness, corruption: Corruption) -> None:
    values: list[Measured] = [found.clean[0], *(strength.metrics[0] for strength in corruption.strengths)]
    add_grid(axis)
    if found.clean[0].value is not None:
        axis.axhline(found.clean[0].value, color=INK, alpha=0.6, linewidth=1, linestyle=(0, (3, 2)))
    draw_band(axis, [float(level) for level in range(len(values))], values, colour=colour_of(0), marker="o")
    axis.set_title(_title(corruption))
    axis.set_xticks(range(len(values)))
    axis.set_xlim(-0.2, len(values) - 0.8)


def _description(found: Robustness) -> str:
    words = "; ".join(
        f"{_title(one)}: " + ", ".join(f"{_level(at)} gives {phrase(at.metrics[0])}" for at in one.strengths)
        for one in found.corruptions
    )
    return f"As they are: {phrase(found.clean[0])}. {words}."
