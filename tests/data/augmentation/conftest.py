"""Padded batches of smooth or noisy images, and changes that do one thing only."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from radpath.data.augmentation.draws import Changes, draw_changes
from radpath.data.augmentation.settings import RANGES, AugmentationSettings

Padded = tuple[Tensor, Tensor, Tensor]


def nothing_drawn(num_images: int) -> Changes:
    """Changes that leave every image as it is, though every operation is allowed."""
    still = AugmentationSettings().only()
    drawn = draw_changes(np.arange(num_images), still, seed=0, epoch=1)
    return dataclasses.replace(drawn, operations=frozenset(RANGES))


def drawn_by_hand(num_images: int = 1, **values: Any) -> Changes:
    """Changes of which a test says the values; the same for every image where it gives one."""
    still = nothing_drawn(num_images)
    given: dict[str, Any] = {}
    for name, value in values.items():
        as_it_was = getattr(still, name)
        given[name] = np.broadcast_to(np.asarray(value, as_it_was.dtype), as_it_was.shape).copy()
    return dataclasses.replace(still, **given)


def smooth_image(height: int, width: int, channels: int = 3) -> np.ndarray:
    """Waves in 0.1..0.9, which an interpolation cannot spoil."""
    rows, columns = np.mgrid[:height, :width]
    waves = [0.5 + 0.2 * np.sin(rows / 9 + channel) + 0.2 * np.cos(columns / 7) for channel in range(channels)]
    return np.stack(waves, axis=-1).astype(np.float32)


def noise_image(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    """Independent values in 0..1."""
    return np.random.default_rng(seed).random((height, width, channels), dtype=np.float32)


def padded_batch(images: Sequence[np.ndarray], *, canvas_px: tuple[int, int] | None = None) -> Padded:
    """A batch (images, channels, height, width) with zeros beside each image, and the sizes."""
    heights, widths = [image.shape[0] for image in images], [image.shape[1] for image in images]
    canvas = canvas_px or (max(heights), max(widths))
    batch = torch.zeros(len(images), images[0].shape[2], *canvas)
    for place, image in enumerate(images):
        batch[place, :, : image.shape[0], : image.shape[1]] = torch.from_numpy(image).permute(2, 0, 1)
    return batch, torch.tensor(heights), torch.tensor(widths)


def from_batch(batch: Tensor, place: int, height: int, width: int) -> np.ndarray:
    """One image (height, width, channels) without its padding."""
    return batch[place, :, :height, :width].permute(1, 2, 0).numpy()


@pytest.fixture(scope="session")
def drawn() -> Callable[..., Changes]:
    return drawn_by_hand


@pytest.fixture(scope="session")
def smooth() -> Callable[..., np.ndarray]:
    return smooth_image


@pytest.fixture(scope="session")
def noisy() -> Callable[..., np.ndarray]:
    return noise_image


@pytest.fixture(scope="session")
def padded() -> Callable[..., Padded]:
    return padded_batch


@pytest.fixture(scope="session")
def image_in() -> Callable[..., np.ndarray]:
    return from_batch
