"""What an image file says about itself, read from its header without decoding pixels.

In: the path of a file. Out: an ``ImageHeader``, or a ``DataError`` with one short reason. The format is recognised by
content, never by name. ``pixels`` decodes; ``formats`` knows PNG, JPEG and TIFF, ``dicom`` and ``slides`` the rest.
"""

import dataclasses
import io
from collections.abc import Mapping
from typing import Final, Literal

from radpath.data.dicom.recognition import DICOM_SUFFIXES, dicom_headers, is_dicom
from radpath.data.formats import jpeg, png, tiff
from radpath.data.formats.stored import GREY_MODES, Mode, StoredImage
from radpath.data.inputs import DataSettings
from radpath.data.location import Location
from radpath.data.slides.opening import SLIDE_SUFFIXES
from radpath.errors import DataError

IMAGE_SUFFIXES: Final = (".jpeg", ".jpg", ".png", ".tif", ".tiff", *DICOM_SUFFIXES, *SLIDE_SUFFIXES)
"""Names of image files end so, in lower or upper case; DICOM files may have any name."""

QUICK_SUFFIXES: Final = (".jpeg", ".jpg", ".png", ".tif", ".tiff")
"""Names of files that ``quick_headers`` may answer for; whatever it leaves open is read here."""

READER_VERSION: Final = 1
"""Raised whenever ``read_headers`` returns something else for the same file and settings: what an earlier scan
remembers is then read again."""

_TURNED_BY_90_DEGREES: Final = 5  # EXIF's orientations from 5 on exchange width and height
_SIGNATURE_BYTES: Final = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageHeader:
    """An image as ``pixels.decode`` will return it, and what it is stored as."""

    width_px: int
    """As displayed, that is after the EXIF orientation."""
    height_px: int
    channels: Literal[1, 3]
    bit_depth: Literal[8, 16, 32]
    mode: Mode
    format: Literal["PNG", "JPEG", "TIFF", "DICOM", "slide"]
    member: str = ""
    """Which image inside the file, where it may hold several; unique there."""
    facts: Mapping[str, str | float] = dataclasses.field(default_factory=dict)
    """What the header says about the acquisition: values for columns of the manifest, by name."""

    def to_row(self) -> dict[str, object]:
        """Return the columns of the manifest that a header fills."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        facts = fields.pop("facts")
        return {**fields, **facts}


def is_image_name(name: str) -> bool:
    """Return whether a file may be an image, by its name alone.

    >>> is_image_name("scan.PNG"), is_image_name("labels.csv")
    (True, False)
    """
    return name.lower().endswith(IMAGE_SUFFIXES)


def read_headers(path: Location, settings: DataSettings) -> list[ImageHeader]:
    """Return what a file says of each image that it holds, in their order.

    What is returned depends on the file's content and on the settings alone, since ``scan`` remembers it by these. The
    message of an error begins with a reason that can be counted, up to the first colon, and leaves out the path.

    A reader that takes a stream gets ``path.open("rb")``, of which a remote file delivers the parts that are read; one
    that needs a file of this machine gets it from ``location.local_file(path)``.

    Raises:
        DataError: the file is empty, no image, cut short, or of a kind that radpath does not read.
        OSError: the operating system cannot read the file.
    """
    # Late: what recognises slides returns the header that is declared here.
    from radpath.data.slides.recognition import slide_headers

    slide = slide_headers(path, settings)
    if slide is not None:
        return slide
    with path.open("rb") as stream:
        if is_dicom(stream, path.name):
            return dicom_headers(stream, settings.dicom)
        if tiff.is_tiff(stream):
            pages = tiff.read_tiff(stream, settings.tiff.pages)
            return [dataclasses.replace(header_of(stored), member=member) for member, stored in pages]
        return [header_of(read_stored(stream))]


def read_header(path: Location) -> ImageHeader:
    """Return what the header of a file that holds one PNG, JPEG or TIFF image says.

    Raises:
        DataError: as ``read_headers``.
        OSError: the operating system cannot read the file.
    """
    with path.open("rb") as stream:
        return header_of(read_stored(stream))


def read_stored(stream: io.BufferedIOBase) -> StoredImage:
    """Return what the header of an open image file says, before its orientation is applied.

    Raises:
        DataError: as ``read_header``.

    >>> read_stored(io.BytesIO(b"no picture"))
    Traceback (most recent call last):
    radpath.errors.DataError: not an image: the content is neither PNG nor JPEG nor TIFF
    """
    start = stream.read(_SIGNATURE_BYTES)
    stream.seek(0)
    if start == png.SIGNATURE:
        return png.read_png(stream)
    if start.startswith(jpeg.SIGNATURE):
        return jpeg.read_jpeg(stream)
    if tiff.is_tiff(stream):
        return tiff.find_image(stream).stored()
    if not start:
        raise DataError("empty file: it has no bytes")
    raise DataError("not an image: the content is neither PNG nor JPEG nor TIFF")


def header_of(stored: StoredImage) -> ImageHeader:
    """Return how a stored image looks once decoded."""
    is_turned = stored.orientation >= _TURNED_BY_90_DEGREES
    return ImageHeader(
        width_px=stored.height_px if is_turned else stored.width_px,
        height_px=stored.width_px if is_turned else stored.height_px,
        channels=1 if stored.mode in GREY_MODES else 3,
        bit_depth=stored.bit_depth,
        mode=stored.mode,
        format=stored.format,
    )
