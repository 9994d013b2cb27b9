"""One frame of a DICOM file becomes its stored values, the same on every machine; no other frame is decoded.

In: a ``ParsedFile`` with its ``StoredPixels`` and the number of a frame. Out: an array of stored values, colours as RGB
unless they are indices of a palette. What grey values mean is left to ``grey``, palettes and depths to ``colour``.
"""

import dataclasses
import struct
from functools import partial
from typing import Any, Final

import numpy as np
from jaxtyping import Float, Integer

from radpath.data.dicom.image import JPEG_EXTENDED, JPEG_LOSSLESS, PLUGINS, RLE, StoredPixels
from radpath.data.dicom.parsing import EXPLICIT_BIG, EXPLICIT_LITTLE, ParsedFile, explained
from radpath.data.formats.jpeg import require_last_bits
from radpath.data.formats.stored import damaged, read_exactly, unsupported
from radpath.errors import MissingExtraError

Values = (
    Integer[np.ndarray, "_height _width"]
    | Float[np.ndarray, "_height _width"]
    | Integer[np.ndarray, "_height _width 3"]
)
"""Stored values of one frame."""

_J2K_START: Final = b"\xff\x4f\xff\x51"  # start of codestream, then the sizes
_JPEG_START: Final = b"\xff\xd8"
_END: Final = b"\xff\xd9"  # of JPEG, JPEG-LS and JPEG 2000 alike
# Baseline to lossless, and JPEG-LS; other markers of this range are tables and no frames.
_FRAME_MARKERS: Final = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
_RLE_HEADER_BYTES: Final = 64
_JP2_BOXES_BYTES: Final = 4096  # some writers leave the boxes of a .jp2 file before the codestream


def decode_frame(parsed: ParsedFile, stored: StoredPixels, index: int) -> Values:
    """Return the stored values of one frame.

    Bits beyond ``bits_stored`` are cleared, so that overlays kept there are never seen. YCbCr becomes RGB.

    Args:
        parsed: the file, still open.
        stored: what ``describe`` found in it.
        index: of the frame, from 0.

    Raises:
        DataError: the frame is damaged, or its codestream is of another size than the header says.
        MissingExtraError: a decoder is not installed.
    """
    if stored.is_native and stored.bits_allocated == 1:
        return _unpack_bits(parsed, stored, index)
    if stored.is_native:
        parsed.stream.seek(parsed.pixel_offset)
        return _decoded(parsed.stream, parsed, stored, index=index)
    from pydicom.encaps import encapsulate, get_frame

    parsed.stream.seek(parsed.pixel_offset)
    with explained("finding the frame"):
        codestream = get_frame(parsed.stream, index, number_of_frames=stored.num_frames)
    if stored.transfer_syntax == RLE:
        return _decoded_plain(_unfold_runs(codestream, stored), parsed, stored, is_planar=stored.samples > 1)
    codestream = _whole(codestream, stored)
    if stored.transfer_syntax in JPEG_LOSSLESS or (stored.transfer_syntax == JPEG_EXTENDED and stored.bits_stored > 8):
        return _decoded_plain(_decode_jpeg(codestream, stored), parsed, stored, is_planar=False)
    return _decoded(encapsulate([codestream]), parsed, stored, index=0)


def _decoded_plain(content: bytes, parsed: ParsedFile, stored: StoredPixels, *, is_planar: bool) -> Values:
    """Decode what an uncompressed little-endian file of this one frame would hold."""
    plain = dataclasses.replace(stored, transfer_syntax=EXPLICIT_LITTLE, num_frames=1, is_planar=is_planar)
    return _decoded(content, parsed, plain, index=0)


def _decoded(source: Any, parsed: ParsedFile, stored: StoredPixels, *, index: int) -> Values:  # noqa: ANN401 - bytes or a stream, as pydicom takes both
    from pydicom.pixels.decoders.base import get_decoder

    plugin = PLUGINS[stored.transfer_syntax]
    decoder = get_decoder(stored.transfer_syntax)
    if plugin and plugin not in decoder.available_plugins:
        raise MissingExtraError(f"decoding this DICOM file needs {plugin}: pip install 'radpath[dicom]'")
    with explained("decoding"):
        values, _ = decoder.as_array(source, index=index, decoding_plugin=plugin, **_options(parsed, stored))
    expected = (stored.height_px, stored.width_px) + (() if stored.samples == 1 else (3,))
    if values.shape != expected:
        raise damaged(f"the decoded frame has shape {values.shape}, the header promised {expected}")
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _unfold_runs(codestream: bytes, stored: StoredPixels) -> bytes:
    """Return the little-endian samples of an RLE frame, as planes of colours (PS3.5 annex G).

    Our own on top of a PackBits decoder, since pylibjpeg-rle 2.2 ends the program at malformed segments.
    """
    import imagecodecs

    num_bytes, num_pixels = stored.bits_allocated // 8, stored.height_px * stored.width_px
    num_segments = num_bytes * stored.samples
    if len(codestream) < _RLE_HEADER_BYTES or stored.bits_allocated == 1:
        raise damaged("the RLE header is not whole")
    count, *offsets = struct.unpack_from("<16L", codestream)
    ends = [*offsets[1:num_segments], len(codestream)]
    if count != num_segments or offsets[0] < _RLE_HEADER_BYTES:
        raise damaged(f"the RLE header declares {count} segments; {num_segments} are needed")
    planes = np.empty((num_segments, num_pixels), np.uint8)
    for plane, start, end in zip(planes, offsets, ends, strict=False):
        try:
            unfolded = imagecodecs.packbits_decode(codestream[start:end])
        except imagecodecs.PackbitsError:
            unfolded = b""
        if len(unfolded) < num_pixels:
            raise damaged("an RLE segment ends too early")
        plane[:] = np.frombuffer(unfolded, np.uint8, num_pixels)
    by_sample = planes.reshape(stored.samples, num_bytes, num_pixels)[:, ::-1]  # stored with the highest byte first
    return by_sample.transpose(0, 2, 1).tobytes()


def _unpack_bits(parsed: ParsedFile, stored: StoredPixels, index: int) -> Values:
    """Return a frame of single bits, the first of each byte its lowest; frames follow each other without gaps.

    Our own, since pydicom 3.0 reads a byte too few where a frame begins inside of one.
    """
    if stored.transfer_syntax == EXPLICIT_BIG or stored.samples != 1:
        raise unsupported("single bits in big-endian order or colours")
    num_bits = stored.height_px * stored.width_px
    first_byte, first_bit = divmod(index * num_bits, 8)
    parsed.stream.seek(parsed.pixel_offset + first_byte)
    packed = read_exactly(parsed.stream, (first_bit + num_bits + 7) // 8)
    bits = np.unpackbits(np.frombuffer(packed, np.uint8), bitorder="little")[first_bit : first_bit + num_bits]
    return bits.reshape(stored.height_px, stored.width_px)


def _options(parsed: ParsedFile, stored: StoredPixels) -> dict[str, Any]:
    """Return the image as pydicom's decoders want it described."""
    from pydicom.uid import UID

    numbers_of_integers = {} if stored.is_float else {"pixel_representation": int(stored.is_signed)}
    return {
        "transfer_syntax_uid": UID(stored.transfer_syntax),
        "pixel_keyword": stored.keyword,
        "pixel_vr": parsed.pixel_vr or "OW",
        "rows": stored.height_px,
        "columns": stored.width_px,
        "number_of_frames": stored.num_frames if stored.is_native else 1,
        "samples_per_pixel": stored.samples,
        "photometric_interpretation": stored.photometric,
        "bits_allocated": stored.bits_allocated,
        "bits_stored": stored.bits_stored,
        "planar_configuration": int(stored.is_planar),
        **numbers_of_integers,
    }


def _whole(codestream: bytes, stored: StoredPixels) -> bytes:
    """Return the codestream without the boxes of a .jp2 file, in which pydicom 3.0 can search for ever.

    Raises:
        DataError: it lacks its end, or has another size than the header's; no memory was given to it yet.
    """
    if not codestream.rstrip(b"\x00\xff").endswith(_END):  # some writers pad with the one, some with the other
        raise damaged("the compressed frame ends too early")
    size = codestream_size_px(codestream)
    if size != (stored.width_px, stored.height_px):
        held = "has no size" if size is None else f"is {size[0]} x {size[1]} px"
        raise damaged(f"the compressed frame {held}, the header says {stored.width_px} x {stored.height_px} px")
    return codestream if codestream.startswith(_JPEG_START) else codestream[codestream.find(_J2K_START) :]


def codestream_size_px(codestream: bytes) -> tuple[int, int] | None:
    """Return width and height of a JPEG, JPEG-LS or JPEG 2000 codestream; None where it says neither.

    >>> codestream_size_px(bytes.fromhex("ffd8 ffc0 000b 08 0002 0003 01 011100"))
    (3, 2)
    """
    if not codestream.startswith(_JPEG_START):
        start = codestream.find(_J2K_START, 0, _JP2_BOXES_BYTES)
        if start < 0 or len(codestream) < start + 24:
            return None
        right, bottom, left, top = struct.unpack_from(">4L", codestream, start + 8)
        return right - left, bottom - top
    position = 2
    while position + 9 <= len(codestream) and codestream[position] == 0xFF:
        marker = codestream[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        if marker in _FRAME_MARKERS:
            height, width = struct.unpack_from(">HH", codestream, position + 5)
            return width, height
        position += 2 + struct.unpack_from(">H", codestream, position + 2)[0]
    return None


def _decode_jpeg(codestream: bytes, stored: StoredPixels) -> bytes:
    """Return the samples of lossless JPEG, or of JPEG with 12 bits, as they are in the codestream.

    By libjpeg-turbo: pydicom's plug-ins refuse 12 bits, and gdcm prints what it finds odd and goes on.
    """
    import imagecodecs

    colours = "GRAYSCALE" if stored.samples == 1 else "RGB"
    decode = partial(imagecodecs.jpeg8_decode, colorspace=colours, outcolorspace=colours)
    values = require_last_bits(codestream, decode)
    expected = (stored.height_px, stored.width_px) + (() if stored.samples == 1 else (3,))
    if values.shape != expected or values.dtype.itemsize * 8 > stored.bits_allocated:
        raise damaged(f"the decoded frame is {values.dtype} of shape {values.shape}, the header promised {expected}")
    return values.astype(f"<u{stored.bits_allocated // 8}").tobytes()
