"""Tests of two samples agree with SciPy and with counting; the stability index with its definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from radpath.evaluation.two_samples import chi_square, stability_of_numbers, stability_of_shares


def test_chi_square_agrees_with_scipy_where_counts_are_large() -> None:
    table = np.array([[60, 30, 10], [40, 40, 20]])
    expected = stats.chi2_contingency(table, correction=False)
    assert chi_square(table, seed=0) == pytest.approx((expected.statistic, expected.pvalue), rel=1e-12)


def test_with_small_counts_random_tables_come_near_to_fishers_exact_test() -> None:
    table = np.array([[8, 2], [1, 7]])
    _, p_value = chi_square(table, seed=0)
    exact = stats.fisher_exact(table).pvalue
    assert p_value == pytest.approx(exact, abs=0.015)
    assert chi_square(table, seed=0) == chi_square(table, seed=0)


def test_the_stability_index_is_its_definition() -> None:
    old, new = np.array([80, 20]), np.array([50, 50])
    shares = (old + 0.5) / 101, (new + 0.5) / 101
    expected = sum((b - a) * np.log(b / a) for a, b in zip(*shares, strict=True))
    found = stability_of_shares(old, new)
    assert found.index == pytest.approx(expected)
    assert found.by_chance == pytest.approx(1 / 100 + 1 / 100)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 50), min_size=2, max_size=8), st.data())
def test_the_stability_index_is_symmetric_and_never_negative(old: list[int], data: st.DataObject) -> None:
    new = data.draw(st.lists(st.integers(1, 50), min_size=len(old), max_size=len(old)))
    one, other = np.array(old), np.array(new)
    assert stability_of_shares(one, other).index >= 0
    assert stability_of_shares(one, other).index == pytest.approx(stability_of_shares(other, one).index)


def test_numbers_that_moved_are_less_stable_than_those_that_did_not() -> None:
    generator = np.random.default_rng(0)
    old, same, moved = generator.normal(size=500), generator.normal(size=500), generator.normal(1, 1, size=500)
    assert stability_of_numbers(old, same).index < 0.1
    assert stability_of_numbers(old, moved).index > 0.25
    assert stability_of_numbers(np.zeros(20), np.zeros(30)).index == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("new", [5.0, -5.0])
def test_a_shift_of_numbers_that_were_all_equal_or_mostly_so_is_seen_in_both_directions(new: float) -> None:
    assert stability_of_numbers(np.zeros(100), np.full(100, new)).index > 1
    mostly = np.array([0.0] * 60 + [-1.0] * 20 + [1.0] * 20)
    assert stability_of_numbers(mostly, np.full(100, new)).index > 1
    assert stability_of_numbers(mostly[30:90:5], np.full(12, new)).index > 0.5


@pytest.mark.parametrize(("num_old", "num_new"), [(200, 50), (100, 100), (500, 300), (200, 10)])
def test_what_chance_alone_shows_is_what_is_told(num_old: int, num_new: int) -> None:
    generator = np.random.default_rng(0)
    found = [stability_of_numbers(generator.normal(size=num_old), generator.normal(size=num_new)) for _ in range(300)]
    assert np.mean([one.index for one in found]) == pytest.approx(found[0].by_chance, rel=0.2)
    # Two bins of ten cases, and not ten.
    assert found[0].by_chance == pytest.approx((1 if num_new == 10 else 9) * (1 / num_old + 1 / num_new))
