"""One frame of a DICOM file becomes its stored values, the same on every machine; no other frame is decoded.

In: a ``ParsedFile`` with its ``StoredPixels`` and the number of a frame. Out: an array of stored values, colours as RGB
unless they are indices of a palette. What grey values mean is left to ``grey``, palettes and depths to ``colour``.
"""

import struct
from typing import Any, Final

import numpy as np
from jaxtyping import Float, Integer

from radpath.data.dicom.image import JPEG_EXTENDED, PLUGINS, RLE, StoredPixels
from radpath.data.dicom.parsing import EXPLICIT_BIG, ParsedFile, explained
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
    if stored.transfer_syntax != RLE:
        _require_whole(codestream, stored)
    if stored.transfer_syntax == JPEG_EXTENDED and stored.bits_stored > 8:
        return _decode_12_bits(codestream, stored)
    return _decoded(encapsulate([codestream]), parsed, stored, index=0)


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


def _require_whole(codestream: bytes, stored: StoredPixels) -> None:
    """Refuse a codestream without its end, or of another size than the header's, before memory is given to it."""
    if not codestream.rstrip(b"\x00\xff").endswith(_END):  # some writers pad with the one, some with the other
        raise damaged("the compressed frame ends too early")
    size = codestream_size_px(codestream)
    if size != (stored.width_px, stored.height_px):
        held = "has no size" if size is None else f"is {size[0]} x {size[1]} px"
        raise damaged(f"the compressed frame {held}, the header says {stored.width_px} x {stored.height_px} px")


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


def _decode_12_bits(codestream: bytes, stored: StoredPixels) -> Values:
    """Decode JPEG of 12 bits, which the decoders that pydicom can ask refuse."""
    import imagecodecs

    if not stored.is_grey or stored.is_signed:
        raise unsupported("JPEG of 12 bits other than unsigned grey")
    try:
        values = np.asarray(imagecodecs.jpeg8_decode(codestream))
    except imagecodecs.Jpeg8Error:
        raise damaged("decoding failed (Jpeg8Error)") from None
    if values.shape != (stored.height_px, stored.width_px) or values.dtype != np.uint16:
        raise damaged(f"the decoded frame is {values.dtype} of shape {values.shape}")
    return values
