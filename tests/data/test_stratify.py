"""Groups are dealt out as asked, and no column is missing from a side that could have it."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from radpath.data.stratify import assign_groups

SHARES = [0.65, 0.15, 0.2]


def shares_of(amounts: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Shape (sides, columns): the plain definition, for comparison."""
    totals = np.stack([amounts[sides == side].sum(axis=0) for side in range(3)])
    shares: np.ndarray = totals / amounts.sum(axis=0)
    return shares


def test_equal_groups_are_dealt_out_to_the_nearest_whole_group() -> None:
    amounts = np.repeat(np.eye(2), [200, 40], axis=0)
    sides = assign_groups(sparse.csr_array(amounts), SHARES, seed=0)
    counts = [np.bincount(sides[:200], minlength=3), np.bincount(sides[200:], minlength=3)]
    assert [count.tolist() for count in counts] == [[130, 30, 40], [26, 6, 8]]


def test_unequal_groups_of_mixed_columns_come_close_to_the_shares() -> None:
    generator = np.random.default_rng(3)
    amounts = generator.poisson([11.0, 1.0, 1.0], size=(300, 3)) + np.array([1, 0, 0])
    sides = assign_groups(sparse.csr_array(amounts.astype(float)), SHARES, seed=5)
    assert shares_of(amounts, sides) == pytest.approx(np.tile(np.array(SHARES)[:, None], 3), abs=0.01)


@settings(max_examples=50, deadline=None)
@given(
    groups=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 30)), min_size=1, max_size=25),
    seed=st.integers(0, 9),
)
def test_a_column_with_enough_groups_is_on_every_side(groups: list[tuple[int, int]], seed: int) -> None:
    present = sorted({column for column, _ in groups})
    amounts = np.zeros((len(groups), len(present)))
    for group, (column, amount) in enumerate(groups):
        amounts[group, present.index(column)] = amount
    sides = assign_groups(sparse.csr_array(amounts), SHARES, seed=seed)
    for column in range(len(present)):
        holders = sides[amounts[:, column] > 0]
        assert 0 in holders
        assert len(set(holders)) == 3 or len(holders) < 3


def test_mixed_groups_cover_every_side_where_that_is_possible() -> None:
    # Six groups of which each pair of neighbours shares a column: few of the assignments leave no column out.
    amounts = np.array([[1, 0, 1], [1, 1, 0], [0, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=float)
    possible = [
        sides
        for sides in itertools.product(range(3), repeat=6)
        if all(len({side for side, has in zip(sides, column, strict=True) if has}) == 3 for column in amounts.T)
    ]
    assert 0 < len(possible) < 3**6 / 5
    for seed in range(10):
        assert tuple(assign_groups(sparse.csr_array(amounts), SHARES, seed=seed)) in possible


def test_an_impossible_cover_still_gives_the_first_side_every_column() -> None:
    # Every three of four groups hold a column; two groups share a side, so some column misses one.
    amounts = 1.0 - np.eye(4)
    sides = assign_groups(sparse.csr_array(amounts), SHARES, seed=1)
    assert (shares_of(amounts, sides)[0] > 0).all()
    assert set(sides) == {0, 1, 2}


def test_the_only_group_of_a_column_goes_to_the_first_side() -> None:
    amounts = np.repeat(np.eye(2), [1, 30], axis=0)
    assert {int(assign_groups(sparse.csr_array(amounts), [0.1, 0.5, 0.4], seed=seed)[0]) for seed in range(8)} == {0}


def test_the_seed_decides_and_repeats() -> None:
    amounts = sparse.csr_array(np.ones((60, 1)))
    results = [tuple(assign_groups(amounts, SHARES, seed=seed)) for seed in (0, 0, 1)]
    assert results[0] == results[1] != results[2]


def chi_square(amounts: np.ndarray, sides: np.ndarray) -> float:
    distances: np.ndarray = (shares_of(amounts, sides) - np.array(SHARES)[:, None]) ** 2
    return float((distances.sum(axis=1) / SHARES).sum())


def test_few_groups_are_dealt_nearly_as_well_as_trying_everything() -> None:
    distances = []
    for num_groups, seed in itertools.product((4, 5, 6), range(10)):
        amounts = np.random.default_rng(seed).integers(1, 60, (num_groups, 3)).astype(float)
        refined, plain = (assign_groups(sparse.csr_array(amounts), SHARES, seed=0, refined=by) for by in (True, False))
        every_way = (np.array(sides) for sides in itertools.product(range(3), repeat=num_groups))
        best = min(chi_square(amounts, sides) for sides in every_way if len(set(sides.tolist())) == 3)
        distances.append((chi_square(amounts, refined), chi_square(amounts, plain), best))
        assert distances[-1][0] <= distances[-1][1] + 1e-9
        assert set(refined.tolist()) == {0, 1, 2}
    refined_mean, plain_mean, best_mean = np.mean(distances, axis=0)
    assert refined_mean <= 1.1 * best_mean
    assert plain_mean > 1.2 * best_mean  # else refining would show nothing here
