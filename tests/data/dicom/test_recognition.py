"""Which files are taken for DICOM, and what their records become."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from radpath.data.dicom.recognition import dicom_headers, is_dicom, is_nameless_dicom, looks_like_dicom
from radpath.data.dicom.settings import DicomSettings

Writer = Callable[..., io.BytesIO]
GREY = np.arange(12, dtype=np.uint16).reshape(3, 4)


def test_dicom_is_recognised_by_its_mark_or_by_its_first_element(dicom: Writer) -> None:
    whole = dicom(GREY).getvalue()
    bare = whole[132:]
    assert looks_like_dicom(whole[:200], has_dicom_name=False)
    assert looks_like_dicom(bare[:200], has_dicom_name=True)
    assert not looks_like_dicom(bare[:200], has_dicom_name=False)
    for other in (b"", b"\x08\x00", b"PK\x03\x04" + bytes(200), b"%PDF-1.7" + bytes(200), bytes(200)):
        assert not looks_like_dicom(other, has_dicom_name=True)


@pytest.mark.parametrize("name", ["a.dcm", "a.IMA", "IM0001", "1.2.840.113", "a.png", "a.txt"])
def test_a_file_with_the_mark_is_dicom_whatever_its_name(dicom: Writer, name: str) -> None:
    file = dicom(GREY)
    assert is_dicom(file, name)
    assert file.tell() == 0


@pytest.mark.parametrize(("name", "expected"), [("a.dcm", True), ("IM0001", True), ("1.2.840", True), ("a.png", False)])
def test_without_the_mark_the_name_must_allow_it(dicom: Writer, name: str, *, expected: bool) -> None:
    assert is_dicom(io.BytesIO(dicom(GREY).getvalue()[132:]), name) is expected


@pytest.mark.parametrize(
    ("name", "expected"), [("IM0001", True), ("1.2.840.7", True), ("a.csv", False), ("a.dcm", False)]
)
def test_files_whose_names_say_nothing_are_looked_into(
    dicom: Writer, tmp_path: Path, name: str, *, expected: bool
) -> None:
    (tmp_path / name).write_bytes(dicom(GREY).getvalue())
    (tmp_path / "LICENSE").write_bytes(b"\x08\x00\x05\x00CS  words of a text that begins like an element")
    assert is_nameless_dicom(tmp_path / name) is expected
    assert not is_nameless_dicom(tmp_path / "LICENSE")
    assert not is_nameless_dicom(tmp_path / "missing")


def test_records_become_headers(dicom: Writer) -> None:
    (header,) = dicom_headers(dicom(GREY), DicomSettings())
    row = header.to_row()
    found = {name: row[name] for name in ("width_px", "height_px", "channels", "bit_depth", "mode", "format", "member")}
    assert found == {
        "width_px": 4,
        "height_px": 3,
        "channels": 1,
        "bit_depth": 16,
        "mode": "grey",
        "format": "DICOM",
        "member": "",
    }
    assert row["modality"] == "CT"
