"""An image file becomes the right pixels, or an error with one short reason; nothing in between.

In: the path of a file. Out: an array of 8 or 16 bits or of float32, grey or RGB, as a viewer would show it. ``formats``
decodes; here transparency, inks and orientation are resolved. Several threads may decode at the same time.
"""

import io
from pathlib import Path
from typing import Final, Literal

import numpy as np
from jaxtyping import Float32, UInt8, UInt16

from radpath import files
from radpath.data.formats import tiff
from radpath.data.formats.jpeg import Reduction, decode_jpeg
from radpath.data.formats.png import decode_png
from radpath.data.formats.stored import Mode, Samples, StoredImage, damaged
from radpath.data.headers import header_of, read_stored
from radpath.errors import DataError

Pixels = (
    UInt8[np.ndarray, "_height _width"]
    | UInt16[np.ndarray, "_height _width"]
    | UInt8[np.ndarray, "_height _width 3"]
    | UInt16[np.ndarray, "_height _width 3"]
    | Float32[np.ndarray, "_height _width"]
    | Float32[np.ndarray, "_height _width 3"]
)
"""Grey or RGB, finite; an image is never (height, width, 1)."""

REDUCE_ABOVE: Final = 4
"""A JPEG may be decoded at a fraction of its size that is still at least so many times the size that is needed.

Scaled down from there, it differs from the whole picture scaled down by at most 2 levels of 255 in the images of
benchmarks/jpeg_scaling.py (53.7 dB or better), and by at most 4 in a drawn texture of strong colours. From 3 times it
would be 4 levels in those images, from 2 times 9."""

_ROWS_LOOKED_AT: Final = 16
_LEVELS_OF_16_BITS_PER_LEVEL_OF_8: Final = 257  # 65535 / 255


def decode(
    path: Path,
    member: str = "",
    *,
    max_pixels: int,
    transparency: Literal["white", "black", "refuse"],
    longest_side_px: int | None = None,
) -> Pixels:
    """Return the pixels of an image file.

    - Grey of 1, 2 or 4 bits is spread over 0..255, and 10, 12 or 14 bits over 0..65535; 8 and 16 bits keep their depth;
      signed, 32-bit and floating-point numbers become float32; palettes become RGB.
    - Transparent pixels show the background through, rounded to the nearest level; opacity that is full everywhere is
      dropped, whatever ``transparency`` says.
    - CMYK becomes R = (1 - C) (1 - K) and so on, without colour profiles; embedded profiles of other images are not
      applied either.
    - The EXIF (or TIFF) orientation is applied.

    JPEG and most TIFF have no checksums, so bits that were changed inside a file of the right length give other pixels;
    so does a progressive JPEG that was closed properly after one of its earlier scans.

    Args:
        path: a PNG, JPEG or TIFF file, whatever its name.
        member: which image of a TIFF that holds several, for example "page[2]".
        max_pixels: an image of more (width times height) is refused from its header, before any memory is given to it.
        transparency: the background of transparent pixels, or "refuse" for an error where there is one.
        longest_side_px: the size to which the caller is going to scale the image down, if that is known: a JPEG may
            then be returned at 1/2, 1/4 or 1/8 of its size, as long as that is ``REDUCE_ABOVE`` times larger; see
            ``reduction_of``.

    Raises:
        DataError: the file is no image, truncated or damaged, too large, of a kind that is not read, or transparent
            where that is refused; the words before the first colon are a reason that can be counted.
        OSError: the operating system cannot read the file.
    """
    with path.open("rb") as stream:
        page = tiff.find_image(stream, member) if tiff.is_tiff(stream) else None
        stored = page.stored() if page else read_stored(stream)
        if stored.width_px * stored.height_px > max_pixels:
            raise DataError(
                f"over the pixel limit: {stored.width_px} x {stored.height_px} px are more than {max_pixels}"
            )
        reduction = reduction_of(stored, longest_side_px)
        samples = page.decode() if page else _decode_whole(stream, stored, reduction)
    image = _oriented(_to_colours(samples, stored.mode, transparency), stored.orientation)
    _require_agreement(image, stored, reduction)
    return image


def reduction_of(stored: StoredImage, longest_side_px: int | None) -> Reduction:
    """Return by how much a JPEG is reduced while it is decoded, if it is going to be scaled to ``longest_side_px``.

    Only a divisor of both sides is taken: libjpeg makes the last pixel of a row from a block that the picture fills in
    part, so that the picture would be stretched by up to a pixel.

    >>> photo = StoredImage(width_px=4032, height_px=3024, mode="RGB", bit_depth=8, format="JPEG")
    >>> [reduction_of(photo, side) for side in (None, 1024, 504, 252, 112)]
    [1, 1, 2, 4, 8]
    """
    if stored.format != "JPEG" or longest_side_px is None:
        return 1
    sides = stored.width_px, stored.height_px
    for reduction in (8, 4, 2):
        is_large_enough = max(sides) >= reduction * REDUCE_ABOVE * longest_side_px
        if is_large_enough and not any(side % reduction for side in sides):
            return reduction
    return 1


def _decode_whole(stream: io.BufferedIOBase, stored: StoredImage, reduction: Reduction) -> Samples:
    stream.seek(0)
    content = stream.read()
    return decode_jpeg(content, reduction=reduction) if stored.format == "JPEG" else decode_png(content)


def pixel_digest(image: np.ndarray) -> str:
    """Return a digest of size, depth and pixels, equal for images that look the same, whatever file they came from.

    RGB with three equal channels, and (height, width, 1), have the digest of the grey image.

    >>> grey = np.array([[0, 9]], np.uint8)
    >>> pixel_digest(grey) == pixel_digest(np.stack([grey] * 3, axis=2))
    True
    """
    if image.ndim == 3 and _has_equal_channels(image):
        image = image[:, :, 0]
    little_endian = np.ascontiguousarray(image.astype(image.dtype.newbyteorder("<"), copy=False))
    return files.content_digest(f"{image.shape} {image.dtype.name}\n".encode(), little_endian.data)


def _has_equal_channels(image: np.ndarray) -> bool:
    """Return whether every pixel of a colour image is grey; a look at some rows spares most images the whole check."""
    some = image[:: max(1, image.shape[0] // _ROWS_LOOKED_AT)]
    return bool((some == some[:, :, :1]).all() and (image == image[:, :, :1]).all())


def to_uint8(
    image: UInt8[np.ndarray, "*shape"] | UInt16[np.ndarray, "*shape"] | Float32[np.ndarray, "*shape"],
    *,
    intensity: Literal["full", "minmax"],
) -> UInt8[np.ndarray, "*shape"]:
    """Return an image in 8 bits.

    Nothing is clipped in either way. Clipping to percentiles looks better and erases what is brightest or darkest: a
    calcification or an implant is a handful of pixels, fewer than any percentile that would be cut.

    Args:
        image: 8 or 16 bits, or finite float32, of any shape.
        intensity: "full" maps all values that the bit depth can hold to 0..255, so that brightness can be compared
            between images; "minmax" maps the image's own minimum and maximum (over all channels, so that hues stay) to
            0 and 255. An image of one value has no contrast to spread, and becomes 0.

    Raises:
        DataError: the full range is wanted of floating-point numbers, which have none.

    >>> to_uint8(np.array([[0, 300, 65535]], np.uint16), intensity="full").tolist()
    [[0, 1, 255]]
    >>> to_uint8(np.array([[40, 41, 42]], np.uint8), intensity="minmax").tolist()
    [[0, 128, 255]]
    """
    if intensity == "full":
        if image.dtype == np.uint8:
            return image
        if image.dtype == np.float32:
            raise DataError("no full range: floating-point pixels have none; choose another intensity, such as minmax")
        half = _LEVELS_OF_16_BITS_PER_LEVEL_OF_8 // 2
        return ((image.astype(np.uint32) + half) // _LEVELS_OF_16_BITS_PER_LEVEL_OF_8).astype(np.uint8)
    lowest, highest = image.min().item(), image.max().item()
    if lowest == highest:
        return np.zeros_like(image, np.uint8)
    spread = highest - lowest
    if image.dtype == np.float32:
        levels = np.floor((image.astype(np.float64) - lowest) * (255 / spread) + 0.5)
    else:
        levels = ((image.astype(np.uint32) - lowest) * 255 + spread // 2) // spread
    eight_bits: UInt8[np.ndarray, "*shape"] = levels.astype(np.uint8)
    return eight_bits


def _to_colours(samples: Samples, mode: Mode, transparency: Literal["white", "black", "refuse"]) -> Pixels:
    """Resolve opacity and inks."""
    if mode == "CMYK":
        return _without_inks(samples)
    # A palette's opacity is known only once it is looked up: its samples are then three or four.
    if samples.ndim == 2 or samples.shape[2] == 3:
        return samples
    colours, opacity = samples[:, :, :-1], samples[:, :, -1:]
    opaque = np.iinfo(samples.dtype).max
    if (opacity != opaque).any():
        if transparency == "refuse":
            raise DataError("transparent: some pixels are; set transparency to white or black, or export without it")
        background = opaque if transparency == "white" else 0
        colours = _blended(colours, opacity, background, is_premultiplied=mode.endswith("premultiplied"))
    return colours[:, :, 0] if colours.shape[2] == 1 else colours


def _blended(colours: Samples, opacity: Samples, background: int, *, is_premultiplied: bool) -> Samples:
    """Lay colours over a background: colour x opacity + background x (1 - opacity), rounded to the nearest level."""
    opaque = int(np.iinfo(colours.dtype).max)
    # 32 bits hold the largest value, 65535 x 65535 + 32767.
    wide, weight = colours.astype(np.uint32), opacity.astype(np.uint32)
    through = background * (opaque - weight)
    if is_premultiplied:
        # A colour brighter than its opacity allows is an error of the writer, and would pass white.
        mixed = np.minimum(wide + (through + opaque // 2) // opaque, opaque)
    else:
        mixed = (wide * weight + through + opaque // 2) // opaque
    blended: Samples = mixed.astype(colours.dtype)
    return blended


def _without_inks(inks: Samples) -> Pixels:
    """Turn cyan, magenta, yellow and black (0 for none) into RGB by multiplying what each ink lets through."""
    white = int(np.iinfo(inks.dtype).max)
    light = white - inks.astype(np.uint32)
    image: Pixels = ((light[:, :, :3] * light[:, :, 3:] + white // 2) // white).astype(inks.dtype)
    return image


def _oriented(image: Pixels, orientation: int) -> Pixels:
    """Turn and mirror stored pixels by EXIF's orientation, 1 to 8 (EXIF 2.3, table 6)."""
    if orientation >= 5:
        image = image.swapaxes(0, 1)  # 5: mirrored along the main diagonal; 6, 7 and 8 are flips of it
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)


def _require_agreement(image: Pixels, stored: StoredImage, reduction: Reduction) -> None:
    """Refuse pixels that are not what the header promised, which is what the manifest and the buckets go by."""
    header = header_of(stored)
    channels = () if header.channels == 1 else (header.channels,)
    whole = (header.height_px, header.width_px, *channels)
    reduced = (header.height_px // reduction, header.width_px // reduction, *channels)
    if image.shape not in (whole, reduced) or image.dtype.itemsize * 8 != header.bit_depth:
        raise damaged(f"the pixels are {image.dtype} of shape {image.shape}, the header promised {whole}")
