"""The pixels of one page of a TIFF.

In: a page that ``tiff_page`` accepted, whose file is open. Out: ``Samples``. tifffile decodes strips, tiles and
predictors, except for JPEG, whose streams are decoded one by one here, each once. Here stands what samples mean
(tifffile leaves MINISWHITE, planes and palettes as they are), and the damage that tifffile fills in without a word:
absent strips, streams that are cut short or of another size.
"""

import functools
import io
import math
import operator
import struct
from collections.abc import Iterator
from typing import Final, Literal

import numpy as np
import tifffile
from jaxtyping import Float32, Shaped, UInt8

from radpath.data.formats import jpeg
from radpath.data.formats.stored import Samples, StoredImage, damaged, look_up, unsupported
from radpath.data.formats.tiff_directory import explained_errors
from radpath.data.formats.tiff_page import JPEG, JPEG_2000, MINISWHITE, RGB, place_tags, segment_size_px
from radpath.errors import DataError

_CODE_STREAM: Final = b"\xff\x4f\xff\x51"  # how JPEG 2000 begins; its size follows
_END_OF_CODE_STREAM: Final = b"\xff\xd9"
_FEWEST_STEPS: Final = 65536  # what 16 bits would keep of an image's range


def decode_page(page: tifffile.TiffPage, stored: StoredImage, *, skip_bytes: int = 0) -> Samples:
    """Return the pixels of a page; values of more than 16 bits, signed or fractional ones as float32.

    Args:
        page: accepted by ``tiff_page.parse_page``.
        stored: what that returned.
        skip_bytes: how far behind the page's own pixels those of another image begin that it describes as well (a
            stack of ImageJ); only for pixels that are not compressed.

    Raises:
        DataError: the pixels are truncated or damaged, not finite, or more than float32 can hold.
    """
    num_bytes = page.parent.filehandle.size
    _require_every_segment(page, num_bytes - skip_bytes)
    if skip_bytes:
        samples = _read_plain(page, skip_bytes)
    elif page.compression == JPEG:
        samples = _join_segments(page)
    else:
        if page.compression in JPEG_2000:
            _require_whole_code_streams(page)
        with explained_errors():
            samples = page.asarray(maxworkers=1)  # several images are decoded side by side already
    return _interpret(page, stored, samples.astype(samples.dtype.newbyteorder("="), copy=False))


def to_float32(numbers: Shaped[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
    """Return numbers of any type rounded to float32, which keeps 24 significant bits.

    Raises:
        DataError: some numbers are NaN or infinite, or too large for float32; or rounding would move one by more than
            1/65,536 of the range from the lowest to the highest.

    >>> to_float32(np.array([-1000, 3000], np.int16)).tolist()
    [-1000.0, 3000.0]
    """
    num_wrong = numbers.size - int(np.isfinite(numbers).sum())
    if num_wrong:
        raise DataError(f"not finite: {num_wrong} of {numbers.size} numbers are NaN or infinite; write others there")
    lowest, highest = float(numbers.min()), float(numbers.max())
    if max(-lowest, highest) > float(np.finfo(np.float32).max):
        raise unsupported(f"numbers from {lowest:g} to {highest:g}, larger than 32-bit floating point holds")
    rounded = numbers.astype(np.float32, copy=False)
    if numbers.itemsize > 2 and numbers.dtype != np.float32 and highest > lowest:
        largest_error = float(np.abs(rounded.astype(np.float64) - numbers).max())
        if largest_error > (highest - lowest) / _FEWEST_STEPS:
            raise unsupported(f"numbers from {lowest:.10g} to {highest:.10g}, closer than 32-bit floating point holds")
    return rounded


def _require_every_segment(page: tifffile.TiffPage, num_bytes: int) -> None:
    """Refuse strips or tiles that are absent or cut; tifffile fills them with zeros, or reads what follows."""
    with explained_errors():
        offsets, counts = (page.tags[tag].value for tag in place_tags(page))
        num_segments = math.prod(page.chunked)
        if not num_segments == len(offsets) == len(counts):
            raise damaged(f"the TIFF lists {len(offsets)} of {num_segments} strips or tiles")
        if not all(isinstance(number, int) and number > 0 for number in (*offsets, *counts)):
            raise damaged("strips or tiles of the TIFF are missing")
        if max(map(operator.add, offsets, counts)) > num_bytes:
            raise damaged("the TIFF ends before its last strip or tile")
        if page.is_contiguous and sum(counts) < page.nbytes:
            raise damaged(f"the strips or tiles of the TIFF hold {sum(counts)} of {page.nbytes} bytes")


def _read_plain(page: tifffile.TiffPage, skip_bytes: int) -> np.ndarray:
    """Return pixels that are not compressed, from ``skip_bytes`` behind those of the page on."""
    stream = page.parent.filehandle
    stream.seek(page.dataoffsets[0] + skip_bytes)
    samples: np.ndarray = np.frombuffer(stream.read(page.nbytes), f"{page.parent.byteorder}{page.dtype.char}")
    return samples.reshape(page.shape)


def _streams(page: tifffile.TiffPage) -> Iterator[bytes]:
    """Yield the bytes of each strip or tile."""
    for start, num_bytes in zip(page.dataoffsets, page.databytecounts, strict=True):
        page.parent.filehandle.seek(start)
        yield page.parent.filehandle.read(num_bytes)


def _join_segments(page: tifffile.TiffPage) -> UInt8[np.ndarray, "height width *samples"]:
    """Decode the JPEG streams of a page, each to its place; tifffile would reshape one of another size to fit."""
    is_planar = page.samplesperpixel > 1 and page.planarconfig == 2
    width_px, height_px = segment_size_px(page)
    tops, lefts = range(0, page.imagelength, height_px), range(0, page.imagewidth, width_px)
    together = np.empty((page.imagelength, page.imagewidth, page.samplesperpixel), np.uint8)
    planes = range(page.samplesperpixel) if is_planar else [slice(None)]
    places = ((plane, top, left) for plane in planes for top in tops for left in lefts)
    for index, ((plane, top, left), stream) in enumerate(zip(places, _streams(page), strict=True)):
        part = together[top : top + height_px, left : left + width_px, plane]
        segment = _decode_segment(page, index, stream, part.shape[0])
        part[...] = segment[: part.shape[0], : part.shape[1]].reshape(part.shape)
    if page.samplesperpixel == 1:
        return together[:, :, 0]
    return together


def _decode_segment(page: tifffile.TiffPage, index: int, stream: bytes, rows_needed: int) -> np.ndarray:
    """Decode one JPEG stream, which must be of the strip's or tile's size; the last strip may be shorter."""
    width_px, height_px = segment_size_px(page)
    num_samples = page.samplesperpixel if page.planarconfig == 1 else 1
    frame = jpeg.read_frame(io.BytesIO(stream))
    if frame.has_jfif_marker and page.photometric == RGB and num_samples == 3:
        raise unsupported("a TIFF that says its JPEG streams are RGB, while they say YCbCr")
    declared = (frame.width_px, frame.height_px, frame.num_components)
    if declared[0] != width_px or not rows_needed <= declared[1] <= height_px or declared[2] != num_samples:
        raise damaged(f"a JPEG stream in the TIFF declares {declared} as width, height and samples")
    if not frame.has_adobe_marker:
        colours: Literal["RGB", "YCbCr"] = "RGB" if page.photometric == RGB else "YCbCr"
        samples = jpeg.decode_strictly(jpeg.with_tables(stream, page.jpegtables, colours=colours), num_samples)
        if samples is not None:
            return samples
    return jpeg.require_last_bits(stream, functools.partial(_decode_with_tifffile, page, index))


def _decode_with_tifffile(page: tifffile.TiffPage, index: int, stream: bytes) -> np.ndarray:
    with explained_errors():
        segment: np.ndarray = page.decode(stream, index, jpegtables=page.jpegtables)[0][0]
    return segment


def _require_whole_code_streams(page: tifffile.TiffPage) -> None:
    """Refuse JPEG 2000 streams that are cut short, or that declare anything but a strip or tile of this page.

    tifffile would reshape a stream of another size until it fits, and reserve memory for any size that it declares.
    """
    width_px, height_px = segment_size_px(page)
    num_samples = page.samplesperpixel if page.planarconfig == 1 else 1
    for stream in _streams(page):
        declared = _declared_by_jpeg_2000(stream)
        if declared[0] != width_px or declared[1] > height_px or declared[2:] != (num_samples, page.bitspersample):
            raise damaged(f"a JPEG 2000 stream in the TIFF declares {declared} as width, height, samples and bits")


def _declared_by_jpeg_2000(stream: bytes) -> tuple[int, int, int, int]:
    """Return width, height, samples and bits a sample (ITU-T T.800, A.5.1); OpenJPEG does not mind an absent end."""
    start = stream.find(_CODE_STREAM)
    if start < 0 or len(stream) < start + 43 or not stream.rstrip(b"\0").endswith(_END_OF_CODE_STREAM):
        raise damaged("a JPEG 2000 stream in the TIFF is cut short")
    right, bottom, left, top = struct.unpack_from(">4I", stream, start + 8)
    num_components, depth = struct.unpack_from(">HB", stream, start + 40)
    return right - left, bottom - top, num_components, depth + 1


def _interpret(page: tifffile.TiffPage, stored: StoredImage, samples: np.ndarray) -> Samples:
    """Turn stored numbers into grey levels or colours."""
    if samples.ndim == 3:
        is_planar = page.planarconfig == 2 and page.compression != JPEG
        together = samples.transpose(1, 2, 0) if is_planar else samples
        # A fourth sample that is not said to be opacity is left out.
        samples = together[:, :, :3] if stored.mode == "RGB" else together
    elif stored.mode == "palette":
        return look_up(samples, _colours(page))
    if page.photometric == MINISWHITE:
        brightest = 2**page.bitspersample - 1
        samples = (samples.astype(np.uint8) if samples.dtype == np.bool_ else samples) ^ brightest
    if stored.bit_depth == 32:
        return to_float32(samples)
    return _spread(samples, page.bitspersample)


def _spread(levels: np.ndarray, bits: int) -> Samples:
    """Scale levels of any number of bits up to 16 to those of 8 or 16, so that black and white stay what they are."""
    if bits in (8, 16):
        return levels
    brightest = 2**bits - 1
    if bits < 8:
        return levels.astype(np.uint8) * np.uint8(255 // brightest)
    spread: Samples = ((levels.astype(np.uint32) * 65535 + brightest // 2) // brightest).astype(np.uint16)
    return spread


def _colours(page: tifffile.TiffPage) -> UInt8[np.ndarray, "colours 3"]:
    """Return the palette in 8 bits; some writers store 8-bit values where 16 are meant, as libtiff knows too."""
    wide = np.asarray(page.tags.valueof(320, default=()))
    if wide.dtype.kind not in "iu" or wide.size != 3 * 2**page.bitspersample:
        raise damaged(f"the palette of the TIFF has {wide.size} numbers")
    eight_bits: UInt8[np.ndarray, "3 colours"] = (wide if int(wide.max()) <= 255 else wide >> 8).astype(np.uint8)
    return eight_bits.reshape(3, -1).T
