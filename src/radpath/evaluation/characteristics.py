"""What is known of images beside truth and case, as groups that every image falls into: sites, scanners, bands of age.

In: a table with a column ``record_id`` and one column a characteristic. Out: for each characteristic its groups and
each image's group. Numbers are cut into bands by given edges, or by the quartiles of the training side. What the groups
are compared by is left to others.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from jaxtyping import Bool, Float64

MOST_SEPARATE_NUMBERS: Final = 6
"""A column of numbers with more different values is cut into bands."""

UNKNOWN: Final = "not known"
"""The group of the images of which a table says nothing."""

_RECORD: Final = "record_id"


@dataclass(frozen=True, kw_only=True)
class Grouping:
    """The groups of one characteristic."""

    column: str
    names: tuple[str, ...]
    """In their natural order; ``UNKNOWN`` is last, where there is such an image."""
    groups: tuple[str, ...]
    """One of ``names`` for each image."""
    edges: tuple[float, ...] | None
    """Between the bands of numbers; None where groups are values."""


def characteristic_names(table: pl.DataFrame) -> tuple[str, ...]:
    """Return the columns that describe images."""
    return tuple(name for name in table.columns if name != _RECORD)


def in_order(table: pl.DataFrame, record_ids: Sequence[str]) -> pl.DataFrame:
    """Return one row for each of the images, with nulls where the table does not know one."""
    wanted = pl.DataFrame({_RECORD: pl.Series(record_ids, dtype=pl.String)})
    return wanted.join(table.unique(_RECORD, keep="first"), on=_RECORD, how="left", maintain_order="left")


def numbers_of(values: pl.Series) -> Float64[np.ndarray, " images"] | None:
    """Return a column as numbers, with NaN for nothing; None where one of its texts is no finite number.

    >>> numbers_of(pl.Series(["61", "", None, "7.5"]))
    array([61. ,  nan,  nan,  7.5])
    >>> numbers_of(pl.Series(["61", "old"])) is None
    True
    """
    stated = values if values.dtype.is_numeric() else _texts(values)
    numbers = stated.cast(pl.Float64, strict=False)
    if numbers.null_count() > stated.null_count() or numbers.null_count() == len(numbers):
        return None
    array: np.ndarray = numbers.fill_null(np.nan).to_numpy().copy()
    return array if np.isfinite(array[~np.isnan(array)]).all() else None


def group_by(
    values: pl.Series, *, is_training: Bool[np.ndarray, " images"], edges: Sequence[float] | None = None
) -> Grouping:
    """Return the groups of one column: its values, or bands of its numbers where these are many.

    Args:
        values: one an image; a text or a number, null or "" where nothing is known.
        is_training: the images whose quartiles are the edges; without any, all are taken.
        edges: rising edges to use instead.
    """
    numbers = numbers_of(values)
    many = numbers is not None and len(np.unique(numbers[~np.isnan(numbers)])) > MOST_SEPARATE_NUMBERS
    if numbers is not None and (many or edges is not None):
        chosen = quartiles(numbers, is_training) if edges is None else tuple(edges)
        names = band_names(chosen)
        places = np.searchsorted(np.array(chosen), numbers, side="right")
        groups = [UNKNOWN if np.isnan(number) else names[place] for number, place in zip(numbers, places, strict=True)]
        return _grouping(values.name, groups, names, edges=chosen)
    texts = [UNKNOWN if text is None else text for text in _texts(values).to_list()]
    return _grouping(values.name, texts, sorted(set(texts), key=_naturally), edges=None)


def quartiles(numbers: Float64[np.ndarray, " images"], is_training: Bool[np.ndarray, " images"]) -> tuple[float, ...]:
    """Return the quartiles of the training side's numbers, or of all where it has none; equal ones once."""
    known = numbers[is_training & ~np.isnan(numbers)]
    known = known if len(known) else numbers[~np.isnan(numbers)]
    return tuple(np.unique(np.quantile(known, [0.25, 0.5, 0.75])).tolist())


def band_names(edges: Sequence[float]) -> tuple[str, ...]:
    """Return the names of the bands between edges; an edge belongs to the band above it.

    >>> band_names((40.0, 62.5))
    ('below 40', '40 to below 62.5', '62.5 and above')
    """
    between = [f"{low:.6g} to below {high:.6g}" for low, high in itertools.pairwise(edges)]
    return (f"below {edges[0]:.6g}", *between, f"{edges[-1]:.6g} and above")


def _grouping(column: str, groups: list[str], names: Sequence[str], *, edges: tuple[float, ...] | None) -> Grouping:
    present = set(groups)
    ordered = [name for name in names if name in present and name != UNKNOWN]
    unknown = [UNKNOWN] if UNKNOWN in present else []
    return Grouping(column=column, names=(*ordered, *unknown), groups=tuple(groups), edges=edges)


def _texts(values: pl.Series) -> pl.Series:
    """Return a column as texts without spaces around them; null where there is none."""
    texts = values.cast(pl.String).str.strip_chars()
    return texts.set(texts == "", None)


def _naturally(text: str) -> tuple[bool, float, str]:
    """Order numbers by value before all other texts."""
    try:
        return False, float(text), text
    except ValueError:
        return True, 0.0, text
