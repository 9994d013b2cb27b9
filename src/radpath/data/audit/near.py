"""Finds images that are nearly the same image: cropped, turned, brightened, compressed again, or the next frame.

In: thumbnails. Out: pairs with their similarity. First each image's nearest neighbours are looked up by a short
descriptor that flips and quarter turns do not change, with matrix products in tiles; then each such pair is laid one
over the other and its detail compared (``registration``). Memory is flat; time grows with the square of the number of
images in the first step, and with their number in the second.
"""

import dataclasses
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
from jaxtyping import Float32, Int, UInt8
from scipy import fft

from radpath.progress import track

SIMILARITY: Final = 0.9
"""Pairs whose detail correlates above this are near duplicates."""
MOST_PAIRS: Final = 10_000
"""At most so many pairs are laid over each other, those with the most similar descriptors first."""

_NEIGHBOURS: Final = 3
_MIDDLE: Final = 0.9
_CANDIDATE_LIKENESS: Final = 0.7  # of descriptors: 95 of 100 copies cropped to 90 % are above it
_FREQUENCIES: Final = 8  # 55 numbers find the copies that 120 find
_ROWS_AT_ONCE: Final = 512
_COLUMNS_AT_ONCE: Final = 8192  # a multiple of the rows; a tile of 16 MB stays near the processor
_GROUP: Final = 64  # the largest of each group are looked at first, three times as fast as looking at all
_FEWEST_TO_KNOW_COMMON: Final = 50  # images: of fewer, what is the same in most may be copies
_PORTION: Final = 4096
_PAIRS_A_STEP: Final = 512


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class NearPairs:
    """Pairs of places in the list of thumbnails, the most similar first."""

    places: Int[np.ndarray, "pairs 2"]
    """The smaller place first; no pair twice."""
    similarity: Float32[np.ndarray, " pairs"]
    """Correlation of detail once one lies over the other, above the threshold and up to 1."""
    num_compared: int
    """Pairs that were laid over each other."""
    num_skipped: int
    """Less similar candidates that were left out because of ``most_pairs``."""


def find_near_pairs(
    thumbnails: UInt8[np.ndarray, "images 32 32"], *, similarity: float = SIMILARITY, most_pairs: int = MOST_PAIRS
) -> NearPairs:
    """Return the pairs of images that are nearly the same.

    Args:
        thumbnails: one an image; of identical images one is enough.
        similarity: threshold on the correlation of detail, in (0, 1).
        most_pairs: how many pairs to lay over each other, which takes about 1 ms each.
    """
    candidates, likeness = _candidates(thumbnails)
    order = np.argsort(-likeness, kind="stable")[:most_pairs]
    compared = candidates[order]
    agreement = np.fromiter(_agreements(thumbnails, compared), dtype=np.float32, count=len(compared))
    found = np.flatnonzero(agreement > similarity)
    found = found[np.argsort(-agreement[found], kind="stable")]
    return NearPairs(
        places=compared[found],
        similarity=agreement[found],
        num_compared=len(compared),
        num_skipped=len(candidates) - len(compared),
    )


def _agreements(thumbnails: UInt8[np.ndarray, "images 32 32"], pairs: Int[np.ndarray, "pairs 2"]) -> Iterator[float]:
    """Yield the agreement of each pair, several portions at a time."""
    # Late, here and below: a look at data that compares nothing need not wait for PyTorch.
    import torch

    from radpath.data.audit.registration import detail_agreement, own_detail

    weight = own_detail(thumbnails) if len(thumbnails) >= _FEWEST_TO_KNOW_COMMON else None

    def portion(start: int) -> list[float]:
        first, second = pairs[start : start + _PAIRS_A_STEP].T
        agreement: list[float] = detail_agreement(thumbnails[first], thumbnails[second], weight=weight).tolist()
        return agreement

    starts = range(0, len(pairs), _PAIRS_A_STEP)
    # Small products gain nothing from PyTorch's own threads, and lose much where others use the cores too. The number
    # set in one thread becomes that of every thread begun later, so it is set back.
    num_threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(os.cpu_count(), initializer=torch.set_num_threads, initargs=(1,)) as pool:
            for some in track(pool.map(portion, starts), total=len(starts), what="comparing pairs", unit="portions"):
                yield from some
    finally:
        torch.set_num_threads(num_threads)


def descriptors(thumbnails: UInt8[np.ndarray, "images 32 32"]) -> Float32[np.ndarray, "images numbers"]:
    """Return vectors of length 1 (0 for a constant image) that flips and quarter turns of an image leave unchanged.

    They are low coefficients of the cosine transform, weighed by their frequency. A flip changes the sign of the odd
    ones, so those count by their size; a transposition exchanges (u, v) and (v, u), so each two give their mean and
    the size of their difference.
    """
    pictures = thumbnails.astype(np.float32)
    pictures -= pictures.mean(axis=(1, 2), keepdims=True)
    low = fft.dctn(pictures, axes=(1, 2), norm="ortho")[:, :_FREQUENCIES, :_FREQUENCIES]
    row, column = np.mgrid[:_FREQUENCIES, :_FREQUENCIES]
    frequency = np.hypot(row, column)
    low *= frequency.astype(np.float32)  # amplitudes of natural images fall as 1 / frequency (Field 1987)
    unsigned = np.where((row % 2 == 0) & (column % 2 == 0), low, np.abs(low))
    transposed = unsigned.transpose(0, 2, 1)
    upper = (row <= column) & (frequency < _FREQUENCIES) & (frequency > 0)
    means = (unsigned + transposed)[:, upper] / 2
    differences = np.abs(unsigned - transposed)[:, upper & (row < column)] / 2
    vectors: np.ndarray = np.concatenate([means, differences], axis=1).astype(np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def _candidates(thumbnails: UInt8[np.ndarray, "images 32 32"]) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs of each image with its nearest neighbours, each pair once, and how alike their descriptors are.

    Neighbours of the image and of its middle are looked up, since a cropped copy is nearer to the latter.
    """
    known = _in_portions(descriptors, thumbnails)
    pairs = [np.empty((0, 2), dtype=np.int64)]
    likenesses = [np.empty(0, dtype=np.float32)]
    for wanted in (known, _in_portions(lambda some: descriptors(_middles(some)), thumbnails)):
        for first, second, likeness in _neighbours(wanted, known):
            chosen = likeness > _CANDIDATE_LIKENESS
            both = np.stack([first[chosen], second[chosen]], axis=1)
            pairs.append(np.sort(both, axis=1))
            likenesses.append(likeness[chosen])
    every, places = np.unique(np.concatenate(pairs), axis=0, return_inverse=True)
    best = np.full(len(every), -1, dtype=np.float32)
    np.maximum.at(best, places.ravel(), np.concatenate(likenesses))
    return every, best


def _in_portions(
    describe: Callable[[np.ndarray], np.ndarray], thumbnails: UInt8[np.ndarray, "images 32 32"]
) -> Float32[np.ndarray, "images numbers"]:
    """Describe some thumbnails at a time, since their transforms take 16 times the memory of the result."""
    starts = range(0, max(len(thumbnails), 1), _PORTION)
    return np.concatenate([describe(thumbnails[start : start + _PORTION]) for start in starts])


def _middles(thumbnails: UInt8[np.ndarray, "images 32 32"]) -> UInt8[np.ndarray, "images 32 32"]:
    """Return the middle of each picture, enlarged to the same size (linear)."""
    side = thumbnails.shape[1]
    from_px = (np.arange(side) + 0.5 - side / 2) * _MIDDLE + side / 2 - 0.5
    weights = np.maximum(1 - np.abs(np.arange(side) - from_px[:, None]), 0).astype(np.float32)
    enlarged: np.ndarray = np.rint(weights @ thumbnails.astype(np.float32) @ weights.T).astype(np.uint8)
    return enlarged


def _neighbours(
    wanted: Float32[np.ndarray, "images numbers"], known: Float32[np.ndarray, "images numbers"]
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield, some rows at a time, places, places of their nearest others among the known, and the inner products.

    A place past the last one stands for nothing, with a product of 0.
    """
    import torch

    vectors = torch.from_numpy(wanted)
    every = torch.from_numpy(np.pad(known, ((0, -len(known) % _GROUP), (0, 0))))
    num_groups = len(every) // _GROUP
    starts = range(0, len(vectors) if len(vectors) > 1 else 0, _ROWS_AT_ONCE)
    for start in track(starts, total=len(starts), what="looking for copies", unit="portions"):
        rows = vectors[start : start + _ROWS_AT_ONCE]
        maxima = torch.empty(len(rows), num_groups)
        for column in range(0, len(every), _COLUMNS_AT_ONCE):
            tile = rows @ every[column : column + _COLUMNS_AT_ONCE].T
            if 0 <= start - column < tile.shape[1]:  # an image is no copy of itself
                tile.diagonal(start - column).fill_(-2.0)
            maxima[:, column // _GROUP : (column + tile.shape[1]) // _GROUP] = tile.view(len(rows), -1, _GROUP).amax(2)
        # The largest few of all are in the groups with the largest maxima: exact, and no full row is ever held.
        groups = maxima.topk(min(_NEIGHBOURS, num_groups), dim=1).indices
        members = (groups[:, :, None] * _GROUP + torch.arange(_GROUP)).flatten(1)
        products = (every[members] @ rows[:, :, None])[:, :, 0]
        own = torch.arange(start, start + len(rows))[:, None]
        largest = products.masked_fill_(members == own, -2.0).topk(_NEIGHBOURS, dim=1)
        first = np.repeat(np.arange(start, start + len(rows)), _NEIGHBOURS)
        yield first, members.gather(1, largest.indices).flatten().numpy(), largest.values.flatten().numpy()
