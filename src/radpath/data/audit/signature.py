"""One decoded image becomes a few numbers and a tiny grey picture, by which images are compared without decoding again.

In: pixels as ``data.reading`` returns them. Out: an ``ImageSignature``. It costs little beside decoding, needs no
state, and may be computed in any thread. What signatures mean together is left to the other modules of this folder.
"""

import dataclasses
from functools import lru_cache
from typing import Final

import numpy as np
from jaxtyping import Float32, UInt8

THUMBNAIL_PX: Final = 32
"""Side of the square picture that near duplicates are compared by; the aspect ratio is not kept."""

STATISTICS: Final = ("brightness", "contrast", "saturation", "border_share", "corner_text_share")
"""The numbers of a signature, as columns of a table."""

_LUMA: Final = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601
_THINNED_ABOVE_PX: Final = 512  # means over every second pixel are as good, and four times as fast
_TEXT_THINNED_ABOVE_PX: Final = 768  # the shorter side; thinner, and letters would fall apart
_FLAT: Final = np.float32(0.012)  # of the range: JPEG writes a black border as 0 to 3 of 255
_THINNEST_BORDER_PX: Final = 2  # one row of background alike is no frame
_STROKE_SHARE: Final = 40  # letters burned into an image have strokes thinner than a 40th of its shorter side
_STROKE_CONTRAST: Final = np.float32(0.4)  # of the image's range, against what surrounds the stroke
_STROKE_LEVEL: Final = np.float32(0.08)  # of the range: text is drawn in pure white or black, JPEG blurs it a little
_SMALLEST_STEP: Final = np.float32(1 / 65535)  # of the range: less is rounding, not an image


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ImageSignature:
    """What the audit keeps of one image: 1,024 bytes and five numbers."""

    thumbnail: UInt8[np.ndarray, "32 32"]
    """The whole image in grey, its darkest and brightest part spread over 0 to 255; constant images are 0."""
    brightness: float
    """Mean over all pixels in [0, 1], of what the bit depth can hold; floating-point images by their own range."""
    contrast: float
    """Standard deviation over all pixels in [0, 0.5], on the same scale."""
    saturation: float
    """Mean difference of the largest and the smallest colour in [0, 1]; 0 for grey."""
    border_share: float
    """Share of the area in rows and columns at the edge that have one value, in [0, 1]: letterboxes, frames."""
    corner_text_share: float
    """Share of the corners' pixels on thin strokes of pure white or black, less that of the centre, in [0, 1]."""

    def statistics(self) -> dict[str, float]:
        """Return the numbers by the names of ``STATISTICS``."""
        return {name: getattr(self, name) for name in STATISTICS}


def signature_of(image: np.ndarray) -> ImageSignature:
    """Return the signature of one decoded image.

    Args:
        image: (height, width) or (height, width, 3); uint8, uint16 or float32. What is not finite counts as 0.

    >>> signature = signature_of(np.full((40, 60), 51, np.uint8))
    >>> signature.brightness, signature.contrast, signature.border_share
    (0.2, 0.0, 1.0)
    """
    step = 1 + (max(image.shape[:2]) - 1) // _THINNED_ABOVE_PX
    scale = _scale_of(image)
    thinned = _to_unit(image[::step, ::step], scale)
    grey = to_grey(thinned)
    return ImageSignature(
        thumbnail=_thumbnail(grey),
        brightness=round(float(grey.mean(dtype=np.float64)), 6),
        contrast=round(float(grey.std(dtype=np.float64)), 6),
        saturation=_saturation(thinned),
        border_share=_border_share(grey),
        corner_text_share=_corner_text_share(image, scale),
    )


def to_grey(image: Float32[np.ndarray, "height width *channels"]) -> Float32[np.ndarray, "height width"]:
    """Return luma (ITU-R BT.601) of RGB; grey as it is."""
    return image if image.ndim == 2 else image @ _LUMA


def shrink(grey: Float32[np.ndarray, "height width"], *, side_px: int) -> Float32[np.ndarray, "{side_px} {side_px}"]:
    """Scale to a square with an antialiased linear filter, the one that Pillow calls BILINEAR."""
    height, width = grey.shape
    shrunk: np.ndarray = filter_weights(height, side_px) @ grey @ filter_weights(width, side_px).T
    return shrunk


@lru_cache(maxsize=64)
def filter_weights(length_px: int, side_px: int) -> Float32[np.ndarray, "{side_px} {length_px}"]:
    """Return how much each of ``length_px`` pixels gives to each of ``side_px``; every row has a sum of 1.

    >>> [[round(float(weight), 2) for weight in row] for row in filter_weights(4, 2)]
    [[0.43, 0.43, 0.14, 0.0], [0.0, 0.14, 0.43, 0.43]]
    """
    scale = length_px / side_px
    support = max(scale, 1.0)
    centres = (np.arange(side_px) + 0.5) * scale - 0.5
    distances = np.abs(np.arange(length_px)[None, :] - centres[:, None]) / support
    weights = np.maximum(1 - distances, 0)
    normalised: np.ndarray = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return normalised


def _scale_of(image: np.ndarray) -> tuple[np.float32, np.float32]:
    """Return what becomes 0 and by how much to multiply so that the largest possible value becomes 1."""
    if image.dtype.kind == "u":
        return np.float32(0), np.float32(1 / np.iinfo(image.dtype).max)
    finite = np.nan_to_num(image, nan=0.0, posinf=0.0, neginf=0.0)
    lowest, highest = float(finite.min()), float(finite.max())
    return np.float32(lowest), np.float32(1 / (highest - lowest) if highest > lowest else 0)


def _to_unit(image: np.ndarray, scale: tuple[np.float32, np.float32]) -> Float32[np.ndarray, "..."]:
    lowest, factor = scale
    numbers = image.astype(np.float32)
    if image.dtype.kind == "f":
        numbers = np.nan_to_num(numbers, nan=0.0, posinf=0.0, neginf=0.0)
    numbers -= lowest
    numbers *= factor
    return numbers


def _thumbnail(grey: Float32[np.ndarray, "height width"]) -> UInt8[np.ndarray, "32 32"]:
    """Return the tiny picture; stretching keeps its detail where an image uses a small part of its range."""
    small = shrink(grey, side_px=THUMBNAIL_PX)
    lowest, highest = small.min(), small.max()
    if highest - lowest < _SMALLEST_STEP:
        return np.zeros((THUMBNAIL_PX, THUMBNAIL_PX), dtype=np.uint8)
    stretched: np.ndarray = np.rint((small - lowest) * (255 / (highest - lowest))).astype(np.uint8)
    return stretched


def _saturation(image: Float32[np.ndarray, "height width *channels"]) -> float:
    if image.ndim == 2:
        return 0.0
    red, green, blue = image[..., 0], image[..., 1], image[..., 2]
    spread = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    return round(float(spread.mean(dtype=np.float64)), 6)


def _border_share(grey: Float32[np.ndarray, "height width"]) -> float:
    """Peel rows and columns of one value off the edges, each compared with its own edge's first value."""
    height, width = grey.shape
    top, bottom = _flat_ends(grey)
    if top + bottom >= height:
        return 1.0
    left, right = _flat_ends(grey[top : height - bottom].T)
    inner_height, inner_width = height - top - bottom, max(0, width - left - right)
    return round(float(1 - inner_height * inner_width / (height * width)), 6)


def _flat_ends(grey: Float32[np.ndarray, "rows columns"]) -> tuple[int, int]:
    """Count the rows at the beginning and at the end that have the value of the outermost pixel."""
    counts = []
    for rows in (grey, grey[::-1]):
        differs = (np.abs(rows - rows[0, 0]) > _FLAT).any(axis=1)
        count = int(differs.argmax()) if differs.any() else len(rows)
        counts.append(count if count >= _THINNEST_BORDER_PX else 0)
    return counts[0], counts[1]


def _corner_text_share(image: np.ndarray, scale: tuple[np.float32, np.float32]) -> float:
    """Compare thin strokes in the four corners with those in the centre, where nobody writes.

    The corners are boxes of a third of the width and an eighth of the height.
    """
    step = 1 + (min(image.shape[:2]) - 1) // _TEXT_THINNED_ABOVE_PX
    image = image[::step, ::step]
    height, width = image.shape[:2]
    box_height, box_width = height // 8, width // 3
    reach_px = 1 + min(height, width) // _STROKE_SHARE
    if min(box_height, box_width) <= 2 * reach_px:
        return 0.0
    middle_top, middle_left = (height - 2 * box_height) // 2, (width - 2 * box_width) // 2
    tops, lefts = (slice(None, box_height), slice(-box_height, None)), (slice(None, box_width), slice(-box_width, None))
    corners = [image[rows, columns] for rows in tops for columns in lefts]
    centre = image[middle_top : middle_top + 2 * box_height, middle_left : middle_left + 2 * box_width]
    boxes = [to_grey(_to_unit(box, scale)) for box in (*corners, centre)]
    lowest, highest = min(box.min() for box in boxes), max(box.max() for box in boxes)
    if lowest == highest:
        return 0.0
    shares = [_stroke_share((box - lowest) / (highest - lowest), reach_px) for box in boxes]
    return round(max(0.0, sum(shares[:4]) / 4 - shares[4]), 6)


def _stroke_share(box: Float32[np.ndarray, "rows columns"], reach_px: int) -> float:
    """Return the share of pixels that are pure white or black and differ from both pixels ``reach_px`` beside them.

    Beside means left and right, or above and below: one of the two is across the stroke.
    """
    on_stroke = np.zeros(box.shape, dtype=bool)
    for turned, marked in ((box, on_stroke), (box.T, on_stroke.T)):
        middle, before, after = turned[reach_px:-reach_px], turned[: -2 * reach_px], turned[2 * reach_px :]
        is_white = (middle > 1 - _STROKE_LEVEL) & (np.maximum(before, after) < 1 - _STROKE_CONTRAST)
        is_black = (middle < _STROKE_LEVEL) & (np.minimum(before, after) > _STROKE_CONTRAST)
        marked[reach_px:-reach_px] |= is_white | is_black
    return float(on_stroke.mean())
