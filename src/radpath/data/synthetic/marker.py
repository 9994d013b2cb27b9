"""Draws images in which a small planted marker, and nothing else, decides the class: the right explanation is known.

In: a number, a size and a seed. Out: images, classes and, for each, where the marker lies. Both classes have a marker
of the same size, brightness and outline in the same kind of places, so that only its inside tells them apart; around
it lie lines and discs with sharper edges, the same in both classes.
"""

import dataclasses
from typing import Final

import numpy as np
from jaxtyping import Bool, Int, UInt8

from radpath.seeding import generator_for

MARKER_CLASSES: Final = ("disc", "ring")
"""What is drawn inside the marker's square frame."""

_GROUND, _NOISE = 110.0, 12.0
_BRIGHT: Final = 205.0
_DISTRACTORS: Final = 6


@dataclasses.dataclass(frozen=True, kw_only=True)
class MarkedImages:
    """Images with known evidence."""

    images: UInt8[np.ndarray, "images side side 3"]
    labels: Int[np.ndarray, " images"]
    """Places in ``MARKER_CLASSES``; half of each."""
    markers: Bool[np.ndarray, "images side side"]
    """True inside the marker."""


def draw_marked(count: int, *, side_px: int = 64, marker_px: int = 16, seed: int = 0) -> MarkedImages:
    """Draw square images with one marker each.

    >>> drawn = draw_marked(4, side_px=32, marker_px=8)
    >>> drawn.labels.tolist(), drawn.markers.sum(axis=(1, 2)).tolist()
    ([0, 1, 0, 1], [64, 64, 64, 64])
    """
    rng = generator_for(seed, "marked images")
    labels = np.arange(count) % len(MARKER_CLASSES)
    drawn = [_draw(int(label), side_px, marker_px, rng) for label in labels]
    return MarkedImages(
        images=np.stack([image for image, _ in drawn]), labels=labels, markers=np.stack([place for _, place in drawn])
    )


def _draw(label: int, side_px: int, marker_px: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    grey = _GROUND + _NOISE * rng.standard_normal((side_px, side_px))
    rows, columns = np.mgrid[:side_px, :side_px]
    for _ in range(_DISTRACTORS):
        angle, distance = rng.uniform(0, np.pi), rng.uniform(0.1, 0.9) * side_px
        along = np.cos(angle) * rows + np.sin(angle) * columns - distance
        across = np.hypot(rows - rng.uniform(0, side_px), columns - rng.uniform(0, side_px))
        grey[np.abs(along) < 1] = rng.choice([40.0, 230.0])
        grey[across < rng.uniform(0.03, 0.07) * side_px] = rng.choice([30.0, 240.0])
    top, left = rng.integers(0, side_px - marker_px + 1, size=2)
    place = np.zeros((side_px, side_px), dtype=bool)
    place[top : top + marker_px, left : left + marker_px] = True
    grey[place] = _marker(label, marker_px).ravel() + _NOISE * rng.standard_normal(marker_px**2)
    image = np.repeat(grey.clip(0, 255).round().astype(np.uint8)[:, :, None], 3, axis=2)
    return image, place


def _marker(label: int, marker_px: int) -> np.ndarray:
    """Return a frame around a disc or a ring, both of the same area."""
    half = (marker_px - 1) / 2
    rows, columns = np.mgrid[:marker_px, :marker_px]
    radius = np.hypot(rows - half, columns - half) / half
    # A ring from 0.5 to 0.75 has the area of a disc of radius 0.56.
    inside = radius < 0.56 if MARKER_CLASSES[label] == "disc" else (radius >= 0.5) & (radius < 0.75)
    frame = np.maximum(np.abs(rows - half), np.abs(columns - half)) > half - 1
    return np.where(inside | frame, _BRIGHT, _GROUND)
