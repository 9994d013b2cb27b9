"""TIFF's directory of tags, which TIFF files and EXIF blocks share, read by tifffile.

In: a stream. Out: the directories of its chain as tifffile's pages, with nothing lost in silence. tifffile leaves out a
tag that it cannot read, and a page that it cannot find, and goes on with defaults (one bit a sample, no further page);
so this module looks again at the numbers of the tags that the file lists, and follows the chain of directories itself.
What tags mean belongs to ``tiff_page``.
"""

import contextlib
import io
import struct
from collections.abc import Iterator
from typing import Final

import tifffile

from radpath.data.formats.stored import damaged
from radpath.errors import DataError

SIGNATURES: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_ORIENTATION_TAG: Final = 274
# The tags that ``tiff_page`` and ``tiff`` go by; others may be unreadable.
_TAGS_THAT_MATTER: Final = frozenset(
    (
        *(254, 255, 256, 257, 258, 259, 262, 266, 270, 273, 274, 277, 278, 279, 284),
        *(317, 320, 322, 323, 324, 325, 332, 338, 339, 347),
    )
)
# tifffile computes with what it read before it checks it, so a broken tag can end in any of these.
_ERRORS: Final = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, AssertionError, struct.error)


def open_tiff(stream: io.BufferedIOBase) -> tifffile.TiffFile:
    """Open a stream that begins with one of ``SIGNATURES``; it stays the caller's to close.

    Raises:
        DataError: the header is cut short, or no directory can be read where it says.
    """
    with explained_errors():
        stream.seek(0)
        file = tifffile.TiffFile(stream)
        if not file.pages:
            raise damaged("the first TIFF directory lies outside the file")
    return file


def directory_offsets(file: tifffile.TiffFile) -> Iterator[int]:
    """Yield where each directory of the file's chain begins, without reading their tags.

    Raises:
        DataError: the chain leads outside the file, or back to a directory that was passed.
    """
    offset, passed = file.pages.first.offset, set[int]()
    while offset:
        if offset in passed:
            raise damaged("the directories of the TIFF form a circle")
        passed.add(offset)
        yield offset
        offset = _next_offset(file, offset)


def read_directory(file: tifffile.TiffFile, index: int, offset: int) -> tifffile.TiffPage:
    """Return the directory that begins at ``offset``, the ``index``-th of its chain.

    Raises:
        DataError: the directory, or a tag that matters, cannot be read or lies outside the file.
    """
    with explained_errors():
        file.filehandle.seek(offset)
        page = tifffile.TiffPage(file, index)
        tiff, entries = file.tiff, _entries(file, offset)
        listed = {number for (number,) in struct.iter_unpack(f"{tiff.byteorder}H{tiff.tagsize - 2}x", entries)}
        lost = {number for number in listed & _TAGS_THAT_MATTER if number not in page.tags}
        if lost:
            raise damaged(f"TIFF tag {min(lost)} is of an unknown type or lies outside the file")
    return page


def _entries(file: tifffile.TiffFile, offset: int) -> bytes:
    """Return the entries of a directory as they are stored; the stream then stands at the pointer to the next one."""
    file.filehandle.seek(offset)
    (num_tags,) = struct.unpack(file.tiff.tagnoformat, file.filehandle.read(file.tiff.tagnosize))
    return bytes(file.filehandle.read(num_tags * file.tiff.tagsize))


def _next_offset(file: tifffile.TiffFile, offset: int) -> int:
    with explained_errors():
        _entries(file, offset)
        (following,) = struct.unpack(file.tiff.offsetformat, file.filehandle.read(file.tiff.offsetsize))
    return int(following)


@contextlib.contextmanager
def explained_errors() -> Iterator[None]:
    """Turn what tifffile raises, and imagecodecs (whose errors are RuntimeErrors), into a ``DataError``."""
    try:
        yield
    except (*_ERRORS, RuntimeError) as error:
        raise damaged(f"the TIFF cannot be read ({' '.join(str(error).split())})") from None


def exif_orientation(block: bytes) -> int:
    r"""Return EXIF's orientation, 1 to 8; 1 where the block is unreadable or says nothing that exists.

    >>> exif_orientation(b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0")
    6
    """
    block = block.removeprefix(b"Exif\0\0")
    if not block.startswith(SIGNATURES):
        return 1
    try:
        # Some writers leave out the last field, where the next directory would be named.
        file = open_tiff(io.BytesIO(block + bytes(8)))
        return orientation_of(read_directory(file, 0, next(directory_offsets(file))))
    except DataError:
        # Editors cut EXIF blocks short; the picture itself is whole, and other readers show it as it is stored.
        return 1


def orientation_of(page: tifffile.TiffPage) -> int:
    """Return the orientation tag, 1 to 8; 1 where it is absent or holds something that does not exist."""
    orientation = page.tags.valueof(_ORIENTATION_TAG, default=1)
    return int(orientation) if orientation in range(1, 9) else 1
