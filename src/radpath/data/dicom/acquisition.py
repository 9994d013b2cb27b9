"""What a DICOM header says about how an image was made, as columns of the manifest; nothing that names a person.

In: the elements of a file. Out: ``facts``, a value for each column. Of all the elements that PS3.15 Annex E calls
identifying, none is read here; the case is made in ``identity``.
"""

import re
from typing import TYPE_CHECKING, Final

from radpath.data.dicom.image import StoredPixels
from radpath.data.dicom.parsing import functional_group, items, numbers, text
from radpath.errors import DataError

if TYPE_CHECKING:
    from pydicom import Dataset

TEXT_RISK: Final = "dicom_text_risk"
"""Column that says why writing or a face may be visible in the pixels."""

_CODE: Final = re.compile(r"[A-Z0-9_ ]{1,16}")  # a DICOM code string, PS3.5 6.2
_PLAIN: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f]{1,64}")  # a DICOM long string

# View codes of mammograms, as CID 4014 has them in SNOMED RT and SNOMED CT.
_VIEWS: Final = {"R-10242": "CC", "399162004": "CC", "R-10226": "MLO", "399368009": "MLO"}

_MODALITIES_WITH_TEXT: Final = ("US", "ES", "XC", "SC", "OT", "GM", "DOC")
_SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"


def facts_of(dataset: "Dataset", stored: StoredPixels, index: int) -> dict[str, str | float]:
    """Return what is known of the acquisition of one frame; what is absent or malformed is left out.

    Columns: modality, manufacturer, scanner, view, laterality, body_part, pixel_spacing_mm; and with the prefix dicom_
    the photometric interpretation, what the spacing was measured on, and the risk of visible text.
    """
    group = functional_group(dataset, index, "FrameAnatomySequence")
    laterality = _code(dataset, "ImageLaterality") or _code(dataset, "Laterality") or _code(group, "FrameLaterality")
    spacing_mm, spacing_kind = _spacing(dataset, index)
    found: dict[str, str | float | None] = {
        "modality": _code(dataset, "Modality"),
        "manufacturer": _plain(dataset, "Manufacturer"),
        "scanner": _plain(dataset, "ManufacturerModelName"),
        "view": _code(dataset, "ViewPosition") or _coded_view(dataset),
        "laterality": laterality,
        "body_part": _code(dataset, "BodyPartExamined"),
        "pixel_spacing_mm": spacing_mm,
        "dicom_spacing": spacing_kind,
        "dicom_photometric": stored.photometric,
        TEXT_RISK: text_risk(dataset),
    }
    return {name: value for name, value in found.items() if value}


def text_risk(dataset: "Dataset") -> str | None:
    """Return why a person may be recognised in the pixels; None where nothing points to it.

    "burned in" and "recognizable features" are what the file states; "possible" is said of ultrasound, endoscopy,
    photographs and captured screens that do not state the contrary.
    """
    burned_in = text(dataset, "BurnedInAnnotation").upper()
    if burned_in == "YES":
        return "burned in"
    if text(dataset, "RecognizableVisualFeatures").upper() == "YES":
        return "recognizable features"
    is_capture = text(dataset, "SOPClassUID").startswith(_SECONDARY_CAPTURE)
    often_has_text = is_capture or text(dataset, "Modality").upper() in _MODALITIES_WITH_TEXT
    return "possible" if often_has_text and burned_in != "NO" else None


def _spacing(dataset: "Dataset", index: int) -> tuple[float | None, str | None]:
    """Return the distance between rows in mm, and what it was measured on.

    PixelSpacing is in the patient (or calibrated to it), ImagerPixelSpacing at the detector, where things look larger.
    """
    sources = (
        (functional_group(dataset, index, "PixelMeasuresSequence"), "PixelSpacing", "patient"),
        (dataset, "PixelSpacing", "patient"),
        (dataset, "ImagerPixelSpacing", "detector"),
        (dataset, "NominalScannedPixelSpacing", "film"),
    )
    for holder, keyword, kind in sources:
        try:
            found = numbers(holder, keyword)
        except DataError:
            continue  # a malformed spacing does not touch the pixels
        if found and found[0] > 0:
            return found[0], kind
    return None, None


def _coded_view(dataset: "Dataset") -> str | None:
    codes = [text(item, "CodeValue") for item in items(dataset, "ViewCodeSequence")]
    return next((_VIEWS[code] for code in codes if code in _VIEWS), None)


def _code(dataset: "Dataset", keyword: str) -> str | None:
    """Return a code string; free text in its place could be anything, and is left out."""
    found = text(dataset, keyword).upper()
    return found if _CODE.fullmatch(found) else None


def _plain(dataset: "Dataset", keyword: str) -> str | None:
    found = text(dataset, keyword)
    return found if _PLAIN.fullmatch(found) else None
