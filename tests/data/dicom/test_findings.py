"""What a folder of DICOM files is said to be risky for."""

from collections.abc import Mapping
from pathlib import Path

from radpath.data.dicom.findings import about_dicom
from radpath.data.manifest import Manifest


def manifest(*rows: Mapping[str, object]) -> Manifest:
    numbered = [{"record_id": f"{number}.dcm", "format": "DICOM", **row} for number, row in enumerate(rows)]
    return Manifest.from_rows(Path("images"), numbered)


def test_text_and_faces_are_counted_with_examples() -> None:
    risks = ("burned in", "recognizable features", "possible", None)
    found = about_dicom(manifest(*({"dicom_text_risk": risk, "case": "patient-1"} for risk in risks)))
    assert {finding.kind: (finding.severity, finding.count, finding.examples) for finding in found} == {
        "dicom-text": ("warning", 2, ("0.dcm", "1.dcm")),
        "dicom-text-possible": ("note", 1, ("2.dcm",)),
        "dicom-case-is-study": ("warning", 0, ()),
    }


def test_cases_that_stand_for_studies_are_counted() -> None:
    found = about_dicom(manifest({"case": "study-1"}, {"case": "patient-1"}, {"case": None}))
    assert [finding.count for finding in found] == [0, 0, 1]
    assert "a patient with two studies may stand on two sides of a split" in found[2].message


def test_excluded_files_and_other_formats_are_not_counted() -> None:
    risky = {"dicom_text_risk": "burned in", "case": "study-1"}
    assert about_dicom(manifest({**risky, "status": "excluded"}, {**risky, "format": "PNG"})) == ()
