"""Which files are slides, and what they say of themselves.

In: the path of a file. Out: an ``ImageHeader`` of format "slide", or nothing where the file is no slide. Only the
size, the resolution, the magnification and the scanner's maker and model are taken from a slide.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import tifffile

from radpath.data.formats.tiff_directory import explained_errors
from radpath.data.headers import ImageHeader
from radpath.data.inputs import DataSettings
from radpath.data.location import Location
from radpath.data.slides.opening import SLIDE_SUFFIXES, Slide, open_slide, openslide_library, um_per_px_of
from radpath.errors import DataError

SLIDE_FORMAT: Final = "slide"
"""``ImageHeader.format`` of a slide, and the manifest's column."""

_TIFF_SUFFIXES: Final = (".tif", ".tiff")
_DICOM_SUFFIXES: Final = (".dcm", ".dicom", "")
_DICOM_START_BYTES: Final = 1024  # the preamble and the group of file meta information
_DICOM_SLIDE: Final = b"1.2.840.10008.5.1.4.1.1.77.1.6"  # SOP class VL Whole Slide Microscopy Image Storage

# Where each format keeps the maker and the model of the scanner. Serial numbers are left out: they lead to a place.
_MAKER: Final = ("dicom.Manufacturer", "philips.DICOM_MANUFACTURER", "tiff.Make")
_MODEL: Final = ("dicom.ManufacturerModelName", "leica.device-model", "ventana.ScannerModel", "tiff.Model")
_MAKER_OF_FORMAT: Final = {
    "aperio": "Aperio",
    "hamamatsu": "Hamamatsu",
    "leica": "Leica",
    "mirax": "3DHISTECH",
    "sakura": "Sakura",
    "trestle": "Trestle",
    "ventana": "Ventana",
}


def slide_headers(path: Location, settings: DataSettings) -> list[ImageHeader] | None:
    """Return the header of a slide as a list of one; None where the file is no slide.

    A DICOM slide is several files in one folder, of which the largest image stands for all; the others give an empty
    list.

    A TIFF is a slide where OpenSlide knows it and it has several resolutions, or more pixels than ``max_pixels``, so
    that it could not be read as a plain image. With ``slides.mode`` "whole", TIFF and DICOM are left to their readers.

    Raises:
        DataError: the file must be a slide and cannot be read as one, or lies on another machine.
        MissingExtraError: the file is a slide, and OpenSlide is not installed.
        OSError: the file cannot be read.
    """
    suffix = path.suffix.lower()
    if suffix in SLIDE_SUFFIXES:
        if not isinstance(path, Path):
            raise DataError("remote slide: slides are read from folders of this machine only; copy the slide to one")
        return [_header_of(open_slide(path), settings)]
    if settings.slides.mode == "whole" or not isinstance(path, Path):
        return None
    if suffix in _TIFF_SUFFIXES:
        return [_header_of(open_slide(path), settings)] if _is_tiff_slide(path, settings.max_pixels) else None
    if suffix not in _DICOM_SUFFIXES or not is_dicom_slide(path):
        return None
    slide = open_slide(path)
    return [_header_of(slide, settings)] if _is_full_level(slide, path) else []


def is_dicom_slide(path: Path) -> bool:
    """Return whether a file is DICOM of the class of whole slides, whatever its name.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        start = stream.read(_DICOM_START_BYTES)
    return start[128:132] == b"DICM" and _DICOM_SLIDE in start


def _is_tiff_slide(path: Path, max_pixels: int) -> bool:
    try:
        with explained_errors(), tifffile.TiffFile(path) as file:
            page = file.pages.first
            is_large = page.imagewidth * page.imagelength > max_pixels
            may_be_one = page.is_tiled and (is_large or len(file.pages) > 1)
    except DataError:
        return False  # the reader of plain TIFF says what is wrong with it
    if not may_be_one:
        return False
    vendor = openslide_library().OpenSlide.detect_format(path)
    return vendor is not None and (is_large or vendor != "generic-tiff" or len(open_slide(path).levels) > 1)


def _is_full_level(slide: Slide, path: Path) -> bool:
    """Return whether a DICOM file holds the slide's highest resolution.

    OpenSlide opens a slide by any of its files and does not say which level that file is; its quick hash, which says
    nothing of the order, is the same for all. So the file's own number of columns is looked up in its header.
    """
    return _total_columns(path) == slide.full.width_px


def _total_columns(path: Path) -> int | None:
    """Return TotalPixelMatrixColumns (0048,0006), an unsigned long, from the header of a DICOM file.

    Slides are always little-endian with explicit value representations (DICOM PS3.5, A.4, but for one retired
    syntax), so that the element has fixed bytes before its value.
    """
    element = b"\x48\x00\x06\x00UL\x04\x00"
    with path.open("rb") as stream:
        start = stream.read(1 << 20)  # elements stand in order, this one before all that is long
    place = start.find(element)
    return int.from_bytes(start[place + 8 : place + 12], "little") if place >= 0 else None


def _header_of(slide: Slide, settings: DataSettings) -> ImageHeader:
    return ImageHeader(
        width_px=slide.full.width_px,
        height_px=slide.full.height_px,
        channels=3,
        bit_depth=8,
        mode="RGB",
        format=SLIDE_FORMAT,
        facts=_facts_of(slide, settings),
    )


def _facts_of(slide: Slide, settings: DataSettings) -> dict[str, str | float]:
    properties = slide.handle.properties
    facts: dict[str, str | float | None] = {
        "modality": "SM",
        "manufacturer": _first_of(properties, _MAKER) or _MAKER_OF_FORMAT.get(slide.vendor),
        "scanner": _first_of(properties, _MODEL),
        "magnification": properties.get("openslide.objective-power"),
        "pixel_spacing_mm": _spacing_mm(slide, settings),
    }
    return {name: value for name, value in facts.items() if value}


def _spacing_mm(slide: Slide, settings: DataSettings) -> float | None:
    try:
        return um_per_px_of(slide, settings.slides) / 1000
    except DataError:
        return None  # said when the slide is cut; one that is read whole needs none


def _first_of(properties: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((properties[name] for name in names if properties.get(name)), None)
