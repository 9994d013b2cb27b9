"""Headers of the usual PNG, JPEG and TIFF files, read several times faster than by the careful readers.

In: the first bytes of a file, and a way to read a few more. Out: size and kind, or None for everything that is not
usual, which ``headers`` then reads or refuses with a reason. Where there is an answer here, it is the one that
``headers`` gives: that is tested on every kind of file and on damaged ones. Nothing is refused here.
"""

import re
import struct
import zlib
from collections.abc import Callable
from typing import Final, Literal, NamedTuple

from radpath.data.formats import png
from radpath.data.formats.stored import Mode

START_BYTES: Final = 4096
"""How much of a file is read at first: the whole header of most files, and one block of most disks."""


class Kind(NamedTuple):
    """What many images have in common."""

    channels: Literal[1, 3]
    bit_depth: Literal[8, 16]
    mode: Mode
    format: Literal["PNG", "JPEG", "TIFF"]


class QuickHeader(NamedTuple):
    """The answer of ``headers.read_header`` in short."""

    width_px: int
    """As displayed, that is after the orientation."""
    height_px: int
    kind: Kind


ReadAt = Callable[[int, int], bytes]
"""Returns some bytes of a file (place, number), fewer at its end."""


def quick_header(start: bytes, num_bytes: int, read_at: ReadAt) -> QuickHeader | None:
    """Return size and kind of a usual image, None for anything else.

    Args:
        start: the first ``START_BYTES`` of the file, or all of it.
        num_bytes: the size of the file.
        read_at: gives what lies behind the start.

    Raises:
        OSError: as ``read_at``.
    """
    if len(start) < START_BYTES:
        num_bytes = len(start)  # it was read to its end
    if start[:8] == png.SIGNATURE:
        return _read_png(start, num_bytes, read_at)
    if start[:3] == b"\xff\xd8\xff":
        return _read_jpeg(start)
    if start[:4] in _BYTE_ORDERS:
        return _read_tiff(start, num_bytes, read_at)
    return None


_PNG_START: Final = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR"
_PNG_END: Final = b"\0\0\0\0IEND\xaeB`\x82"
_PNG_SECOND_CHUNK: Final = 33
_PNG_HEADER: Final = struct.Struct(">IIBBBBB")
_PNG_CHUNK: Final = struct.Struct(">I4s")
_PNG_KINDS: Final[dict[tuple[int, int], Kind]] = {  # bit depth and colour type
    (1, 0): Kind(1, 8, "bilevel", "PNG"),
    (2, 0): Kind(1, 8, "grey", "PNG"),
    (4, 0): Kind(1, 8, "grey", "PNG"),
    (8, 0): Kind(1, 8, "grey", "PNG"),
    (16, 0): Kind(1, 16, "grey", "PNG"),
    (8, 2): Kind(3, 8, "RGB", "PNG"),
    (16, 2): Kind(3, 16, "RGB", "PNG"),
    (1, 3): Kind(3, 8, "palette", "PNG"),
    (2, 3): Kind(3, 8, "palette", "PNG"),
    (4, 3): Kind(3, 8, "palette", "PNG"),
    (8, 3): Kind(3, 8, "palette", "PNG"),
    (8, 4): Kind(1, 8, "grey+alpha", "PNG"),
    (16, 4): Kind(1, 16, "grey+alpha", "PNG"),
    (8, 6): Kind(3, 8, "RGBA", "PNG"),
    (16, 6): Kind(3, 16, "RGBA", "PNG"),
}
_PNG_UNUSUAL: Final = (b"tRNS", b"acTL", b"eXIf")  # change what the image is, or turn it


def _read_png(start: bytes, num_bytes: int, read_at: ReadAt) -> QuickHeader | None:
    """Read the first chunk, and walk over the others, which must all be there."""
    header = _png_header(start)
    at, known = _PNG_SECOND_CHUNK, len(start) - 8
    while header is not None and at <= num_bytes - 12:
        length, name = _PNG_CHUNK.unpack(start[at : at + 8] if at <= known else read_at(at, 8))
        if name in _PNG_UNUSUAL:
            return None
        at += 12 + length
        if name == b"IEND":
            return header if at <= num_bytes else None
    return None


def quick_png_header(start: bytes, end: bytes) -> QuickHeader | None:
    """Return size and kind of a usual PNG from its first and its last bytes, where reading all of it takes long.

    What stands before the pixels must lie in the start. An orientation behind the pixels is noticed in ``end`` only.
    """
    header = _png_header(start)
    at = _PNG_SECOND_CHUNK
    while header is not None and at <= len(start) - 8:
        length, name = _PNG_CHUNK.unpack_from(start, at)
        if name in _PNG_UNUSUAL:
            return None
        if name == b"IDAT":
            is_usual = end.endswith(_PNG_END) and not any(unusual in end for unusual in _PNG_UNUSUAL)
            return header if is_usual else None
        at += 12 + length
    return None


def _png_header(start: bytes) -> QuickHeader | None:
    if start[:16] != _PNG_START or start[29:33] != zlib.crc32(start[12:29]).to_bytes(4, "big"):
        return None
    width_px, height_px, bit_depth, colour_type, compression, filtering, interlacing = _PNG_HEADER.unpack_from(
        start, 16
    )
    kind = _PNG_KINDS.get((bit_depth, colour_type))
    if kind is None or compression or filtering or interlacing > 1 or not width_px or not height_px:
        return None
    return QuickHeader(width_px, height_px, kind)


_JPEG_FRAME: Final = struct.Struct(">BHHB")
_JPEG_KINDS: Final = {1: Kind(1, 8, "grey", "JPEG"), 3: Kind(3, 8, "RGB", "JPEG")}
_JPEG_FRAMES: Final = frozenset((0xC0, 0xC1, 0xC2, 0xC3))
# Tables, restart interval, application data and comments; any other marker is for the careful reader.
_JPEG_PASSED: Final = frozenset((0xC4, 0xDB, 0xDD, 0xFE, *range(0xE0, 0xF0)))


def _read_jpeg(start: bytes) -> QuickHeader | None:
    found = _walk_segments(start)
    if found is None:
        return None
    (precision, height_px, width_px, num_components), orientation = found
    kind = _JPEG_KINDS.get(num_components)
    if precision != 8 or kind is None or not width_px or not height_px:
        return None
    return QuickHeader(height_px, width_px, kind) if orientation >= 5 else QuickHeader(width_px, height_px, kind)


def _walk_segments(start: bytes) -> tuple[tuple[int, ...], int] | None:
    """Return frame header and orientation from the segments before the first scan, if all of them lie in the start."""
    at, last, frame, orientation = 2, len(start) - 4, None, None
    while at <= last:
        if start[at] != 0xFF:
            return None
        marker = start[at + 1]
        if marker == 0xDA:
            break
        length = start[at + 2] << 8 | start[at + 3]
        if marker in _JPEG_FRAMES and frame is None and 8 <= length <= last - at:
            frame = _JPEG_FRAME.unpack_from(start, at + 4)
        elif marker not in _JPEG_PASSED or length < 2:
            return None
        elif marker == 0xE1 and orientation is None and start[at + 4 : at + 9] == b"Exif\0":
            orientation = _exif_orientation(start[at + 4 : at + 2 + length])
            if orientation is None:
                return None
        at += 2 + length
    return None if frame is None or at > last else (frame, orientation or 1)


_BYTE_ORDERS: Final = {b"II*\0": "<", b"MM\0*": ">"}
_ENTRIES: Final = {order: struct.Struct(f"{order}HHII") for order in "<>"}  # number, type, count, value or its place
_VALUE_BYTES: Final = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8)  # by type
_SHORT, _LONG = 3, 4
_MOST_TAGS: Final = 64
_ELSEWHERE: Final = -1  # several values, or no whole number
_NEXT_DIRECTORY: Final = -1

_Tags = dict[int, int]
"""For each tag its only value, where it is a whole number."""
_Entries = dict[int, tuple[int, int, int]]
"""For each tag whose values stand elsewhere in the file their type, number and place."""


def _exif_orientation(block: bytes) -> int | None:
    """Return the orientation that an EXIF block states, 1 where it states none, None where the block is unusual."""
    inside = block[6:] + bytes(8)  # as the careful reader does, since some writers leave out the last field
    if not block.startswith(b"Exif\0\0") or inside[:4] not in _BYTE_ORDERS:
        return None
    found = _read_tags(inside, len(inside), lambda _at, _number: b"")
    orientation = None if found is None else found[0].get(274, 1)
    return orientation if orientation in range(1, 9) else None


def _read_tags(start: bytes, num_bytes: int, read_at: ReadAt) -> tuple[_Tags, _Entries] | None:
    """Return the first directory's tags, None where one is repeated, of an unknown type or lies outside the file."""
    order = _BYTE_ORDERS[start[:4]]
    is_little = order == "<"
    place = int.from_bytes(start[4:8], "little" if is_little else "big")
    head = _part(start, place, 2, read_at)
    num_tags = int.from_bytes(head, "little" if is_little else "big")
    if place < 8 or len(head) < 2 or num_tags > _MOST_TAGS:
        return None
    body = _part(start, place + 2, 12 * num_tags + 4, read_at)
    if len(body) < 12 * num_tags + 4:
        return None
    tags: _Tags = {_NEXT_DIRECTORY: int.from_bytes(body[-4:], "big")}
    elsewhere: _Entries = {}
    for number, kind, count, value in _ENTRIES[order].iter_unpack(body[:-4]):
        size = _VALUE_BYTES[kind] * count if kind <= 12 else 0
        if number in tags or not size or (size > 4 and not 8 <= value <= num_bytes - size):
            return None
        if kind == _LONG and count == 1:
            tags[number] = value
        elif kind == _SHORT and count == 1:
            tags[number] = value & 0xFFFF if is_little else value >> 16
        else:
            tags[number] = _ELSEWHERE
            elsewhere[number] = kind, count, value
    return tags, elsewhere


def _part(start: bytes, at: int, num_bytes: int, read_at: ReadAt) -> bytes:
    return start[at : at + num_bytes] if at + num_bytes <= len(start) else read_at(at, num_bytes)


_BITS, _DESCRIPTION, _SAMPLE_FORMAT = 258, 270, 339
_NEEDED: Final = frozenset((_NEXT_DIRECTORY, 256, 257, 259, 262, 273, 278, 279))
# What may stand beside these: subfile type, bits, fill order, description, orientation, samples a pixel, planes,
# predictor, format of samples, and what changes nothing: names, resolution, software, date, artist, copyright.
_KNOWN: Final = _NEEDED | frozenset(
    (254, _BITS, 266, 269, _DESCRIPTION, 274, 277, 282, 283, 284, 285, 296, 305, 306, 315, 317, _SAMPLE_FORMAT)
)
_DIFFERENCES: Final = frozenset((5, 8, 32946, 50000))  # compressions that may store differences of neighbours
_COMPRESSIONS: Final = frozenset((1, 32773, *_DIFFERENCES))
_TIFFFILES_SHAPE: Final = re.compile(rb'\{"shape": \[[0-9, ]+\]\}\0*')
_TIFF_KINDS: Final[dict[tuple[int, int, int], Kind]] = {  # photometric interpretation, samples a pixel, bits a sample
    **{(white, 1, 1): Kind(1, 8, "bilevel", "TIFF") for white in (0, 1)},
    **{(white, 1, 8): Kind(1, 8, "grey", "TIFF") for white in (0, 1)},
    **{(white, 1, 16): Kind(1, 16, "grey", "TIFF") for white in (0, 1)},
    (2, 3, 8): Kind(3, 8, "RGB", "TIFF"),
    (2, 3, 16): Kind(3, 16, "RGB", "TIFF"),
}


def _read_tiff(start: bytes, num_bytes: int, read_at: ReadAt) -> QuickHeader | None:
    """Read the directory of a file of one page, in strips, with nothing in it that this module does not know."""
    found = _read_tags(start, num_bytes, read_at)
    if found is None or not _NEEDED <= found[0].keys() <= _KNOWN:
        return None
    tags, elsewhere = found
    samples = tags.get(277, 1)
    bits = tags.get(_BITS, 1)
    if samples == 3:
        bits = _shared_value(start, elsewhere.get(_BITS), read_at)
    kind = _TIFF_KINDS.get((tags[262], samples, bits))
    orientation = tags.get(274, 1)
    if kind is None or not 0 < orientation < 9 or not _are_usual(tags, bits):
        return None
    if elsewhere and not _are_usual_elsewhere(start, elsewhere, samples, read_at):
        return None
    if orientation >= 5:
        return QuickHeader(tags[257], tags[256], kind)
    return QuickHeader(tags[256], tags[257], kind)


def _are_usual(tags: _Tags, bits: int) -> bool:
    """Return whether a directory's numbers are those of a single page in strips that is neither odd nor empty."""
    compression, predictor = tags[259], tags.get(317, 1)
    return (
        compression in _COMPRESSIONS
        and (predictor == 1 or (predictor == 2 and compression in _DIFFERENCES and bits >= 8))
        and tags[256] > 0
        and tags[257] > 0
        and tags[278] > 0
        and tags[_NEXT_DIRECTORY] == 0
        and tags.get(254, 0) == 0
        and tags.get(266, 1) == 1
        and tags.get(284, 1) == 1
        and tags.get(_SAMPLE_FORMAT, 1) in (1, _ELSEWHERE)
    )


def _are_usual_elsewhere(start: bytes, elsewhere: _Entries, samples: int, read_at: ReadAt) -> bool:
    """Return whether what stands outside the directory is usual: places, formats of samples and the description."""
    if any(number in elsewhere and elsewhere[number][0] not in (_SHORT, _LONG) for number in (273, 279)):
        return False
    if _SAMPLE_FORMAT in elsewhere and (samples != 3 or _shared_value(start, elsewhere[_SAMPLE_FORMAT], read_at) != 1):
        return False
    if _DESCRIPTION not in elsewhere:
        return True
    kind, count, place = elsewhere[_DESCRIPTION]
    return kind == 2 and count > 4 and _TIFFFILES_SHAPE.fullmatch(_part(start, place, count, read_at)) is not None


def _shared_value(start: bytes, entry: tuple[int, int, int] | None, read_at: ReadAt) -> int:
    """Return the value that all three samples of a pixel share, -1 where they differ."""
    if entry is None or entry[:2] != (_SHORT, 3):
        return -1
    value = _part(start, entry[2], 6, read_at)
    if value[:2] != value[2:4] or value[:2] != value[4:6]:
        return -1
    return int.from_bytes(value[:2], "little" if _BYTE_ORDERS[start[:4]] == "<" else "big")
