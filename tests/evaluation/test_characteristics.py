"""Columns become groups: values as they are, many numbers as bands of the training side's quartiles."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radpath.evaluation.characteristics import (
    UNKNOWN,
    band_names,
    characteristic_names,
    group_by,
    in_order,
    numbers_of,
    quartiles,
)


def _all_training(count: int) -> np.ndarray:
    return np.ones(count, dtype=bool)


def test_rows_follow_the_images_and_unknown_images_have_nothing() -> None:
    table = pl.DataFrame({"record_id": ["b", "a"], "site": ["B", "A"]})
    assert in_order(table, ["a", "b", "c"])["site"].to_list() == ["A", "B", None]
    assert characteristic_names(table) == ("site",)


def test_texts_are_groups_in_natural_order_with_the_unknown_last() -> None:
    values = pl.Series("grade", ["10", "9", " 9 ", "", None, "mixed"])
    grouping = group_by(values, is_training=_all_training(6))
    assert grouping.names == ("9", "10", "mixed", UNKNOWN)
    assert grouping.groups == ("10", "9", "9", UNKNOWN, UNKNOWN, "mixed")
    assert grouping.edges is None


def test_many_numbers_are_cut_at_the_quartiles_of_training_alone() -> None:
    ages = pl.Series("age", [float(age) for age in [*range(20, 61), 500, 900]])
    is_training = np.array([True] * 41 + [False] * 2)
    grouping = group_by(ages, is_training=is_training)
    assert grouping.edges == (30.0, 40.0, 50.0)
    assert grouping.names == ("below 30", "30 to below 40", "40 to below 50", "50 and above")
    assert grouping.groups[-1] == "50 and above"
    assert grouping.groups[10] == "30 to below 40"  # 30 itself: an edge belongs to the band above


def test_given_edges_win_also_for_few_values() -> None:
    grouping = group_by(pl.Series("age", ["39", "40", None]), is_training=_all_training(3), edges=(40.0,))
    assert grouping.groups == ("below 40", "40 and above", UNKNOWN)


def test_a_text_among_numbers_makes_all_of_them_texts() -> None:
    assert numbers_of(pl.Series(["1", "inf"])) is None
    assert numbers_of(pl.Series(["1", "about 3"])) is None
    assert numbers_of(pl.Series([None, None], dtype=pl.String)) is None


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=8, max_size=40, unique=True))
def test_every_number_falls_into_the_band_that_its_name_says(numbers: list[float]) -> None:
    grouping = group_by(pl.Series("x", numbers), is_training=_all_training(len(numbers)))
    assert grouping.edges is not None
    names = band_names(grouping.edges)
    for number, group in zip(numbers, grouping.groups, strict=True):
        assert names.index(group) == sum(number >= edge for edge in grouping.edges)


def test_quartiles_without_a_training_side_are_those_of_all() -> None:
    numbers = np.arange(9.0)
    assert quartiles(numbers, np.zeros(9, dtype=bool)) == pytest.approx(np.percentile(numbers, [25, 50, 75]).tolist())
