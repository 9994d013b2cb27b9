"""The figures of the pages about a study: classes, sizes, and which columns give a label away.

In: what ``study`` holds. Out: one ``<svg>`` text a figure. A figure that would show nothing is left out.
"""

from typing import Final

import numpy as np
from matplotlib.lines import Line2D

from radpath.data.audit.confounders import Confounder, ConfounderCheck
from radpath.reporting.figures import balance_figure, size_panels
from radpath.reporting.study_content import StudyContent
from radpath.reporting.svg import INK, add_grid, colour_of, house_style, new_figure, to_svg

_MOST_PANELS: Final = 4
_MOST_GROUPS: Final = 7
_MOST_COLUMNS: Final = 12
_ALARM_COLOUR: Final = colour_of(1)
_QUIET_COLOUR: Final = colour_of(6)


def study_figures(content: StudyContent) -> dict[str, str]:
    """Return the SVG text of every figure that has something to show, by name."""
    drawn: dict[str, str | None] = {"sizes": _sizes(content)}
    for balance in content.balances:
        if len(balance.counts) <= _MOST_GROUPS:
            colours = [colour_of(number) for number in range(len(balance.counts))]
            drawn[f"balance_{balance.of}"] = balance_figure(
                balance.counts,
                colours,
                name=f"figure-balance-{balance.of}",
                title=f"Images of each class by {balance.of}",
            )
    for question in content.questions:
        name = question.what.split()[1]
        drawn[f"areas_{name}"] = areas_figure(question.check, name=f"figure-areas-{name}", what=question.what)
    return {name: svg for name, svg in drawn.items() if svg is not None}


def _sizes(content: StudyContent) -> str | None:
    panels = {name: sizes for name, sizes in content.sizes_px.items() if len(sizes)}
    if len(panels) > _MOST_PANELS:
        panels = {"All classes": np.concatenate(list(panels.values()))}
    colours = [colour_of(number) for number in range(len(panels))]
    return size_panels(panels, colours, title="Image sizes of each class")


def areas_figure(check: ConfounderCheck, *, name: str, what: str) -> str | None:
    """Return the area and interval of each column, the best at the top; None where nothing was asked.

    Args:
        check: the answer.
        name: unique in the page.
        what: what was to be told, for the description.
    """
    columns = check.columns[:_MOST_COLUMNS]
    if not columns:
        return None
    with house_style():
        figure, axis = new_figure(90 + 22 * len(columns))
        add_grid(axis, "x")
        axis.axvline(0.5, color=INK, alpha=0.7, linewidth=1, linestyle=(0, (3, 2)))
        for place, one in enumerate(columns):
            colour = _ALARM_COLOUR if one.is_alarm else _QUIET_COLOUR
            axis.plot([one.area.low, one.area.high], [place, place], color=colour)
            axis.plot([one.area.value], [place], marker="o" if one.is_alarm else "s", color=colour, markersize=5)
        axis.set_yticks(range(len(columns)), [one.column.replace("_", " ") for one in columns])
        axis.invert_yaxis()
        axis.set_xlabel("Area under the ROC curve on other cases")
        axis.set_xlim(min(0.35, *(one.area.low for one in columns)), 1.02)
        figure.legend(handles=_legend(columns), loc="outside upper left", ncols=2)
        title = f"How well each column tells {what}"
        return to_svg(figure, name=name, title=title, description=_describe(columns))


def _legend(columns: tuple[Confounder, ...]) -> list[Line2D]:
    kinds = [
        (True, "more than chance", "o", _ALARM_COLOUR),
        (False, "chance or little", "s", _QUIET_COLOUR),
    ]
    present = {one.is_alarm for one in columns}
    return [
        Line2D([], [], marker=marker, color=colour, label=label)
        for is_alarm, label, marker, colour in kinds
        if is_alarm in present
    ]


def _describe(columns: tuple[Confounder, ...]) -> str:
    words = [f"{one.column} {one.area.value:.2f} ({one.area.low:.2f} to {one.area.high:.2f})" for one in columns]
    return f"Areas with 95 % intervals: {'; '.join(words)}."
