from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from radpath.data.inputs import DataSettings
from radpath.data.location import parse_location
from radpath.data.slides.recognition import is_dicom_slide, slide_headers
from radpath.data.slides.settings import SlideSettings
from radpath.errors import DataError

Pyramid = Callable[..., Path]
Drawn = Callable[..., np.ndarray]


@pytest.fixture
def settings(tmp_path: Path) -> DataSettings:
    return DataSettings(images=tmp_path)


def test_a_tiff_with_several_resolutions_is_a_slide(
    tmp_path: Path, pyramid: Pyramid, drawn: Drawn, settings: DataSettings
) -> None:
    found = slide_headers(pyramid(tmp_path / "a.tif", drawn(400, 300)), settings)
    assert found is not None
    (header,) = found
    assert (header.width_px, header.height_px, header.format, header.member) == (400, 300, "slide", "")
    assert header.facts == {"modality": "SM", "pixel_spacing_mm": pytest.approx(0.0005)}


def test_plain_tiffs_are_none(tmp_path: Path, pyramid: Pyramid, drawn: Drawn, settings: DataSettings) -> None:
    striped = tmp_path / "striped.tif"
    tifffile.imwrite(striped, drawn(64, 48))
    stack = tmp_path / "stack.tif"
    tifffile.imwrite(stack, np.stack([drawn(128, 96)] * 3), tile=(64, 64), photometric="rgb")
    tiled = pyramid(tmp_path / "tiled.tif", drawn(128, 96), downsamples=(1,))
    broken = tmp_path / "broken.tif"
    broken.write_bytes(b"II*\0\xff\xff\xff\xff")
    assert [slide_headers(path, settings) for path in (striped, stack, tiled, broken)] == [None] * 4


def test_a_tiled_tiff_too_large_to_be_decoded_at_once_is_a_slide(
    tmp_path: Path, pyramid: Pyramid, drawn: Drawn
) -> None:
    path = pyramid(tmp_path / "tiled.tif", drawn(128, 96), downsamples=(1,))
    assert slide_headers(path, DataSettings(images=tmp_path, max_pixels=128 * 96 - 1)) is not None
    assert slide_headers(path, DataSettings(images=tmp_path, max_pixels=128 * 96)) is None


def test_whoever_wants_whole_images_gets_tiff_and_dicom_from_their_readers(
    tmp_path: Path, pyramid: Pyramid, drawn: Drawn, dicom_slide: Path
) -> None:
    settings = DataSettings(images=tmp_path, slides=SlideSettings(mode="whole"))
    assert slide_headers(pyramid(tmp_path / "a.tif", drawn(400, 300)), settings) is None
    assert slide_headers(dicom_slide / "b.dcm", settings) is None


def test_a_dicom_slide_is_one_image_however_many_files_it_has(dicom_slide: Path, settings: DataSettings) -> None:
    assert slide_headers(dicom_slide / "a.dcm", settings) == []
    found = slide_headers(dicom_slide / "b.dcm", settings)
    assert found is not None
    (header,) = found
    assert (header.width_px, header.height_px) == (420, 300)
    assert header.facts == {
        "modality": "SM",
        "manufacturer": "Maker",
        "scanner": "Model 7",
        "magnification": "20",
        "pixel_spacing_mm": pytest.approx(0.0005),
    }


def test_no_identity_of_a_slide_gets_into_its_header(dicom_slide: Path, settings: DataSettings) -> None:
    found = slide_headers(dicom_slide / "b.dcm", settings)
    assert b"SECRET-ID" in (dicom_slide / "b.dcm").read_bytes()
    assert found
    assert "SECRET" not in repr(found)
    assert "1901" not in repr(found)


def test_other_dicom_and_other_files_are_no_slides(tmp_path: Path, settings: DataSettings) -> None:
    other = tmp_path / "ct.dcm"
    other.write_bytes(bytes(128) + b"DICM" + b"1.2.840.10008.5.1.4.1.1.2")
    image = tmp_path / "a.png"
    image.write_bytes(b"\x89PNG")
    assert not is_dicom_slide(other)
    assert [slide_headers(path, settings) for path in (other, image)] == [None, None]


def test_a_file_that_is_called_a_slide_must_be_one(tmp_path: Path, settings: DataSettings) -> None:
    path = tmp_path / "a.svs"
    path.write_bytes(b"no slide")
    with pytest.raises(DataError, match=r"^unsupported slide: "):
        slide_headers(path, settings)


def test_a_slide_on_another_machine_is_refused(settings: DataSettings) -> None:
    with pytest.raises(DataError, match=r"^remote slide: .* copy the slide to one$"):
        slide_headers(parse_location("s3://bucket/a.svs"), settings)


def test_a_real_slide_says_its_scanner_and_nothing_that_leads_to_a_person(
    real_slide: Path, settings: DataSettings
) -> None:
    found = slide_headers(real_slide, settings)
    assert found is not None
    assert found[0].facts == {
        "modality": "SM",
        "manufacturer": "Aperio",
        "magnification": "20",
        "pixel_spacing_mm": pytest.approx(0.000499),
    }
