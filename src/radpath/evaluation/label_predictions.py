"""``predictions.csv`` where an image has several labels: for each a column of truth and one of probability.

In: that file, or arrays from a model. Out: ``LabelPredictions``, the same file again, exact to the last bit, and each
label by itself as ``Predictions`` of two classes, for everything that asks about one question. ``truth:effusion`` is 1,
0, or empty where nobody knows; ``probability:effusion`` is that of the label being there, and rows have no sum.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from jaxtyping import Float64

from radpath import files
from radpath.errors import DataError
from radpath.evaluation.predictions import Predictions, numbers_in, read_text_table
from radpath.records import PREDICTION_COLUMNS, PROBABILITY_PREFIX, SIDES, STAIN_COLUMN, Side, probability_columns

TRUTH_PREFIX: Final = "truth:"
"""One column a label, named by this prefix and the label."""

_IDENTITIES: Final = PREDICTION_COLUMNS[:-1]  # the truth has columns of its own
_TRUTHS: Final[dict[str | None, float]] = {"1": 1.0, "1.0": 1.0, "0": 0.0, "0.0": 0.0, "": np.nan, None: np.nan}


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelPredictions:
    """What a model said about each of several labels of each image.

    Raises:
        DataError: a value contradicts what a probability, a side or a truth can be; the message names row and column.
        LeakError: a case stands on two sides.
    """

    record_ids: tuple[str, ...]
    """Unique, one an image."""
    cases: tuple[str, ...]
    sides: tuple[Side, ...]
    truth: Float64[np.ndarray, "images labels"]
    """1 where the label is there, 0 where not, NaN where nobody knows."""
    probabilities: Float64[np.ndarray, "images labels"]
    """In [0, 1], each by itself."""
    names: tuple[str, ...]
    """Of the labels: at least two, in the order of the columns."""
    stains: tuple[str | None, ...] | None = None

    def __post_init__(self) -> None:
        if len(self.names) < 2 or len(set(self.names)) != len(self.names) or "" in self.names:
            raise DataError(
                f"the labels are {', '.join(map(repr, self.names))}; give two or more, each with its own name"
            )
        if self.truth.shape != self.probabilities.shape or self.truth.shape[1] != len(self.names):
            raise DataError("every label needs a column of truth and one of probability, and every image a row")
        _check_values(self)
        of_label(self, self.names[0])  # what is asked of identities, cases and sides is asked there

    def __len__(self) -> int:
        return len(self.record_ids)


def of_label(predictions: LabelPredictions, name: str) -> Predictions:
    """Return one label as two classes, of which the second is that it is there; what is not known has no truth.

    Stains are left out where no image has one, as for any predictions.
    """
    place = predictions.names.index(name)
    classes = (absence(name), name)
    known = [None if np.isnan(truth) else classes[int(truth)] for truth in predictions.truth[:, place]]
    there = predictions.probabilities[:, place]
    return Predictions(
        record_ids=predictions.record_ids,
        cases=predictions.cases,
        sides=predictions.sides,
        truth=tuple(known),
        probabilities=np.column_stack([1 - there, there]),
        classes=classes,
        stains=predictions.stains,
    )


def absence(name: str) -> str:
    """Return what the class is called that a label is not there.

    >>> absence("effusion")
    'no effusion'
    """
    return f"no {name}"


def has_several_labels(path: Path) -> bool:
    """Return whether a table of predictions has a truth for each of several labels; False where there is no file."""
    if not path.is_file():
        return False
    with path.open(encoding="utf-8", errors="replace") as text:
        return TRUTH_PREFIX in text.readline()


def read_label_predictions(path: Path) -> LabelPredictions:
    """Read a table; columns it does not know are ignored.

    Raises:
        DataError: the file is missing, empty or no CSV, lacks a column, or a value is impossible.
        LeakError: a case stands on two sides.
    """
    table = read_text_table(path)
    try:
        return _from_table(table)
    except DataError as error:
        raise type(error)(f"{path}: {error}") from None


def write_label_predictions(predictions: LabelPredictions, path: Path) -> None:
    """Write a table, whole or not at all; reading it gives the same bits."""
    values = (predictions.record_ids, predictions.cases, predictions.sides)
    columns = [pl.Series(name, value, dtype=pl.String) for name, value in zip(_IDENTITIES, values, strict=True)]
    if predictions.stains is not None:
        columns.append(pl.Series(STAIN_COLUMN, predictions.stains, dtype=pl.String))
    for name, truth in zip(predictions.names, predictions.truth.T, strict=True):
        marks = [None if np.isnan(answer) else int(answer) for answer in truth]
        columns.append(pl.Series(f"{TRUTH_PREFIX}{name}", marks, dtype=pl.Int8))
    names = probability_columns(list(predictions.names))
    columns += [
        pl.Series(name, np.ascontiguousarray(column))
        for name, column in zip(names, predictions.probabilities.T, strict=True)
    ]
    with files.whole_file(path) as unfinished:
        pl.DataFrame(columns).write_csv(unfinished)


def _from_table(table: pl.DataFrame) -> LabelPredictions:
    names = [name.removeprefix(TRUTH_PREFIX) for name in table.columns if name.startswith(TRUTH_PREFIX)]
    wanted = [*_IDENTITIES, *probability_columns(names)]
    missing = [name for name in wanted if name not in table.columns]
    if missing:
        raise DataError(
            f"column '{missing[0]}' is missing; there must be {', '.join(_IDENTITIES)} and, for each label, "
            f"{TRUTH_PREFIX}NAME and {PROBABILITY_PREFIX}NAME"
        )
    if table.is_empty():
        raise DataError("there are no rows below the header; predict at least one image")
    sides = table["split"].fill_null("").to_list()
    for row, side in enumerate(sides, start=1):
        if side not in SIDES:
            raise DataError(f"row {row}: column 'split' is '{side}'; it must be {', '.join(SIDES)}")
    stains = table[STAIN_COLUMN].to_list() if STAIN_COLUMN in table.columns else []
    return LabelPredictions(
        record_ids=tuple(table["record_id"].fill_null("").to_list()),
        cases=tuple(table["case"].fill_null("").to_list()),
        sides=tuple(sides),
        truth=np.column_stack([_truths(table[f"{TRUTH_PREFIX}{name}"]) for name in names]),
        probabilities=np.column_stack([numbers_in(table[name]) for name in probability_columns(names)]),
        names=tuple(names),
        stains=tuple(stain or None for stain in stains) if any(stains) else None,
    )


def _truths(column: pl.Series) -> Float64[np.ndarray, " images"]:
    for row, text in enumerate(column.to_list(), start=1):
        if text not in _TRUTHS:
            raise DataError(
                f"row {row}: column '{column.name}' is '{text}'; it must be 1, 0, or empty where nobody knows"
            )
    return np.array([_TRUTHS[text] for text in column.to_list()], dtype=np.float64)


def _check_values(predictions: LabelPredictions) -> None:
    outside = ~((predictions.probabilities >= 0) & (predictions.probabilities <= 1))  # not-a-number is outside too
    if outside.any():
        row, column = (int(place) for place in np.argwhere(outside)[0])
        raise DataError(
            f"row {row + 1}: column '{PROBABILITY_PREFIX}{predictions.names[column]}' is "
            f"{predictions.probabilities[row, column]:g}; probabilities lie between 0 and 1: apply a sigmoid first"
        )
    if not np.isin(predictions.truth[~np.isnan(predictions.truth)], (0.0, 1.0)).all():
        raise DataError("a truth of a label is neither 1 nor 0; leave it empty where nobody knows")
