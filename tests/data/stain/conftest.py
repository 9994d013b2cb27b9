from collections.abc import Callable

import numpy as np
import pytest

HAEMATOXYLIN = np.array([0.65, 0.70, 0.29])
EOSIN = np.array([0.3, 0.9, 0.3])  # red enough for 0.6 units to count as tissue in every channel

Draw = Callable[..., np.ndarray]


@pytest.fixture(scope="session")
def draw_tissue() -> Draw:
    """Draw an image of two stains whose colours are known, so that what is measured can be checked."""
    return drawn_tissue


def drawn_tissue(
    *,
    seed: int = 0,
    side_px: int = 64,
    haematoxylin: np.ndarray = HAEMATOXYLIN,
    eosin: np.ndarray = EOSIN,
    strength: float = 1.0,
) -> np.ndarray:
    """A third of the pixels has haematoxylin alone, a third eosin alone, a third both; none is background."""
    generator = np.random.default_rng(seed)
    units = generator.uniform(0.9, 2.0, (side_px * side_px, 2)) * strength
    kind = np.arange(side_px * side_px) % 3
    units[kind == 0, 1] = 0
    units[kind == 1, 0] = 0
    colours = np.array([haematoxylin / np.linalg.norm(haematoxylin), eosin / np.linalg.norm(eosin)])
    levels = 240 * np.exp(-(units @ colours)) - 1
    image: np.ndarray = np.clip(np.rint(levels), 0, 255).astype(np.uint8).reshape(side_px, side_px, 3)
    return image
