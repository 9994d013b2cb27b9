"""From stored values to what is shown: the standard's steps in their order, written out or done by pydicom."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

from radpath.data.dicom.frames import decode_frame
from radpath.data.dicom.grey import GreyTransform, Shown, read_transform, show
from radpath.data.dicom.image import describe
from radpath.data.dicom.lookup import LookupTable, Window
from radpath.data.dicom.parsing import parse
from radpath.data.dicom.settings import read_windows
from radpath.errors import DataError

Writer = Callable[..., io.BytesIO]

HOUNSFIELD = np.array([[-2000, -1024, -600], [0, 40, 3000]], np.int16)


def shown(file: io.BytesIO, window: str = "file", index: int = 0) -> Shown:
    parsed = parse(file)
    stored = describe(parsed)
    transform = read_transform(parsed.dataset, stored, index, read_windows(window))
    pixels = show(decode_frame(parsed, stored, index), transform, stored)
    assert pixels.dtype.itemsize * 8 == transform.depth
    return pixels


def table_item(entries: list[int], *, first: int = 0, bits: int = 16) -> Dataset:
    item = Dataset()
    item.LUTDescriptor = [len(entries), first, bits]
    item.LUTData = entries
    item["LUTDescriptor"].VR = item["LUTData"].VR = "US"
    return item


def test_grey_of_8_bits_without_a_window_stays_as_it_is(dicom: Writer) -> None:
    values = np.arange(12, dtype=np.uint8).reshape(3, 4)
    np.testing.assert_array_equal(shown(dicom(values)), values)
    np.testing.assert_array_equal(shown(dicom(values), "none"), values)


def test_fewer_bits_are_spread_to_8(dicom: Writer) -> None:
    values = np.array([[0, 1, 2, 3]], np.uint8)
    assert shown(dicom(values, BitsStored=2, HighBit=1)).tolist() == [[0, 85, 170, 255]]


def test_a_window_gives_16_bits_even_to_8(dicom: Writer) -> None:
    values = np.array([[99, 100, 101]], np.uint8)
    assert shown(dicom(values, WindowCenter=100.5, WindowWidth=2)).tolist() == [[0, 32768, 65535]]


def test_no_window_gives_the_unit_of_the_file(dicom: Writer) -> None:
    pixels = shown(dicom(HOUNSFIELD - HOUNSFIELD.min(), RescaleSlope=1, RescaleIntercept=-2000), "none")
    assert pixels.dtype == np.float32
    np.testing.assert_array_equal(pixels, HOUNSFIELD)


def test_without_a_window_in_the_file_the_own_range_is_shown(dicom: Writer) -> None:
    assert shown(dicom(np.array([[100, 200], [150, 100]], np.uint16))).tolist() == [[0, 65535], [32768, 0]]


def test_a_constant_image_is_black(dicom: Writer) -> None:
    assert shown(dicom(np.full((2, 2), 700, np.uint16))).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize(
    ("window", "centre", "width"),
    [("file", 40, 400), ("file:1", -600, 1500), ("file:LUNG", -600, 1500), ("bone", 400, 1800), ("7/9", 7, 9)],
)
def test_the_window_that_is_asked_for_is_used(dicom: Writer, window: str, centre: float, width: float) -> None:
    file = dicom(
        HOUNSFIELD,
        WindowCenter=[40, -600],
        WindowWidth=[400, 1500],
        WindowCenterWidthExplanation=["SOFT", "LUNG"],
        RescaleType="HU",
    )
    light = ((HOUNSFIELD - (centre - 0.5)) / (width - 1) + 0.5).clip(0, 1)
    np.testing.assert_array_equal(shown(file, window), np.floor(light * 65535 + 0.5))


def test_three_windows_become_three_channels(dicom: Writer) -> None:
    pixels = shown(dicom(HOUNSFIELD), "lung + soft tissue + bone")
    assert pixels.shape == (2, 3, 3)
    for channel, window in enumerate(("lung", "soft tissue", "bone")):
        np.testing.assert_array_equal(pixels[..., channel], shown(dicom(HOUNSFIELD), window))


@pytest.mark.parametrize(
    ("elements", "window", "message"),
    [
        ({"Modality": "MR"}, "lung", "no such window: lung is for CT in Hounsfield units"),
        ({"RescaleType": "US"}, "lung", "no such window: lung is for CT in Hounsfield units"),
        ({}, "file:1", "no such window: data.dicom.window asks for file:1, the file has 0"),
        ({"WindowCenter": 1, "WindowWidth": 2}, "file:bone", "no such window: data.dicom.window asks for file:bone"),
        ({"RescaleSlope": 0, "RescaleIntercept": 0}, "file", "truncated or damaged: RescaleSlope is 0"),
    ],
)
def test_what_cannot_be_shown_as_asked_is_refused(
    dicom: Writer, elements: dict[str, Any], window: str, message: str
) -> None:
    with pytest.raises(DataError, match=f"^{message}"):
        shown(dicom(HOUNSFIELD, **elements), window)


@pytest.mark.parametrize("window", ["file", "none", "2/3"])
@pytest.mark.parametrize(
    "elements", [{"PhotometricInterpretation": "MONOCHROME1"}, {"PresentationLUTShape": "INVERSE"}]
)
def test_what_is_stored_white_on_black_is_turned(dicom: Writer, elements: dict[str, Any], window: str) -> None:
    values = np.array([[0, 1, 2, 4095]], np.uint16)
    depth = {"BitsStored": 12, "HighBit": 11}
    plain, turned = shown(dicom(values, **depth), window), shown(dicom(values, **depth, **elements), window)
    white = 4095 if window == "none" else 65535
    np.testing.assert_allclose(turned, white - plain.astype(float), atol=1)


def test_inverse_and_monochrome1_say_the_same_and_turn_once(dicom: Writer) -> None:
    values = np.array([[0, 255]], np.uint8)
    both = dicom(values, PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="INVERSE")
    assert shown(both).tolist() == [[255, 0]]


def test_padding_is_black_and_takes_no_part_in_the_range(dicom: Writer) -> None:
    values = np.array([[-2000, -1000, 0, 1000]], np.int16)
    for photometric, expected in (("MONOCHROME2", [0, 0, 32768, 65535]), ("MONOCHROME1", [0, 65535, 32768, 0])):
        file = dicom(values, PixelPaddingValue=-2000, PhotometricInterpretation=photometric)
        assert shown(file).tolist() == [expected]


def test_padding_without_a_window_has_the_lowest_value(dicom: Writer) -> None:
    values = np.array([[-2000, -1990, -1000, 1000]], np.int16)
    file = dicom(values, PixelPaddingValue=-2000, PixelPaddingRangeLimit=-1980)
    assert shown(file, "none").tolist() == [[-1000, -1000, -1000, 1000]]


def test_an_image_of_padding_alone_is_black(dicom: Writer) -> None:
    file = dicom(np.full((2, 2), 9, np.uint16), PixelPaddingValue=9)
    assert shown(file).tolist() == [[0, 0], [0, 0]]


def test_padding_written_as_unsigned_in_a_signed_file_is_found(dicom: Writer) -> None:
    content = dicom(np.array([[-2000, 0, 1]], np.int16), PixelPaddingValue=-2000).getvalue()
    file = io.BytesIO(content.replace(b"\x28\x00\x20\x01SS", b"\x28\x00\x20\x01US"))
    assert shown(file).tolist() == [[0, 0, 65535]]


def test_a_modality_table_goes_before_the_window(dicom: Writer) -> None:
    file = dicom(
        np.array([[0, 1, 2, 9]], np.uint16),
        ModalityLUTSequence=[table_item([10, 20, 40])],
        WindowCenter=20.5,
        WindowWidth=21,
    )
    assert shown(file).tolist() == [[0, 32768, 65535, 65535]]


def test_a_voi_table_is_the_first_choice_and_may_be_named(dicom: Writer) -> None:
    item = table_item([0, 3, 15], first=5, bits=4)
    item.LUTExplanation = "Cardiac"
    elements = {"VOILUTSequence": [item], "WindowCenter": 6, "WindowWidth": 2}
    values = np.array([[4, 6, 7]], np.uint16)
    assert shown(dicom(values, **elements)).tolist() == [[0, 13107, 65535]]
    assert shown(dicom(values, **elements), "file:cardiac").tolist() == [[0, 13107, 65535]]
    assert shown(dicom(values, **elements), "file:1").tolist() == [[0, 65535, 65535]]


def functional_groups(index: int) -> Dataset:
    rescale, window, group = Dataset(), Dataset(), Dataset()
    rescale.RescaleSlope, rescale.RescaleIntercept = 1, 100 * index
    window.WindowCenter, window.WindowWidth = 105 + 100 * index, 11
    group.PixelValueTransformationSequence, group.FrameVOILUTSequence = [rescale], [window]
    return group


@pytest.mark.parametrize("place", ["PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"])
def test_each_frame_is_shown_by_its_own_elements_or_by_the_shared_ones(dicom: Writer, place: str) -> None:
    frames = np.array([[[100, 110]], [[100, 110]]], np.uint16)
    groups = [functional_groups(0), functional_groups(1)]
    elements = {place: groups if place.startswith("Per") else groups[1:], "WindowCenter": 0, "WindowWidth": 1}
    file = dicom(frames[0], PixelData=frames.tobytes(), NumberOfFrames=2, **elements)
    expected = {"PerFrameFunctionalGroupsSequence": [[3277, 65535]], "SharedFunctionalGroupsSequence": [[3277, 65535]]}
    assert shown(file, index=1).tolist() == expected[place]
    assert shown(file, "none", index=1).tolist() == [[200, 210]]


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_floating_point_pixels_are_shown_alike(dicom: Writer, kind: type) -> None:
    values: np.ndarray = np.array([[-1.5, 0.25, 2.0]], kind)
    assert shown(dicom(values), "none").tolist() == [[-1.5, 0.25, 2.0]]
    assert shown(dicom(values)).tolist() == [[0, 32768, 65535]]
    assert shown(dicom(values, PhotometricInterpretation="MONOCHROME1"), "none").tolist() == [[1.5, -0.25, -2.0]]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("window", ["file", "none", "1/2"])
def test_what_is_no_number_is_refused(dicom: Writer, value: float, window: str) -> None:
    with pytest.raises(DataError, match=r"^not finite: some pixels are NaN, infinite, or beyond"):
        shown(dicom(np.array([[0.0, value]])), window)


def test_numbers_that_32_bits_cannot_tell_apart_are_refused(dicom: Writer) -> None:
    with pytest.raises(DataError, match=r"^unsupported: numbers from 1000000000 to 1000000003, closer than"):
        shown(dicom(np.array([[0, 1, 2, 3]], np.float64) + 1e9), "none")


def test_numbers_of_32_bits_are_shown_without_a_table_of_all(dicom: Writer) -> None:
    assert shown(dicom(np.array([[0, 1 << 31, (1 << 32) - 1]], np.uint32))).tolist() == [[0, 32768, 65535]]


def test_a_value_beyond_the_stored_bits_is_refused() -> None:
    transform = GreyTransform(rescale=(1.0, 0.0), windows=(None,), is_inverted=False, padding=None, depth=16)
    parsed_stored = describe_12_bits()
    with pytest.raises(DataError, match=r"^truncated or damaged: a value needs more than 12 bits"):
        show(np.array([[5000]], np.uint16), transform, parsed_stored)


def describe_12_bits() -> Any:
    from radpath.data.dicom.image import StoredPixels

    return StoredPixels(
        width_px=1,
        height_px=1,
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


@settings(max_examples=25, deadline=None)
@given(
    slope=st.sampled_from([0.5, 1, 2, -1, 3.774114]),
    intercept=st.sampled_from([0, -1024, 12.5]),
    centre=st.integers(-1000, 4000),
    width=st.integers(2, 4000),
    kind=st.sampled_from([np.int16, np.uint16]),
    seed=st.integers(0, 99),
)
def test_rescaling_and_window_agree_with_pydicom(
    dicom: Writer, slope: float, intercept: float, centre: int, width: int, kind: type, seed: int
) -> None:
    lowest, highest = (-2048, 2047) if kind is np.int16 else (0, 4095)
    values: np.ndarray = np.random.default_rng(seed).integers(lowest, highest + 1, (6, 8)).astype(kind)
    elements = {"RescaleSlope": slope, "RescaleIntercept": intercept, "WindowCenter": centre, "WindowWidth": width}
    file = dicom(values, BitsStored=12, HighBit=11, **elements)
    dataset = parse(file).dataset
    theirs = apply_voi_lut(apply_modality_lut(values, dataset), dataset).astype(float)
    black, white = lowest * slope + intercept, highest * slope + intercept
    ours = shown(file).astype(float)
    np.testing.assert_allclose(ours, (theirs - black) / (white - black) * 65535, atol=0.51)


def test_a_table_and_a_window_are_told_apart(dicom: Writer) -> None:
    parsed = parse(dicom(HOUNSFIELD, VOILUTSequence=[table_item([1, 2])], WindowCenter=1, WindowWidth=2))
    stored = describe(parsed)
    kinds = [read_transform(parsed.dataset, stored, 0, read_windows(name)).windows for name in ("file", "file:1")]
    assert [type(windows[0]) for windows in kinds] == [LookupTable, Window]
