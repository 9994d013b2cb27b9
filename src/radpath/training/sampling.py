"""Which training images an epoch holds: each once, or each class equally often.

In: the training side. Out: batches of tickets. A ticket is the position of an image plus the number of images times how
often the image came before in this epoch, so that every copy of an image is augmented in another way.
"""

import dataclasses
from typing import Literal

import numpy as np
from jaxtyping import Int

from radpath.data.batches import ImageSource
from radpath.seeding import generator_for

Sampling = Literal["natural", "balanced"]


def deal_batches(source: ImageSource, kind: Sampling, *, seed: int, epoch: int) -> list[Int[np.ndarray, " batch"]]:
    """Return the tickets of one epoch, in batches of similar sizes; the same for the same seed and epoch."""
    if kind == "natural":
        return source.shuffled(seed=seed, epoch=epoch)
    tickets = balanced_tickets(source.labels, generator_for(seed, "sampling", epoch))
    positions = tickets % len(source)
    drawn = dataclasses.replace(source, rows=source.rows[positions], labels=source.labels[positions])
    return [tickets[batch] for batch in drawn.shuffled(seed=seed, epoch=epoch)]


def balanced_tickets(labels: Int[np.ndarray, " images"], rng: np.random.Generator) -> Int[np.ndarray, " tickets"]:
    """Draw each class equally often, about as many images in all as there are.

    Of a frequent class some images are left out, of a rare one all come several times; nobody comes twice before
    everybody of the class came once.

    >>> np.sort(balanced_tickets(np.array([0, 0, 0, 0, 0, 1]), np.random.default_rng(1)) % 6)[-3:].tolist()
    [5, 5, 5]
    """
    classes = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    share = max(1, round(len(labels) / len(classes)))
    drawn = []
    for members in classes:
        rounds = [rng.permutation(members) + turn * len(labels) for turn in range(-(-share // len(members)))]
        drawn.append(np.concatenate(rounds)[:share])
    return np.concatenate(drawn)
