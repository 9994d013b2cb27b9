"""Every use of randomness has its own seed, the same on every machine."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from radpath.seeding import derived_seed, generator_for

seeds = st.integers(0, 2**40)
purposes = st.lists(st.text(max_size=8) | st.integers(), max_size=3)


@settings(max_examples=50, deadline=None)
@given(seed=seeds, purpose=purposes)
def test_a_derived_seed_is_a_63_bit_number_and_stays_the_same(seed: int, purpose: list[str | int]) -> None:
    assert 0 <= derived_seed(seed, *purpose) < 2**63
    assert derived_seed(seed, *purpose) == derived_seed(seed, *purpose)


def test_the_seeds_are_the_same_on_every_machine() -> None:
    """Changing these numbers changes every run: it belongs in the changelog."""
    assert derived_seed(0, "head") == 7529542473631059979
    assert generator_for(0, "batches", 1).integers(1000, size=3).tolist() == [435, 638, 64]


def test_seeds_of_different_uses_differ() -> None:
    uses: list[tuple[str | int, ...]] = [
        ("shuffle", 1),
        ("shuffle", 2),
        ("augment", 1),
        ("shuffle", 1, 1),
        ("shuffle", 11),
    ]
    derived = {derived_seed(seed, *use) for seed in range(50) for use in uses}
    assert len(derived) == 50 * len(uses)


def test_where_one_part_ends_and_the_next_begins_matters() -> None:
    assert derived_seed(1, 23) != derived_seed(12, 3)
    assert derived_seed(1, "ab", "c") != derived_seed(1, "a", "bc")


def test_generators_of_neighbouring_seeds_are_independent() -> None:
    draws = np.array([generator_for(seed, "augment").random(200) for seed in range(30)])
    correlations = np.corrcoef(draws)[~np.eye(30, dtype=bool)]
    assert np.abs(correlations).max() < 0.35
