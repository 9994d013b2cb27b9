"""PNG (ISO/IEC 15948): header and pixels.

libpng (imagecodecs) decodes. The chunks are walked over here, since a header scan needs them without decoding, and
since libpng only logs what is wrong outside of the pixels that it needs: a checksum of metadata, a transparent colour
of the wrong length, more pixels than the header declares. Palettes are looked up here, since libpng paints a colour
behind the palette's end black.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Final, NamedTuple

import imagecodecs
import numpy as np
from jaxtyping import UInt8

from radpath.data.formats.stored import Mode, Samples, StoredImage, damaged, look_up, read_exactly, unsupported
from radpath.data.formats.tiff_directory import exif_orientation

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"

_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGBA = 0, 2, 3, 4, 6  # colour types
_KINDS: Final[dict[int, tuple[int, tuple[int, ...], Mode, Mode]]] = {
    # samples a pixel, bits a sample, what they are without a tRNS chunk, and with one
    _GREY: (1, (1, 2, 4, 8, 16), "grey", "grey+alpha"),
    _RGB: (3, (8, 16), "RGB", "RGBA"),
    _PALETTE: (1, (1, 2, 4, 8), "palette", "palette+alpha"),
    _GREY_ALPHA: (2, (8, 16), "grey+alpha", "grey+alpha"),
    _RGBA: (4, (8, 16), "RGBA", "RGBA"),
}
# First row and column, and steps of rows and columns, of the passes of an interlaced image and of any other.
_ADAM7: Final = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
_ONE_PASS: Final = ((0, 0, 1, 1),)


class _Header(NamedTuple):
    """The IHDR chunk, in its order."""

    width_px: int
    height_px: int
    bit_depth: int
    colour_type: int
    compression: int
    filtering: int
    interlacing: int

    def num_pixel_bytes(self) -> int:
        """Return how many bytes the decompressed pixels have: each row begins with the number of its filter."""
        pixel_bits = self.bit_depth * _KINDS[self.colour_type][0]
        num_bytes = 0
        for row, column, row_step, column_step in _ADAM7 if self.interlacing else _ONE_PASS:
            num_columns = len(range(column, self.width_px, column_step))
            row_bytes = 1 + (num_columns * pixel_bits + 7) // 8
            num_bytes += len(range(row, self.height_px, row_step)) * row_bytes if num_columns else 0
        return num_bytes


def read_png(stream: io.BufferedIOBase) -> StoredImage:
    """Read the header of a stream that begins with ``SIGNATURE``, and walk over its chunks without reading pixels.

    Raises:
        DataError: the file ends before its last chunk, its header is impossible, or it is animated.
    """
    header = _read_header(stream)
    has_transparency, orientation = False, 1
    for kind, length in _walk_chunks(stream):
        if kind == b"tRNS":
            has_transparency = True
        elif kind == b"acTL":
            raise unsupported("an animated PNG; save the frame that is meant as a file of its own")
        elif kind == b"eXIf":
            orientation = exif_orientation(read_exactly(stream, length))
    _, _, plain, transparent = _KINDS[header.colour_type]
    mode = transparent if has_transparency else plain
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
    stream = io.BytesIO(content)
    header = _read_header(stream)
    parts: dict[bytes, list[bytes]] = {b"PLTE": [], b"tRNS": [], b"IDAT": []}
    for kind, length in _walk_chunks(stream):
        data = read_exactly(stream, length)
        if read_exactly(stream, 4) != _checksum(kind, data):
            raise damaged(f"the checksum of the PNG chunk before byte {stream.tell()} is wrong")
        if kind in parts:
            parts[kind].append(data)
    palette, transparency, compressed = map(b"".join, parts.values())
    _require_exact_pixels(compressed, header.num_pixel_bytes())
    if header.colour_type == _PALETTE:
        return look_up(_indices(header, compressed), _colours(palette, transparency))
    samples = _decode(content)
    num_samples = _KINDS[header.colour_type][0] + (header.colour_type in (_GREY, _RGB) and bool(transparency))
    if samples.size != header.width_px * header.height_px * num_samples:
        raise damaged("the PNG's transparent colour has the wrong length")
    return samples


def _read_header(stream: io.BufferedIOBase) -> _Header:
    """Read the signature and the IHDR chunk, which is always the first and has its own checksum."""
    start = stream.read(33)
    if len(start) < 33 or start[8:16] != b"\0\0\0\x0dIHDR":
        raise damaged("the PNG has no header")
    if start[29:] != _checksum(start[12:16], start[16:29]):
        raise damaged("the checksum of the PNG header is wrong")
    header = _Header(*struct.unpack(">IIBBBBB", start[16:29]))
    depths = _KINDS[header.colour_type][1] if header.colour_type in _KINDS else ()
    if header.bit_depth not in depths or header.compression or header.filtering or header.interlacing > 1:
        raise damaged("the PNG header declares a kind of image that does not exist")
    if not header.width_px or not header.height_px:
        raise damaged(f"the PNG header declares {header.width_px} x {header.height_px} px")
    return header


def _walk_chunks(stream: io.BufferedIOBase) -> Iterator[tuple[bytes, int]]:
    """Yield kind and length of each chunk after the header; the stream stands at its data, which need not be read."""
    kind = b""
    while kind != b"IEND":
        length, kind = struct.unpack(">I4s", read_exactly(stream, 8))
        data_at = stream.tell()
        yield kind, length
        stream.seek(data_at + length)
        read_exactly(stream, 4)


def _checksum(kind: bytes, data: bytes) -> bytes:
    return zlib.crc32(data, zlib.crc32(kind)).to_bytes(4, "big")


def _require_exact_pixels(compressed: bytes, num_bytes: int) -> None:
    """Refuse fewer or more pixels than the header declares: one of the two is wrong, and libpng only logs surplus."""
    inflater = zlib.decompressobj()
    try:
        found = len(inflater.decompress(compressed, num_bytes + 1))
        found += len(inflater.decompress(inflater.unconsumed_tail, 1))
    except zlib.error as error:
        raise damaged(f"the pixels of the PNG cannot be decompressed ({error})") from None
    if found != num_bytes or not inflater.eof:
        raise damaged(f"the PNG holds {'more' if found > num_bytes else found} of {num_bytes} bytes of pixels")


def _decode(content: bytes) -> Samples:
    try:
        return imagecodecs.png_decode(content)
    except (RuntimeError, ValueError) as error:  # imagecodecs' errors are RuntimeErrors
        raise damaged(f"the pixels of the PNG cannot be decoded ({error})") from None


def _indices(header: _Header, compressed: bytes) -> UInt8[np.ndarray, "height width"]:
    """Return each pixel's place in the palette, by letting libpng take the places for grey levels."""
    as_grey = struct.pack(">IIBBBBB", *header._replace(colour_type=_GREY))
    chunks = ((b"IHDR", as_grey), (b"IDAT", compressed), (b"IEND", b""))
    parts = [struct.pack(">I4s", len(data), kind) + data + _checksum(kind, data) for kind, data in chunks]
    levels = _decode(SIGNATURE + b"".join(parts))
    return levels // np.uint8(255 // (2**header.bit_depth - 1))  # libpng spreads grey levels over 0..255


def _colours(palette: bytes, transparency: bytes) -> UInt8[np.ndarray, "colours samples"]:
    """Return the palette with three samples a colour, or four where some are transparent; the rest are opaque."""
    if not palette or len(palette) % 3 or len(transparency) > len(palette) // 3:
        raise damaged("the palette of the PNG has the wrong length")
    colours = np.frombuffer(palette, np.uint8).reshape(-1, 3)
    if not transparency:
        return colours
    opacity = np.frombuffer(transparency.ljust(len(colours), b"\xff"), np.uint8)
    return np.hstack([colours, opacity[:, None]])
