"""``predictions.csv``: one row an image with its case, side, truth and one probability a class.

In: that file, or arrays from a model. Out: ``Predictions``, checked once at birth, and the same file again, exact to
the last bit. After this file nothing needs the model or the images; what the numbers mean is left to the other modules.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import numpy as np
import polars as pl
from jaxtyping import Float64

from radpath import files
from radpath.errors import DataError, LeakError
from radpath.records import PREDICTION_COLUMNS, PROBABILITY_PREFIX, SIDES, STAIN_COLUMN, Side, probability_columns

SUM_TOLERANCE: Final = 1e-6  # a softmax in float32 over a hundred classes stays well inside


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictions:
    """What a model said about each image, beside what is known of it.

    Raises:
        DataError: a value contradicts what a probability, a side or a truth can be; the message names row and column.
        LeakError: a case stands on two sides.
    """

    record_ids: tuple[str, ...]
    """Unique, one an image."""
    cases: tuple[str, ...]
    """The patient, specimen or exam of each image; one case never stands on two sides."""
    sides: tuple[Side, ...]
    truth: tuple[str | None, ...]
    """The class of each image; ``None`` where it is not known, and metrics leave such images out."""
    probabilities: Float64[np.ndarray, "images classes"]
    """In [0, 1]; every row sums to 1 within ``SUM_TOLERANCE``."""
    classes: tuple[str, ...]
    """At least two, in the order of the columns of ``probabilities``."""
    stains: tuple[str | None, ...] | None = None
    """The stain of each image where it is known; ``None`` where no image has one."""

    def __post_init__(self) -> None:
        _check_lengths(self)
        _check_identities(self)
        _check_probabilities(self)
        _check_cases(self)

    def __len__(self) -> int:
        return len(self.record_ids)


def read_predictions(path: Path) -> Predictions:
    """Read a complete ``predictions.csv``; columns it does not know are ignored.

    Tables of other programs may leave columns out: see ``foreign``.

    Raises:
        DataError: the file is missing, empty or no CSV, lacks a column, or a value is impossible.
        LeakError: a case stands on two sides.
    """
    table = read_text_table(path)
    try:
        return predictions_of(table)
    except DataError as error:
        raise type(error)(f"{path}: {error}") from None


def write_predictions(predictions: Predictions, path: Path) -> None:
    """Write ``predictions.csv``, whole or not at all; reading it gives the same bits."""
    with files.whole_file(path) as unfinished:
        predictions_table(predictions).write_csv(unfinished)


def predictions_table(predictions: Predictions) -> pl.DataFrame:
    """Return the columns of ``predictions.csv``; that of stains only where there are any."""
    values = (predictions.record_ids, predictions.cases, predictions.sides, predictions.truth)
    columns = [pl.Series(name, value, dtype=pl.String) for name, value in zip(PREDICTION_COLUMNS, values, strict=True)]
    if predictions.stains is not None:
        columns.append(pl.Series(STAIN_COLUMN, predictions.stains, dtype=pl.String))
    names = probability_columns(list(predictions.classes))
    columns += [
        pl.Series(name, np.ascontiguousarray(column))
        for name, column in zip(names, predictions.probabilities.T, strict=True)
    ]
    return pl.DataFrame(columns)


def read_text_table(path: Path) -> pl.DataFrame:
    """Read a CSV with every value as text; the first row names the columns.

    Raises:
        DataError: the file is missing, empty or no CSV, or a column stands there twice.
    """
    try:
        # The header is read as a row: polars would rename a repeated column and so invent a class.
        rows = pl.read_csv(path, has_header=False, infer_schema=False)
    except FileNotFoundError:
        raise DataError(f"there is no file {path}; run the step that predicts, or name another file") from None
    except pl.exceptions.NoDataError:
        raise DataError(f"{path} is empty; it needs a header and one row an image") from None
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path} cannot be read as CSV: {reason}; save it as UTF-8, separated by commas") from None
    names = [name or "" for name in rows.row(0)]
    repeated = [name for place, name in enumerate(names) if name in names[:place]]
    if repeated:
        raise DataError(f"{path}: column '{repeated[0]}' stands there twice; keep one of the two")
    return rows.slice(1).rename(dict(zip(rows.columns, names, strict=True)))


def predictions_of(table: pl.DataFrame) -> Predictions:
    """Return what the texts of a complete table say.

    Raises:
        DataError: a column is missing, or a value is impossible.
        LeakError: a case stands on two sides.
    """
    missing = [name for name in PREDICTION_COLUMNS if name not in table.columns]
    if missing and any(name.startswith(f"{PREDICTION_COLUMNS[-1]}:") for name in table.columns):
        raise DataError(
            "each image has several labels here, which `radpath fit`, train, predict, evaluate, report and pick-epoch "
            "understand, and other commands do not: they need one class an image"
        )
    if missing:
        raise DataError(f"column '{missing[0]}' is missing; the first columns are {', '.join(PREDICTION_COLUMNS)}")
    classes = [name.removeprefix(PROBABILITY_PREFIX) for name in table.columns if name.startswith(PROBABILITY_PREFIX)]
    if table.is_empty():
        raise DataError("there are no rows below the header; predict at least one image")
    if not classes:
        raise DataError(f"no column starts with '{PROBABILITY_PREFIX}'; one such column is needed for each class")
    truth = table["truth"].to_list()
    return Predictions(
        record_ids=_texts(table["record_id"]),
        cases=_texts(table["case"]),
        sides=_sides(table["split"]),
        truth=tuple(name or None for name in truth),
        probabilities=np.column_stack([numbers_in(table[name]) for name in probability_columns(classes)]),
        classes=tuple(classes),
        stains=_stains(table),
    )


def _stains(table: pl.DataFrame) -> tuple[str | None, ...] | None:
    """Return the stains where the column is there and holds any."""
    if STAIN_COLUMN not in table.columns or table[STAIN_COLUMN].null_count() == len(table):
        return None
    return tuple(name or None for name in table[STAIN_COLUMN].to_list())


def _texts(column: pl.Series) -> tuple[str, ...]:
    return tuple(column.fill_null("").to_list())


def _sides(column: pl.Series) -> tuple[Side, ...]:
    sides = _texts(column)
    for row, side in enumerate(sides, start=1):
        if side not in SIDES:
            raise DataError(f"row {row}: column 'split' is '{side}'; it must be {', '.join(SIDES)}")
    return cast("tuple[Side, ...]", sides)


def numbers_in(column: pl.Series) -> Float64[np.ndarray, " images"]:
    """Return a column of texts as numbers.

    Raises:
        DataError: a text is no number, or is missing; the message names the row.
    """
    numbers = column.str.strip_chars().cast(pl.Float64, strict=False)
    if numbers.null_count():
        row = int(numbers.is_null().arg_max() or 0)
        found = f"'{column[row]}'" if column[row] else "empty"
        raise DataError(f"row {row + 1}: column '{column.name}' is {found}; it must be a number between 0 and 1")
    values: np.ndarray = numbers.to_numpy()
    return values


def _check_lengths(predictions: Predictions) -> None:
    num_rows, num_columns = predictions.probabilities.shape
    columns: Iterable[Sequence[object]] = (
        predictions.record_ids,
        predictions.cases,
        predictions.sides,
        predictions.truth,
    )
    for name, column in zip(PREDICTION_COLUMNS, columns, strict=True):
        if len(column) != num_rows:
            raise DataError(f"{name} has {len(column)} values for {num_rows} rows of probabilities; give one a row")
    if predictions.stains is not None and len(predictions.stains) != num_rows:
        raise DataError(
            f"{STAIN_COLUMN} has {len(predictions.stains)} values for {num_rows} rows of probabilities; give one a row"
        )
    if num_columns != len(predictions.classes):
        raise DataError(f"there are {num_columns} columns of probabilities for {len(predictions.classes)} classes")
    if num_columns < 2:
        raise DataError(
            f"there is one class, {predictions.classes}; give a probability for each of two or more classes"
        )
    if "" in predictions.classes:
        raise DataError(f"a column '{PROBABILITY_PREFIX}' names no class; write the class behind the colon")
    if len(set(predictions.classes)) != num_columns:
        raise DataError(f"a class is named twice among {', '.join(predictions.classes)}; every class has one column")


def _check_identities(predictions: Predictions) -> None:
    known_classes = {None, *predictions.classes}
    first_row: dict[str, int] = {}
    rows = zip(predictions.record_ids, predictions.cases, predictions.truth, strict=True)
    for row, (record_id, case, truth) in enumerate(rows, start=1):
        if not record_id or not case:
            empty = "case" if record_id else "record_id"
            raise DataError(f"row {row}: column '{empty}' is empty; every image needs one")
        if record_id in first_row:
            raise DataError(
                f"row {row}: column 'record_id' is '{record_id}', as in row {first_row[record_id]}; one row an image"
            )
        first_row[record_id] = row
        if truth not in known_classes:
            raise DataError(
                f"row {row}: column 'truth' is '{truth}', which is none of the classes {', '.join(predictions.classes)}"
            )


def _check_probabilities(predictions: Predictions) -> None:
    values = predictions.probabilities
    outside = ~((values >= 0) & (values <= 1))  # not-a-number is outside too
    if outside.any():
        row, column = (int(place) for place in np.argwhere(outside)[0])
        raise DataError(
            f"row {row + 1}: column '{PROBABILITY_PREFIX}{predictions.classes[column]}' is {values[row, column]:g}; "
            "probabilities lie between 0 and 1: apply a softmax first"
        )
    sums = values.sum(axis=1)
    wrong = np.abs(sums - 1) > SUM_TOLERANCE
    if wrong.any():
        row = int(wrong.argmax())
        raise DataError(
            f"row {row + 1}: the columns '{PROBABILITY_PREFIX}...' sum to {sums[row]:.7g}, not 1: apply a softmax first"
        )


def _check_cases(predictions: Predictions) -> None:
    first: dict[str, tuple[str, str]] = {}
    rows = zip(predictions.record_ids, predictions.cases, predictions.sides, strict=True)
    for row, (record_id, case, side) in enumerate(rows, start=1):
        other_side, other_record = first.setdefault(case, (side, record_id))
        if side != other_side:
            raise LeakError(
                f"row {row}: case '{case}' stands on {side} ('{record_id}') and on {other_side} ('{other_record}'); "
                "put all images of a case on one side"
            )
