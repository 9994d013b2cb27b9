"""Images for the audit: textures that resemble one another in kind and differ in every detail."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import ndimage

Draw = Callable[..., np.ndarray]


@pytest.fixture(scope="session")
def draw_texture() -> Draw:
    """Draw a grey image of blobs of several sizes; another seed is another image of the same kind."""
    return texture


def texture(seed: int, *, side_px: int = 64) -> np.ndarray:
    generator = np.random.default_rng(seed)
    layers = [ndimage.gaussian_filter(generator.normal(size=(side_px, side_px)), blur) * blur for blur in (1.5, 3, 7)]
    image = np.sum(layers, axis=0)
    grey: np.ndarray = (30 + 190 * (image - image.min()) / (image.max() - image.min())).astype(np.uint8)
    return grey
