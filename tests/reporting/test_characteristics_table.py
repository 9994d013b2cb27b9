import numpy as np
import polars as pl
import pytest

from radpath.records import Side
from radpath.reporting.blocks import Cell, Number, Table
from radpath.reporting.characteristics_table import characteristics_table, difference_of_means, difference_of_shares

SIDES: tuple[Side, ...] = ("train",) * 8 + ("test",) * 4
CASES = tuple(f"case {row // 2}" for row in range(12))
IDS = tuple(f"{row}.png" for row in range(12))


def table_of(**columns: list[object]) -> Table | None:
    known = pl.DataFrame({"record_id": list(IDS), **columns})
    return characteristics_table(known, record_ids=IDS, cases=CASES, sides=SIDES)


def rows_of(**columns: list[object]) -> dict[str, tuple[Cell, ...]]:
    found = table_of(**columns)
    assert found is not None
    return {str(row[0]): row[1:] for row in found.rows}


def test_what_is_the_same_within_cases_is_counted_by_case_and_the_rest_by_image() -> None:
    rows = rows_of(sex=["f", "f", "m", "m"] * 3, view=["pa", "ap"] * 6)
    assert rows["Sex, cases: f"][0] == Number(text="2 (50\N{NO-BREAK SPACE}%)", value=2.0)
    assert rows["View, images: pa"][0] == Number(text="4 (50\N{NO-BREAK SPACE}%)", value=4.0)


def test_numbers_are_median_and_quartiles_with_the_difference_from_training() -> None:
    ages = [float(age) for age in range(30, 42)]
    (row,) = rows_of(age=list(ages)).values()
    train, test = np.array(ages[:8]), np.array(ages[8:])
    assert isinstance(row[0], Number)
    assert (row[0].low, row[0].value, row[0].high) == tuple(np.quantile(train, [0.25, 0.5, 0.75]))
    assert isinstance(row[2], Number)
    pooled = np.sqrt((train.var(ddof=1) + test.var(ddof=1)) / 2)
    assert row[2].value == pytest.approx((test.mean() - train.mean()) / pooled)


def test_two_values_differ_as_the_formula_for_two_says() -> None:
    train, test = ["f"] * 3 + ["m"] * 7, ["f"] * 6 + ["m"] * 4
    expected = 0.3 / np.sqrt((0.3 * 0.7 + 0.6 * 0.4) / 2)  # Austin 2009, equation for shares
    assert difference_of_shares(train, test) == pytest.approx(expected)
    assert difference_of_shares(test, train) == pytest.approx(expected)


def test_sides_without_a_value_in_common_have_no_scale() -> None:
    apart = "the two sides have no value in common, so the difference has no scale"
    assert difference_of_shares(["a", "a"], ["b", "b"]) == apart
    assert difference_of_means(np.zeros(3), np.ones(3)) == apart
    assert difference_of_shares(["a"], ["a", "a"]) == 0


def test_a_side_with_one_known_number_has_no_scale_for_that_reason() -> None:
    few = "a side has fewer than two known values, so the difference has no scale"
    assert difference_of_means(np.arange(9.0), np.array([4.0])) == few
    assert difference_of_shares(["a"], []) == few
    ages: list[object] = [*(30.0 + age for age in range(9)), None, None, None]
    (row,) = rows_of(age=ages).values()
    assert row[2] == Number(text="undefined", value=None, note=few)


def test_what_is_not_known_is_a_value_of_its_own_and_comes_last() -> None:
    rows = rows_of(site=["a", None, "", "b"] * 3)
    assert list(rows)[-1] == "Site, images: not known"
    assert rows["Site, images: not known"][0] == Number(text="4 (50\N{NO-BREAK SPACE}%)", value=4.0)


def test_very_many_values_are_summed_up() -> None:
    assert "Scanner, images: other values" in rows_of(scanner=[f"s{row}" for row in range(12)])


def test_nothing_known_is_no_table() -> None:
    assert table_of(site=[None] * 12) is None
    assert table_of() is None
