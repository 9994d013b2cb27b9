"""TIFF's directory of tags, which TIFF files and EXIF blocks share (TIFF 6.0 section 2, BigTIFF, EXIF 2.3).

In: a stream. Out: the numbers and bytes of the first directory's tags. What the tags mean belongs to ``tiff``.
"""

import dataclasses
import io
import struct
from typing import Final

from radpath.data.formats.stored import damaged, read_exactly, size_of
from radpath.errors import DataError

SIGNATURES: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_ORIENTATION_TAG: Final = 274
_EXIF_PREFIX: Final = b"Exif\0\0"
_NUMBER_CODES: Final = {1: "B", 3: "H", 4: "I", 7: "B", 13: "I", 16: "Q", 18: "Q"}  # field type: struct's code
_TEXT_TYPE: Final = 2
_MAX_TAGS: Final = 4096  # a directory of an image has some tens


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Field:
    """Where the values of one tag lie."""

    type_number: int
    count: int
    offset: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Directory:
    """The tags of one page."""

    stream: io.BufferedIOBase
    byte_order: str
    """struct's sign: "<" for little-endian, ">" for big-endian."""
    fields: dict[int, _Field]
    has_next: bool
    """Whether another page follows."""

    def numbers(self, tag: int, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """Return all whole numbers of a tag, or ``default`` where the tag is absent.

        Raises:
            DataError: the tag holds no whole numbers, or they lie outside the file.
        """
        if tag not in self.fields:
            return default
        field = self.fields[tag]
        code = _NUMBER_CODES.get(field.type_number)
        if code is None:
            raise damaged(f"TIFF tag {tag} does not hold whole numbers")
        content = self._content(tag, field.count * _type_bytes(field.type_number))
        return struct.unpack(f"{self.byte_order}{field.count}{code}", content)

    def number(self, tag: int, default: int | None = None) -> int:
        """Return the only number of a tag, or the first of several.

        Raises:
            DataError: the tag is absent and has no default, or its values cannot be read.
        """
        values = self.numbers(tag, () if default is None else (default,))
        if not values:
            raise damaged(f"TIFF tag {tag} is missing")
        return values[0]

    def raw(self, tag: int) -> bytes:
        """Return the bytes of a text or of undefined content; empty where the tag is absent."""
        if tag not in self.fields or self.fields[tag].type_number not in (1, _TEXT_TYPE, 7):
            return b""
        return self._content(tag, self.fields[tag].count)

    def _content(self, tag: int, num_bytes: int) -> bytes:
        offset = self.fields[tag].offset
        if offset + num_bytes > size_of(self.stream):
            raise damaged(f"TIFF tag {tag} lies outside the file")
        self.stream.seek(offset)
        return read_exactly(self.stream, num_bytes)


def read_directory(stream: io.BufferedIOBase) -> Directory:
    """Read the first directory of a stream that begins with one of ``SIGNATURES``.

    Raises:
        DataError: the directory lies outside the file, or is implausibly long.
    """
    stream.seek(0)
    signature = read_exactly(stream, 4)
    order = "<" if signature[:2] == b"II" else ">"
    is_big = b"+" in signature
    if is_big and struct.unpack(f"{order}HH", read_exactly(stream, 4)) != (8, 0):
        raise damaged("the BigTIFF header is not one")
    pointer, count_code = ("Q", "Q") if is_big else ("I", "H")
    start = _unpack(stream, order + pointer)
    if not len(signature) < start < size_of(stream):
        raise damaged("the first TIFF directory lies outside the file")
    stream.seek(start)
    num_tags = _unpack(stream, order + count_code)
    if num_tags > _MAX_TAGS:
        raise damaged(f"the TIFF directory claims to have {num_tags} tags")
    entry_bytes = struct.calcsize(f"<HH{pointer}{pointer}")
    first_entry = stream.tell()
    entries = read_exactly(stream, num_tags * entry_bytes)
    next_directory = _unpack(stream, order + pointer)
    fields: dict[int, _Field] = {}
    for index in range(num_tags):
        entry = entries[index * entry_bytes : (index + 1) * entry_bytes]
        tag, type_number, count, offset = struct.unpack(f"{order}HH{pointer}{pointer}", entry)
        if count * _type_bytes(type_number) <= struct.calcsize(pointer):
            # Few values stand in the entry itself, in place of where they would lie.
            offset = first_entry + (index + 1) * entry_bytes - struct.calcsize(pointer)
        fields.setdefault(tag, _Field(type_number=type_number, count=count, offset=offset))
    return Directory(stream=stream, byte_order=order, fields=fields, has_next=next_directory != 0)


def exif_orientation(block: bytes) -> int:
    r"""Return EXIF's orientation, 1 to 8; 1 where the block is unreadable or says nothing that exists.

    >>> exif_orientation(b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0")
    6
    """
    block = block.removeprefix(_EXIF_PREFIX)
    if block[:4] not in SIGNATURES:
        return 1
    try:
        # Some writers leave out the last field, where the next directory would be named.
        return orientation_of(read_directory(io.BytesIO(block + bytes(8))))
    except DataError:
        # Editors cut EXIF blocks short; the picture itself is whole, and other readers show it as it is stored.
        return 1


def orientation_of(directory: Directory) -> int:
    """Return the orientation tag, 1 to 8; 1 where it is absent or holds something that does not exist."""
    orientation = directory.number(_ORIENTATION_TAG, default=1)
    return orientation if 1 <= orientation <= 8 else 1


def _unpack(stream: io.BufferedIOBase, layout: str) -> int:
    value: int = struct.unpack(layout, read_exactly(stream, struct.calcsize(layout)))[0]
    return value


def _type_bytes(type_number: int) -> int:
    """Return the bytes of one value; unknown types count as too long to stand in an entry."""
    sizes = {2: 1, 5: 8, 6: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 17: 8}
    code = _NUMBER_CODES.get(type_number)
    return struct.calcsize(f"<{code}") if code else sizes.get(type_number, 16)
