"""How the pixels of a DICOM file are stored, checked against what the file really holds, before anything is decoded.

In: a ``ParsedFile``. Out: ``StoredPixels``, plain numbers that can be relied on, or the reason why the file is no image
that radpath reads. ``frames`` decodes; ``grey`` and ``colour`` say what the numbers mean.
"""

import dataclasses
from typing import TYPE_CHECKING, Final, Literal

from radpath.data.dicom.parsing import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    PIXEL_KEYWORDS,
    UNDEFINED_LENGTH,
    ParsedFile,
    refuse_syntax,
    text,
    whole_number,
)
from radpath.data.formats.stored import damaged, unsupported
from radpath.errors import DataError

if TYPE_CHECKING:
    from pydicom import Dataset

Photometric = Literal[
    "MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"
]

_SAMPLES: Final[dict[str, int]] = {"MONOCHROME1": 1, "MONOCHROME2": 1, "PALETTE COLOR": 1}
_COLOURS: Final = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
_FLOATS: Final = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}
_INTEGER_BITS: Final = (1, 8, 16, 32)

_NATIVE: Final = (IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG)
RLE: Final = "1.2.840.10008.1.2.5"
JPEG_BASELINE: Final = "1.2.840.10008.1.2.4.50"
JPEG_EXTENDED: Final = "1.2.840.10008.1.2.4.51"
JPEG_LOSSLESS: Final = ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")
_J2K_FAMILY: Final = ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.20")

PLUGINS: Final[dict[str, str]] = {
    **dict.fromkeys(_NATIVE, ""),
    JPEG_BASELINE: "pillow",
    JPEG_EXTENDED: "pillow",  # 8 bits; 12 bits as lossless JPEG
    **dict.fromkeys(JPEG_LOSSLESS, ""),  # decoded in ``frames``
    "1.2.840.10008.1.2.4.80": "pyjpegls",  # JPEG-LS lossless
    "1.2.840.10008.1.2.4.81": "pyjpegls",  # JPEG-LS near-lossless
    "1.2.840.10008.1.2.4.90": "pylibjpeg",  # JPEG 2000 lossless
    "1.2.840.10008.1.2.4.91": "pylibjpeg",  # JPEG 2000
    "1.2.840.10008.1.2.4.201": "pylibjpeg",  # high-throughput JPEG 2000 lossless
    "1.2.840.10008.1.2.4.202": "pylibjpeg",  # the same with RPCL options
    "1.2.840.10008.1.2.4.203": "pylibjpeg",  # high-throughput JPEG 2000
    RLE: "",  # unfolded in ``frames``
}
"""The plug-in of pydicom that decodes each transfer syntax, "" where none is needed; only one, so that the same file
gives the same pixels on every machine."""

# Storage classes that hold pixels and are no pictures: masks, doses, and values on meshes.
_NOT_PICTURES: Final = {
    "1.2.840.10008.5.1.4.1.1.66.4": "a segmentation",
    "1.2.840.10008.5.1.4.1.1.66.7": "a label map segmentation",
    "1.2.840.10008.5.1.4.1.1.481.2": "a radiotherapy dose",
}
_KINDS: Final = {  # beginnings of storage classes without pixels; for the reason only
    "1.2.840.10008.1.3.10": "a DICOMDIR",
    "1.2.840.10008.5.1.4.1.1.88.": "a structured report",
    "1.2.840.10008.5.1.4.1.1.104.": "a document",
    "1.2.840.10008.5.1.4.1.1.481.": "a radiotherapy object",
    "1.2.840.10008.5.1.4.1.1.9.": "a waveform",
    "1.2.840.10008.5.1.4.1.1.11.": "a presentation state",
    "1.2.840.10008.5.1.4.1.1.66": "raw or derived data",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoredPixels:
    """What the header says about the pixels; sizes agree with what the file holds."""

    width_px: int
    height_px: int
    num_frames: int
    photometric: Photometric
    samples: Literal[1, 3]
    bits_allocated: int
    bits_stored: int
    is_signed: bool
    is_planar: bool
    """Whether the colours of a frame follow each other as planes."""
    keyword: str
    """The element that holds them: PixelData, FloatPixelData or DoubleFloatPixelData."""
    transfer_syntax: str

    @property
    def is_float(self) -> bool:
        """Whether the values are floating-point numbers."""
        return self.keyword in _FLOATS

    @property
    def is_native(self) -> bool:
        """Whether the pixels are not compressed."""
        return self.transfer_syntax in _NATIVE

    @property
    def is_grey(self) -> bool:
        """Whether rescaling, windows and inversion apply."""
        return self.photometric in ("MONOCHROME1", "MONOCHROME2")


def describe(parsed: ParsedFile) -> StoredPixels:
    """Check what a header says about its pixels.

    Raises:
        DataError: the file is no picture, or malformed, or of a kind that is not read.
    """
    dataset = parsed.dataset
    _require_picture(parsed)
    assert parsed.pixel_tag is not None
    keyword = PIXEL_KEYWORDS[parsed.pixel_tag]
    if parsed.transfer_syntax not in PLUGINS:
        raise refuse_syntax(parsed.transfer_syntax)
    photometric, samples = _colours(dataset)
    bits_allocated = _required(dataset, "BitsAllocated")
    stored = StoredPixels(
        width_px=_required(dataset, "Columns"),
        height_px=_required(dataset, "Rows"),
        num_frames=whole_number(dataset, "NumberOfFrames") or 1,
        photometric=photometric,
        samples=samples,
        bits_allocated=bits_allocated,
        bits_stored=whole_number(dataset, "BitsStored") or bits_allocated,
        is_signed=whole_number(dataset, "PixelRepresentation") == 1,
        is_planar=samples > 1 and whole_number(dataset, "PlanarConfiguration") == 1,
        keyword=keyword,
        transfer_syntax=parsed.transfer_syntax,
    )
    _require_sane(stored, whole_number(dataset, "HighBit"))
    _require_enough(stored, parsed)
    return stored


def _require_picture(parsed: ParsedFile) -> None:
    # A DICOMDIR says what it is in its file meta information alone.
    sop_class = text(parsed.dataset, "SOPClassUID") or text(parsed.dataset.file_meta, "MediaStorageSOPClassUID")
    if sop_class in _NOT_PICTURES:
        raise DataError(f"not an image: {_NOT_PICTURES[sop_class]}")
    if parsed.pixel_tag is None or not whole_number(parsed.dataset, "Rows"):
        kind = next((name for start, name in _KINDS.items() if sop_class.startswith(start)), "DICOM without pixels")
        raise DataError(f"not an image: {kind}")


def _required(dataset: "Dataset", keyword: str) -> int:
    number = whole_number(dataset, keyword)
    if not number or number < 0:
        raise damaged(f"{keyword} is missing or not positive")
    return number


def _colours(dataset: "Dataset") -> tuple[Photometric, Literal[1, 3]]:
    """Return the photometric interpretation and the number of samples, which must agree."""
    name = text(dataset, "PhotometricInterpretation").upper()
    samples = whole_number(dataset, "SamplesPerPixel") or _SAMPLES.get(name, 3)
    if name in _SAMPLES and samples == 1:
        return name, 1  # type: ignore[return-value] # the keys of _SAMPLES are such names
    if name in _COLOURS and samples == len("RGB"):
        return name, 3  # type: ignore[return-value] # all of _COLOURS are such names
    if name in _SAMPLES or name in _COLOURS:
        raise damaged(f"{samples} samples a pixel do not fit {name}")
    raise unsupported("the photometric interpretation is missing, or none of " + ", ".join((*_SAMPLES, *_COLOURS)))


def _require_sane(stored: StoredPixels, high_bit: int | None) -> None:
    """Check the depth."""
    allowed = (_FLOATS[stored.keyword],) if stored.is_float else _INTEGER_BITS
    if stored.bits_allocated not in allowed:
        raise unsupported(f"{stored.bits_allocated} bits allocated; {stored.keyword} is read with {allowed}")
    if not 0 < stored.bits_stored <= stored.bits_allocated:
        raise damaged(f"{stored.bits_stored} bits stored in {stored.bits_allocated}")
    if not stored.is_float and high_bit is not None and high_bit != stored.bits_stored - 1:
        raise unsupported(f"high bit {high_bit} with {stored.bits_stored} bits stored")
    if stored.is_signed and not stored.is_grey:
        raise unsupported(f"signed samples of {stored.photometric}")
    if stored.photometric in ("YBR_ICT", "YBR_RCT") and not stored.transfer_syntax.startswith(_J2K_FAMILY):
        raise damaged(f"{stored.photometric} without JPEG 2000")
    if stored.photometric == "PALETTE COLOR" and stored.bits_allocated not in (8, 16):
        raise unsupported(f"a palette with indices of {stored.bits_allocated} bits")


def _require_enough(stored: StoredPixels, parsed: ParsedFile) -> None:
    """Refuse files that declare more pixels than they hold: a few bytes could claim terabytes."""
    left = parsed.num_bytes - parsed.pixel_offset
    if not stored.is_native:
        # Each compressed frame is an item of 8 bytes at least, so that the number of frames is bounded by the file.
        if parsed.pixel_length != UNDEFINED_LENGTH or stored.num_frames > left // 8:
            raise damaged(f"{stored.num_frames} compressed frames do not fit the file")
        return
    values = stored.num_frames * stored.height_px * stored.width_px * stored.samples
    if stored.photometric == "YBR_FULL_422":
        values = values * 2 // 3  # two pixels share their colours
    needed = (values * stored.bits_allocated + 7) // 8
    held = min(parsed.pixel_length, left)
    if parsed.pixel_length == UNDEFINED_LENGTH or held < needed:
        raise damaged(f"the pixels need {needed} bytes, the file holds {held}")
