"""Sets of labels in a table: a column each, or all in one column between separators.

In: a ``LabelTable``. Out: the same table with one column of sets, which ``labels`` attaches like any label; and, for a
table that nobody explained, which columns look like labels. What a set is, is in ``label_sets``.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

from radpath.data.class_order import natural_order
from radpath.data.inputs import DataSettings
from radpath.data.label_sets import LabelSetSettings, encoded
from radpath.data.label_table import LabelTable, known_column, known_role, missing_column
from radpath.errors import DataError

SET_COLUMN: Final = "set of labels"

_UNCERTAIN: Final = -1.0
_MEANING_OF_UNCERTAIN: Final = {"missing": None, "positive": True, "negative": False}
_FEWEST_COLUMNS: Final = 2
_USUAL_SEPARATOR: Final = "|"  # as in NIH ChestX-ray14; a comma or a slash may be part of a class's name


def with_label_sets(table: LabelTable, settings: DataSettings) -> tuple[LabelTable, DataSettings]:
    """Put the sets of labels into one column, and make it the label; nothing changes where images have one class.

    Raises:
        DataError: a column is missing, or a cell cannot be understood; the message names its line.
    """
    sets = settings.label_sets
    if not sets.are_used:
        return table, settings
    if sets.columns:
        texts, used = _from_columns(table, sets), set(sets.columns)
    else:
        column = known_column(table, "label", settings.label_column)
        if column is None:
            raise missing_column(table, "label", "the labels")
        texts, used = _from_one_column(table, column, sets), {column}
    kept = {name: cells for name, cells in table.columns.items() if name not in used}
    columns = {**kept, SET_COLUMN: texts}
    return dataclasses.replace(table, columns=columns), settings.model_copy(update={"label_column": SET_COLUMN})


def recognise_label_sets(table: LabelTable, settings: DataSettings) -> tuple[Mapping[str, Any], str] | None:
    """Return the settings of ``[data.label_sets]`` that a table calls for, and why; None where images have one class.

    By two rules, and only where the user names no label: no column has a usual name of a label, and two or more hold
    nothing but 1, 0, -1 and nothing, with both 1 and 0; or the column of labels has a ``|`` in some cell.
    """
    if settings.label_sets.are_used or settings.name_pattern is not None:
        return None
    column = known_column(table, "label", settings.label_column)
    if column is not None:
        joined = [cell for cell in table.columns[column] if _USUAL_SEPARATOR in cell]
        if not joined:
            return None
        reason = f"column '{column}' names several labels of one image, as in '{joined[0]}'"
        return {"separator": _USUAL_SEPARATOR}, reason
    given = {settings.path_column, settings.case_column, settings.split_column}
    found = [name for name in table.columns if name not in given and known_role(name) is None]
    found = [name for name in found if _answers_yes_and_no(table.columns[name])]
    if len(found) < _FEWEST_COLUMNS:
        return None
    return {"columns": found}, f"{len(found)} columns hold nothing but 1, 0, -1 and nothing, and none is called a label"


def _answers_yes_and_no(cells: Sequence[str]) -> bool:
    try:
        answers = {_number(cell) for cell in cells if cell}
    except ValueError:
        return False
    return {0.0, 1.0} <= answers


def _number(cell: str) -> float:
    number = float(cell)
    if number not in {0.0, 1.0, _UNCERTAIN}:
        raise ValueError(cell)
    return number


def _from_columns(table: LabelTable, sets: LabelSetSettings) -> list[str]:
    for name in sets.columns:
        if name not in table.columns:
            known = ", ".join(table.columns)
            raise DataError(f"{table.source} has no column '{name}' (data.label_sets.columns); its columns: {known}")
    rows = zip(table.line_numbers, *(table.columns[name] for name in sets.columns), strict=True)
    return [
        _encoded_where_known(
            {
                name: _answer(cell, sets, where=f"{table.source} line {line}, column '{name}'")
                for name, cell in zip(sets.columns, cells, strict=True)
            }
        )
        for line, *cells in rows
    ]


def _answer(cell: str, sets: LabelSetSettings, *, where: str) -> bool | None:
    if not cell:
        return None
    try:
        number = _number(cell)
    except ValueError:
        raise DataError(f"{where}: '{cell}' is no answer; write 1, 0, -1 for uncertain, or nothing") from None
    return _MEANING_OF_UNCERTAIN[sets.uncertain] if number == _UNCERTAIN else number == 1


def _from_one_column(table: LabelTable, column: str, sets: LabelSetSettings) -> list[str]:
    parts_of = [[part.strip() for part in cell.split(sets.separator) if part.strip()] for cell in table.columns[column]]
    none_name = sets.none_name.casefold()
    for line, parts in zip(table.line_numbers, parts_of, strict=True):
        if len(parts) > 1 and any(part.casefold() == none_name for part in parts):
            raise DataError(
                f"{table.source} line {line}: '{sets.none_name}' stands beside another label; leave one out"
            )
    found = natural_order({part for parts in parts_of for part in parts if part.casefold() != none_name})
    strange = [name for name in sets.names if name not in found]
    if strange:
        raise DataError(
            f"data.label_sets.names has '{strange[0]}', which column '{column}' of {table.source} never names; it "
            f"names {', '.join(found)}"
        )
    names = sets.names or found
    return [_encoded_where_known({name: name in parts for name in names} if parts else {}) for parts in parts_of]


def _encoded_where_known(answers: dict[str, bool | None]) -> str:
    """Return the set as a text; nothing where nobody knows anything of the image."""
    return encoded(answers) if any(answer is not None for answer in answers.values()) else ""
