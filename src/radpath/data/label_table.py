"""Reads a table of labels (CSV or TSV) as text, and finds which of its columns is which.

In: the path of the table, the settings, and a way to tell which texts name images. Out: a ``LabelTable`` and its
``Columns``. Attaching them to images is ``labels``' work.

The parser is the standard library's: polars fills short rows with nothing and drops the second of two equal headers'
names, and here both are errors that name the line.
"""

import csv
import dataclasses
import io
import re
from collections.abc import Callable, Sequence
from typing import Final

from radpath.data.inputs import DataSettings
from radpath.data.location import Location
from radpath.data.names import side_named
from radpath.errors import DataError

_SEPARATORS: Final = (",", ";", "\t")

# Compared in lower case and without spaces, underscores and other signs.
_KNOWN_NAMES: Final[dict[str, re.Pattern[str]]] = {
    "path": re.compile("(file|relative)?path|file(name)?|(image|img)(path|file|filename|name|id|index)?"),
    "label": re.compile("(finding)?labels?|class(name|label)?|diagnosis|dx|grade|target|category|(ground)?truth"),
    "case": re.compile("(case|patient|subject|specimen|exam|study)(id)?"),
    "split": re.compile("split|set|subset|partition|fold"),
}

NameLookup = Callable[[str], str | None]
"""Returns the record id of the image that a text names, or None."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelTable:
    """A table of texts without surrounding spaces."""

    source: Location
    columns: dict[str, list[str]]
    """For each column its texts, one a row; columns without a name are left out."""
    line_numbers: list[int]
    """For each row the line of the file on which it ends, counted from 1."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Columns:
    """Which column holds what; ``path`` is None where the table names cases instead of images."""

    path: str | None
    label: str
    case: str | None
    split: str | None
    ignored: tuple[str, ...] = ()
    """Columns named like a split that name no side, such as numbered folds."""


def read_label_table(path: Location) -> LabelTable:
    """Read a CSV file separated by commas, semicolons or tabs, in UTF-8 with or without a byte order mark.

    Raises:
        DataError: the file is missing, is not UTF-8, has no rows, two equal headers, or rows of different length.
    """
    text = _read_text(path)
    first_line = text.lstrip().partition("\n")[0]
    separator = max(_SEPARATORS, key=first_line.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        numbered = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(map(str.strip, row))]
    except csv.Error as error:
        raise DataError(f"{path} line {reader.line_num} is not CSV: {error}") from None
    if len(numbered) < len(("header", "row")):
        raise DataError(f"{path} has no rows; it needs a line of column names and one line for each image or case")
    (_, header), *rows = numbered
    _check_shape(path, header, rows)
    columns = {name: [row[place] for _, row in rows] for place, name in enumerate(header) if name}
    return LabelTable(source=path, columns=columns, line_numbers=[line_number for line_number, _ in rows])


def _read_text(path: Location) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"there is no table of labels {path}") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 (byte {error.start}); save it as CSV in UTF-8") from None
    except OSError as error:
        raise DataError(f"the table of labels {path} cannot be read: {error.strerror}") from None


def _check_shape(path: Location, header: list[str], rows: list[tuple[int, list[str]]]) -> None:
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise DataError(f"{path} has two columns '{twice[0]}'; rename one")
    for line_number, row in rows:
        if len(row) != len(header):
            raise DataError(
                f"{path} line {line_number} has {len(row)} cells and the header {len(header)}; "
                "put texts that hold the separator into double quotes"
            )


def choose_columns(table: LabelTable, settings: DataSettings, find: NameLookup, *, cases_in_names: bool) -> Columns:
    """Return which column holds what: as set, else by well-known names, else (the path) by which texts name images.

    Args:
        table: the table of labels.
        settings: the columns that the user named.
        find: tells which image a text names.
        cases_in_names: whether the images' names tell their cases, so that a table of cases will do.

    Raises:
        DataError: a column is missing, or several could be meant.
    """
    label = known_column(table, "label", settings.label_column)
    case = known_column(table, "case", settings.case_column)
    ignored = _without_sides(table) if settings.split_column is None else ()
    split = known_column(table, "split", settings.split_column, ignored=ignored)
    if label is None:
        raise missing_column(table, "label", "the label")
    by_case = cases_in_names and case is not None
    path = settings.path_column or None
    if path is not None:
        _require_column(table, "path", path)
    elif settings.path_column is None:
        taken = {label, split} | ({case} if by_case else set())
        path = _column_that_names_images(table, find, others=[name for name in table.columns if name not in taken])
    if path is None and not by_case:
        raise missing_column(table, "path", "the image")
    return Columns(path=path, label=label, case=case, split=split, ignored=ignored)


def _without_sides(table: LabelTable) -> tuple[str, ...]:
    """Return the columns that are named like a split and of which no text names a side."""
    named = (name for name in table.columns if _is_known(name, "split"))
    return tuple(name for name in named if not any(map(side_named, table.columns[name])))


def known_column(table: LabelTable, role: str, setting: str | None, *, ignored: Sequence[str] = ()) -> str | None:
    """Return the column for a role: as set ("" means none), else the only one with a well-known name.

    Raises:
        DataError: the column is missing, or several could be meant.
    """
    if setting is not None:
        return _require_column(table, role, setting) if setting else None
    known = [name for name in table.columns if _is_known(name, role) and name not in ignored]
    if len({tuple(table.columns[name]) for name in known}) > 1:
        raise _ambiguous(table, role, known)
    return known[0] if known else None


def _column_that_names_images(table: LabelTable, find: NameLookup, *, others: Sequence[str]) -> str | None:
    """Return the only column whose texts name images; a well-known name goes before all others."""
    hits = {name: [find(text) for text in table.columns[name]] for name in others}
    known = [name for name in others if _is_known(name, "path") and any(hits[name])]
    # A column of labels 1, 2, 3 may happen to name an image 1.png: by values alone, most rows must name one.
    mostly = [name for name in others if sum(map(bool, hits[name])) * 2 >= len(table.line_numbers)]
    candidates = known or mostly
    if len({tuple(hits[name]) for name in candidates}) > 1:
        raise _ambiguous(table, "path", candidates)
    return candidates[0] if candidates else None


def known_role(column: str) -> str | None:
    """Return what a column of this name usually holds: path, label, case or split; None where nobody can tell."""
    return next((role for role in _KNOWN_NAMES if _is_known(column, role)), None)


def _is_known(column: str, role: str) -> bool:
    return _KNOWN_NAMES[role].fullmatch(re.sub(r"[\W_]+", "", column.lower())) is not None


def _require_column(table: LabelTable, role: str, column: str) -> str:
    if column not in table.columns:
        raise DataError(f"{table.source} has no column '{column}' (data.{role}_column); {_listed(table)}")
    return column


def _ambiguous(table: LabelTable, role: str, candidates: Sequence[str]) -> DataError:
    return DataError(
        f"{table.source}: columns {' and '.join(candidates)} could each be the {role}; "
        f"choose with --set data.{role}_column={candidates[0]}; {_listed(table)}"
    )


def missing_column(table: LabelTable, role: str, what: str) -> DataError:
    """Return the error that no column of a role is known."""
    hint = ""
    if role == "path":
        texts = next((table.columns[name] for name in table.columns if _is_known(name, role)), [])
        hint = f" ('{texts[0]}' names none, or several)" if texts else ""
        hint += ", or name the cases with data.name_pattern"
    return DataError(
        f"{table.source}: no column is known to hold {what}{hint}; "
        f"choose with --set data.{role}_column=NAME; {_listed(table)}"
    )


def _listed(table: LabelTable) -> str:
    return f"its columns: {', '.join(table.columns)}"
