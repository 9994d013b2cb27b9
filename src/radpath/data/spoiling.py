"""Images of a source, spoilt: the same records, sizes and levels, with other pixels, held in memory.

In: an ``ImageSource``, which of its images, a kind of corruption and a level. Out: an ``ImageSource`` of these, which
is then batched, padded and mirrored as any other. How pixels are spoilt is in ``corruptions``.
"""

import dataclasses
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
from jaxtyping import Int

from radpath.data.batches import ImageSource
from radpath.data.corruptions import CorruptionKind, corrupt
from radpath.data.pixel_store import Codes, PixelStore
from radpath.seeding import generator_for

_CODES: Final = 65535
_MAX_THREADS: Final = 8
_PORTION_BYTES: Final = 64 << 20
_MOST_IMAGES: Final = 512


def portions_to_spoil(source: ImageSource) -> list[Int[np.ndarray, " portion"]]:
    """Return the positions of all images in portions whose spoilt pixels fit into memory together."""
    largest = int((source.heights_px * source.widths_px).max()) * source.store.channels * 2
    size = max(1, min(_MOST_IMAGES, _PORTION_BYTES // largest))
    return [np.arange(start, min(start + size, len(source))) for start in range(0, len(source), size)]


def spoil(
    source: ImageSource, positions: Int[np.ndarray, " portion"], kind: CorruptionKind, level: int, *, seed: int
) -> ImageSource:
    """Return some images, spoilt; what is drawn depends on the seed, the kind and the record alone.

    An image is spoilt in the numbers that the network would get, where 0 and 1 are the darkest and brightest that they
    can be or, where a rule of intensity sets no bounds, that they are in this image.
    """
    rows = source.rows[positions]
    zero, one = source.intensity.levels(source.store.statistics.of(rows))

    def spoilt(place: int) -> tuple[Codes, float, float]:
        row, span = int(rows[place]), float(one[place] - zero[place])
        levels = source.store.image(row) * source.store.slopes[row] + source.store.intercepts[row]
        numbers = (levels - zero[place]) / span
        low, high = (0.0, 1.0) if source.intensity.is_bounded else (float(numbers.min()), float(numbers.max()))
        width = high - low or 1.0
        generator = generator_for(seed, "corruption", kind.name, source.store.record_ids[row])
        worse = corrupt(((numbers - low) / width).astype(np.float32), kind, level, generator)
        codes: Codes = np.rint(worse * np.float32(_CODES)).astype(np.uint16)
        return codes, width * span / _CODES, float(zero[place]) + low * span

    with ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1)) as pool:
        made = list(pool.map(spoilt, range(len(rows))))
    names = [source.store.record_ids[int(row)] for row in rows]
    store = dataclasses.replace(
        PixelStore.of_images(names, [codes for codes, _, _ in made]),
        slopes=np.array([slope for _, slope, _ in made]),
        intercepts=np.array([intercept for _, _, intercept in made]),
        # Of the images as they were, so that the same levels become 0 and 1.
        statistics=source.store.statistics.of(rows),
    )
    return dataclasses.replace(source, store=store, rows=np.arange(len(rows)), labels=source.labels[positions])
