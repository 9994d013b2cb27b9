"""What the images of each side are like, as a table ("table 1" of a study): counts, medians, and how far sides differ.

In: what is known of each image, its case and its side. Out: ``blocks.Table``, or None where nothing is known. What is
the same for all images of every case (sex, site) is counted by case, everything else by image. A difference from the
training side is standardised: of means by the pooled standard deviation (Austin 2009), of shares by their pooled
covariance (Yang and Dalton 2012), so that it does not grow with the number of cases as a p value does.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

import numpy as np
import polars as pl
from jaxtyping import Float64

from radpath.evaluation.characteristics import MOST_SEPARATE_NUMBERS, characteristic_names, in_order, numbers_of
from radpath.records import SIDES, Side
from radpath.reporting.blocks import Number, Table
from radpath.reporting.tables import count
from radpath.reporting.wording import SIDE_NAMES, percent

_MOST_VALUES: Final = 10
_OTHERS: Final = "other values"
_NOT_KNOWN: Final = "not known"
_FEW: Final = "a side has fewer than two known values, so the difference has no scale"
_APART: Final = "the two sides have no value in common, so the difference has no scale"
_TITLES: Final = {"size_px": "Size (px, side of a square)", "pixel_spacing_mm": "Pixel spacing (mm)"}
_Column = TypeVar("_Column")


def characteristics_table(
    known: pl.DataFrame, *, record_ids: Sequence[str], cases: Sequence[str], sides: Sequence[Side]
) -> Table | None:
    """Return the table of all characteristics that are known of any image.

    Args:
        known: column ``record_id`` and one column a characteristic; images may be missing, or be no part of the study.
        record_ids: of the study's images.
        cases: of each of them.
        sides: of each of them.
    """
    values = in_order(known, record_ids)
    places = pl.DataFrame({"case": list(cases), "side": list(sides)}, schema={"case": pl.String, "side": pl.String})
    present = [side for side in SIDES if side in set(sides)]
    rows: list[tuple[str | Number, ...]] = []
    for name in characteristic_names(values):
        column = values[name].cast(pl.String).str.strip_chars().replace("", None)
        if column.null_count() < len(column):
            rows += _rows_of(name, places.with_columns(column.alias("value")), present)
    if not rows:
        return None
    compared = [side for side in present if side != "train"] if "train" in present else []
    return Table(
        name="characteristics",
        caption=(
            "What the images of each side are like: numbers as median (quartiles), values as count with share. What is "
            "the same for all images of every case is counted by case. Differences from training are standardised; "
            "0.1 is commonly called small."
        ),
        columns=(
            "Characteristic",
            *(SIDE_NAMES[side] for side in present),
            *(f"Difference, {SIDE_NAMES[side].lower()}" for side in compared),
        ),
        rows=tuple(rows),
    )


def _rows_of(name: str, table: pl.DataFrame, present: Sequence[Side]) -> list[tuple[str | Number, ...]]:
    of_cases = table.group_by("case").agg(pl.col("value").n_unique().alias("n"))["n"].max() == 1
    unit = "cases" if of_cases else "images"
    counted = table.unique("case", keep="first", maintain_order=True) if of_cases else table
    title = f"{_TITLES.get(name, name.replace('_', ' ').capitalize())}, {unit}"
    by_side = {side: counted.filter(pl.col("side") == side)["value"] for side in present}
    numbers = numbers_of(counted["value"])
    if numbers is not None and len(np.unique(numbers[~np.isnan(numbers)])) > MOST_SEPARATE_NUMBERS:
        return [_number_row(title, {side: _floats(column) for side, column in by_side.items()})]
    return _value_rows(title, {side: column.fill_null(_NOT_KNOWN).to_list() for side, column in by_side.items()})


def _floats(column: pl.Series) -> Float64[np.ndarray, " known"]:
    return column.drop_nulls().cast(pl.Float64).to_numpy()


def _number_row(title: str, by_side: dict[Side, np.ndarray]) -> tuple[str | Number, ...]:
    cells = [_median(values) for values in by_side.values()]
    return (title, *cells, *_differences(by_side, difference_of_means))


def _median(values: Float64[np.ndarray, " known"]) -> Number:
    if not len(values):
        return Number(text=_NOT_KNOWN, value=None)
    low, middle, high = (float(edge) for edge in np.quantile(values, [0.25, 0.5, 0.75]))
    return Number(text=f"{middle:.0f}" if abs(middle) >= 20 else f"{middle:.2f}", value=middle, low=low, high=high)


def _value_rows(title: str, by_side: dict[Side, list[str]]) -> list[tuple[str | Number, ...]]:
    everything = [value for values in by_side.values() for value in values]
    frequent = sorted(set(everything), key=lambda value: (value == _NOT_KNOWN, -everything.count(value), value))
    kept = set(frequent if len(frequent) <= _MOST_VALUES else frequent[: _MOST_VALUES - 1])
    grouped = {side: [v if v in kept else _OTHERS for v in values] for side, values in by_side.items()}
    shown = [*(value for value in frequent if value in kept), *([_OTHERS] if len(kept) < len(frequent) else [])]
    differences = _differences(grouped, difference_of_shares)
    return [
        (
            f"{title}: {value}",
            *(_share(values.count(value), len(values)) for values in grouped.values()),
            *(differences if not place else [""] * len(differences)),
        )
        for place, value in enumerate(shown)
    ]


def _share(number: int, total: int) -> Number:
    return Number(text=f"{number:,} ({percent(number / total, 0)})", value=float(number)) if total else count(0)


def _differences(
    by_side: Mapping[Side, _Column], difference: Callable[[_Column, _Column], float | str]
) -> list[str | Number]:
    """Return the difference of each other side from training."""
    if "train" not in by_side:
        return []
    found = [difference(by_side["train"], values) for side, values in by_side.items() if side != "train"]
    return [
        Number(text="undefined", value=None, note=one) if isinstance(one, str) else Number(text=f"{one:.2f}", value=one)
        for one in found
    ]


def difference_of_means(train: Float64[np.ndarray, " n"], other: Float64[np.ndarray, " m"]) -> float | str:
    """Return the standardised difference of two means, without its sign, or why it has no scale.

    >>> difference_of_means(np.array([0.0, 2.0]), np.array([1.0, 3.0]))
    0.7071067811865475
    """
    if min(len(train), len(other)) < 2:
        return _FEW
    distance = abs(float(train.mean() - other.mean()))
    scale = float(np.sqrt((train.var(ddof=1) + other.var(ddof=1)) / 2))
    if scale == 0:
        return 0.0 if distance == 0 else _APART
    return distance / scale


def difference_of_shares(train: Sequence[str], other: Sequence[str]) -> float | str:
    """Return the standardised difference of how often each value occurs, or why it has no scale.

    >>> difference_of_shares(["a", "b"], ["b", "a"])
    0.0
    """
    if not train or not other:
        return _FEW
    values = sorted({*train, *other})[1:]  # the share of the first follows from the others
    if not values:
        return 0.0
    shares = np.array([[one.count(value) / len(one) for value in values] for one in (list(train), list(other))])
    covariances = [np.diag(p) - np.outer(p, p) for p in shares]
    pooled, distance = (covariances[0] + covariances[1]) / 2, shares[0] - shares[1]
    inverse = np.linalg.pinv(pooled, hermitian=True)
    if not np.allclose(pooled @ inverse @ distance, distance, atol=1e-9):
        return _APART
    return float(np.sqrt(max(0.0, distance @ inverse @ distance)))
