"""Slides made for the tests: tissue drawn on glass, as a tiled pyramid in TIFF or in DICOM."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
import tifffile
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

SLIDE_CLASS = UID("1.2.840.10008.5.1.4.1.1.77.1.6")


def draw_slide(width_px: int, height_px: int, *, seed: int = 0) -> np.ndarray:
    """A lobe of purple tissue in the middle of glass; every slide has its own noise."""
    noise = np.random.default_rng(seed).integers(-6, 7, (height_px, width_px, 3))
    y, x = np.mgrid[:height_px, :width_px]
    is_tissue = ((x / width_px - 0.5) / 0.3) ** 2 + ((y / height_px - 0.5) / 0.35) ** 2 < 1
    colours = np.where(is_tissue[:, :, None], (170, 90, 160), (246, 246, 245))
    image: np.ndarray = np.clip(colours + noise, 0, 255).astype(np.uint8)
    return image


def write_pyramid(
    path: Path,
    image: np.ndarray,
    *,
    um_per_px: tuple[float, float] | None = (0.5, 0.5),
    downsamples: tuple[int, ...] = (1, 2, 4),
    tile_px: int = 64,
) -> Path:
    """Write levels that take every n-th pixel, so that each is told from any other way to make it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tifffile.TiffWriter(path) as writer:
        for downsample in downsamples:
            per_cm = None if um_per_px is None else tuple(1e4 / um / downsample for um in um_per_px)
            writer.write(
                image[::downsample, ::downsample],
                tile=(tile_px, tile_px),
                photometric="rgb",
                subfiletype=int(downsample > 1),
                resolution=per_cm,
                resolutionunit="CENTIMETER" if per_cm else None,
                metadata=None,
            )
    return path


def write_dicom_level(path: Path, image: np.ndarray, *, um_per_px: float, series: str, number: int) -> Path:
    """Write one level of a slide as DICOM, with identities that must not get out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = image.shape[:2]
    tile = 64
    rows, columns = -(-height // tile), -(-width // tile)
    padded = np.pad(image, ((0, rows * tile - height), (0, columns * tile - width), (0, 0)), mode="edge")
    level = Dataset()
    level.file_meta = FileMetaDataset()
    level.file_meta.MediaStorageSOPClassUID = level.SOPClassUID = SLIDE_CLASS
    level.file_meta.MediaStorageSOPInstanceUID = level.SOPInstanceUID = generate_uid(entropy_srcs=[series, str(number)])
    level.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    level.Modality, level.Manufacturer, level.ManufacturerModelName = "SM", "Maker", "Model 7"
    level.PatientID, level.PatientName, level.BarcodeValue = "SECRET-ID", "SECRET^NAME", "SECRET-BARCODE"
    level.DeviceSerialNumber, level.StudyDate = "SECRET-SERIAL", "19010203"
    level.StudyInstanceUID = level.FrameOfReferenceUID = generate_uid(entropy_srcs=[series])
    level.SeriesInstanceUID, level.InstanceNumber = series, number
    level.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE" if number == 1 else "RESAMPLED"]
    level.Rows = level.Columns = tile
    level.NumberOfFrames, level.TotalPixelMatrixFocalPlanes, level.NumberOfOpticalPaths = rows * columns, 1, 1
    level.TotalPixelMatrixColumns, level.TotalPixelMatrixRows = width, height
    level.DimensionOrganizationType = "TILED_FULL"
    level.SamplesPerPixel, level.PhotometricInterpretation, level.PlanarConfiguration = 3, "RGB", 0
    level.BitsAllocated = level.BitsStored = 8
    level.HighBit, level.PixelRepresentation = 7, 0
    measures, groups, optics = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing = [um_per_px / 1000, um_per_px / 1000]
    groups.PixelMeasuresSequence = [measures]
    optics.OpticalPathIdentifier, optics.ObjectiveLensPower = "0", 20
    level.SharedFunctionalGroupsSequence, level.OpticalPathSequence = [groups], [optics]
    level.PixelData = padded.reshape(rows, tile, columns, tile, 3).swapaxes(1, 2).tobytes()
    pydicom.dcmwrite(path, level, enforce_file_format=True)
    return path


@pytest.fixture(scope="session")
def pyramid() -> Callable[..., Path]:
    """Write a pyramidal TIFF: ``pyramid(path, image, um_per_px=, downsamples=)``."""
    return write_pyramid


@pytest.fixture(scope="session")
def drawn() -> Callable[..., np.ndarray]:
    """Draw tissue on glass: ``drawn(width_px, height_px, seed=)``."""
    return draw_slide


@pytest.fixture(scope="session")
def dicom_slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the two levels of one DICOM slide of 420 x 300 px, the coarse one first by name."""
    folder = tmp_path_factory.mktemp("dicom_slide")
    image, series = draw_slide(420, 300), generate_uid(entropy_srcs=["a slide"])
    write_dicom_level(folder / "a.dcm", image[::4, ::4], um_per_px=2.0, series=series, number=2)
    write_dicom_level(folder / "b.dcm", image, um_per_px=0.5, series=series, number=1)
    return folder


@pytest.fixture(scope="session")
def real_slide(shared_data: Path) -> Path:
    """Aperio's CMU-1-Small-Region, 2220 x 2967 px of 0.499 um."""
    path = shared_data / "histology_slides" / "CMU-1-Small-Region.svs"
    if not path.is_file():
        pytest.skip("the real slide is not there")
    return path
