"""Tables that name patients fit DICOM files, whose patients have other names in radpath."""

from pathlib import Path

from radpath.data.dicom.cases import divided_patients, with_case_names
from radpath.data.dicom.identity import case_name, read_key
from radpath.data.dicom.settings import DicomSettings
from radpath.data.manifest import Manifest


def manifest(*cases: str | None) -> Manifest:
    rows = [{"record_id": str(number), "format": "DICOM", "case": case} for number, case in enumerate(cases)]
    return Manifest.from_rows(Path("images"), rows)


def test_ids_of_known_patients_become_their_cases_and_the_rest_stays() -> None:
    known = case_name("P1", read_key(DicomSettings()))
    assert with_case_names(["P1", " P1 ", "P2", "", known], [known, None], DicomSettings()) == [
        known,
        known,
        "P2",
        "",
        known,
    ]


def test_without_dicom_no_key_is_made(own_key: Path) -> None:
    assert with_case_names(["P1"], ["P1", None], DicomSettings()) == ["P1"]
    assert not own_key.exists()


def test_patients_that_a_table_divides_are_reported() -> None:
    before, after = (
        manifest("patient-a", "patient-a", "patient-b", None),
        manifest("exam 1", "exam 2", "exam 3", "exam 3"),
    )
    finding = divided_patients(before, after)
    assert (finding.count, finding.examples) == (1, ("patient-a: exam 1, exam 2",))
    assert divided_patients(before, before).count == 0
