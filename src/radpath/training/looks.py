"""The ways in which an image is looked at: mirrored and turned, or changed at random once and for all.

In: a side of images. Out: ``Look``s, each of which puts any of the images on a canvas in its one way, and has an
identity by which what was computed of it is found again. Which image is shown in which of its kept views, epoch by
epoch, is drawn here too.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Int

from radpath.data.augmentation.draws import split_mix
from radpath.data.augmentation.settings import AugmentationSettings
from radpath.data.batches import Batch, ImageSource
from radpath.seeding import derived_seed

KEPT_EPOCH: Final = 0
"""Kept views are drawn as those of an epoch that no training has."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Look:
    """One way to look at every image of a side."""

    identity: tuple[Any, ...]
    """What JSON can hold; equal where the same images would be seen in the same way."""
    assemble: Callable[[Int[np.ndarray, " batch"]], Batch]
    """Returns the images at some positions."""


def flipped_look(source: ImageSource, view: int) -> Look:
    """Return the look at all images in one of their flipped views."""
    return Look(identity=("flipped", view), assemble=lambda positions: source.assemble(positions, view=view))


def random_look(source: ImageSource, number: int, *, device: torch.device) -> Look:
    """Return the look at all images changed in one and the same way, as predictions do."""
    drawn = None if source.random_views is None else source.random_views.model_dump(mode="json")
    return Look(
        identity=("random", drawn, number),
        assemble=lambda positions: source.assemble_random_view(positions, number=number, device=device),
    )


def kept_look(
    source: ImageSource, number: int, augmentation: AugmentationSettings, *, seed: int, device: torch.device
) -> Look:
    """Return the look at each image in its kept view of a number, which is changed as no other image's."""
    return Look(
        identity=("kept", augmentation.model_dump(mode="json"), seed, number),
        assemble=lambda positions: source.assemble_augmented(
            kept_tickets(positions, np.full(len(positions), number), num_images=len(source)),
            augmentation,
            seed=seed,
            epoch=KEPT_EPOCH,
            device=device,
        ),
    )


def kept_tickets(
    positions: Int[np.ndarray, " batch"], numbers: Int[np.ndarray, " batch"], *, num_images: int
) -> Int[np.ndarray, " batch"]:
    """Return the tickets that draw each image's kept view of a number; see ``sampling`` for what a ticket is."""
    tickets: np.ndarray = positions + numbers * num_images
    return tickets


def shown_views(
    tickets: Int[np.ndarray, " batch"], *, num_views: int, num_images: int, seed: int, epoch: int
) -> Int[np.ndarray, " batch"]:
    """Return which of its kept views each ticket shows in an epoch, from 1.

    In ``num_views`` epochs an image shows every view once, in an order of its own, which is drawn anew after them.
    Copies of an image in one epoch show different views.

    >>> epochs = [shown_views(np.array([5]), num_views=3, num_images=10, seed=0, epoch=epoch) for epoch in (1, 2, 3)]
    >>> sorted(np.concatenate(epochs).tolist())
    [0, 1, 2]
    """
    positions, copies = tickets % num_images, tickets // num_images
    block, turn = divmod(epoch - 1, num_views)
    places = positions.astype(np.uint64)[:, None] * np.uint64(num_views) + np.arange(num_views, dtype=np.uint64)
    order: np.ndarray = split_mix(derived_seed(seed, "views", block), places).argsort(axis=1, kind="stable")
    shown: np.ndarray = order[np.arange(len(tickets)), (turn + copies) % num_views]
    return shown
