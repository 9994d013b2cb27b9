"""PNG (ISO/IEC 15948): header and pixels.

The chunks are walked over here, since a header scan needs them without decoding, and since libpng only logs what is
wrong outside of the pixels that it needs: a checksum of metadata, a transparent colour of the wrong length, more pixels
than the header declares. libdeflate decompresses, libpng undoes filters and interlacing (both from imagecodecs).
Palettes are looked up here, since libpng paints a colour behind the palette's end black.
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
_MAX_CHUNK_BYTES: Final = 1 << 30  # a chunk has less than twice as many


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
    filtered = _inflate(compressed, header.num_pixel_bytes())
    if header.colour_type == _PALETTE:
        return look_up(_indices(header, filtered), _colours(palette, transparency))
    samples = _unfilter(header, filtered, transparency)
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


def _checksum(kind: bytes, data: bytes | memoryview) -> bytes:
    return zlib.crc32(data, zlib.crc32(kind)).to_bytes(4, "big")


def _inflate(compressed: bytes, num_bytes: int) -> bytes:
    """Decompress pixels, and refuse fewer or more than the header declares: one of the two is wrong.

    libdeflate (imagecodecs) takes a fraction of zlib's time, and never writes more than ``num_bytes``; what it does not
    like is looked at by zlib, which can say why.
    """
    try:
        filtered = bytes(imagecodecs.deflate_decode(compressed, out=num_bytes))
    except RuntimeError:  # imagecodecs' errors are RuntimeErrors
        filtered = b""
    return filtered if len(filtered) == num_bytes else _inflate_with_zlib(compressed, num_bytes)


def _inflate_with_zlib(compressed: bytes, num_bytes: int) -> bytes:
    inflater = zlib.decompressobj()
    try:
        filtered = inflater.decompress(compressed, num_bytes + 1)
        has_end = inflater.eof or not inflater.decompress(inflater.unconsumed_tail, 1)
    except zlib.error as error:
        raise damaged(f"the pixels of the PNG cannot be decompressed ({error})") from None
    if len(filtered) != num_bytes or not has_end or not inflater.eof:
        found = "more" if len(filtered) > num_bytes else len(filtered)
        raise damaged(f"the PNG holds {found} of {num_bytes} bytes of pixels")
    return filtered


def _unfilter(header: _Header, filtered: bytes, transparency: bytes = b"") -> Samples:
    """Return samples from decompressed rows, each of which begins with the number of its filter.

    libpng does it, given a PNG in which the rows are stored as they are: to copy them takes it no time.
    """
    stored = memoryview(zlib.compress(filtered, 0))
    parts = [stored[at : at + _MAX_CHUNK_BYTES] for at in range(0, len(stored), _MAX_CHUNK_BYTES)]
    chunks: list[tuple[bytes, bytes | memoryview]] = [(b"IHDR", struct.pack(">IIBBBBB", *header))]
    chunks += [(b"tRNS", transparency)] if transparency else []
    chunks += [*((b"IDAT", part) for part in parts), (b"IEND", b"")]
    pieces = [SIGNATURE]
    for kind, data in chunks:
        pieces += [struct.pack(">I4s", len(data), kind), bytes(data), _checksum(kind, data)]
    try:
        return imagecodecs.png_decode(b"".join(pieces))
    except (RuntimeError, ValueError) as error:
        raise damaged(f"the pixels of the PNG cannot be decoded ({error})") from None


def _indices(header: _Header, filtered: bytes) -> UInt8[np.ndarray, "height width"]:
    """Return each pixel's place in the palette, by letting libpng take the places for grey levels."""
    levels = _unfilter(header._replace(colour_type=_GREY), filtered)
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
