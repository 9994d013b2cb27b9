"""Measured numbers as cells of a table and as bands of a figure.

In: ``Measured`` of ``evaluation``. Out: ``Number`` blocks, and lines with intervals. Which, is left to the sections.
"""

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes

from radpath.evaluation.measured import Measured
from radpath.reporting.blocks import Number


def cell(measured: Measured | None, digits: int = 3) -> Number | str:
    """Return a number with its interval; a dash for what was not measured at all, a word for what does not exist."""
    if measured is None:
        return "–"  # noqa: RUF001 - the dash of an empty cell is meant
    if measured.value is None:
        return Number(text="undefined", value=None, note=measured.note)
    return Number(
        text=f"{measured.value:.{digits}f}",
        value=measured.value,
        low=measured.low,
        high=measured.high,
        note=measured.note,
    )


def phrase(measured: Measured, digits: int = 3) -> str:
    """Return a number with its interval in words.

    >>> phrase(Measured(value=0.5, low=0.25, high=0.75), 2)
    '0.50 (0.25 to 0.75)'
    """
    if measured.value is None:
        return measured.note
    if measured.low is None or measured.high is None:
        return f"{measured.value:.{digits}f}"
    return f"{measured.value:.{digits}f} ({measured.low:.{digits}f} to {measured.high:.{digits}f})"


def draw_band(axis: Axes, x: Sequence[float], measured: Sequence[Measured], *, colour: str, **line: Any) -> None:  # noqa: ANN401 - what Axes.plot takes
    """Draw a line through the numbers and a band through their intervals, with gaps where there are none."""
    lows, values, highs = (
        [math.nan if edge is None else edge for edge in edges]
        for edges in zip(*((one.low, one.value, one.high) for one in measured), strict=True)
    )
    axis.fill_between(x, lows, highs, color=colour, alpha=0.18, linewidth=0)
    axis.plot(x, values, color=colour, **line)
