"""DICOM headers and pixels a second, beside pydicom alone, on files that are made on the way.

Run: ``python benchmarks/dicom.py``. The ways take the same files in turns, each file has been read once before, and the
median of several rounds counts. pydicom's way to pixels is ``pixel_array`` with its Modality and VOI LUT functions; its
result is that of the same window, as 64-bit numbers.
"""

import argparse
import datetime as dt
import importlib.metadata
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

from radpath.data.dicom.records import read_pixels, read_records
from radpath.data.dicom.settings import DicomSettings

RESULTS = Path(__file__).parent / "results"
SETTINGS = DicomSettings()
ROUNDS = 5
READ = (
    *("SOPClassUID", "Modality", "Manufacturer", "ManufacturerModelName", "PatientID", "StudyInstanceUID"),
    *("PixelSpacing", "SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns", "BitsAllocated", "BitsStored"),
    *("HighBit", "PixelRepresentation", "WindowCenter", "WindowWidth", "RescaleIntercept", "RescaleSlope"),
    *("NumberOfFrames", "BodyPartExamined", "ViewPosition", "Laterality", "PixelPaddingValue", "BurnedInAnnotation"),
)
"""Elements of which radpath needs the values in a plain image, present or not."""


def main() -> None:
    """Measure, print the tables, and write them into a dated file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=500, help="files a round of headers")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["RADPATH_CASE_KEY_FILE"] = f"{folder}/case.key"
        small = [write(Path(folder) / f"{number}.dcm", side_px=64) for number in range(arguments.files)]
        large = [write(Path(folder) / f"large{number}.dcm", side_px=1024) for number in range(8)]
        cine = [write(Path(folder) / f"cine{frames}.dcm", side_px=64, frames=frames) for frames in (10, 100, 1000)]
        lines = [*about_this_run(), "", *headers_table(small), "", *pixels_table(large), "", *frames_table(cine)]
    text = "\n".join(lines) + "\n"
    print(text)
    (RESULTS / f"dicom-{dt.datetime.now(tz=dt.UTC):%Y-%m-%d}.md").write_text(text, encoding="utf-8")


def about_this_run() -> list[str]:
    """Return what a reader must know of the machine."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("pydicom", "numpy"))
    return [
        f"# DICOM, {dt.datetime.now(tz=dt.UTC):%Y-%m-%d}",
        "",
        "- Command: `python benchmarks/dicom.py`",
        f"- Machine: {os.cpu_count()} CPU cores, {platform.machine()}, Python {platform.python_version()}",
        f"- Load average at the start (all processes): {os.getloadavg()[0]:.1f}",
        f"- Versions: {versions}",
        f"- One thread; median of {ROUNDS} rounds in which the ways take turns, after one to warm up",
    ]


def write(path: Path, *, side_px: int, frames: int = 1) -> Path:
    """Write a CT image of 12 bits with the elements that such files have, or an enhanced one of several frames."""
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = pydicom.uid.CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.UID("1.2.3")
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3"
    dataset.Modality, dataset.Manufacturer, dataset.ManufacturerModelName = "CT", "Maker", "Model"
    dataset.PatientID, dataset.PatientName, dataset.StudyInstanceUID = path.stem, "Nobody", "1.2.4"
    dataset.PixelSpacing, dataset.ImagePositionPatient = [0.7, 0.7], [1, 2, 3]
    for number in range(40):  # private elements, as every maker adds
        dataset.add_new(0x00091000 + number, "LO", f"value {number}")
    dataset.add_new(0x00090010, "LO", "RADPATH BENCHMARK")
    values = np.random.default_rng(0).integers(0, 4096, (frames, side_px, side_px)).astype(np.uint16)
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = side_px, side_px, 1
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.PhotometricInterpretation = "MONOCHROME2"
    if frames > 1:
        dataset.NumberOfFrames = frames
        dataset.PerFrameFunctionalGroupsSequence = [functional_group(number) for number in range(frames)]
    else:
        dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1024
        dataset.WindowCenter, dataset.WindowWidth = 40, 400
    dataset.PixelData = values.tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.save_as(path, enforce_file_format=True)
    return path


def functional_group(number: int) -> pydicom.Dataset:
    """Return the elements of one frame: spacing, rescaling, window, position."""
    measures, rescale, window, plane, group = (pydicom.Dataset() for _ in range(5))
    measures.PixelSpacing = [0.7, 0.7]
    rescale.RescaleSlope, rescale.RescaleIntercept, rescale.RescaleType = 1, -1024, "HU"
    window.WindowCenter, window.WindowWidth = 40, 400
    plane.ImagePositionPatient = [0, 0, number]
    group.PixelMeasuresSequence, group.PixelValueTransformationSequence = [measures], [rescale]
    group.FrameVOILUTSequence, group.PlanePositionSequence = [window], [plane]
    return group


def headers_table(paths: list[Path]) -> list[str]:
    """Return the rows of the measurement of headers."""

    def ours(path: Path) -> None:
        with path.open("rb") as stream:
            read_records(stream, SETTINGS)

    def with_values(path: Path) -> None:
        dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(READ))
        for keyword in READ:
            dataset.get(keyword)

    ways: dict[str, Callable[[Path], object]] = {
        "radpath: checked header, facts, case": ours,
        "pydicom: dcmread(stop_before_pixels=True)": lambda path: pydicom.dcmread(path, stop_before_pixels=True),
        f"pydicom: the same with {len(READ)} values": with_values,
    }
    return table("headers", "files", ways, paths)


def pixels_table(paths: list[Path]) -> list[str]:
    """Return the rows of the measurement of pixels."""

    def ours(path: Path) -> object:
        with path.open("rb") as stream:
            return read_pixels(stream, "", SETTINGS, max_pixels=10_000_000)

    def theirs(path: Path) -> object:
        dataset = pydicom.dcmread(path)
        return apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset)

    return table(
        "pixels through the window, 1024 x 1024 px, 12 bits", "files", {"radpath": ours, "pydicom": theirs}, paths
    )


def frames_table(paths: list[Path]) -> list[str]:
    """Return the rows that show how time grows with the number of frames in a file."""
    lines = ["| frames in the file | headers of all, ms | one frame, ms |", "|---|---|---|"]
    for path in paths:
        with path.open("rb") as stream:
            whole_s = median_s(lambda: read_records(stream, SETTINGS))
            one_s = median_s(lambda: read_pixels(stream, "frame[5]", SETTINGS, max_pixels=10_000))
        lines.append(f"| {path.stem.removeprefix('cine')} | {whole_s * 1e3:.1f} | {one_s * 1e3:.1f} |")
    return lines


def median_s(work: Callable[[], object]) -> float:
    """Return the median time of a piece of work."""
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def table(title: str, unit: str, ways: dict[str, Callable[[Path], object]], paths: list[Path]) -> list[str]:
    """Return a table of rates; the ways take turns."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS + 1):
        for name, read in ways.items():
            began = time.perf_counter()
            for path in paths:
                read(path)
            times[name].append(time.perf_counter() - began)
    rates = {name: len(paths) / statistics.median(found[1:]) for name, found in times.items()}
    ours = next(iter(rates.values()))
    lines = [f"| {title} | {unit}/s | radpath is faster by |", "|---|---|---|"]
    return [*lines, *(f"| {name} | {rate:,.0f} | {ours / rate:.2f} x |" for name, rate in rates.items())]


if __name__ == "__main__":
    main()
