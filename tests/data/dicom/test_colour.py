"""Palettes and depths of colours."""

import io
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from radpath.data.dicom.colour import Colours, show_colours
from radpath.data.dicom.frames import decode_frame
from radpath.data.dicom.image import describe
from radpath.data.dicom.parsing import parse
from radpath.errors import DataError

Writer = Callable[..., io.BytesIO]
INKS = ("Red", "Green", "Blue")


def colours(file: io.BytesIO) -> Colours:
    parsed = parse(file)
    stored = describe(parsed)
    return show_colours(decode_frame(parsed, stored, 0), parsed.dataset, stored)


def palette(entries: list[list[int]], *, bits: int, first: int = 0) -> dict[str, Any]:
    """Return the elements of a palette, given as the list of each ink."""
    found: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for ink, values in zip(INKS, entries, strict=True):
        found[f"{ink}PaletteColorLookupTableDescriptor"] = [len(values), first, bits]
        found[f"{ink}PaletteColorLookupTableData"] = np.array(values, "u1" if bits == 8 else "<u2").tobytes()
    return found


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_rgb_of_8_and_16_bits_is_returned_as_it_is(dicom: Writer, kind: type) -> None:
    values: np.ndarray = np.random.default_rng(0).integers(0, 256, (4, 6, 3)).astype(kind)
    found = colours(dicom(values))
    assert found.dtype == kind
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize(
    ("kind", "bits", "white", "expected"),
    [(np.uint8, 4, 15, [0, 17, 255]), (np.uint16, 12, 4095, [0, 16, 65535]), (np.uint32, 32, 2**32 - 1, [0, 0, 65535])],
)
def test_other_depths_are_spread(dicom: Writer, kind: type, bits: int, white: int, expected: list[int]) -> None:
    values: np.ndarray = np.array([[[0, 1, white]]], kind)
    assert colours(dicom(values, BitsStored=bits, HighBit=bits - 1)).ravel().tolist() == expected


@pytest.mark.parametrize(("bits", "kind"), [(8, np.uint8), (16, np.uint16)])
def test_a_palette_is_looked_up_and_its_ends_hold_beyond(dicom: Writer, bits: int, kind: type) -> None:
    entries = [[10, 20, 30, 40], [50, 60, 70, 80], [90, 100, 110, 120]]
    indices = np.array([[0, 5, 6, 8, 200, 7]], np.uint8)
    found = colours(dicom(indices, **palette(entries, bits=bits, first=5)))
    assert found.dtype == kind
    np.testing.assert_array_equal(found, np.array(entries, kind).T[[[0, 0, 1, 3, 3, 2]]])


def test_a_palette_in_segments_is_unfolded(dicom: Writer) -> None:
    """PS3.3 C.7.9.2: two discrete entries, then a line of three more to 50."""
    segments = struct.pack("<7H", 0, 2, 10, 20, 1, 3, 50)
    elements: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for ink in INKS:
        elements[f"{ink}PaletteColorLookupTableDescriptor"] = [5, 0, 16]
        elements[f"Segmented{ink}PaletteColorLookupTableData"] = segments
    found = colours(dicom(np.arange(5, dtype=np.uint8)[None], **elements))
    assert found[0, :, 0].tolist() == [10, 20, 30, 40, 50]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"RedPaletteColorLookupTableDescriptor": None}, "truncated or damaged: the palette's descriptors are missing"),
        (
            {"RedPaletteColorLookupTableDescriptor": [2, 0, 16]},
            "truncated or damaged: the palette's descriptors are mis",
        ),
        ({"RedPaletteColorLookupTableData": None}, "truncated or damaged: looking up the palette failed"),
        (
            {f"{ink}PaletteColorLookupTableDescriptor": [2, 0, 12] for ink in INKS},
            "unsupported: a palette with entries",
        ),
    ],
)
def test_a_damaged_palette_is_refused(dicom: Writer, change: dict[str, Any], message: str) -> None:
    elements = palette([[1, 2], [3, 4], [5, 6]], bits=8)
    with pytest.raises(DataError, match=f"^{message}"):
        colours(dicom(np.zeros((2, 2), np.uint8), **{**elements, **change}))
