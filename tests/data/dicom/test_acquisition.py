"""What becomes a column, what is left out, and which files may show a name."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset

from radpath.data.dicom.acquisition import facts_of, text_risk
from radpath.data.dicom.image import describe
from radpath.data.dicom.parsing import parse

Writer = Callable[..., io.BytesIO]
GREY = np.zeros((2, 2), np.uint16)


def facts(file: io.BytesIO, index: int = 0) -> dict[str, str | float]:
    parsed = parse(file)
    return facts_of(parsed.dataset, describe(parsed), index)


def test_the_header_fills_the_columns_of_the_manifest(dicom: Writer) -> None:
    found = facts(
        dicom(
            GREY,
            Modality="MG",
            Manufacturer="Maker ",
            ManufacturerModelName="Model 3",
            ViewPosition="MLO",
            ImageLaterality="L",
            BodyPartExamined="BREAST",
            ImagerPixelSpacing=[0.07, 0.08],
        )
    )
    assert found == {
        "modality": "MG",
        "manufacturer": "Maker",
        "scanner": "Model 3",
        "view": "MLO",
        "laterality": "L",
        "body_part": "BREAST",
        "pixel_spacing_mm": 0.07,
        "dicom_spacing": "detector",
        "dicom_photometric": "MONOCHROME2",
    }


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({"PixelSpacing": [0.5, 0.6], "ImagerPixelSpacing": [0.7, 0.7]}, (0.5, "patient")),
        ({"NominalScannedPixelSpacing": [0.1, 0.1]}, (0.1, "film")),
        ({"PixelSpacing": [0, 0], "ImagerPixelSpacing": [0.7, 0.7]}, (0.7, "detector")),
        ({}, (None, None)),
    ],
)
def test_the_spacing_says_what_it_was_measured_on(
    dicom: Writer, elements: dict[str, Any], expected: tuple[float | None, str | None]
) -> None:
    found = facts(dicom(GREY, **elements))
    assert (found.get("pixel_spacing_mm"), found.get("dicom_spacing")) == expected


def test_a_malformed_spacing_is_left_out(dicom: Writer) -> None:
    content = dicom(GREY, PixelSpacing=[0.123, 0.123]).getvalue()
    assert "pixel_spacing_mm" not in facts(io.BytesIO(content.replace(b"0.123", b"a.bcd")))


def test_frames_have_their_own_spacing_and_side(dicom: Writer) -> None:
    groups = []
    for spacing, side in ((1.0, "L"), (2.0, "R")):
        measures, anatomy, group = Dataset(), Dataset(), Dataset()
        measures.PixelSpacing, anatomy.FrameLaterality = [spacing, spacing], side
        group.PixelMeasuresSequence, group.FrameAnatomySequence = [measures], [anatomy]
        groups.append(group)
    file = dicom(GREY, PixelData=bytes(16), NumberOfFrames=2, PerFrameFunctionalGroupsSequence=groups)
    assert [facts(file, index)["pixel_spacing_mm"] for index in (0, 1)] == [1.0, 2.0]
    assert [facts(file, index)["laterality"] for index in (0, 1)] == ["L", "R"]


@pytest.mark.parametrize(("code", "view"), [("R-10242", "CC"), ("399368009", "MLO"), ("unknown", None)])
def test_a_view_may_be_given_as_a_code(dicom: Writer, code: str, view: str | None) -> None:
    item = Dataset()
    item.CodeValue = code
    assert facts(dicom(GREY, ViewCodeSequence=[item])).get("view") == view


def test_free_text_where_a_code_belongs_is_left_out(dicom: Writer) -> None:
    found = facts(
        dicom(GREY, BodyPartExamined="chest of J. Doe", Manufacturer="Ma\x07ker", Laterality="right, no: LEFT")
    )
    assert {"body_part", "manufacturer", "laterality"} & set(found) == set()


CT, SC = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.7.2"


@pytest.mark.parametrize(
    ("elements", "risk"),
    [
        ({"BurnedInAnnotation": "YES"}, "burned in"),
        ({"BurnedInAnnotation": "NO", "RecognizableVisualFeatures": "YES"}, "recognizable features"),
        ({"Modality": "US"}, "possible"),
        ({"Modality": "US", "BurnedInAnnotation": "NO"}, None),
        ({"SOPClassUID": SC}, "possible"),
        ({"SOPClassUID": SC, "BurnedInAnnotation": "NO"}, None),
        ({"SOPClassUID": CT}, None),
    ],
)
def test_the_risk_of_visible_text(dicom: Writer, elements: dict[str, str], risk: str | None) -> None:
    assert text_risk(parse(dicom(GREY, **elements)).dataset) == risk
