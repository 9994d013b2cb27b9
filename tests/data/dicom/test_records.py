"""A file's records and their pixels: they agree, on made files and on the real and broken ones of pydicom."""

import collections
import io
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import convert_color_space
from pydicom.pixels.utils import as_pixel_options

from radpath.data.dicom.frames import decode_frame
from radpath.data.dicom.image import StoredPixels, describe
from radpath.data.dicom.parsing import ParsedFile, parse, quiet
from radpath.data.dicom.recognition import looks_like_dicom
from radpath.data.dicom.records import read_pixels, read_records
from radpath.data.dicom.settings import DicomSettings
from radpath.errors import DataError

Writer = Callable[..., io.BytesIO]
FRAMES = np.random.default_rng(0).integers(0, 4096, (5, 6, 8)).astype(np.uint16)


def pixels(file: io.BytesIO, member: str = "", **settings: Any) -> np.ndarray:
    file.seek(0)
    return read_pixels(file, member, DicomSettings(**settings), max_pixels=10_000)


def cine(dicom: Writer) -> io.BytesIO:
    return dicom(FRAMES[0], PixelData=FRAMES.tobytes(), NumberOfFrames=5, WindowCenter=2048, WindowWidth=4096)


@pytest.mark.parametrize("window", ["file", "none", "40/400", "lung + brain + bone"])
@pytest.mark.parametrize(
    ("values", "elements"),
    [
        (FRAMES[0].astype(np.uint8), {}),
        (FRAMES[0].astype(np.uint8), {"RescaleSlope": 2, "RescaleIntercept": 0}),
        (FRAMES[0], {"PhotometricInterpretation": "MONOCHROME1"}),
        (FRAMES[0].astype(np.int16), {"WindowCenter": 40, "WindowWidth": 400}),
        (FRAMES[0].astype(np.float32), {}),
        (np.zeros((3, 4, 3), np.uint8), {}),
        (np.zeros((3, 4, 3), np.uint16), {}),
    ],
)
def test_the_record_promises_the_pixels_that_come(
    dicom: Writer, values: np.ndarray, elements: dict[str, Any], window: str
) -> None:
    file = dicom(values, **elements)
    (record,) = read_records(file, DicomSettings(window=window))
    found = pixels(file, record.member, window=window)
    assert found.shape == (record.height_px, record.width_px) + ((3,) if record.channels == 3 else ())
    assert found.dtype == {8: np.uint8, 16: np.uint16, 32: np.float32}[record.bit_depth]
    assert found.dtype.isnative
    assert found.flags.c_contiguous
    assert record.mode == ("RGB" if values.ndim == 3 else "grey")


def test_each_frame_is_a_record(dicom: Writer) -> None:
    file = cine(dicom)
    records = read_records(file, DicomSettings())
    assert [record.member for record in records] == [f"frame[{index}]" for index in range(5)]
    for record, frame in zip(records, FRAMES, strict=True):
        np.testing.assert_array_equal(pixels(file, record.member, window="none"), frame)


@pytest.mark.parametrize(("frames", "index"), [("first", 0), ("middle", 2), ("4", 4)])
def test_a_chosen_frame_makes_the_file_one_record(dicom: Writer, frames: str, index: int) -> None:
    file = cine(dicom)
    (record,) = read_records(file, DicomSettings(frames=frames))
    assert record.member == ""
    np.testing.assert_array_equal(pixels(file, frames=frames, window="none"), FRAMES[index])


def test_a_frame_that_is_not_there_is_refused(dicom: Writer) -> None:
    file = cine(dicom)
    with pytest.raises(DataError, match=r"^no such frame: data.dicom.frames = 5, the file has 5"):
        read_records(file, DicomSettings(frames="5"))
    for member in ("frame[5]", "page[0]"):
        with pytest.raises(DataError, match=r"^no such frame: the file has 5 frames; run `radpath scan` again"):
            pixels(file, member)


def test_an_image_over_the_pixel_limit_is_refused_before_it_is_decoded(
    dicom: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("radpath.data.dicom.records.decode_frame", None)
    with pytest.raises(DataError, match=r"^over the pixel limit: 101 x 100 px are more than 10000"):
        pixels(dicom(np.zeros((100, 101), np.uint8)))


def test_a_decoder_that_breaks_the_promise_is_found(dicom: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("radpath.data.dicom.records.show", lambda *_: np.zeros((2, 2), np.uint8))
    with pytest.raises(DataError, match=r"^truncated or damaged: the pixels are uint8 of shape \(2, 2\), the header"):
        pixels(dicom(FRAMES[0]))


def test_the_case_is_the_patient_and_the_manifest_gets_the_facts(dicom: Writer) -> None:
    first, second = (read_records(dicom(FRAMES[0], PatientID=patient), DicomSettings())[0] for patient in ("1", "2"))
    assert first.facts["modality"] == "CT"
    assert str(first.facts["case"]).startswith("patient-")
    assert first.facts["case"] != second.facts["case"]


def test_threads_that_decode_side_by_side_do_not_disturb_each_other(dicom: Writer) -> None:
    lossless = [imagecodecs.jpeg2k_encode(frame, level=0, codecformat="j2k") for frame in FRAMES]
    content = dicom(FRAMES[0], syntax="1.2.840.10008.1.2.4.90", frames=lossless, NumberOfFrames=5).getvalue()

    def read(index: int) -> bool:
        found = pixels(io.BytesIO(content), f"frame[{index % 5}]", window="none")
        return np.array_equal(found, FRAMES[index % 5])

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(80)))


# What follows needs the real files; the oracle is another decoder, or the bytes themselves.


def real_files(shared_data: Path) -> Iterator[tuple[Path, bytes]]:
    for path in sorted((shared_data / "dicom").rglob("*")):
        if path.is_file() and looks_like_dicom(path.read_bytes()[:200], has_dicom_name=path.suffix in ("", ".dcm")):
            yield path, path.read_bytes()


def independent(parsed: ParsedFile, stored: StoredPixels) -> np.ndarray | None:
    """Return the stored values of the first frame by imagecodecs or by the bytes; None where neither can tell."""
    stream = parsed.stream
    stream.seek(parsed.pixel_offset)
    size = (stored.height_px, stored.width_px)
    if stored.is_native:
        if stored.bits_allocated == 1 or stored.photometric.startswith("YBR"):
            return None
        kind = "f" if stored.is_float else "i" if stored.is_signed else "u"
        order = ">" if stored.transfer_syntax.endswith("1.2.2") else "<"
        whole = np.frombuffer(stream.read(parsed.pixel_length), f"{order}{kind}{stored.bits_allocated // 8}")
        if order == ">" and stored.bits_allocated == 8 and parsed.pixel_vr == "OW":
            whole = whole.view("u2").byteswap().view(np.uint8)
        values = whole[: size[0] * size[1] * stored.samples]
        values = values if stored.is_float else within_bits(values, stored)
        return values.reshape(3, *size).transpose(1, 2, 0) if stored.is_planar else values.reshape(*size, -1).squeeze()
    codestream = get_frame(stream, 0, number_of_frames=stored.num_frames)
    if stored.transfer_syntax.endswith("1.2.5"):
        return None
    decode = {"8": imagecodecs.jpegls_decode, "9": imagecodecs.jpeg2k_decode, "2": imagecodecs.jpeg2k_decode}
    values = decode.get(stored.transfer_syntax.removeprefix("1.2.840.10008.1.2.4.")[0], imagecodecs.jpeg8_decode)(
        codestream
    )
    if stored.transfer_syntax.endswith(
        ("4.50", "4.57", "4.70")
    ):  # colours as the file says; where it is silent, another plug-in tells
        return None
    return within_bits(values, stored)


def within_bits(values: np.ndarray, stored: StoredPixels) -> np.ndarray:
    """Return what the stored bits mean; those above them are no part of a value (PS3.5 8.1.1)."""
    bits, half = stored.bits_stored, 1 << (stored.bits_stored - 1)
    wide = values.astype(np.int64)
    return (wide + half) % (1 << bits) - half if stored.is_signed else wide % (1 << bits)


def by_another_plugin(content: bytes, stored: StoredPixels) -> np.ndarray:
    """Return the first frame by a decoder that radpath does not use for it: gdcm, or pydicom's own."""
    with quiet():
        dataset = dcmread(io.BytesIO(content), force=True)
        options = as_pixel_options(dataset, photometric_interpretation=stored.photometric)
        plugin = (
            "gdcm"
            if stored.transfer_syntax.endswith(("4.50", "4.57", "4.70"))
            else ""
            if stored.is_native
            else "pydicom"
        )
        decoder = get_decoder(stored.transfer_syntax)
        values, about = decoder.as_array(dataset, index=0, raw=True, decoding_plugin=plugin, **options)
        if str(about["photometric_interpretation"]).startswith("YBR_FULL"):
            values = convert_color_space(values, "YBR_FULL", "RGB")
    return values


@pytest.mark.slow
def test_every_real_file_has_independent_pixels_or_a_reason(shared_data: Path) -> None:
    counts: collections.Counter[str] = collections.Counter()
    differ = []
    for path, content in real_files(shared_data):
        try:
            file = io.BytesIO(content)
            records = read_records(file, DicomSettings())
            read_pixels(file, records[-1].member, DicomSettings(), max_pixels=10**8)
        except DataError as error:
            counts[str(error).partition(":")[0]] += 1
            continue
        parsed = parse(io.BytesIO(content))
        stored = describe(parsed)
        ours = decode_frame(parsed, stored, 0)
        theirs = independent(parsed, stored)
        counts["decoded"] += 1
        counts["by a plug-in" if theirs is None else "by another library"] += 1
        theirs = by_another_plugin(content, stored) if theirs is None else theirs
        if not np.array_equal(ours, theirs):
            differ.append(path.name)
    assert differ == []
    assert counts == {
        "decoded": 152,
        "by another library": 122,
        "by a plug-in": 30,
        "not an image": 91,
        "truncated or damaged": 2,
    }


def test_the_real_files_show_what_the_standard_says(shared_data: Path) -> None:
    """One file for each step, with the formula written out."""
    folder = shared_data / "dicom" / "pydicom_data"
    for name in ("mlut_18.dcm", "vlut_04.dcm", "RG3_J2KR.dcm"):
        with (folder / name).open("rb") as file:
            parsed = parse(file)
            stored = describe(parsed)
            values = decode_frame(parsed, stored, 0).astype(np.int64)
            file.seek(0)
            shown = read_pixels(file, "", DicomSettings(), max_pixels=10**8)
        table = parsed.dataset
        if name == "RG3_J2KR.dcm":
            light = ((values - 549.5) / 1023 + 0.5).clip(0, 1)
            np.testing.assert_array_equal(shown, np.floor((1 - light) * 65535 + 0.5))
            continue
        keyword = "ModalityLUTSequence" if name.startswith("m") else "VOILUTSequence"
        item = table[keyword][0]
        count, first, bits = item.LUTDescriptor
        data = np.frombuffer(item.LUTData, "<u2") if isinstance(item.LUTData, bytes) else np.array(item.LUTData)
        looked_up = data[:count].astype(float)[(values - first).clip(0, count - 1)]
        lowest, highest = (looked_up.min(), looked_up.max()) if name.startswith("m") else (0, (1 << bits) - 1)
        expected = np.floor((looked_up - lowest) / (highest - lowest) * 65535 + 0.5)
        np.testing.assert_allclose(shown, expected, atol=1)
