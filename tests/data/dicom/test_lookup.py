"""Windows and lookup tables, against the standard's formulas written out, and against pydicom."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.pixels.processing import apply_windowing

from radpath.data.dicom.lookup import Function, LookupTable, Window, read_table, read_windows_of
from radpath.data.dicom.parsing import parse
from radpath.errors import DataError

VALUES = np.arange(-1100.0, 1100.0, 0.5)


def as_pydicom_shows(values: np.ndarray, window: Window) -> np.ndarray:
    dataset = Dataset()
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsStored, dataset.BitsAllocated, dataset.PixelRepresentation = 16, 16, 0
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, 0
    dataset.WindowCenter, dataset.WindowWidth = window.centre, window.width
    dataset.VOILUTFunction = window.function
    with np.errstate(over="ignore"):
        shown: np.ndarray = apply_windowing(values, dataset) / 65535
    return shown


@settings(max_examples=40, deadline=None)
@given(
    centre=st.integers(-1000, 1000),
    width=st.integers(2, 3000),
    function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
)
def test_every_function_agrees_with_pydicom(centre: int, width: int, function: Function) -> None:
    window = Window(centre=float(centre), width=float(width), function=function)
    np.testing.assert_allclose(window.apply(VALUES), as_pydicom_shows(VALUES, window), atol=1e-9)


def test_a_window_of_width_one_is_a_step() -> None:
    shown = Window(centre=10.0, width=1.0).apply(np.array([9.0, 9.5, 9.6, 10.0]))
    assert shown.tolist() == [0, 0, 1, 1]


def test_a_sigmoid_far_outside_neither_overflows_nor_warns() -> None:
    assert Window(centre=0.0, width=1.0, function="SIGMOID").apply(np.array([-1e300, 1e300])).tolist() == [0, 1]


def test_the_range_of_a_constant_image_is_black() -> None:
    assert Window.between(7.0, 7.0).apply(np.array([7.0])).tolist() == [0]


def test_values_outside_a_table_get_its_ends() -> None:
    table = LookupTable(first=-2, entries=np.array([5.0, 6.0, 9.0]), highest=10.0)
    assert table.apply(np.array([-9.0, -2.0, -1.4, 0.0, 9.0])).tolist() == [0.5, 0.5, 0.6, 0.9, 0.9]


def item(dicom: Callable[..., io.BytesIO], *, syntax: str = "1.2.840.10008.1.2.1", **elements: Any) -> Dataset:
    table = Dataset()
    for keyword, value in elements.items():
        setattr(table, keyword, value)
    table["LUTDescriptor"].VR = "US" if min(elements["LUTDescriptor"]) >= 0 else "SS"
    if isinstance(elements.get("LUTData"), bytes):
        table["LUTData"].VR = "OW"
    elif "LUTData" in elements:
        table["LUTData"].VR = "US"
    parsed = parse(dicom(np.zeros((2, 2), np.uint16), syntax=syntax, VOILUTSequence=[table])).dataset
    found = parsed.VOILUTSequence[0]
    assert isinstance(found, Dataset)
    return found


@pytest.mark.parametrize(
    ("syntax", "data"),
    [
        ("1.2.840.10008.1.2.1", [1, 2, 65535]),
        ("1.2.840.10008.1.2.1", np.array([1, 2, 65535], "<u2").tobytes()),
        ("1.2.840.10008.1.2.2", np.array([1, 2, 65535], ">u2").tobytes()),
    ],
)
def test_a_table_is_read_as_numbers_or_as_bytes_in_either_order(
    dicom: Callable[..., io.BytesIO], syntax: str, data: object
) -> None:
    table = read_table(item(dicom, syntax=syntax, LUTDescriptor=[3, 100, 16], LUTData=data), is_signed=False)
    assert (table.first, table.entries.tolist(), table.highest) == (100, [1, 2, 65535], 65535)


def test_a_table_of_bytes_has_one_entry_a_byte(dicom: Callable[..., io.BytesIO]) -> None:
    table = read_table(item(dicom, LUTDescriptor=[3, 0, 8], LUTData=b"\x01\x02\xff\x00"), is_signed=False)
    assert (table.entries.tolist(), table.highest) == ([1, 2, 255], 255)


def test_the_first_input_of_a_table_is_signed_where_values_are(dicom: Callable[..., io.BytesIO]) -> None:
    found = item(dicom, LUTDescriptor=[1, 65000, 8], LUTData=b"\x01\x00")
    assert read_table(found, is_signed=True).first == -536
    assert read_table(found, is_signed=False).first == 65000


@pytest.mark.parametrize(
    ("descriptor", "message"),
    [
        ([3, 0, 17], "LUTDescriptor is malformed"),
        ([3, 0], "LUTDescriptor is malformed"),
        ([0, 0, 16], "LUTData has 2 entries, LUTDescriptor says 65536"),
    ],
)
def test_a_malformed_table_is_refused(dicom: Callable[..., io.BytesIO], descriptor: list[int], message: str) -> None:
    with pytest.raises(DataError, match=f"^truncated or damaged: {message}"):
        read_table(item(dicom, LUTDescriptor=descriptor, LUTData=[1, 2]), is_signed=False)


def windows_of(**elements: Any) -> list[Window]:
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return read_windows_of(dataset)


def test_each_window_has_its_explanation() -> None:
    found = windows_of(WindowCenter=[40, -600], WindowWidth=[400, 1500], WindowCenterWidthExplanation=["SOFT", "LUNG"])
    assert [(window.centre, window.explanation) for window in found] == [(40, "soft"), (-600, "lung")]


def test_the_explanation_stays_out_of_every_text() -> None:
    found = windows_of(WindowCenter=1, WindowWidth=2, WindowCenterWidthExplanation="DOE^JANE")
    assert "doe" not in repr(found).lower()


def test_a_window_without_width_is_no_window() -> None:
    assert windows_of(WindowCenter=[1, 2], WindowWidth=[0, 8]) == [Window(centre=2.0, width=8.0)]
    assert windows_of(WindowCenter=1, WindowWidth=0.5, VOILUTFunction="LINEAR_EXACT")[0].width == 0.5


def test_an_unknown_function_is_refused() -> None:
    with pytest.raises(DataError, match=r"^unsupported: a VOI LUT function other than LINEAR"):
        windows_of(WindowCenter=1, WindowWidth=2, VOILUTFunction="CUBIC")
