"""A small DICOM file for each test: an image of given values with given elements, written by pydicom."""

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pydicom = pytest.importorskip("pydicom")
from pydicom.encaps import encapsulate  # noqa: E402 - only where pydicom is there

EXPLICIT = "1.2.840.10008.1.2.1"
CT = "1.2.840.10008.5.1.4.1.1.2"


@pytest.fixture(autouse=True)
def own_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A key of the test's own: nothing is written into the configuration of who runs the tests."""
    path = tmp_path / "keys" / "case.key"
    monkeypatch.setenv("RADPATH_CASE_KEY_FILE", str(path))
    return path


@pytest.fixture(scope="session")
def dicom() -> Callable[..., io.BytesIO]:
    """Write a DICOM file into memory: ``dicom(values, Keyword=value, ...)``."""
    return write_dicom


def write_dicom(
    values: np.ndarray | None = None, *, syntax: str = EXPLICIT, frames: list[bytes] | None = None, **elements: Any
) -> io.BytesIO:
    """Return an open file with ``values`` as pixels; elements are given by keyword, None leaves one out.

    With a compressed transfer syntax, ``frames`` are its codestreams.
    """
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = elements.get("SOPClassUID", CT)
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    defaults: dict[str, Any] = {"SOPClassUID": CT, "SOPInstanceUID": "1.2.3", "Modality": "CT", "PatientID": "P1"}
    if values is not None:
        defaults |= pixels_of(values)
    for keyword, value in {**defaults, **elements}.items():
        if value is not None:
            with warnings.catch_warnings(action="ignore"):  # tests write what pydicom rightly finds odd
                setattr(dataset, keyword, value)
    if "PixelData" in dataset:
        is_compressed = syntax.startswith(("1.2.840.10008.1.2.4.", "1.2.840.10008.1.2.5"))
        if is_compressed:
            dataset.PixelData = encapsulate(frames or [dataset.PixelData])
        dataset["PixelData"].is_undefined_length = is_compressed
        dataset["PixelData"].VR = "OB" if is_compressed else "OW"
    stream = io.BytesIO()
    with warnings.catch_warnings(action="ignore"):
        dataset.save_as(stream, enforce_file_format=True)
    stream.seek(0)
    return stream


def pixels_of(values: np.ndarray) -> dict[str, Any]:
    """Return the elements that describe an array (height, width) or (height, width, 3)."""
    is_colour = values.ndim == 3
    bits = values.dtype.itemsize * 8
    if values.dtype.kind == "f":
        keyword = "FloatPixelData" if bits == 32 else "DoubleFloatPixelData"
        kind: dict[str, Any] = {keyword: values.tobytes()}
    else:
        kind = {
            "PixelData": values.tobytes() + bytes(values.nbytes % 2),
            "BitsStored": bits,
            "HighBit": bits - 1,
            "PixelRepresentation": int(values.dtype.kind == "i"),
        }
    return {
        "Rows": values.shape[0],
        "Columns": values.shape[1],
        "SamplesPerPixel": 3 if is_colour else 1,
        **({"PlanarConfiguration": 0} if is_colour else {}),
        "PhotometricInterpretation": "RGB" if is_colour else "MONOCHROME2",
        "BitsAllocated": bits,
        **kind,
    }
