"""Groups images of similar height and width, so that a padded batch wastes few pixels.

In: sizes of prepared images. Out: lists of positions, one a batch. Padding itself is in ``batches``.
"""

import math

import numpy as np
from jaxtyping import Int

_JITTER = 0.05  # standard deviation in log size: neighbours differ from epoch to epoch, and padding grows little


def size_buckets(
    heights_px: Int[np.ndarray, " images"],
    widths_px: Int[np.ndarray, " images"],
    *,
    batch_size: int,
    max_batch_pixels: int,
    rng: np.random.Generator | None,
) -> list[Int[np.ndarray, " batch"]]:
    """Cut all positions into batches of images that are alike in both sides.

    Images are sorted into strips of similar height, each strip by width, and the whole is cut in order. A batch ends
    at ``batch_size`` images or where its canvas would exceed ``max_batch_pixels`` (one image may exceed it alone).

    Args:
        heights_px: of each image.
        widths_px: of each image.
        batch_size: the largest number of images in a batch.
        max_batch_pixels: the largest number of pixels in a batch, padding included.
        rng: for training: sizes are jittered and batches shuffled, so that each call gives other batches; an image
            that would be alone gets company from the batch before it, if that has three or more (the statistics of
            BatchNorm mean little for one image). None: the order is fixed.
    """
    num = len(heights_px)
    if num == 0:
        return []
    logs = np.log(np.stack([heights_px, widths_px]).astype(np.float64))
    if rng is not None:
        logs = logs + rng.normal(0, _JITTER, logs.shape)
    order = _strips(logs[0], logs[1], num_strips=max(1, round(math.sqrt(num / batch_size))))
    batches = _cut(order, heights_px, widths_px, batch_size=batch_size, max_batch_pixels=max_batch_pixels)
    if rng is None:
        return batches
    batches = _with_company(batches, heights_px, widths_px, max_batch_pixels=max_batch_pixels)
    return [rng.permutation(batches[place]) for place in rng.permutation(len(batches))]


def _strips(log_heights: np.ndarray, log_widths: np.ndarray, *, num_strips: int) -> Int[np.ndarray, " images"]:
    """Order by height into strips, and inside them by width, up and down in turn so that strips join smoothly."""
    by_height = np.argsort(log_heights, kind="stable")
    strips = np.array_split(by_height, num_strips)
    ordered = [strip[np.argsort(log_widths[strip], kind="stable")] for strip in strips]
    return np.concatenate([strip[::-1] if place % 2 else strip for place, strip in enumerate(ordered)])


def _cut(
    order: Int[np.ndarray, " images"],
    heights_px: Int[np.ndarray, " images"],
    widths_px: Int[np.ndarray, " images"],
    *,
    batch_size: int,
    max_batch_pixels: int,
) -> list[Int[np.ndarray, " batch"]]:
    batches: list[np.ndarray] = []
    current: list[int] = []
    height = width = 0
    for position in order.tolist():
        taller, wider = max(height, int(heights_px[position])), max(width, int(widths_px[position]))
        if current and (len(current) == batch_size or taller * wider * (len(current) + 1) > max_batch_pixels):
            batches.append(np.array(current))
            current, taller, wider = [], int(heights_px[position]), int(widths_px[position])
        current.append(position)
        height, width = taller, wider
    return [*batches, np.array(current)]


def _with_company(
    batches: list[np.ndarray],
    heights_px: Int[np.ndarray, " images"],
    widths_px: Int[np.ndarray, " images"],
    *,
    max_batch_pixels: int,
) -> list[np.ndarray]:
    """Give a batch of one image the last one of the batch before it, where that can spare it and both fit."""
    shared = list(batches)
    for place in range(1, len(shared)):
        before, alone = shared[place - 1], shared[place]
        pair = np.concatenate([before[-1:], alone])
        fits = 2 * int(heights_px[pair].max()) * int(widths_px[pair].max()) <= max_batch_pixels
        if len(alone) == 1 and len(before) > 2 and fits:
            shared[place - 1], shared[place] = before[:-1], pair
    return shared
