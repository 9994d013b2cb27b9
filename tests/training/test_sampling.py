"""Balanced epochs hold each class equally often, each image before any comes twice, and copies are other tickets."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radpath.data.batches import ImageSource
from radpath.training.sampling import balanced_tickets, deal_batches

SourceMaker = Callable[..., ImageSource]


@settings(max_examples=50, deadline=None)
@given(counts=st.lists(st.integers(1, 30), min_size=2, max_size=4), seed=st.integers(0, 9))
def test_every_class_comes_equally_often_and_nobody_twice_too_early(counts: list[int], seed: int) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    tickets = balanced_tickets(labels, np.random.default_rng(seed))
    assert len(set(tickets.tolist())) == len(tickets)
    share = max(1, round(len(labels) / len(counts)))
    assert Counter(labels[tickets % len(labels)].tolist()) == dict.fromkeys(range(len(counts)), share)
    for label, count in enumerate(counts):
        often = Counter((tickets % len(labels))[labels[tickets % len(labels)] == label].tolist())
        assert max(often.values()) == -(-share // count)
        if share >= count:
            assert min(often.values()) >= share // count


@pytest.fixture
def uneven(make_source: SourceMaker) -> Callable[[str], ImageSource]:
    rng = np.random.default_rng(0)
    sides = rng.integers(12, 60, size=(20, 2))
    images = [rng.integers(0, 255, size=(height, width, 1), dtype=np.uint8) for height, width in sides]
    return lambda size: make_source(images, [0] * 16 + [1] * 4, size=size, batch_size=5)


@pytest.mark.parametrize("size", ["native", "fixed"])
def test_batches_of_a_balanced_epoch_keep_to_their_size_and_differ_from_epoch_to_epoch(
    uneven: Callable[[str], ImageSource], size: str
) -> None:
    source = uneven(size)
    first, again, second = (deal_batches(source, "balanced", seed=3, epoch=epoch) for epoch in (1, 1, 2))
    assert [batch.tolist() for batch in first] == [batch.tolist() for batch in again]
    assert [batch.tolist() for batch in first] != [batch.tolist() for batch in second]
    assert max(len(batch) for batch in first) <= 5
    tickets = np.concatenate(first)
    assert Counter(source.labels[tickets % 20].tolist()) == {0: 10, 1: 10}


def test_balanced_batches_of_native_sizes_hold_images_that_are_alike(uneven: Callable[[str], ImageSource]) -> None:
    source = uneven("native")
    spreads = [np.ptp(source.heights_px[batch % 20]) for batch in deal_batches(source, "balanced", seed=0, epoch=1)]
    assert np.mean(spreads) < 0.8 * np.ptp(source.heights_px)


def test_natural_batches_are_those_of_the_source(uneven: Callable[[str], ImageSource]) -> None:
    source = uneven("native")
    found = deal_batches(source, "natural", seed=3, epoch=2)
    assert [batch.tolist() for batch in found] == [batch.tolist() for batch in source.shuffled(seed=3, epoch=2)]
