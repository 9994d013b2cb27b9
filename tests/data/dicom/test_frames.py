"""Stored values of one frame: every encoding against a decoder that is not the one radpath uses."""

import io
import struct
from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
import pytest

from radpath.data.dicom.frames import Values, codestream_size_px, decode_frame
from radpath.data.dicom.image import describe
from radpath.data.dicom.parsing import parse
from radpath.errors import DataError, MissingExtraError

Writer = Callable[..., io.BytesIO]

BASELINE, EXTENDED, LOSSLESS = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.70"
JPEG_LS, J2K, J2K_LOSSY, RLE = (
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.5",
)


def noise(shape: tuple[int, ...], kind: type, *, bits: int | None = None, seed: int = 0) -> np.ndarray:
    highest = 1 << (bits or np.dtype(kind).itemsize * 8)
    lowest = -highest // 2 if np.dtype(kind).kind == "i" else 0
    return np.random.default_rng(seed).integers(lowest, lowest + highest, shape).astype(kind)


def decoded(file: io.BytesIO, index: int = 0) -> Values:
    parsed = parse(file)
    return decode_frame(parsed, describe(parsed), index)


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"])
def test_uncompressed_grey_is_returned_as_written(dicom: Writer, kind: type, syntax: str) -> None:
    values: np.ndarray = noise((5, 7), np.uint8).astype(kind)
    stored = values.astype(values.dtype.newbyteorder(">" if syntax.endswith("2.2") else "<"))
    extra: dict[str, Any] = {}
    if (
        syntax.endswith("2.2") and values.itemsize == 1
    ):  # 8 bits as 16-bit words (PS3.5 8.1.1): neighbours change places
        extra["PixelData"] = np.frombuffer(values.tobytes() + b"\0", "u2").byteswap().tobytes()
    found = decoded(dicom(stored, syntax=syntax, **extra))
    assert found.dtype == kind
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_colours_lie_side_by_side_or_in_planes(dicom: Writer, planar: int, kind: type) -> None:
    values = noise((4, 6, 3), kind)
    stored = values if planar == 0 else values.transpose(2, 0, 1)
    np.testing.assert_array_equal(
        decoded(dicom(values, PixelData=stored.tobytes(), PlanarConfiguration=planar)), values
    )


def test_each_frame_is_found_in_its_place(dicom: Writer) -> None:
    frames = noise((3, 4, 5), np.int16)
    file = dicom(frames[0], PixelData=frames.tobytes(), NumberOfFrames=3)
    for index in (2, 0, 1):
        np.testing.assert_array_equal(decoded(file, index), frames[index])
        file.seek(0)


def test_frames_of_single_bits_need_not_begin_at_a_byte(dicom: Writer) -> None:
    bits = noise((3, 3, 5), np.uint8, bits=1)
    packed = np.packbits(bits.ravel(), bitorder="little").tobytes()
    options = {"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0, "NumberOfFrames": 3, "PixelData": packed}
    for index in range(3):
        np.testing.assert_array_equal(decoded(dicom(bits[0], **options), index), bits[index])


@pytest.mark.parametrize("kind", [np.uint16, np.int16])
def test_overlays_in_unused_bits_are_cleared(dicom: Writer, kind: type) -> None:
    values = noise((5, 7), kind, bits=12)
    overlaid = (values & 0x0FFF) | (noise((5, 7), np.uint8, bits=1).astype(kind) << 12)
    found = decoded(dicom(overlaid.astype(kind), BitsStored=12, HighBit=11))
    np.testing.assert_array_equal(found, values)


def test_ycbcr_becomes_rgb_by_the_standards_matrix(dicom: Writer) -> None:
    ycbcr = noise((4, 6, 3), np.uint8)
    luma, blue, red = (ycbcr[..., plane].astype(float) - (0, 128, 128)[plane] for plane in range(3))
    expected = np.stack([luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue], axis=-1)
    found = decoded(dicom(ycbcr, PhotometricInterpretation="YBR_FULL"))
    assert np.abs(found - expected.clip(0, 255)).max() <= 1


def test_two_pixels_may_share_their_colours(dicom: Writer) -> None:
    pairs = noise((4, 3, 4), np.uint8)  # two lumas, Cb, Cr
    both = np.stack([pairs[..., [0, 2, 3]], pairs[..., [1, 2, 3]]], axis=2).reshape(4, 6, 3)
    shared = dicom(both, PhotometricInterpretation="YBR_FULL_422", PixelData=pairs.tobytes())
    np.testing.assert_array_equal(decoded(shared), decoded(dicom(both, PhotometricInterpretation="YBR_FULL")))


LOSSLESS_GREY = [
    (JPEG_LS, imagecodecs.jpegls_encode, np.uint8, 8),
    (JPEG_LS, imagecodecs.jpegls_encode, np.uint16, 16),
    (J2K, lambda values: imagecodecs.jpeg2k_encode(values, level=0, codecformat="j2k"), np.uint8, 8),
    (J2K, lambda values: imagecodecs.jpeg2k_encode(values, level=0, codecformat="j2k"), np.uint16, 16),
    (J2K, lambda values: imagecodecs.jpeg2k_encode(values, level=0, codecformat="j2k"), np.int16, 16),
    (LOSSLESS, lambda values: imagecodecs.jpeg8_encode(values, lossless=True, predictor=1), np.uint8, 8),
    (
        LOSSLESS,
        lambda values: imagecodecs.jpeg8_encode(values, lossless=True, predictor=1, bitspersample=16),
        np.uint16,
        16,
    ),
    (
        LOSSLESS,
        lambda values: imagecodecs.jpeg8_encode(values, lossless=True, predictor=1, bitspersample=12),
        np.uint16,
        12,
    ),
]


@pytest.mark.parametrize(("syntax", "encode", "kind", "bits"), LOSSLESS_GREY)
def test_lossless_codestreams_of_another_encoder_are_returned_exactly(
    dicom: Writer, syntax: str, encode: Callable[[np.ndarray], bytes], kind: type, bits: int
) -> None:
    values = noise((33, 47), kind, bits=bits)
    found = decoded(dicom(values, syntax=syntax, frames=[encode(values)], BitsStored=bits, HighBit=bits - 1))
    np.testing.assert_array_equal(found, values)


def test_several_compressed_frames_are_told_apart(dicom: Writer) -> None:
    frames = noise((3, 16, 24), np.uint8)
    file = dicom(
        frames[0], syntax=JPEG_LS, frames=[imagecodecs.jpegls_encode(frame) for frame in frames], NumberOfFrames=3
    )
    for index in (2, 0, 1):
        file.seek(0)
        np.testing.assert_array_equal(decoded(file, index), frames[index])


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_run_lengths_are_unfolded(dicom: Writer, kind: type) -> None:
    values = np.repeat(noise((6, 4), kind), 5, axis=1)
    planes = [values.astype(">u2").view(np.uint8)[:, place::2] for place in (0, 1)] if kind == np.uint16 else [values]
    np.testing.assert_array_equal(decoded(dicom(values, syntax=RLE, frames=[packed_bits(planes)])), values)


def test_run_lengths_of_colours_lie_in_planes(dicom: Writer) -> None:
    values = noise((6, 8, 3), np.uint16)
    planes = [values[..., ink].astype(">u2").view(np.uint8)[:, place::2] for ink in range(3) for place in (0, 1)]
    np.testing.assert_array_equal(decoded(dicom(values, syntax=RLE, frames=[packed_bits(planes)])), values)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (bytes(60), "the RLE header is not whole"),
        (struct.pack("<16L", 2, 64, 66, *[0] * 13) + bytes(4), "the RLE header declares 2 segments; 1 are needed"),
        (struct.pack("<16L", 1, 0, *[0] * 14) + bytes(4), "the RLE header declares 1 segments"),
        (struct.pack("<16L", 1, 64, *[0] * 14) + b"\x03ab", "an RLE segment ends too early"),
        (struct.pack("<16L", 1, 2**32 - 1, *[0] * 14) + b"\x03ab", "an RLE segment ends too early"),
    ],
)
def test_malformed_run_lengths_are_refused(dicom: Writer, frame: bytes, message: str) -> None:
    with pytest.raises(DataError, match=f"^truncated or damaged: {message}"):
        decoded(dicom(noise((4, 4), np.uint8), syntax=RLE, frames=[frame]))


def packed_bits(planes: list[np.ndarray]) -> bytes:
    """Write PackBits segments behind the header of DICOM's RLE (PS3.5 annex G), with another library."""
    segments = [imagecodecs.packbits_encode(plane.tobytes()) for plane in planes]
    segments = [segment + bytes(len(segment) % 2) for segment in segments]
    offsets = np.cumsum([64, *map(len, segments[:-1])])
    return struct.pack("<16L", len(segments), *offsets, *[0] * (15 - len(segments))) + b"".join(segments)


def test_baseline_jpeg_agrees_with_another_decoder(dicom: Writer) -> None:
    ramp = np.add.outer(np.arange(32), np.arange(48)).astype(np.uint8)
    rgb = np.stack([ramp, ramp[::-1], ramp[:, ::-1]], axis=-1)
    stream = imagecodecs.jpeg8_encode(rgb, level=90, subsampling="444")
    found = decoded(dicom(rgb, syntax=BASELINE, frames=[stream], PhotometricInterpretation="YBR_FULL"))
    assert np.abs(found.astype(int) - imagecodecs.jpeg8_decode(stream)).max() <= 2


def test_jpeg_of_12_bits_is_decoded(dicom: Writer) -> None:
    values = (np.add.outer(np.arange(32), np.arange(48)) * 51).astype(np.uint16)
    stream = imagecodecs.jpeg8_encode(values, level=100, bitspersample=12)
    found = decoded(dicom(values, syntax=EXTENDED, frames=[stream], BitsStored=12, HighBit=11))
    assert np.abs(found.astype(int) - values).max() <= 4


def test_a_cut_codestream_is_refused(dicom: Writer) -> None:
    values = noise((33, 47), np.uint8)
    for syntax, stream in (
        (JPEG_LS, imagecodecs.jpegls_encode(values)),
        (J2K, imagecodecs.jpeg2k_encode(values, level=0, codecformat="j2k")),
        (BASELINE, imagecodecs.jpeg8_encode(values)),
    ):
        with pytest.raises(DataError, match=r"^truncated or damaged: the compressed frame ends too early"):
            decoded(dicom(values, syntax=syntax, frames=[stream[: len(stream) // 2]]))


@pytest.mark.parametrize("encode", [imagecodecs.jpegls_encode, imagecodecs.jpeg8_encode])
def test_a_codestream_of_another_size_is_refused_before_it_is_decoded(
    dicom: Writer, encode: Callable[[np.ndarray], bytes]
) -> None:
    large, small = noise((64, 64), np.uint8), noise((4, 4), np.uint8)
    syntax = JPEG_LS if encode is imagecodecs.jpegls_encode else BASELINE
    with pytest.raises(
        DataError, match=r"^truncated or damaged: the compressed frame is 64 x 64 px, the header says 4"
    ):
        decoded(dicom(small, syntax=syntax, frames=[encode(large)]))


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_lossless_jpeg_that_was_cut_and_closed_again_is_refused(dicom: Writer, share: float) -> None:
    values = noise((33, 47), np.uint8)
    stream = imagecodecs.jpeg8_encode(values, lossless=True, predictor=1)
    cut = stream[: int(share * len(stream))] + b"\xff\xd9"
    with pytest.raises(DataError, match=r"^truncated or damaged: the JPEG ends before its last pixels"):
        decoded(dicom(values, syntax=LOSSLESS, frames=[cut]))


def test_the_boxes_of_a_jp2_file_are_skipped_and_cannot_hold_us_up(dicom: Writer) -> None:
    """A box without a length makes pydicom 3.0 search for ever."""
    values = noise((33, 47), np.uint8)
    stream = bytearray(imagecodecs.jpeg2k_encode(values, level=0, codecformat="jp2"))
    for boxes in (bytes(stream), bytes(stream[:12] + bytes(4) + stream[16:])):
        np.testing.assert_array_equal(decoded(dicom(values, syntax=J2K, frames=[boxes])), values)


def test_what_is_no_codestream_is_refused(dicom: Writer) -> None:
    with pytest.raises(DataError, match=r"^truncated or damaged: the compressed frame has no size"):
        decoded(dicom(noise((4, 4), np.uint8), syntax=J2K, frames=[b"nothing of that kind\xff\xd9"]))


def test_damage_inside_a_codestream_is_refused_and_says_nothing_of_the_file(dicom: Writer) -> None:
    values = noise((33, 47), np.uint8)
    stream = bytearray(imagecodecs.jpegls_encode(values))
    stream[60:-2] = b"\xff\x00" * ((len(stream) - 62) // 2) + b"\0" * (len(stream) % 2)
    with pytest.raises(DataError, match=r"^truncated or damaged: decoding failed \(RuntimeError\)$"):
        decoded(dicom(values, syntax=JPEG_LS, frames=[bytes(stream)]))


def test_a_frame_behind_the_last_item_is_refused(dicom: Writer) -> None:
    values = noise((4, 4), np.uint8)
    with pytest.raises(DataError, match=r"^truncated or damaged: finding the frame failed"):
        decoded(dicom(values, syntax=JPEG_LS, frames=[imagecodecs.jpegls_encode(values)], NumberOfFrames=3), 2)


def test_single_bits_in_big_endian_words_are_refused(dicom: Writer) -> None:
    options = {"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0, "PixelData": bytes(2)}
    with pytest.raises(DataError, match=r"^unsupported: single bits in big-endian order"):
        decoded(dicom(np.zeros((2, 4), np.uint8), syntax="1.2.840.10008.1.2.2", **options))


def test_a_missing_decoder_is_named_with_its_extra(dicom: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    from pydicom.pixels.decoders.base import JPEGLSLosslessDecoder

    monkeypatch.setattr(JPEGLSLosslessDecoder, "_available", {})
    values = noise((4, 4), np.uint8)
    with pytest.raises(MissingExtraError, match=r"needs pyjpegls: pip install 'radpath\[dicom\]'$"):
        decoded(dicom(values, syntax=JPEG_LS, frames=[imagecodecs.jpegls_encode(values)]))


@pytest.mark.parametrize(
    "codestream",
    [
        b"",
        b"\xff\xd8",
        b"\xff\xd8\xff\xe0\x00\x00" + bytes(20),
        b"\xff\x4f\xff\x51" + bytes(4),
        b"\xff\xd8" + bytes(20),
    ],
)
def test_a_codestream_without_a_size_has_none(codestream: bytes) -> None:
    assert codestream_size_px(codestream) is None


@pytest.mark.parametrize(("width", "height"), [(1, 1), (300, 7), (65535, 2)])
def test_the_size_is_where_the_encoders_write_it(width: int, height: int) -> None:
    values = np.zeros((height, width), np.uint8)
    streams = [imagecodecs.jpegls_encode(values), imagecodecs.jpeg2k_encode(values, codecformat="jp2")]
    assert [codestream_size_px(bytes(stream)) for stream in streams] == [(width, height)] * 2
