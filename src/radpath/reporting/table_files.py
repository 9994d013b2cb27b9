"""Every table of a report as files: CSV in full precision for programs, LaTeX for a manuscript.

In: ``blocks.Table``. Out: ``tables/NAME.csv`` and ``tables/NAME.tex``. The LaTeX needs the package booktabs and nothing
else; what a user wrote is escaped.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from radpath import files
from radpath.reporting.blocks import Block, Cell, Drawing, Folded, Link, Number, Section, Table
from radpath.reporting.svg import printable
from radpath.reporting.table_layout import LaidCell, lay_out

_LATEX: Final = str.maketrans(
    {
        "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
        "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
        "|": r"\textbar{}", '"': r"\textquotedbl{}", "\N{NO-BREAK SPACE}": "~", "\N{HORIZONTAL ELLIPSIS}": r"\dots{}",
        "\N{EN DASH}": "--", "\N{EM DASH}": "---", "\N{MIDDLE DOT}": r"$\cdot$", "\N{MULTIPLICATION SIGN}": r"$\times$",
        "\N{PLUS-MINUS SIGN}": r"$\pm$", "\N{LESS-THAN OR EQUAL TO}": r"$\leq$", "\N{MINUS SIGN}": r"$-$",
        "\N{GREATER-THAN OR EQUAL TO}": r"$\geq$",
    }
)  # fmt: skip


def write_tables(sections: Iterable[Section], folder: Path) -> None:
    """Write each table of some sections as ``NAME.csv`` and ``NAME.tex``, each whole or not at all.

    Args:
        sections: of one report.
        folder: usually a run's ``tables``.

    Raises:
        StorageError: a file cannot be written.
    """
    for table in tables_of(sections):
        files.write_text(folder / f"{table.name}.csv", table_csv(table))
        files.write_text(folder / f"{table.name}.tex", table_latex(table))


def write_drawings(sections: Iterable[Section], folder: Path) -> None:
    """Write each drawing of some sections as ``NAME.svg``.

    Raises:
        StorageError: a file cannot be written.
    """
    for drawing in drawings_of(sections):
        files.write_text(folder / f"{drawing.name}.svg", drawing.svg)


def tables_of(sections: Iterable[Section]) -> list[Table]:
    """Return every table of some sections, also those that are folded away."""
    return [block for block in _flat(sections) if isinstance(block, Table)]


def drawings_of(sections: Iterable[Section]) -> list[Drawing]:
    """Return every drawing of some sections, also those that are folded away."""
    return [block for block in _flat(sections) if isinstance(block, Drawing)]


def _flat(sections: Iterable[Section]) -> Iterator[Block]:
    for section in sections:
        yield from _unfolded(section.blocks)


def _unfolded(blocks: Iterable[Block]) -> Iterator[Block]:
    for block in blocks:
        if isinstance(block, Folded):
            yield from _unfolded(block.blocks)
        else:
            yield block


def table_csv(table: Table) -> str:
    r"""Return a table as CSV: numbers to the last bit; intervals and notes, where there are any, in further columns.

    >>> number = Number(text="0.3", value=0.1 + 0.2, low=0.25, high=0.5)
    >>> print(table_csv(Table(name="a", caption="", columns=("side", "auc"), rows=(("test", number),))))
    side,auc,auc low,auc high
    test,0.30000000000000004,0.25,0.5
    <BLANKLINE>
    """
    rows = (*table.rows, *((table.total,) if table.total else ()))
    parts = [_parts_of([row[place] for row in rows if place < len(row)]) for place in range(len(table.columns))]
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    pairs = zip(table.columns, parts, strict=True)
    writer.writerow([f"{name} {part}".strip() for name, some in pairs for part in some])
    for row in rows:
        writer.writerow([_csv_value(cell, part) for cell, some in zip(row, parts, strict=False) for part in some])
    return written.getvalue()


def _parts_of(cells: Sequence[Cell]) -> list[str]:
    """Return which columns of a CSV a column of a table needs."""
    numbers = [cell for cell in cells if isinstance(cell, Number)]
    has_interval = any(number.low is not None or number.high is not None for number in numbers)
    has_note = any(number.note for number in numbers)
    return ["", *(["low", "high"] if has_interval else []), *(["note"] if has_note else [])]


def _csv_value(cell: Cell, part: str) -> str:
    if isinstance(cell, Link):
        return "" if part else f"{printable(cell.text)} (report.html#{cell.anchor})"
    if isinstance(cell, str):
        return "" if part else printable(cell)
    if part == "note":
        return printable(cell.note)
    value = {"": cell.value, "low": cell.low, "high": cell.high}[part]
    if value is None:
        return ""
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))


def table_latex(table: Table) -> str:
    r"""Return a table as LaTeX, for a manuscript: ``\usepackage{booktabs}``, then ``\input{tables/NAME}``."""
    laid = lay_out(table)
    shape = "".join("r" if is_number else "l" for is_number in laid.is_number)
    rows = [" & ".join(_latex_cell(cell) for cell in row) + r" \\" for row in laid.rows]
    if laid.total:
        rows += [r"\midrule", " & ".join(_latex_cell(cell) for cell in laid.total) + r" \\"]
    notes = [rf"\textsuperscript{{{number}}} {latex_escaped(note)}" for number, note in enumerate(laid.notes, 1)]
    lines = [
        r"% needs \usepackage{booktabs} and \usepackage[T1]{fontenc}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{latex_escaped(laid.caption)}}}",
        rf"\label{{tab:{laid.name}}}",
        rf"\begin{{tabular}}{{{shape}}}",
        r"\toprule",
        " & ".join(latex_escaped(name) for name in laid.columns) + r" \\",
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}",
        *([r"\par\smallskip\footnotesize", " \\\\\n".join(notes)] if notes else []),
        r"\end{table}",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _latex_cell(cell: LaidCell) -> str:
    interval = f" ({latex_escaped(cell.interval)})" if cell.interval else ""
    mark = rf"\textsuperscript{{{cell.mark}}}" if cell.mark else ""
    return f"{latex_escaped(cell.text)}{interval}{mark}"


def latex_escaped(text: str) -> str:
    r"""Return ``text`` so that LaTeX shows it as it is, on one line.

    >>> print(latex_escaped("a_b & 5 %"))
    a\_b \& 5 \%
    """
    return printable(" ".join(text.split(" "))).translate(_LATEX)
