"""DICOM on the whole walk: a folder is scanned, labelled by patient and verified, and no identity comes out."""

import io
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataset import Dataset

from radpath.data.ingest import prepare, verify
from radpath.data.inputs import DataSettings
from radpath.data.labels import attach_labels
from radpath.data.manifest import Manifest
from radpath.data.preparation import PixelSettings
from radpath.data.scan import scan
from radpath.errors import DataError

Writer = Callable[..., io.BytesIO]

# PS3.15 table E.1-1: the elements that identify, as far as they hold text, dates or UIDs.
IDENTIFYING = (
    *("PatientName", "PatientID", "IssuerOfPatientID", "OtherPatientIDs", "OtherPatientNames", "PatientBirthDate"),
    *("PatientBirthTime", "PatientBirthName", "PatientMotherBirthName", "PatientAddress", "PatientTelephoneNumbers"),
    *("PatientComments", "PatientReligiousPreference", "MedicalRecordLocator", "MilitaryRank", "Occupation"),
    *("EthnicGroup", "AdditionalPatientHistory", "AdmissionID", "AccessionNumber", "StudyID", "StudyDescription"),
    *(
        "SeriesDescription",
        "ProtocolName",
        "RequestingPhysician",
        "ReferringPhysicianName",
        "ReferringPhysicianAddress",
    ),
    *("PerformingPhysicianName", "NameOfPhysiciansReadingStudy", "OperatorsName", "PhysiciansOfRecord"),
    *("InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName", "StationName", "DeviceSerialNumber"),
    *("DeviceUID", "PlateID", "CassetteID", "GantryID", "DetectorID", "ImageComments", "DerivationDescription"),
    *("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate", "StudyTime", "AcquisitionDateTime"),
    *("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "ContentCreatorName", "PersonName"),
    *("RequestedProcedureDescription", "PerformedProcedureStepDescription", "ScheduledPerformingPhysicianName"),
    *(
        "WindowCenterWidthExplanation",
        "CurrentPatientLocation",
        "VisitComments",
        "ResponsiblePerson",
        "RegionOfResidence",
    ),
)


def marker(number: int, kind: str) -> str:
    """Return a text of its own for each element, of a form that the element may hold."""
    if kind == "DA":
        return f"1871{number // 28 % 12 + 1:02}{number % 28 + 1:02}"
    if kind == "TM":
        return f"23595{number % 10}.{number:06}"
    if kind == "DT":
        return f"18710101{number % 24:02}5959"
    if kind == "UI":
        return f"1.2.826.0.99999.{number}"
    return f"ZQX{number:03}"


def planted(number: int) -> tuple[dict[str, Any], list[str]]:
    elements = {name: marker(number + place, dictionary_VR(name)) for place, name in enumerate(IDENTIFYING)}
    return elements, list(elements.values())


def study(folder: Path, dicom: Writer, **elements: Any) -> Path:
    """Two frames each of four patients, of two classes, in files whose names say nothing."""
    folder.mkdir()
    for patient in range(4):
        values = np.random.default_rng(patient).integers(0, 4096, (2, 20, 24)).astype(np.uint16)
        chosen = {"PatientID": f"ID{patient}", "NumberOfFrames": 2, "PixelData": values.tobytes(), **elements}
        (folder / f"IM{patient}").write_bytes(dicom(values[0], **chosen).getvalue())
    (folder / "LICENSE").write_text("no picture", encoding="utf-8")
    return folder


def labelled(folder: Path, table: str) -> Manifest:
    labels = folder.parent / "labels.csv"
    labels.write_text(table, encoding="utf-8")
    settings = DataSettings(images=folder, labels=labels)
    return attach_labels(scan(settings), settings)


def test_frames_are_records_with_one_case_a_patient(dicom: Writer, tmp_path: Path) -> None:
    settings = DataSettings(images=study(tmp_path / "images", dicom))
    manifest = verify(scan(settings), settings, stores=tmp_path / "pools")
    assert manifest.kept["record_id"].to_list() == [
        f"IM{patient}#frame[{frame}]" for patient in range(4) for frame in (0, 1)
    ]
    assert manifest.kept["case"].n_unique() == 4
    assert manifest.kept["pixel_digest"].n_unique() == 8
    assert set(manifest.kept["format"]) == {"DICOM"}
    assert {finding.kind for finding in manifest.findings} == {"other-files"}


@pytest.mark.parametrize(
    "table",
    [
        "patient,label\nID0,a\nID1,b\nID2,a\nID3,b\n",
        "file,label,patient\nIM0,a,ID0\nIM1,b,ID1\nIM2,a,ID2\nIM3,b,ID3\n",
    ],
)
def test_a_table_of_patients_finds_them_and_does_not_tell_them(dicom: Writer, tmp_path: Path, table: str) -> None:
    manifest = labelled(study(tmp_path / "images", dicom), table)
    assert manifest.kept["label"].to_list() == ["a", "a", "b", "b"] * 2
    assert manifest.kept["case"].n_unique() == 4
    assert "ID0" not in manifest.table.write_csv()


def test_a_table_may_name_cases_of_its_own_and_is_told_where_it_divides_patients(dicom: Writer, tmp_path: Path) -> None:
    table = "file,label,exam\nIM0#frame[0],a,e1\nIM0#frame[1],a,e2\nIM1,b,e3\nIM2,a,e4\nIM3,b,e5\n"
    manifest = labelled(study(tmp_path / "images", dicom), table)
    assert manifest.kept["case"].to_list() == ["e1", "e2", "e3", "e3", "e4", "e4", "e5", "e5"]
    (finding,) = [finding for finding in manifest.findings if finding.kind == "dicom-patient-divided"]
    assert finding.count == 1


def test_a_new_key_is_noticed_by_what_earlier_scans_remember(
    dicom: Writer, tmp_path: Path, own_key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = DataSettings(images=study(tmp_path / "images", dicom))
    first = scan(settings, cache=tmp_path / "cache").kept["case"]
    again = scan(settings, cache=tmp_path / "cache").kept["case"]
    monkeypatch.setenv("RADPATH_CASE_KEY_FILE", str(own_key.with_name("other.key")))
    other = scan(settings, cache=tmp_path / "cache").kept["case"]
    assert first.to_list() == again.to_list()
    assert not set(first) & set(other)


def test_no_identity_reaches_any_output_of_a_scan(
    dicom: Writer, tmp_path: Path, program: Callable[..., Any], capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    secrets: list[str] = []
    ways: list[dict[str, Any]] = [
        {},
        {"BurnedInAnnotation": "YES"},
        {"Rows": 999},
        {"WindowCenter": [1, 2], "WindowWidth": [3, 4]},
        {"BitsAllocated": 12},
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.104.1", "PixelData": None, "Rows": None},
    ]
    for number, way in enumerate(ways):
        elements, found = planted(100 * number)
        private = Dataset()
        private.PatientName = f"ZQX{number}90"
        secrets += [*found, f"ZQX{number}90"]
        values = np.random.default_rng(number).integers(0, 4096, (20, 24)).astype(np.uint16)
        chosen = {**elements, "WindowCenter": 1, "WindowWidth": 2, "ReferencedPatientSequence": [private], **way}
        content = dicom(values, **chosen).getvalue()
        (folder / f"{number}.dcm").write_bytes(content)
    (folder / "cut.dcm").write_bytes(content[: len(content) // 2])
    settings = DataSettings(images=folder)
    manifest = verify(scan(settings, cache=tmp_path / "cache"), settings, stores=tmp_path / "pools")
    manifest.write(tmp_path / "out" / "manifest.parquet")
    manifest.write_exclusions(tmp_path / "out" / "exclusions.csv")
    result = program("scan", folder, "--out", tmp_path / "run")
    written = [
        path.read_bytes() for top in ("out", "run", "cache") for path in (tmp_path / top).rglob("*") if path.is_file()
    ]
    said = [
        repr(manifest),
        manifest.table.write_csv(),
        str(manifest.findings),
        result.stdout,
        result.stderr,
        *capfd.readouterr(),
    ]
    assert result.returncode == 0, result.stderr
    everything = b"\n".join([*written, *(text.encode() for text in said)])
    assert len(manifest.kept) == 3
    assert len(manifest.excluded) >= 3
    assert [secret for secret in set(secrets) if secret.encode() in everything] == []


def test_no_identity_reaches_the_traceback_of_an_error(dicom: Writer) -> None:
    from radpath.data.dicom.records import read_records
    from radpath.data.dicom.settings import DicomSettings

    elements, secrets = planted(0)
    file = dicom(
        np.zeros((2, 2), np.uint16),
        **{**elements, "WindowCenter": 1, "WindowWidth": "12345", "WindowCenterWidthExplanation": None},
    )
    broken = io.BytesIO(file.getvalue().replace(b"12345", b"ZQX99"))
    with pytest.raises(DataError) as caught:
        read_records(broken, DicomSettings())
    text = "".join(traceback.format_exception(caught.value))
    assert [secret for secret in [*secrets, "ZQX99"] if secret in text] == []


def test_the_list_of_identifying_elements_is_of_the_dictionary() -> None:
    from pydicom.datadict import tag_for_keyword

    tags = [tag_for_keyword(name) for name in IDENTIFYING]
    assert [keyword_for_tag(tag) for tag in tags if tag is not None] == list(IDENTIFYING)


def test_a_store_of_pixels_is_made_anew_for_another_window(dicom: Writer, tmp_path: Path) -> None:
    folder = study(tmp_path / "images", dicom)
    pixels = []
    for window in ("file", "100/50"):
        settings = DataSettings.model_validate({"images": folder, "dicom": {"window": window}})
        _, store = prepare(
            scan(settings), settings, PixelSettings(size_px=16, intensity="minmax"), stores=tmp_path / "stores"
        )
        pixels.append(np.array(store.shards[0]))
    assert len(list((tmp_path / "stores").iterdir())) == 2
    assert not np.array_equal(pixels[0], pixels[1])
