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
_ENTRIES: Final = {order: struct.Struct(f"{order}HHI4s") for order in "<>"}  # number, type, count, value or its place
_VALUE_BYTES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
_SHORT, _LONG = 3, 4
_MOST_TAGS: Final = 64

_Tags = dict[int, tuple[int, int, bytes]]
"""For each tag its type, the number of its values, and their bytes, which are "" where they were not fetched."""


def _exif_orientation(block: bytes) -> int | None:
    """Return the orientation that an EXIF block states, 1 where it states none, None where the block is unusual."""
    inside = block[6:] + bytes(8)  # as the careful reader does, since some writers leave out the last field
    order = _BYTE_ORDERS.get(inside[:4]) if block.startswith(b"Exif\0\0") else None
    tags = None if order is None else _read_tags(inside, len(inside), lambda _at, _number: b"", fetched=frozenset())
    if tags is None or order is None:
        return None
    if 274 not in tags:
        return 1
    orientation = _number(tags[274], order)
    return orientation if orientation in range(1, 9) and tags[274][0] == _SHORT else None


def _read_tags(start: bytes, num_bytes: int, read_at: ReadAt, *, fetched: frozenset[int]) -> _Tags | None:
    """Return the first directory's tags, None where one is repeated, of an unknown type or lies outside the file."""
    order = _BYTE_ORDERS[start[:4]]
    place = int.from_bytes(start[4:8], "little" if order == "<" else "big")
    head = _part(start, place, 2, read_at)
    num_tags = struct.unpack(f"{order}H", head)[0] if len(head) == 2 and place >= 8 else _MOST_TAGS + 1
    body = _part(start, place + 2, 12 * num_tags + 4, read_at) if num_tags <= _MOST_TAGS else b""
    if len(body) < 12 * num_tags + 4:
        return None
    tags: _Tags = {}
    for number, kind, count, value in _ENTRIES[order].iter_unpack(body[: 12 * num_tags]):
        size = _VALUE_BYTES.get(kind, 0) * count
        if number in tags or not size:
            return None
        if size > 4:
            (at,) = struct.unpack(f"{order}I", value)
            if at < 8 or at + size > num_bytes:
                return None
            value = _part(start, at, size, read_at) if number in fetched else b""  # noqa: PLW2901 - the value is there
        tags[number] = kind, count, value
    tags[_NEXT_DIRECTORY] = _LONG, 1, body[12 * num_tags :]
    return tags


def _part(start: bytes, at: int, num_bytes: int, read_at: ReadAt) -> bytes:
    return start[at : at + num_bytes] if at + num_bytes <= len(start) else read_at(at, num_bytes)


def _number(tag: tuple[int, int, bytes], order: str) -> int:
    """Return the only value of a tag, -1 where it has several or is no whole number."""
    kind, count, value = tag
    if count != 1 or kind not in (_SHORT, _LONG) or len(value) != 4:
        return -1
    return int(struct.unpack_from(f"{order}{'H' if kind == _SHORT else 'I'}", value)[0])


def _samples(tag: tuple[int, int, bytes], order: str) -> int:
    """Return the value that all samples of a pixel share, -1 where they differ."""
    kind, count, value = tag
    if kind != _SHORT or count not in (1, 3) or len(value) < 2 * count:
        return -1
    first, *others = struct.unpack_from(f"{order}{count}H", value)
    return -1 if any(other != first for other in others) else int(first)


_NEXT_DIRECTORY: Final = -1
_BITS, _DESCRIPTION, _SAMPLE_FORMAT = 258, 270, 339
_FETCHED: Final = frozenset((_BITS, _DESCRIPTION, _SAMPLE_FORMAT))
_NEEDED: Final = frozenset((256, 257, 259, 262, 273, 278, 279))
# What may stand beside these: subfile type, bits, fill order, description, orientation, samples a pixel, planes,
# predictor, format of samples, and what changes nothing: names, resolution, software, date, artist, copyright.
_PASSED: Final = frozenset(
    (_NEXT_DIRECTORY, 254, _BITS, 266, 269, 270, 274, 277, 282, 283, 284, 285, 296, 305, 306, 315, 317, 339)
)
_USUAL_NUMBERS: Final = {254: (0,), 266: (1,), 274: range(1, 9), 284: (1,), _NEXT_DIRECTORY: (0,)}
_DIFFERENCES: Final = (5, 8, 32946, 50000)  # compressions that may store differences of neighbours
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
    order = _BYTE_ORDERS[start[:4]]
    tags = _read_tags(start, num_bytes, read_at, fetched=_FETCHED)
    if tags is None or not _NEEDED <= tags.keys() <= _NEEDED | _PASSED:
        return None
    if any(number in tags and _number(tags[number], order) not in usual for number, usual in _USUAL_NUMBERS.items()):
        return None
    width_px, height_px, compression, photometric, rows = (
        _number(tags[number], order) for number in (256, 257, 259, 262, 278)
    )
    num_samples = _number(tags[277], order) if 277 in tags else 1
    bits = _samples(tags[_BITS], order) if _BITS in tags else 1
    kind = _TIFF_KINDS.get((photometric, num_samples, bits))
    if kind is None or (_BITS in tags and tags[_BITS][1] != num_samples) or min(width_px, height_px, rows) <= 0:
        return None
    differs = compression in _DIFFERENCES and bits >= 8
    if compression not in _COMPRESSIONS or not _are_known(tags, order, differs=differs):
        return None
    is_turned = 274 in tags and _number(tags[274], order) >= 5
    return QuickHeader(height_px, width_px, kind) if is_turned else QuickHeader(width_px, height_px, kind)


def _are_known(tags: _Tags, order: str, *, differs: bool) -> bool:
    """Return whether places, predictor, format of samples and description are what they mostly are."""
    if any(tags[number][0] not in (_SHORT, _LONG) for number in (273, 279)):
        return False
    if 317 in tags and _number(tags[317], order) not in ((1, 2) if differs else (1,)):
        return False
    if _SAMPLE_FORMAT in tags and _samples(tags[_SAMPLE_FORMAT], order) != 1:
        return False
    return _DESCRIPTION not in tags or _TIFFFILES_SHAPE.fullmatch(tags[_DESCRIPTION][2]) is not None
