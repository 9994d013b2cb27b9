"""PNG (ISO/IEC 15948): header and pixels.

The container is read here: chunks and their checksums are verified, and the pixels decompressed to exactly the size
that the header declares, so that nothing cut short or too long goes further. libpng (imagecodecs) then undoes the
filters; it gets each pass of an interlaced image as an image of its own, and
no metadata that it would complain about.
"""

import dataclasses
import io
import struct
import zlib
from collections.abc import Iterator
from typing import Final

import imagecodecs
import numpy as np
from jaxtyping import UInt8

from radpath.data.formats.stored import Mode, Samples, StoredImage, damaged, look_up, read_exactly, unsupported
from radpath.data.formats.tiff_directory import exif_orientation

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"

_HEADER_BYTES: Final = 33  # the signature and the IHDR chunk

_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGBA = 0, 2, 3, 4, 6  # colour types
_SAMPLES: Final = {_GREY: 1, _RGB: 3, _PALETTE: 1, _GREY_ALPHA: 2, _RGBA: 4}
_BIT_DEPTHS: Final = {
    _GREY: (1, 2, 4, 8, 16),
    _RGB: (8, 16),
    _PALETTE: (1, 2, 4, 8),
    _GREY_ALPHA: (8, 16),
    _RGBA: (8, 16),
}
_MODES: Final[dict[int, tuple[Mode, Mode]]] = {  # without and with a tRNS chunk
    _GREY: ("grey", "grey+alpha"),
    _RGB: ("RGB", "RGBA"),
    _PALETTE: ("palette", "palette+alpha"),
    _GREY_ALPHA: ("grey+alpha", "grey+alpha"),
    _RGBA: ("RGBA", "RGBA"),
}
_ADAM7: Final = (  # first row, first column, row step, column step of each pass
    (0, 0, 8, 8),
    (0, 4, 8, 8),
    (4, 0, 8, 4),
    (0, 2, 4, 4),
    (2, 0, 4, 2),
    (0, 1, 2, 2),
    (1, 0, 2, 1),
)
_MAX_CHUNK_BYTES: Final = 1 << 30  # PNG's own limit is 2**31 - 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Pass:
    """One of the seven passes of an interlaced image, or the only pass of any other."""

    row: int
    column: int
    row_step: int
    column_step: int
    num_rows: int
    num_columns: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Header:
    """The IHDR chunk."""

    width_px: int
    height_px: int
    bit_depth: int
    colour_type: int
    is_interlaced: bool

    def num_bytes(self, num_rows: int, num_columns: int) -> int:
        """Return how many bytes a pass has once decompressed: each row begins with the number of its filter."""
        row_bits = num_columns * self.bit_depth * _SAMPLES[self.colour_type]
        return num_rows * (1 + (row_bits + 7) // 8)

    def passes(self) -> list[_Pass]:
        """Return the passes that are not empty."""
        steps = _ADAM7 if self.is_interlaced else ((0, 0, 1, 1),)
        every = [
            _Pass(
                row=row,
                column=column,
                row_step=row_step,
                column_step=column_step,
                num_rows=-(-(self.height_px - row) // row_step),
                num_columns=-(-(self.width_px - column) // column_step),
            )
            for row, column, row_step, column_step in steps
        ]
        return [one for one in every if one.num_rows > 0 and one.num_columns > 0]


def read_png(stream: io.BufferedIOBase) -> StoredImage:
    """Read the header of a stream that begins with ``SIGNATURE``, and walk over its chunks without reading pixels.

    Raises:
        DataError: the file ends before its last chunk, its header is impossible, or it is animated.
    """
    header = _parse_header(stream.read(_HEADER_BYTES))
    has_transparency, orientation = False, 1
    for kind, length in _walk_chunks(stream):
        if kind == b"tRNS":
            has_transparency = True
        elif kind == b"acTL":
            raise unsupported("an animated PNG; save the frame that is meant as a file of its own")
        elif kind == b"eXIf":
            orientation = exif_orientation(read_exactly(stream, length))
    mode = _MODES[header.colour_type][has_transparency]
    return StoredImage(
        width_px=header.width_px,
        height_px=header.height_px,
        mode="bilevel" if mode == "grey" and header.bit_depth == 1 else mode,
        bit_depth=16 if header.bit_depth == 16 else 8,
        format="PNG",
        orientation=orientation,
    )


def decode_png(content: bytes) -> Samples:
    """Return the pixels of a whole PNG file.

    Raises:
        DataError: the file is truncated or damaged.
    """
    header = _parse_header(content[:_HEADER_BYTES])
    chunks = _verified_chunks(content)
    palette, transparency, compressed = (
        b"".join(data for kind, data in chunks if kind == wanted) for wanted in (b"PLTE", b"tRNS", b"IDAT")
    )
    if header.colour_type == _PALETTE:
        indices = _decode_passes(dataclasses.replace(header, colour_type=_GREY), compressed, b"")
        spread = 255 // (2**header.bit_depth - 1)  # libpng spreads grey levels over 0..255
        return look_up(indices // np.uint8(spread), _colours(palette, transparency))
    return _decode_passes(header, compressed, transparency if header.colour_type in (_GREY, _RGB) else b"")


def _parse_header(start: bytes) -> _Header:
    """Read the signature and the IHDR chunk, which is always the first and has its own checksum."""
    kind_and_data = start[len(SIGNATURE) + 4 : -4]
    if len(start) < _HEADER_BYTES or start[len(SIGNATURE) : len(SIGNATURE) + 8] != b"\0\0\0\x0dIHDR":
        raise damaged("the PNG has no header")
    if zlib.crc32(kind_and_data) != int.from_bytes(start[-4:], "big"):
        raise damaged("the checksum of the PNG header is wrong")
    width_px, height_px, bit_depth, colour_type, compression, filtering, interlace = struct.unpack(
        ">IIBBBBB", kind_and_data[4:]
    )
    if bit_depth not in _BIT_DEPTHS.get(colour_type, ()) or compression or filtering or interlace > 1:
        raise damaged("the PNG header declares a kind of image that does not exist")
    if not width_px or not height_px:
        raise damaged(f"the PNG header declares {width_px} x {height_px} px")
    return _Header(
        width_px=width_px,
        height_px=height_px,
        bit_depth=bit_depth,
        colour_type=colour_type,
        is_interlaced=bool(interlace),
    )


def _walk_chunks(stream: io.BufferedIOBase) -> Iterator[tuple[bytes, int]]:
    """Yield kind and length of each chunk after the header; the stream stands at its data, which need not be read."""
    kind = b""
    while kind != b"IEND":
        length, kind = struct.unpack(">I4s", read_exactly(stream, 8))
        data_at = stream.tell()
        yield kind, length
        stream.seek(data_at + length)
        read_exactly(stream, 4)


def _verified_chunks(content: bytes) -> list[tuple[bytes, memoryview]]:
    """Return kind and data of each chunk after the header, up to IEND, with its checksum verified."""
    whole = memoryview(content)
    chunks: list[tuple[bytes, memoryview]] = []
    at = _HEADER_BYTES
    while not chunks or chunks[-1][0] != b"IEND":
        if at + 12 > len(content):
            raise damaged("the PNG ends before its last chunk")
        length, kind = struct.unpack_from(">I4s", content, at)
        end = at + 8 + length
        if zlib.crc32(whole[at + 4 : end]) != int.from_bytes(content[end : end + 4], "big"):
            raise damaged(f"the checksum of the PNG chunk at byte {at} is wrong")
        chunks.append((kind, whole[at + 8 : end]))
        at = end + 4
    return chunks


def _decode_passes(header: _Header, compressed: bytes, transparency: bytes) -> Samples:
    """Decompress and decode every pass, and weave them into one image."""
    passes = header.passes()
    sizes = [header.num_bytes(one.num_rows, one.num_columns) for one in passes]
    filtered = memoryview(_inflate(compressed, sum(sizes)))
    woven: Samples | None = None
    start = 0
    for one, size in zip(passes, sizes, strict=True):
        part = _undo_filters(header, one, filtered[start : start + size], transparency)
        if not header.is_interlaced:
            return part
        if woven is None:
            woven = np.empty((header.height_px, header.width_px, *part.shape[2:]), part.dtype)
        woven[one.row :: one.row_step, one.column :: one.column_step] = part
        start += size
    assert woven is not None  # an image of one pixel has one pass
    return woven


def _inflate(compressed: bytes, num_bytes: int) -> bytes:
    """Decompress to exactly ``num_bytes``; a stream that holds more is not decompressed further."""
    inflater = zlib.decompressobj()
    try:
        pixels = inflater.decompress(compressed, num_bytes)
        surplus = inflater.decompress(inflater.unconsumed_tail, 1)
    except zlib.error as error:
        raise damaged(f"the pixels of the PNG cannot be decompressed ({error})") from None
    if len(pixels) < num_bytes or surplus or not inflater.eof:
        found = "more" if surplus else f"{len(pixels)}"
        raise damaged(f"the PNG holds {found} of {num_bytes} bytes of pixels")
    return pixels


def _undo_filters(header: _Header, one: _Pass, filtered: memoryview, transparency: bytes) -> Samples:
    """Let libpng decode one pass, wrapped as an uncompressed PNG without metadata."""
    size = struct.pack(">II", one.num_columns, one.num_rows)
    wrapped = [SIGNATURE, _chunk(b"IHDR", size + bytes([header.bit_depth, header.colour_type, 0, 0, 0]))]
    if transparency:
        if len(transparency) != 2 * _SAMPLES[header.colour_type]:
            raise damaged("the PNG's transparent colour has the wrong length")
        wrapped.append(_chunk(b"tRNS", transparency))
    packed = zlib.compress(filtered, level=0)
    wrapped += [
        _chunk(b"IDAT", packed[start : start + _MAX_CHUNK_BYTES]) for start in range(0, len(packed), _MAX_CHUNK_BYTES)
    ]
    try:
        return imagecodecs.png_decode(b"".join([*wrapped, _chunk(b"IEND", b"")]))
    except (RuntimeError, ValueError) as error:  # imagecodecs' errors are RuntimeErrors
        raise damaged(f"the pixels of the PNG cannot be decoded ({error})") from None


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


def _colours(palette: bytes, transparency: bytes) -> UInt8[np.ndarray, "colours samples"]:
    """Return the palette with three samples a colour, or four where some are transparent; the rest are opaque."""
    if not palette or len(palette) % 3 or len(transparency) > len(palette) // 3:
        raise damaged("the palette of the PNG has the wrong length")
    colours = np.frombuffer(palette, np.uint8).reshape(-1, 3)
    if not transparency:
        return colours
    opacity = np.full((len(colours), 1), 255, np.uint8)
    opacity[: len(transparency), 0] = np.frombuffer(transparency, np.uint8)
    return np.hstack([colours, opacity])
