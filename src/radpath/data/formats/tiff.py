"""TIFF 6.0 and BigTIFF of one page: header and pixels.

The directory is read and checked by ``tiff_directory`` and ``tiff_layout``; here every strip or tile is decompressed
(imagecodecs) to exactly the size that the directory declares. Readers that guess give wrong pixels without a word:
planes taken for rows, MINISWHITE left inverted, missing strips filled with zeros.
"""

import io
import struct
from collections.abc import Callable
from typing import Final

import imagecodecs
import numpy as np
from jaxtyping import UInt8

from radpath.data.formats.jpeg import decode_scans, read_frame
from radpath.data.formats.stored import Samples, StoredImage, damaged, look_up, scale_to_8_bits, unsupported
from radpath.data.formats.tiff_directory import read_directory
from radpath.data.formats.tiff_layout import (
    DEFLATE,
    JPEG,
    JPEG_2000,
    LZW,
    MINISWHITE,
    NO_COMPRESSION,
    PACKBITS,
    YCBCR,
    ZSTD,
    Layout,
    Segment,
    parse_layout,
    parse_segments,
)

_DECOMPRESSORS: Final[dict[int, Callable[..., bytes | bytearray]]] = {
    LZW: imagecodecs.lzw_decode,
    PACKBITS: imagecodecs.packbits_decode,
    ZSTD: imagecodecs.zstd_decode,
    **dict.fromkeys(DEFLATE, imagecodecs.zlib_decode),
}
_CODE_STREAM: Final = b"\xff\x4f\xff\x51"  # how JPEG 2000 begins; its size follows
_END_OF_CODE_STREAM: Final = b"\xff\xd9"


def read_tiff(stream: io.BufferedIOBase) -> StoredImage:
    """Read the header of a stream that begins with one of ``tiff_directory.SIGNATURES``.

    Raises:
        DataError: the directory is damaged, or declares a kind of TIFF that is not read.
    """
    return parse_layout(read_directory(stream)).stored


def decode_tiff(content: bytes) -> Samples:
    """Return the pixels of a whole TIFF file.

    Raises:
        DataError: the file is truncated or damaged.
    """
    directory = read_directory(io.BytesIO(content))
    layout = parse_layout(directory)
    segments = parse_segments(directory, layout)
    if max(segment.end for segment in segments) > len(content):
        raise damaged("the TIFF ends before its last strip or tile")
    shape = (layout.stored.height_px, layout.stored.width_px, layout.samples_per_pixel)
    samples = np.empty(shape, np.uint16 if layout.bits_per_sample == 16 else np.uint8)
    for segment in segments:
        part = _decode_segment(layout, segment, content[segment.start : segment.end])
        rows = slice(segment.row, segment.row + segment.num_rows)
        columns = slice(segment.column, segment.column + segment.num_columns)
        planes = slice(segment.plane, segment.plane + layout.samples_per_segment)
        samples[rows, columns, planes] = part[: segment.num_rows, : segment.num_columns]
    return _interpret(layout, samples)


def _interpret(layout: Layout, samples: Samples) -> Samples:
    """Turn stored numbers into grey levels or colours."""
    if layout.samples_per_pixel > 1:
        # A fourth sample that is not said to be opacity is left out.
        return samples[:, :, :3] if layout.stored.mode == "RGB" else samples
    levels = samples[:, :, 0]
    if layout.stored.mode == "palette":
        return look_up(levels, _colours(layout.colour_map))
    if layout.photometric == MINISWHITE:
        levels = levels.dtype.type(2**layout.bits_per_sample - 1) - levels
    return levels if layout.stored.bit_depth == 16 else scale_to_8_bits(levels, bit_depth=layout.bits_per_sample)


def _colours(colour_map: tuple[int, ...]) -> UInt8[np.ndarray, "colours 3"]:
    """Return the palette in 8 bits; some writers store 8-bit values where 16 are meant, as libtiff knows too."""
    wide = np.array(colour_map, np.uint16).reshape(3, -1).T
    return (wide if int(wide.max()) <= 255 else wide >> 8).astype(np.uint8)


def _decode_segment(layout: Layout, segment: Segment, data: bytes) -> Samples:
    """Return the samples of one strip or tile, (rows, columns, samples), at least the rows and columns it must have."""
    try:
        if layout.compression == JPEG:
            samples = _decode_jpeg(layout, segment, data)
        elif layout.compression in JPEG_2000:
            samples = _decode_jpeg_2000(layout, segment, data)
        else:
            samples = _decode_packed(layout, segment, data)
    except (RuntimeError, ValueError) as error:  # imagecodecs' errors are RuntimeErrors
        raise damaged(f"a strip or tile of the TIFF cannot be decompressed ({error})") from None
    return samples


def _decode_packed(layout: Layout, segment: Segment, data: bytes | bytearray) -> Samples:
    row_samples = layout.segment_width_px * layout.samples_per_segment
    row_bytes = (row_samples * layout.bits_per_sample + 7) // 8
    # Tiles are always whole; the last strip may be whole or end with the image.
    needed_rows = layout.segment_height_px if layout.is_tiled else segment.num_rows
    if layout.compression != NO_COMPRESSION:
        # A stream that holds more than a whole strip or tile is an error, so memory is bounded.
        data = _DECOMPRESSORS[layout.compression](data, out=layout.segment_height_px * row_bytes)
    if len(data) < needed_rows * row_bytes:
        raise damaged(f"a strip or tile of the TIFF holds {len(data)} of {needed_rows * row_bytes} bytes")
    packed = np.frombuffer(data, np.uint8, needed_rows * row_bytes)
    flat: np.ndarray
    if layout.bits_per_sample == 16:
        flat = packed.view(f"{layout.byte_order}u2").astype(np.uint16)
    elif layout.bits_per_sample == 8:
        flat = packed
    else:
        flat = _unpack_bits(packed.reshape(needed_rows, row_bytes), row_samples, layout.bits_per_sample)
    samples = flat.reshape(needed_rows, layout.segment_width_px, layout.samples_per_segment)
    return np.add.accumulate(samples, axis=1, dtype=samples.dtype) if layout.has_differences else samples


def _unpack_bits(
    packed: UInt8[np.ndarray, "rows bytes"], row_samples: int, bits_per_sample: int
) -> UInt8[np.ndarray, "rows samples"]:
    """Return samples of 1, 2 or 4 bits; each row begins with a new byte."""
    bits = np.unpackbits(packed, axis=1)[:, : row_samples * bits_per_sample]
    weights = (1 << np.arange(bits_per_sample)[::-1]).astype(np.uint8)
    return bits.reshape(len(packed), row_samples, bits_per_sample) @ weights


def _decode_jpeg(layout: Layout, segment: Segment, data: bytes) -> Samples:
    frame = read_frame(io.BytesIO(data))
    _require_size(layout, segment, (frame.width_px, frame.height_px, frame.num_components, 8))
    # TIFF itself says what the samples mean, whatever markers the JPEG stream carries.
    stored_as = None
    if layout.samples_per_segment == 3:
        stored_as = "YCBCR" if layout.photometric == YCBCR else "RGB"
    if stored_as == "RGB" and frame.has_jfif_marker:
        raise unsupported("a TIFF that says its JPEG streams are RGB, while they say YCbCr")
    samples = decode_scans(data, tables=layout.jpeg_tables, stored_as=stored_as)
    return samples.reshape(*samples.shape[:2], -1)


def _decode_jpeg_2000(layout: Layout, segment: Segment, data: bytes) -> Samples:
    start = data.find(_CODE_STREAM)
    if start < 0 or len(data) < start + 43 or not data.rstrip(b"\0").endswith(_END_OF_CODE_STREAM):
        raise damaged("a JPEG 2000 stream in the TIFF is cut short")
    right, bottom, left, top = struct.unpack_from(">4I", data, start + 8)
    num_components, depth = struct.unpack_from(">HB", data, start + 40)
    _require_size(layout, segment, (right - left, bottom - top, num_components, depth + 1))
    samples: Samples = imagecodecs.jpeg2k_decode(data)
    return samples.reshape(*samples.shape[:2], -1)


def _require_size(layout: Layout, segment: Segment, declared: tuple[int, int, int, int]) -> None:
    """Refuse a JPEG stream whose own header contradicts the directory, before it is given memory."""
    width_px, height_px, num_samples, bits_per_sample = declared
    if (
        width_px != layout.segment_width_px
        or not segment.num_rows <= height_px <= layout.segment_height_px
        or (num_samples, bits_per_sample) != (layout.samples_per_segment, layout.bits_per_sample)
    ):
        raise damaged(
            f"a JPEG stream in the TIFF declares {width_px} x {height_px} px, {num_samples} x {bits_per_sample} bits"
        )
