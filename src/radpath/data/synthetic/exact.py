"""Random numbers and textures that are the same to the last bit on every machine.

In: NumPy's generator. Out: numbers and arrays. The generator is asked only for ``random``, whose stream has never
changed, and pixels are computed only with what IEEE 754 rounds correctly (+, -, *, /, square root, floor). Sums of
floats, sines, exponentials and the library's other distributions differ in the last digit between processors and
versions; where one is needed, its result is rounded far above that digit.
"""

from typing import Final

import numpy as np
from jaxtyping import Float, Float32, Int32

_LATTICE_CELLS: Final = 64
_WRAP: Final = np.int32(_LATTICE_CELLS - 1)  # a power of two less one: `&` wraps around faster than `%`


def uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Return a number in [low, high)."""
    return low + (high - low) * float(rng.random())


def whole_number(rng: np.random.Generator, low: int, high: int) -> int:
    """Return a whole number from low to high, both included."""
    return low + int(rng.random() * (high + 1 - low))


def spread(
    rng: np.random.Generator, low: float, high: float, *, shape: tuple[int, ...]
) -> Float32[np.ndarray, "*shape"]:
    """Return an array of numbers in [low, high]."""
    return (low + (high - low) * rng.random(shape)).astype(np.float32)


def shuffled(rng: np.random.Generator, count: int) -> list[int]:
    """Return the numbers 0 .. count - 1 in a random order."""
    return [int(place) for place in np.argsort(rng.random(count), kind="stable")]


def bell_shaped(rng: np.random.Generator, count: int) -> Float[np.ndarray, " count"]:
    """Return nearly normal numbers with mean 0 and standard deviation 1: the sum of 12 uniform ones, less 6."""
    total = np.zeros(count)
    for _ in range(12):
        total = total + rng.random(count)
    return total - 6.0


def half_circle(
    rng: np.random.Generator, count: int
) -> tuple[Float32[np.ndarray, " count"], Float32[np.ndarray, " count"]]:
    """Return the (y, x) of unit vectors that point into one half of the plane, by the tangent of half the angle."""
    tangent = spread(rng, -1.0, 1.0, shape=(count,))
    square = tangent * tangent
    return 2 * tangent / (1 + square), (1 - square) / (1 + square)


class Clouds:
    """A smooth random texture (value noise with smoothstep interpolation) that repeats after 64 cells."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._lattice = spread(rng, -1.0, 1.0, shape=(_LATTICE_CELLS * _LATTICE_CELLS,))

    def at(self, y: Float32[np.ndarray, "*shape"], x: Float32[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
        """Return values in [-1, 1] at places that are measured in cells of the texture."""
        top, left = np.floor(y), np.floor(x)
        down, right = _smoothstep(y - top), _smoothstep(x - left)
        rows, columns = top.astype(np.int32), left.astype(np.int32)
        first, second = columns & _WRAP, (columns + 1) & _WRAP
        above, below = (self._row((row & _WRAP) * _LATTICE_CELLS, first, second, right) for row in (rows, rows + 1))
        between: Float32[np.ndarray, "*shape"] = above + (below - above) * down
        return between

    def _row(
        self,
        start: Int32[np.ndarray, "*shape"],
        first: Int32[np.ndarray, "*shape"],
        second: Int32[np.ndarray, "*shape"],
        share: Float32[np.ndarray, "*shape"],
    ) -> Float32[np.ndarray, "*shape"]:
        """Return what lies between two neighbouring cells of a row, nearer to the second the larger ``share``."""
        left = self._lattice.take(start + first)
        between: Float32[np.ndarray, "*shape"] = left + (self._lattice.take(start + second) - left) * share
        return between


def _smoothstep(fraction: Float32[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
    eased: Float32[np.ndarray, "*shape"] = fraction * fraction * (3 - 2 * fraction)
    return eased
