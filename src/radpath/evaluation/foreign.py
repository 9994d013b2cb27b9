"""Predictions of any program, from as few columns as there are: what is left out gets its plain meaning, and is told.

In: a CSV with a column ``record_id`` and a probability for at least one class. Out: complete ``Predictions``, sentences
that say what was assumed, and every further column as a characteristic of the images. What a value means is never
guessed from its size: a probability outside [0, 1] is refused, and so are rows that sum to anything else than 1 by more
than rounding explains.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from jaxtyping import Float64

from radpath.errors import DataError
from radpath.evaluation.predictions import SUM_TOLERANCE, Predictions, numbers_in, predictions_of, read_text_table
from radpath.records import PREDICTION_COLUMNS, PROBABILITY_PREFIX, probability_columns

ROUNDING: Final = 0.01
"""Sums of probabilities this close to 1 are taken for rounded numbers, and divided by their sum."""

_NO_CASES: Final = (
    "each image counts as a case of its own; where some show the same patient, the intervals are too narrow"
)
_NO_SIDES: Final = (
    "all images are on the test side, where no threshold may be chosen: it is 0.5, or what evaluation.threshold gives"
)
_OF_A_MODEL: Final = ("decision", "set")
_OF_A_MODEL_PREFIXES: Final = ("calibrated:", "truth:")
"""What a model said, or a truth, describes no image: nobody compares groups by it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ForeignPredictions:
    """A table of another program, completed."""

    predictions: Predictions
    characteristics: pl.DataFrame | None
    """A column ``record_id`` and every further column, as text; None where there is none."""
    positive_class: str | None
    """The class whose probability alone was given; else None."""
    assumptions: tuple[str, ...]
    """One sentence for each thing that the table does not say."""


def read_foreign(path: Path) -> ForeignPredictions:
    """Read a table of predictions that may leave out cases, sides, truth, and the probability of one of two classes.

    Raises:
        DataError: the file is missing, empty or no CSV, names no image, holds no probability, or a value is impossible.
        LeakError: a case stands on two sides.
    """
    table = read_text_table(path)
    try:
        return _completed(table)
    except DataError as error:
        raise type(error)(f"{path}: {error}") from None


def _completed(table: pl.DataFrame) -> ForeignPredictions:
    if "record_id" not in table.columns:
        raise DataError("column 'record_id' is missing; it names each image once")
    described = _characteristics(table)
    table, of_columns = _with_columns(table)
    table, positive_class, of_classes = _with_both_classes(table)
    table, of_sums = _with_whole_sums(table)
    return ForeignPredictions(
        predictions=predictions_of(table),
        characteristics=described,
        positive_class=positive_class,
        assumptions=(*of_columns, *of_classes, *of_sums),
    )


def _characteristics(table: pl.DataFrame) -> pl.DataFrame | None:
    known = {"", *PREDICTION_COLUMNS, *_OF_A_MODEL}
    prefixes = (PROBABILITY_PREFIX, *_OF_A_MODEL_PREFIXES)
    further = [name for name in table.columns if name not in known and not name.startswith(prefixes)]
    return table.select("record_id", *further) if further else None


def _with_columns(table: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Fill the columns that a table may leave out."""
    missing = {
        "case": (pl.col("record_id"), _NO_CASES),
        "split": (pl.lit("test"), _NO_SIDES),
        "truth": (pl.lit(None, dtype=pl.String), "no image has a label"),
    }
    absent = {name: filled for name, filled in missing.items() if name not in table.columns}
    said = [f"The table has no column '{name}': {meaning}." for name, (_, meaning) in absent.items()]
    return table.with_columns(value.alias(name) for name, (value, _) in absent.items()), said


def _with_both_classes(table: pl.DataFrame) -> tuple[pl.DataFrame, str | None, list[str]]:
    """Add the probability of the other class where that of one is given alone."""
    given = [name for name in table.columns if name.startswith(PROBABILITY_PREFIX)]
    if len(given) != 1 or table.is_empty():
        return table, None, []
    positive = given[0].removeprefix(PROBABILITY_PREFIX)
    other = _other_class(table, positive)
    # repr holds every bit, and reading it gives them back.
    rest = [repr(1 - probability) for probability in numbers_in(table[given[0]]).tolist()]
    column = pl.Series(f"{PROBABILITY_PREFIX}{other}", rest, dtype=pl.String)
    said = f"The table gives the probability of '{positive}' alone: that of '{other}' is 1 minus it."
    return table.insert_column(table.columns.index(given[0]), column), positive, [said]


def _other_class(table: pl.DataFrame, positive: str) -> str:
    """Return the name of the class that has no column, from the truth where that names it."""
    found = sorted({name for name in table["truth"].to_list() if name} - {positive})
    if len(found) > 1:
        raise DataError(
            f"the truth names {', '.join(repr(name) for name in found)} beside '{positive}', whose probability is the "
            f"only one; give a column '{PROBABILITY_PREFIX}...' for every class"
        )
    return found[0] if found else f"not {positive}"


def _with_whole_sums(table: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Divide rounded probabilities by their sum; rows that are right, or too wrong, stay as they are."""
    classes = [name.removeprefix(PROBABILITY_PREFIX) for name in table.columns if name.startswith(PROBABILITY_PREFIX)]
    if len(classes) < 2 or table.is_empty():
        return table, []
    names = probability_columns(classes)
    values: Float64[np.ndarray, "images classes"] = np.column_stack([numbers_in(table[name]) for name in names])
    off = np.abs(values.sum(axis=1) - 1)
    rounded = (off > SUM_TOLERANCE) & (off <= ROUNDING + SUM_TOLERANCE)
    if not rounded.any():
        return table, []
    whole = values / np.where(rounded, values.sum(axis=1), 1)[:, None]
    columns = [
        pl.Series(name, [repr(one) for one in column.tolist()]) for name, column in zip(names, whole.T, strict=True)
    ]
    said = (
        f"The probabilities of {int(rounded.sum()):,} of {len(values):,} images sum to 1 within {ROUNDING:g} only, as "
        "rounded numbers do, and were divided by their sum."
    )
    return table.with_columns(columns), [said]
