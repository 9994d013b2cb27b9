"""The data set of a DICOM file up to its pixels: only what radpath needs, and nothing that a file says is trusted.

In: an open file. Out: ``ParsedFile``, whose elements are read with ``whole_number``, ``numbers`` and ``text``. What
they mean is decided in ``image``, ``grey`` and ``acquisition``. No message holds a value of the file: it could name a
person.
"""

import contextlib
import dataclasses
import io
import logging
import math
import re
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

from radpath.data.formats.stored import damaged, unsupported
from radpath.errors import DataError, MissingExtraError

if TYPE_CHECKING:  # the extra may be missing, and `radpath --help` needs none of it
    from pydicom import Dataset
    from pydicom.tag import BaseTag

PIXEL_KEYWORDS: Final = {0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData", 0x7FE00010: "PixelData"}
"""The elements that hold pixels, by their tags."""

_FIRST_PIXEL_TAG: Final = min(PIXEL_KEYWORDS)
UNDEFINED_LENGTH: Final = 0xFFFFFFFF
IMPLICIT_LITTLE: Final = "1.2.840.10008.1.2"
EXPLICIT_LITTLE: Final = "1.2.840.10008.1.2.1"
EXPLICIT_BIG: Final = "1.2.840.10008.1.2.2"

_DEFLATED: Final = "1.2.840.10008.1.2.1.99"
PREAMBLE_BYTES: Final = 128
"""What stands before the mark "DICM"; its content means nothing."""
_MAX_INFLATED_BYTES: Final = 1 << 30  # a deflated file may unfold to a thousand times its size
_MAX_ELEMENT_BYTES: Final = 1 << 28  # larger than any functional groups; a length is only what a file claims

# What pydicom raises when a file is malformed: it parses lazily, in plain Python, with few errors of its own.
_MALFORMED: Final = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    RuntimeError,  # RecursionError too: sequences nested thousands deep
    TypeError,
    ValueError,  # UnicodeError too
    struct.error,
    zlib.error,
)

_WANTED: Final = (
    *("SOPClassUID", "Modality", "Manufacturer", "ManufacturerModelName", "BodyPartExamined", "ViewPosition"),
    *("ViewCodeSequence", "Laterality", "ImageLaterality", "BurnedInAnnotation", "RecognizableVisualFeatures"),
    *("PatientID", "IssuerOfPatientID", "StudyInstanceUID"),
    *("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit"),
    *("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"),
    *("ModalityLUTSequence", "RescaleSlope", "RescaleIntercept", "RescaleType", "PresentationLUTShape"),
    *("VOILUTSequence", "WindowCenter", "WindowWidth", "WindowCenterWidthExplanation", "VOILUTFunction"),
    *(f"{ink}PaletteColorLookupTableDescriptor" for ink in ("Red", "Green", "Blue")),
    *(f"{ink}PaletteColorLookupTableData" for ink in ("Red", "Green", "Blue")),
    *(f"Segmented{ink}PaletteColorLookupTableData" for ink in ("Red", "Green", "Blue")),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
)

# Its warnings and records quote values of the file. A handler that does nothing keeps records off the screen.
logging.getLogger("pydicom").addHandler(logging.NullHandler())

# A filter as the module warnings keeps it: any warning that pydicom gives.
_SILENCE: Final = ("ignore", None, Warning, re.compile(r"pydicom\b"), 0)
_quiet_lock = threading.Lock()
_quiet_threads = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class ParsedFile:
    """Elements of a file, and where its pixels are."""

    dataset: "Dataset" = dataclasses.field(repr=False)  # holds the patient's ID: no repr may show it
    transfer_syntax: str
    """How the file is encoded, a UID."""
    pixel_tag: int | None
    """Of the element that holds the pixels; None where there is none."""
    pixel_vr: str | None = None
    pixel_length: int = 0
    """As the file declares it, in bytes; ``UNDEFINED_LENGTH`` for compressed pixels."""
    pixel_offset: int = 0
    """Where their value begins in ``stream``."""
    stream: io.BufferedIOBase = dataclasses.field(repr=False)
    """The file, or its inflated content; ``num_bytes`` long."""
    num_bytes: int


def require_pydicom() -> None:
    """Raise a ``MissingExtraError`` where the libraries that read DICOM are not installed."""
    try:
        import pydicom  # noqa: F401 - only whether it is there
    except ModuleNotFoundError:
        raise MissingExtraError("reading DICOM needs pydicom: pip install 'radpath[dicom]'") from None


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence pydicom's warnings while the block runs, in several threads at once.

    Python's filters belong to the whole process. ``warnings.catch_warnings`` puts back the list that it found, and with
    several threads one of them would put back what another needs. So one filter is added by the first thread to enter
    and taken away by the last; each looks whether it is still there, since other code may have put an old list back.
    """
    global _quiet_threads  # noqa: PLW0603 - counts the threads inside, as the filters are the process's
    with _quiet_lock:
        _quiet_threads += 1
        filters = cast("list[object]", warnings.filters)  # a list, which typeshed keeps from being changed
        if _SILENCE not in filters[:1]:
            filters.insert(0, _SILENCE)
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet_threads -= 1
            if _quiet_threads == 0:
                filters = cast("list[object]", warnings.filters)
                filters[:] = [known for known in filters if known != _SILENCE]


@contextlib.contextmanager
def explained(doing: str) -> Iterator[None]:
    """Turn whatever a malformed file provokes in pydicom into one line without any value of the file."""
    try:
        with quiet():
            yield
    except _malformed() as error:
        raise damaged(f"{doing} failed ({type(error).__name__})") from None
    except OSError as error:
        if error.errno is not None:
            raise  # of the operating system; pydicom's own have no number
        raise damaged(f"{doing} failed ({type(error).__name__})") from None


@cache
def _malformed() -> tuple[type[Exception], ...]:
    from pydicom.errors import BytesLengthException, InvalidDicomError

    return (*_MALFORMED, BytesLengthException, InvalidDicomError)


def parse(stream: io.BufferedIOBase) -> ParsedFile:
    """Read the elements that radpath needs, up to the pixels.

    Raises:
        DataError: the file is malformed.
        MissingExtraError: pydicom is not installed.
    """
    require_pydicom()
    from pydicom.filereader import read_partial

    stream = _inflated(stream)
    num_bytes = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    found: list[tuple[int, str | None, int, int]] = []

    def is_end(tag: int, vr: str | None, length: int) -> bool:
        number = int(tag)  # pydicom's tags compare themselves in Python
        if number in PIXEL_KEYWORDS:
            found.append((number, vr, length, stream.tell()))
        elif _MAX_ELEMENT_BYTES < length < UNDEFINED_LENGTH and number in _wanted_tags():
            raise damaged("an element declares more bytes than any such element can have")
        return number >= _FIRST_PIXEL_TAG

    with explained("reading the header"):
        dataset = read_partial(cast("BinaryIO", stream), is_end, force=True, specific_tags=list(_wanted_tags()))
        declared = dataset.file_meta.get("TransferSyntaxUID")
        is_implicit, is_little = dataset.original_encoding
        guessed = EXPLICIT_BIG if not is_little else IMPLICIT_LITTLE if is_implicit else EXPLICIT_LITTLE
    tag, vr, length, offset = found[0] if found else (None, None, 0, 0)
    return ParsedFile(
        dataset=dataset,
        transfer_syntax=str(declared or guessed),
        pixel_tag=tag,
        pixel_vr=vr,
        pixel_length=length,
        pixel_offset=offset,
        stream=stream,
        num_bytes=num_bytes,
    )


@cache
def _wanted_tags() -> frozenset[int]:
    return frozenset(int(_tag_of(name)) for name in _WANTED)


def _inflated(stream: io.BufferedIOBase) -> io.BufferedIOBase:
    """Return the stream, or the plain form of a deflated file, of at most 1 GiB (PS3.5 A.5)."""
    stream.seek(0)
    start = stream.read(1024)
    if _DEFLATED.encode() not in start:
        return stream
    if start[PREAMBLE_BYTES + 4 : PREAMBLE_BYTES + 10] != b"\x02\x00\x00\x00UL":
        raise damaged("the file meta information of a deflated file has no length")
    (meta_bytes,) = struct.unpack_from("<L", start, PREAMBLE_BYTES + 12)
    stream.seek(PREAMBLE_BYTES + 16 + meta_bytes)
    unpack = zlib.decompressobj(-zlib.MAX_WBITS)
    with explained("inflating the file"):
        content = unpack.decompress(stream.read(), _MAX_INFLATED_BYTES)
    if unpack.unconsumed_tail:
        raise DataError("over the pixel limit: the deflated file holds more than 1 GiB")
    uid = EXPLICIT_LITTLE.encode() + b"\x00"
    syntax = b"\x02\x00\x10\x00UI" + struct.pack("<H", len(uid)) + uid
    meta = b"\x02\x00\x00\x00UL\x04\x00" + struct.pack("<L", len(syntax)) + syntax
    return io.BytesIO(bytes(PREAMBLE_BYTES) + b"DICM" + meta + content)


def items(dataset: "Dataset", keyword: str) -> "Sequence[Dataset]":
    """Return the items of a sequence; none where it is absent or no sequence.

    Raises:
        DataError: it is malformed.
    """
    from pydicom.sequence import Sequence as DicomSequence

    if _tag_of(keyword) not in dataset:
        return ()
    with explained(f"reading {keyword}"):
        found = _value(dataset, keyword)
    return found if isinstance(found, DicomSequence) else ()


def functional_group(dataset: "Dataset", index: int, keyword: str) -> "Dataset":
    """Return what holds a functional group of a frame: its own item, else the shared one, else the file itself."""
    frames = items(dataset, "PerFrameFunctionalGroupsSequence")
    own = (frames[index],) if index < len(frames) else ()
    groups = (*own, *items(dataset, "SharedFunctionalGroupsSequence"))
    return next((found[0] for group in groups if (found := items(group, keyword))), dataset)


def _value(dataset: "Dataset", keyword: str) -> Any:  # noqa: ANN401 - whatever DICOM can hold
    """Return the value of an element that is there; by its tag, which is much faster than by keyword."""
    return dataset[_tag_of(keyword)].value


@cache
def _tag_of(keyword: str) -> "BaseTag":
    from pydicom.datadict import tag_for_keyword
    from pydicom.tag import BaseTag

    return BaseTag(tag_for_keyword(keyword) or 0)


def whole_number(dataset: "Dataset", keyword: str) -> int | None:
    """Return an element's first value as a whole number; None where it is absent or empty.

    Raises:
        DataError: it is there, and no whole number.
    """
    found = numbers(dataset, keyword)
    if found and not found[0].is_integer():
        raise damaged(f"{keyword} is no whole number")
    return int(found[0]) if found else None


def numbers(dataset: "Dataset", keyword: str) -> list[float]:
    """Return an element's values as finite numbers; none where it is absent or empty.

    Raises:
        DataError: a value is no number.
    """
    if _tag_of(keyword) not in dataset:
        return []
    with explained(f"reading {keyword}"):
        found = _value(dataset, keyword)
        if found is None or found == "":
            return []
        several = [found] if isinstance(found, int | float | str) else list(found)
        values = [float(value) for value in several]
    if not all(math.isfinite(value) for value in values):
        raise damaged(f"{keyword} is not finite")
    return values


def text(dataset: "Dataset", keyword: str) -> str:
    """Return an element's first value as text without spaces around it; "" where there is none that can be read."""
    return next(iter(texts(dataset, keyword)), "")


def texts(dataset: "Dataset", keyword: str) -> list[str]:
    """Return an element's values as texts; none where there is none that can be read."""
    if _tag_of(keyword) not in dataset:
        return []
    with contextlib.suppress(DataError), explained(f"reading {keyword}"):
        found = _value(dataset, keyword)
        several = [found] if isinstance(found, str) else list(found or ())
        return [str(value).replace("\x00", "").strip() for value in several]
    return []


def refuse_syntax(transfer_syntax: str) -> DataError:
    """Return the error for an encoding that cannot be read; its name is the standard's, not the file's."""
    from pydicom.uid import UID

    name = UID(transfer_syntax).name if re.fullmatch(r"[0-9.]{1,64}", transfer_syntax) else "malformed"
    return unsupported(f"the transfer syntax {name}")
