"""Batches of similar sizes: each image once, within the limits, other ones in every epoch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radpath.data.buckets import size_buckets

Batches = list[np.ndarray]

few = settings(max_examples=50, deadline=None)
sizes_px = st.lists(st.tuples(st.integers(1, 900), st.integers(1, 900)), max_size=60)
generators = st.none() | st.integers(0, 99)


def cut(
    sizes: list[tuple[int, int]], *, batch_size: int = 8, max_batch_pixels: int = 10**9, seed: int | None = 0
) -> Batches:
    heights, widths = np.array(sizes, dtype=np.int64).reshape(-1, 2).T
    rng = None if seed is None else np.random.default_rng(seed)
    return size_buckets(heights, widths, batch_size=batch_size, max_batch_pixels=max_batch_pixels, rng=rng)


def long_tailed(num: int, *, seed: int = 3) -> list[tuple[int, int]]:
    """Heights and widths that vary independently, as glands and crops of cells do."""
    draws = np.random.default_rng(seed).lognormal(4.6, 0.6, (num, 2)).clip(20, 1000).astype(int)
    return [(int(height), int(width)) for height, width in draws]


def num_pixels(sizes: list[tuple[int, int]], batch: np.ndarray) -> int:
    chosen = [sizes[int(position)] for position in batch]
    return len(chosen) * max(height for height, _ in chosen) * max(width for _, width in chosen)


def padded_share(sizes: list[tuple[int, int]], batches: Batches) -> float:
    return 1 - sum(height * width for height, width in sizes) / sum(num_pixels(sizes, batch) for batch in batches)


@few
@given(sizes=sizes_px, batch_size=st.integers(1, 9), max_batch_pixels=st.integers(1, 10**6), seed=generators)
def test_every_image_is_in_one_batch_and_no_batch_exceeds_a_limit(
    sizes: list[tuple[int, int]], batch_size: int, max_batch_pixels: int, seed: int | None
) -> None:
    batches = cut(sizes, batch_size=batch_size, max_batch_pixels=max_batch_pixels, seed=seed)
    assert sorted(position for batch in batches for position in batch.tolist()) == list(range(len(sizes)))
    for batch in batches:
        assert 1 <= len(batch) <= batch_size
        assert len(batch) == 1 or num_pixels(sizes, batch) <= max_batch_pixels


@few
@given(num=st.integers(1, 70), batch_size=st.integers(3, 9), seed=st.integers(0, 99))
def test_in_training_no_image_is_alone_where_another_can_be_spared(num: int, batch_size: int, seed: int) -> None:
    lengths = [len(batch) for batch in cut([(50, 50)] * num, batch_size=batch_size, seed=seed)]
    assert 1 not in lengths or num == 1


def test_a_lone_image_gets_company_only_within_the_limit_of_pixels() -> None:
    sizes = [(10, 10)] * 8 + [(900, 900)]
    assert 1 in [len(batch) for batch in cut(sizes, batch_size=8, max_batch_pixels=900 * 900)]
    assert 1 not in [len(batch) for batch in cut(sizes, batch_size=8, max_batch_pixels=2 * 900 * 900)]


def test_a_pair_gives_no_image_away() -> None:
    assert sorted(len(batch) for batch in cut([(50, 50)] * 3, batch_size=2)) == [1, 2]


@few
@given(sizes=sizes_px, seed=generators)
def test_the_same_seed_gives_the_same_batches(sizes: list[tuple[int, int]], seed: int | None) -> None:
    first, second = cut(sizes, seed=seed), cut(sizes, seed=seed)
    assert [batch.tolist() for batch in first] == [batch.tolist() for batch in second]


def test_another_seed_gives_other_batches_in_another_order() -> None:
    sizes = long_tailed(80)
    one, other = (cut(sizes, seed=seed) for seed in (1, 2))
    assert {frozenset(batch.tolist()) for batch in one} != {frozenset(batch.tolist()) for batch in other}
    assert [len(batch) for batch in cut(sizes, batch_size=9, seed=1)] != sorted(
        len(batch) for batch in cut(sizes, batch_size=9, seed=1)
    )


@pytest.mark.parametrize("seed", [None, 5])
def test_batches_of_similar_sizes_waste_less_than_random_ones(seed: int | None) -> None:
    sizes = long_tailed(400)
    order = np.random.default_rng(0).permutation(len(sizes))
    at_random = padded_share(sizes, np.array_split(order, 50))
    by_width = padded_share(sizes, np.array_split(np.argsort([width for _, width in sizes]), 50))
    bucketed = padded_share(sizes, cut(sizes, batch_size=8, seed=seed))
    assert at_random > 0.6
    assert bucketed < 0.35
    assert bucketed < by_width - 0.1  # both sides count, not one alone


def test_tall_and_wide_images_do_not_meet() -> None:
    sizes = [(400, 50), (50, 400)] * 16
    for batch in cut(sizes, batch_size=8):
        assert len({sizes[position] for position in batch}) == 1


def test_there_may_be_no_images() -> None:
    assert cut([]) == []
    assert cut([], seed=None) == []
