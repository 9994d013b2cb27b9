import contextlib
import io
import struct
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from radpath.data.dicom.recognition import DICOM_SUFFIXES
from radpath.data.headers import IMAGE_SUFFIXES, ImageHeader, read_header, read_headers, read_stored
from radpath.data.inputs import DataSettings
from radpath.data.slides.opening import SLIDE_SUFFIXES
from radpath.errors import DataError

PILLOW_MODES = {
    "1": ("bilevel",),
    "L": ("grey", "grey+alpha"),
    "LA": ("grey+alpha",),
    "I;16": ("grey", "grey+alpha"),
    "P": ("palette", "palette+alpha"),
    "RGB": ("RGB", "RGBA"),
    "RGBA": ("RGBA", "grey+alpha"),  # Pillow reads 16-bit grey with opacity as RGBA
    "CMYK": ("CMYK",),
}


def pillow_agrees(path: Path, header: ImageHeader) -> bool:
    with Image.open(path) as image:
        upright = image.getexif().get(ExifTags.Base.Orientation, 1) < 5
        size = (header.width_px, header.height_px) if upright else (header.height_px, header.width_px)
        return (image.format, image.size) == (header.format, size) and header.mode in PILLOW_MODES[image.mode]


def write(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def image_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.name.lower().endswith(IMAGE_SUFFIXES))


@pytest.mark.parametrize(
    ("mode", "suffix", "expected"),
    [
        ("1", ".png", ("bilevel", 1, 8, "PNG")),
        ("L", ".png", ("grey", 1, 8, "PNG")),
        ("LA", ".png", ("grey+alpha", 1, 8, "PNG")),
        ("I;16", ".png", ("grey", 1, 16, "PNG")),
        ("P", ".png", ("palette", 3, 8, "PNG")),
        ("RGB", ".png", ("RGB", 3, 8, "PNG")),
        ("RGBA", ".png", ("RGBA", 3, 8, "PNG")),
        ("L", ".jpg", ("grey", 1, 8, "JPEG")),
        ("RGB", ".jpg", ("RGB", 3, 8, "JPEG")),
        ("CMYK", ".jpg", ("CMYK", 3, 8, "JPEG")),
        ("1", ".tif", ("bilevel", 1, 8, "TIFF")),
        ("L", ".tif", ("grey", 1, 8, "TIFF")),
        ("I;16", ".tif", ("grey", 1, 16, "TIFF")),
        ("P", ".tif", ("palette", 3, 8, "TIFF")),
        ("RGB", ".tif", ("RGB", 3, 8, "TIFF")),
        ("RGBA", ".tif", ("RGBA", 3, 8, "TIFF")),
        ("CMYK", ".tif", ("CMYK", 3, 8, "TIFF")),
    ],
)
def test_the_header_says_what_was_written(
    tmp_path: Path, mode: str, suffix: str, expected: tuple[str, int, int, str]
) -> None:
    path = tmp_path / f"picture{suffix}"
    Image.new(mode, (7, 5)).save(path)
    header = read_header(path)
    assert (header.width_px, header.height_px) == (7, 5)
    assert (header.mode, header.channels, header.bit_depth, header.format) == expected


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_the_size_is_that_of_the_displayed_image(tmp_path: Path, orientation: int, suffix: str) -> None:
    path = tmp_path / f"picture{suffix}"
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.new("L", (7, 5)).save(path, exif=exif)
    header = read_header(path)
    assert (header.width_px, header.height_px) == ((7, 5) if orientation < 5 else (5, 7))


def test_the_format_is_recognised_by_content_not_by_name(tmp_path: Path) -> None:
    path = tmp_path / "photograph.jpg"
    Image.new("L", (3, 2)).save(path, "PNG")
    assert read_header(path).format == "PNG"


def test_suffixes_are_lower_case_and_begin_with_a_dot() -> None:
    assert set(IMAGE_SUFFIXES) == {".png", ".jpg", ".jpeg", ".tif", ".tiff", *DICOM_SUFFIXES, *SLIDE_SUFFIXES}
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in SLIDE_SUFFIXES)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"^empty file: it has no bytes$"),
        (b"not a picture at all\n", r"^not an image: the content is neither PNG nor JPEG nor TIFF$"),
        (b"GIF89a\x01\0\x01\0\0\0\0", r"^not an image: "),
        (b"\x89PNG\r\n\x1a\n", r"^truncated or damaged: the PNG has no header$"),
        (b"\xff\xd8\xff\xe0", r"^truncated or damaged: the file ends too early$"),
        (b"II*\0\x08\0\0\0", r"^truncated or damaged: the first TIFF directory lies outside the file$"),
    ],
)
def test_what_is_no_image_is_refused_with_one_reason(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_header(write(tmp_path, "picture.png", content))


def test_an_absent_file_stays_the_operating_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_header(tmp_path / "absent.png")


def test_an_animated_png_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "film.png"
    Image.new("L", (4, 4)).save(path, save_all=True, append_images=[Image.new("L", (4, 4), 9)])
    with pytest.raises(DataError, match=r"^unsupported: an animated PNG; save the frame"):
        read_header(path)


def test_a_tiff_of_several_pages_has_several_headers(tmp_path: Path) -> None:
    path = tmp_path / "pages.tif"
    Image.new("L", (4, 4)).save(path, save_all=True, append_images=[Image.new("RGB", (3, 5), 9)])
    headers = read_headers(path, DataSettings(images=tmp_path))
    found = [(header.member, header.width_px, header.height_px, header.channels) for header in headers]
    assert found == [("page[0]", 4, 4, 1), ("page[1]", 3, 5, 3)]
    with pytest.raises(DataError, match=r"^unsupported: a TIFF of 2 images; name the one that is meant, as page\[0\]$"):
        read_header(path)


def _encoded(kind: str) -> bytes:
    stream = io.BytesIO()
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    if kind == "BigTIFF":
        tifffile.imwrite(stream, pixels, photometric="rgb", bigtiff=True)
    else:
        Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


ENCODED = {kind: _encoded(kind) for kind in ("PNG", "JPEG", "TIFF", "BigTIFF")}


@settings(max_examples=100, deadline=None)
@given(data=st.data(), kind=st.sampled_from(sorted(ENCODED)))
def test_no_damage_raises_anything_but_a_data_error(data: st.DataObject, kind: str) -> None:
    content = bytearray(ENCODED[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(0, len(content))) :]
    with contextlib.suppress(DataError):
        stored = read_stored(io.BytesIO(content))
        assert stored.width_px > 0
        assert stored.height_px > 0


def test_a_tag_that_claims_more_values_than_the_file_can_hold_is_refused(tmp_path: Path) -> None:
    content = bytearray(ENCODED["TIFF"])
    at = content.index(struct.pack("<HHI", 258, 3, 3))
    content[at + 4 : at + 8] = struct.pack("<I", 2**31)
    with pytest.raises(
        DataError, match=r"^truncated or damaged: TIFF tag 258 is of an unknown type or lies outside the file$"
    ):
        read_header(write(tmp_path, "greedy.tif", bytes(content)))


@pytest.mark.parametrize(
    ("folder", "num_read", "num_refused"),
    [
        ("bccd_crops", 978, 0),
        ("mednist_600", 120, 0),
        ("nctcrc_samples", 9, 0),
        ("histology_tiles", 34, 0),
        ("wsidicom_data", 7, 2),  # JPEG of 12 and 16 bits, which Pillow refuses as well
        ("pngsuite", 161, 0),
    ],
)
def test_headers_of_real_files_agree_with_pillow(
    shared_data: Path, folder: str, num_read: int, num_refused: int
) -> None:
    outcomes: Counter[str] = Counter()
    paths = [path for path in image_files(shared_data / folder) if not path.name.startswith("x")]  # corrupt on purpose
    for path in paths[:: 5 if len(paths) > 500 else 1]:
        try:
            header = read_header(path)
        except DataError:
            outcomes["refused"] += 1
        else:
            outcomes["agrees" if pillow_agrees(path, header) else path.name] += 1
    assert outcomes == {"agrees": num_read} | ({"refused": num_refused} if num_refused else {})
