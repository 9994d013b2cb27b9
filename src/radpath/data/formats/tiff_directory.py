"""TIFF's directory of tags, which TIFF files and EXIF blocks share, read by tifffile.

In: a stream. Out: tifffile's first page, with nothing lost in silence. tifffile leaves out a tag that it cannot read,
and a page that it cannot find, and goes on with defaults (one bit a sample, one page); so this module looks again at
the numbers of the tags that the file lists, and at the pointer to its next page. What tags mean belongs to ``tiff``.
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
# The tags that ``tiff`` goes by; others may be unreadable.
_TAGS_THAT_MATTER: Final = frozenset(
    (256, 257, 258, 259, 262, 266, 270, 273, 274, 277, 278, 279, 284, 317, 320, 322, 323, 324, 325, 332, 338, 339, 347)
)
# tifffile computes with what it read before it checks it, so a broken tag can end in any of these.
_ERRORS: Final = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, AssertionError, struct.error)


def read_first_page(stream: io.BufferedIOBase) -> tuple[tifffile.TiffPage, bool]:
    """Return the first page of a stream that begins with one of ``SIGNATURES``, and whether another is named.

    Raises:
        DataError: the directory, or a tag that matters, cannot be read or lies outside the file.
    """
    with explained_errors():
        stream.seek(0)
        pages = tifffile.TiffFile(stream).pages
        if not pages:
            raise damaged("the first TIFF directory lies outside the file")
        page = pages.first
        tiff = page.parent.tiff
        stream.seek(page.offset)
        (num_tags,) = struct.unpack(tiff.tagnoformat, stream.read(tiff.tagnosize))
        entries = stream.read(num_tags * tiff.tagsize)
        listed = {number for (number,) in struct.iter_unpack(f"{tiff.byteorder}H{tiff.tagsize - 2}x", entries)}
        lost = {number for number in listed & _TAGS_THAT_MATTER if number not in page.tags}
        if lost:
            raise damaged(f"TIFF tag {min(lost)} is of an unknown type or lies outside the file")
        (next_page,) = struct.unpack(tiff.offsetformat, stream.read(tiff.offsetsize))
    return page, next_page != 0


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
        return orientation_of(read_first_page(io.BytesIO(block + bytes(8)))[0])
    except DataError:
        # Editors cut EXIF blocks short; the picture itself is whole, and other readers show it as it is stored.
        return 1


def orientation_of(page: tifffile.TiffPage) -> int:
    """Return the orientation tag, 1 to 8; 1 where it is absent or holds something that does not exist."""
    orientation = page.tags.valueof(_ORIENTATION_TAG, default=1)
    return int(orientation) if orientation in range(1, 9) else 1
