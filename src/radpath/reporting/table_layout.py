"""A table of blocks as it is shown: which columns are numbers, what stands behind a number, and notes below the table.

In: ``blocks.Table``. Out: cells of short texts, for a page, for paper and for LaTeX alike. How they look is left to
those who write a format.
"""

import dataclasses
import re
from typing import Final

from radpath.reporting.blocks import Cell, Link, Number, Table

_MOST_COLUMNS_AT_EASE: Final = 6
_SHOWN: Final = re.compile(r"[+\-\u2212]?[\d,]+(?:\.(?P<decimals>\d+))?(?P<unit>\D*)")


@dataclasses.dataclass(frozen=True, kw_only=True)
class LaidCell:
    """One cell."""

    text: str
    interval: str = ""
    """For example ``0.841 to 0.962``; empty where there is none."""
    mark: str = ""
    """The number of the note below the table that belongs to the cell; empty where there is none."""
    is_number: bool = False
    is_undefined: bool = False
    anchor: str = ""
    """The place of the report that it leads to; empty where it leads nowhere."""
    value: float | None = None
    """What a sorted column is sorted by; None for texts and for what does not exist."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LaidTable:
    """A whole table."""

    name: str
    caption: str
    columns: tuple[str, ...]
    is_number: tuple[bool, ...]
    """Whether a column holds numbers."""
    rows: tuple[tuple[LaidCell, ...], ...]
    notes: tuple[str, ...]
    """Below the table, the first is number 1."""
    total: tuple[LaidCell, ...] | None
    is_dense: bool
    """Whether there are so many columns that intervals need a line of their own."""


def lay_out(table: Table) -> LaidTable:
    """Return a table as it is shown; a note that several cells share stands once below it."""
    rows = (*table.rows, *((table.total,) if table.total else ()))
    notes = tuple(dict.fromkeys(cell.note for row in rows for cell in row if isinstance(cell, Number) and cell.note))
    marks = {note: str(place) for place, note in enumerate(notes, start=1)}
    return LaidTable(
        name=table.name,
        caption=table.caption,
        columns=table.columns,
        is_number=tuple(
            any(isinstance(row[place], Number) for row in table.rows if place < len(row))
            for place in range(len(table.columns))
        ),
        rows=tuple(tuple(_cell(cell, marks) for cell in row) for row in table.rows),
        notes=notes,
        total=tuple(_cell(cell, marks) for cell in table.total) if table.total else None,
        is_dense=len(table.columns) > _MOST_COLUMNS_AT_EASE,
    )


def _cell(cell: Cell, marks: dict[str, str]) -> LaidCell:
    if isinstance(cell, str):
        return LaidCell(text=cell)
    if isinstance(cell, Link):
        return LaidCell(text=cell.text, anchor=cell.anchor)
    return LaidCell(
        text=cell.text,
        interval=interval_of(cell),
        mark=marks.get(cell.note, ""),
        is_number=True,
        is_undefined=cell.value is None,
        value=cell.value,
    )


def interval_of(number: Number) -> str:
    """Return the interval with as many decimals as the number is shown with; empty where there is none.

    >>> interval_of(Number(text="0.91", value=0.912, low=0.841, high=0.962))
    '0.84 to 0.96'
    >>> interval_of(Number(text="91.2 %", value=0.912, low=0.841, high=0.962))
    '84.1 to 96.2 %'
    """
    if number.low is None or number.high is None:
        return ""
    shown = _SHOWN.fullmatch(number.text.strip())
    if shown is None or number.value is None:
        return f"{number.low:.3f} to {number.high:.3f}"
    decimals, unit = len(shown["decimals"] or ""), shown["unit"]
    factor, unit = (100, unit) if unit.strip() == "%" else (1, "")
    return f"{number.low * factor:.{decimals}f} to {number.high * factor:.{decimals}f}{unit}"
