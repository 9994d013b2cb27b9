"""Which files are DICOM, and their records as headers of images.

In: the path of a file, or an open one. Out: whether it is DICOM, and an ``ImageHeader`` for each image in it.
``records`` does the reading; whole slides in DICOM are taken by ``slides`` before.
"""

import dataclasses
import io
import re
import struct
from typing import TYPE_CHECKING, Final

from radpath.data.dicom.parsing import PREAMBLE_BYTES
from radpath.data.dicom.records import read_records
from radpath.data.dicom.settings import DicomSettings
from radpath.data.location import Location

if TYPE_CHECKING:  # headers calls what stands here
    from radpath.data.headers import ImageHeader

DICOM_SUFFIXES: Final = (".dcm", ".dicom", ".ima")
"""Names of DICOM files end so, in lower or upper case; many have no suffix, or end with the number of a UID."""

_START_BYTES: Final = 136
_NAMELESS: Final = re.compile(r"[^.]+|.*\.[0-9]+")


def looks_like_dicom(start: bytes, *, has_dicom_name: bool) -> bool:
    """Return whether a file begins like DICOM.

    Args:
        start: the first 136 bytes or more.
        has_dicom_name: whether files without the mark "DICM" count, if they begin with an element of group 2 or 8.

    >>> looks_like_dicom(bytes(128) + b"DICM", has_dicom_name=False)
    True
    """
    if start[PREAMBLE_BYTES : PREAMBLE_BYTES + 4] == b"DICM":
        return True
    if not has_dicom_name or len(start) < 8:
        return False
    group, element, vr = start[:2], start[2:4], start[4:6]
    is_first_group = group in (b"\x02\x00", b"\x08\x00", b"\x00\x08") and b"\x00" in element
    is_short = struct.unpack("<L", start[4:8])[0] <= 0xFFFF
    return is_first_group and (re.fullmatch(rb"[A-Z]{2}", vr) is not None or is_short)


def is_dicom(stream: io.BufferedIOBase, name: str) -> bool:
    """Return whether an open file is DICOM; it is left at its start.

    Files without the mark "DICM" count only if their name allows it: with a suffix of DICOM, or without any.
    """
    start = stream.read(_START_BYTES)
    stream.seek(0)
    has_dicom_name = name.lower().endswith(DICOM_SUFFIXES) or _NAMELESS.fullmatch(name) is not None
    return looks_like_dicom(start, has_dicom_name=has_dicom_name)


def is_nameless_dicom(path: Location) -> bool:
    """Return whether a file whose name says nothing (no suffix, or a number) has DICOM's mark inside.

    The name is looked at first: a table or a text is never opened.
    """
    if _NAMELESS.fullmatch(path.name) is None:
        return False
    try:
        with path.open("rb") as stream:
            return looks_like_dicom(stream.read(_START_BYTES), has_dicom_name=False)
    except OSError:
        return False  # it stays among the files that are counted as others


def dicom_headers(stream: io.BufferedIOBase, settings: DicomSettings) -> "list[ImageHeader]":
    """Return what a DICOM file says of each image that it holds.

    Raises:
        DataError: the file holds no image, or is malformed, or of a kind that is not read.
        MissingExtraError: pydicom is not installed.
    """
    from radpath.data.headers import ImageHeader

    records = [dataclasses.asdict(record) for record in read_records(stream, settings)]
    return [ImageHeader(**record, format="DICOM") for record in records]
