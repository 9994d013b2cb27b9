"""Patients become cases that tell nothing, the same in every run with the same key."""

import io
import os
import stat
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from radpath.data.dicom import identity
from radpath.data.dicom.identity import case_name, case_of, key_file, read_key
from radpath.data.dicom.parsing import parse
from radpath.data.dicom.settings import DicomSettings
from radpath.errors import DataError

Writer = Callable[..., io.BytesIO]
KEY = bytes(range(32))


def case(file: io.BytesIO) -> str | None:
    return case_of(parse(file).dataset, KEY)


def test_one_patient_is_one_case_and_two_are_two(dicom: Writer) -> None:
    names = [case(dicom(PatientID=patient)) for patient in ("4711", "4711 ", "4712")]
    assert names[0] == names[1] == case_name("4711", KEY)
    assert names[0] != names[2]


def test_equal_ids_of_two_hospitals_are_two_cases(dicom: Writer) -> None:
    assert case(dicom(PatientID="1", IssuerOfPatientID="A")) != case(dicom(PatientID="1", IssuerOfPatientID="B"))


@pytest.mark.parametrize(
    "patient", ["", "Anonymous", "ANON", "anonymized", "Unknown", "000000", "XXX", "de-identified"]
)
def test_where_nobody_is_named_the_study_is_the_case(dicom: Writer, patient: str) -> None:
    names = [case(dicom(PatientID=patient, StudyInstanceUID=study)) for study in ("1.2.3", "1.2.3", "1.2.4")]
    assert names[0] == names[1] != names[2]
    assert str(names[0]).startswith("study-")
    assert case(dicom(PatientID=patient, StudyInstanceUID=None)) is None


def test_without_the_key_a_name_cannot_be_computed() -> None:
    assert case_name("4711", KEY) != case_name("4711", KEY[::-1])


def test_a_key_is_made_once_for_its_owner_alone(own_key: Path) -> None:
    first = read_key(DicomSettings())
    identity._read_key.cache_clear()
    assert read_key(DicomSettings()) == first
    assert len(first) == 32
    assert [path.name for path in own_key.parent.iterdir()] == ["case.key"]
    if sys.platform != "win32":
        assert stat.S_IMODE(own_key.stat().st_mode) == 0o600


def test_processes_that_start_together_agree_on_the_key(tmp_path: Path) -> None:
    path = tmp_path / "new" / "case.key"

    def make(_: int) -> str:
        identity._make_key(path)
        return path.read_text(encoding="ascii")

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(make, range(32)))) == 1


def test_the_setting_goes_before_the_variable_and_that_before_the_usual_place(
    own_key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert key_file(DicomSettings(key_file=tmp_path / "mine")) == tmp_path / "mine"
    assert key_file(DicomSettings()) == own_key
    monkeypatch.delenv("RADPATH_CASE_KEY_FILE")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for platform, start in (
        ("linux", tmp_path),
        ("darwin", Path.home()),
        ("win32", Path(os.environ.get("APPDATA", "/"))),
    ):
        monkeypatch.setattr(sys, "platform", platform)
        found = key_file(DicomSettings())
        assert found.parts[-2:] == ("radpath", "case.key")
        assert found.is_relative_to(start)


@pytest.mark.parametrize("content", ["", "secret", "00" * 31, "zz" * 32])
def test_a_file_that_holds_no_key_is_refused(own_key: Path, content: str) -> None:
    own_key.parent.mkdir()
    own_key.write_text(content, encoding="ascii")
    with pytest.raises(DataError, match=r"case\.key holds no key of 64 hexadecimal digits; name another"):
        read_key(DicomSettings())


def test_a_key_that_cannot_be_read_is_said(own_key: Path) -> None:
    own_key.mkdir(parents=True)
    with pytest.raises(DataError, match=r"the key file .*case\.key cannot be read: Is a directory"):
        read_key(DicomSettings())
