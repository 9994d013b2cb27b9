"""Every kept view of an image is shown as often as the others, in an order of its own, and looks as it was drawn."""

from collections.abc import Callable

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from radpath.data.augmentation.settings import AugmentationSettings
from radpath.data.batches import ImageSource
from radpath.training.looks import flipped_look, kept_look, random_look, shown_views

SourceMaker = Callable[..., ImageSource]
CPU = torch.device("cpu")


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 9), st.integers(1, 30), st.integers(0, 5), st.integers(0, 2**31))
def test_in_as_many_epochs_as_there_are_views_an_image_shows_each_once(
    num_views: int, num_images: int, round_number: int, seed: int
) -> None:
    epochs = np.arange(num_views) + 1 + round_number * num_views
    shown = [
        shown_views(np.arange(num_images), num_views=num_views, num_images=num_images, seed=seed, epoch=int(epoch))
        for epoch in epochs
    ]
    assert (np.sort(np.stack(shown), axis=0) == np.arange(num_views)[:, None]).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 9), st.integers(1, 40), st.integers(0, 99))
def test_copies_of_an_image_show_different_views(num_views: int, epoch: int, seed: int) -> None:
    copies = 3 + 7 * np.arange(num_views)
    shown = shown_views(copies, num_views=num_views, num_images=7, seed=seed, epoch=epoch)
    assert sorted(shown.tolist()) == list(range(num_views))


def test_the_order_differs_from_image_to_image_and_from_round_to_round() -> None:
    rounds = [
        np.stack(
            [shown_views(np.arange(50), num_views=4, num_images=50, seed=1, epoch=4 * turn + e) for e in (1, 2, 3, 4)]
        )
        for turn in range(2)
    ]
    orders = {tuple(column) for column in rounds[0].T.tolist()}
    assert len(orders) > 10
    assert not np.array_equal(rounds[0], rounds[1])


def test_looks_have_the_identity_of_what_they_show(bright_and_dark: SourceMaker) -> None:
    source, changes = bright_and_dark(4), AugmentationSettings()
    looks = [
        flipped_look(source, 0),
        flipped_look(source, 1),
        random_look(source, 0, device=CPU),
        *(kept_look(source, number, changes, seed=seed, device=CPU) for number, seed in [(0, 0), (1, 0), (0, 1)]),
        kept_look(source, 0, AugmentationSettings(blur=0.01), seed=0, device=CPU),
    ]
    assert len({repr(look.identity) for look in looks}) == len(looks)
    assert flipped_look(source, 1).identity == looks[1].identity


def test_a_kept_view_is_the_same_whatever_stands_beside_it(bright_and_dark: SourceMaker) -> None:
    look = kept_look(bright_and_dark(6, size="fixed"), 2, AugmentationSettings(), seed=3, device=CPU)
    together, alone = look.assemble(np.array([1, 4])), look.assemble(np.array([4]))
    torch.testing.assert_close(together.images[1:], alone.images)
    assert not torch.equal(together.images[0], together.images[1])
