"""What a header may claim about its pixels, and what is refused before anything is decoded."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from radpath.data.dicom.image import PLUGINS, StoredPixels, describe
from radpath.data.dicom.parsing import parse
from radpath.errors import DataError

Writer = Callable[..., io.BytesIO]
GREY = np.arange(12, dtype=np.uint16).reshape(3, 4)
COLOUR = np.zeros((2, 4, 3), np.uint8)


def described(file: io.BytesIO) -> StoredPixels:
    return describe(parse(file))


def test_a_picture_is_described_as_its_header_says(dicom: Writer) -> None:
    assert described(dicom(GREY, BitsStored=12, HighBit=11)) == StoredPixels(
        width_px=4,
        height_px=3,
        num_frames=1,
        photometric="MONOCHROME2",
        samples=1,
        bits_allocated=16,
        bits_stored=12,
        is_signed=False,
        is_planar=False,
        keyword="PixelData",
        transfer_syntax="1.2.840.10008.1.2.1",
    )


@pytest.mark.parametrize(
    ("uid", "kind"),
    [
        ("1.2.840.10008.5.1.4.1.1.66.4", "a segmentation"),
        ("1.2.840.10008.5.1.4.1.1.481.2", "a radiotherapy dose"),
    ],
)
def test_pixels_that_are_no_picture_are_not_taken_for_one(dicom: Writer, uid: str, kind: str) -> None:
    with pytest.raises(DataError, match=f"^not an image: {kind}$"):
        described(dicom(GREY, SOPClassUID=uid))


@pytest.mark.parametrize(
    ("uid", "kind"),
    [
        ("1.2.840.10008.1.3.10", "a DICOMDIR"),
        ("1.2.840.10008.5.1.4.1.1.88.33", "a structured report"),
        ("1.2.840.10008.5.1.4.1.1.104.1", "a document"),
        ("1.2.840.10008.5.1.4.1.1.481.3", "a radiotherapy object"),
        ("1.2.840.10008.5.1.4.1.1.9.1.1", "a waveform"),
        ("1.2.840.10008.5.1.4.1.1.11.1", "a presentation state"),
        ("1.2.840.10008.5.1.4.1.1.66", "raw or derived data"),
        ("1.2.840.10008.5.1.4.1.1.2", "DICOM without pixels"),
    ],
)
def test_a_file_without_pixels_says_what_it_is(dicom: Writer, uid: str, kind: str) -> None:
    with pytest.raises(DataError, match=f"^not an image: {kind}$"):
        described(dicom(SOPClassUID=uid))


@pytest.mark.parametrize(
    ("values", "elements", "message"),
    [
        (GREY, {"Rows": 4}, r"truncated or damaged: the pixels need 32 bytes, the file holds 24"),
        (
            GREY,
            {"Rows": 60000, "Columns": 60000, "NumberOfFrames": 2**31 - 1},
            r"truncated or damaged: the pixels need",
        ),
        (GREY, {"NumberOfFrames": 2}, r"truncated or damaged: the pixels need 48 bytes"),
        (GREY, {"Columns": None}, r"truncated or damaged: Columns is missing or not positive"),
        (GREY, {"BitsAllocated": None}, r"truncated or damaged: BitsAllocated is missing"),
        (GREY, {"BitsAllocated": 12}, r"unsupported: 12 bits allocated; PixelData is read with \(1, 8, 16, 32\)"),
        (GREY, {"BitsStored": 17, "HighBit": 16}, r"truncated or damaged: 17 bits stored in 16"),
        (GREY, {"BitsStored": 12, "HighBit": 15}, r"unsupported: high bit 15 with 12 bits stored"),
        (GREY, {"PhotometricInterpretation": None}, r"unsupported: the photometric interpretation is missing, or none"),
        (
            GREY,
            {"PhotometricInterpretation": "HSV"},
            r"unsupported: the photometric interpretation is missing, or none",
        ),
        (GREY, {"PhotometricInterpretation": "RGB"}, r"truncated or damaged: 1 samples a pixel do not fit RGB"),
        (COLOUR, {"PhotometricInterpretation": "YBR_RCT"}, r"truncated or damaged: YBR_RCT without JPEG 2000"),
        (COLOUR, {"PixelRepresentation": 1}, r"unsupported: signed samples of RGB"),
        (
            GREY.astype(np.uint32),
            {"PhotometricInterpretation": "PALETTE COLOR"},
            r"unsupported: a palette with indices of 32 bits",
        ),
    ],
)
def test_a_header_that_cannot_be_true_is_refused(
    dicom: Writer, values: np.ndarray, elements: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=f"^{message}"):
        described(dicom(values, **elements))


def test_an_unknown_transfer_syntax_is_named_by_the_standard(dicom: Writer) -> None:
    with pytest.raises(DataError, match=r"^unsupported: the transfer syntax MPEG2 Main Profile / Main Level$"):
        described(dicom(GREY, syntax="1.2.840.10008.1.2.4.100"))


def test_compressed_frames_must_fit_the_file(dicom: Writer) -> None:
    file = dicom(GREY, syntax="1.2.840.10008.1.2.5", PixelData=bytes(40), NumberOfFrames=100)
    with pytest.raises(DataError, match=r"^truncated or damaged: 100 compressed frames do not fit the file"):
        described(file)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_floating_point_pixels_need_no_bits_stored(dicom: Writer, kind: type) -> None:
    stored = described(dicom(GREY.astype(kind)))
    assert (stored.is_float, stored.bits_stored) == (True, np.dtype(kind).itemsize * 8)


def test_every_transfer_syntax_has_a_decoder_that_is_installed() -> None:
    from pydicom.pixels.decoders.base import get_decoder

    wanted = {uid: name for uid, name in PLUGINS.items() if name}
    assert [uid for uid, name in wanted.items() if name not in get_decoder(uid).available_plugins] == []
    assert set(wanted.values()) == {"pillow", "pyjpegls", "pylibjpeg"}
