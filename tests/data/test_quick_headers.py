"""The quick reader answers as the careful one does, or not at all."""

import io
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from radpath.data.headers import header_of, read_stored
from radpath.data.quick_headers import START_BYTES, QuickHeader, quick_header, quick_png_header
from radpath.errors import DataError


def quickly(content: bytes) -> QuickHeader | None:
    return quick_header(content[:START_BYTES], len(content), lambda at, num_bytes: content[at : at + num_bytes])


def disagreement(content: bytes) -> str:
    """Return "" where the quick answer is the careful one, or where there is no quick answer."""
    quick = quickly(content)
    if quick is None:
        return ""
    try:
        careful = header_of(read_stored(io.BytesIO(content)))
    except DataError as error:
        return f"{quick} instead of {error}"
    kind = (careful.channels, careful.bit_depth, careful.mode, careful.format)
    expected = (careful.width_px, careful.height_px, kind)
    same = (*quick[:2], tuple(quick.kind)) == expected and not careful.facts and not careful.member
    return "" if same else f"{quick} instead of {careful}"


def saved(mode: str, kind: str, *, orientation: int = 1, **options: object) -> bytes:
    stream, exif = io.BytesIO(), Image.Exif()
    if orientation != 1:
        exif[ExifTags.Base.Orientation] = orientation
    Image.new(mode, (37, 23), 1 if mode in ("1", "L", "I;16") else None).save(stream, kind, exif=exif, **options)
    return stream.getvalue()


def tiff_of(shape: tuple[int, ...], kind: type[np.generic], **options: object) -> bytes:
    stream = io.BytesIO()
    pixels = np.arange(np.prod(shape)).reshape(shape).astype(kind)
    tifffile.imwrite(stream, pixels, **options)
    return stream.getvalue()


def noise_png(width_px: int, height_px: int) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (height_px, width_px), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


USUAL = {
    **{f"PNG {mode}": saved(mode, "PNG") for mode in ("1", "L", "I;16", "RGB", "RGBA", "LA", "P")},
    "PNG of many chunks": noise_png(300, 700),
    **{f"JPEG {mode}": saved(mode, "JPEG") for mode in ("L", "RGB")},
    **{f"JPEG turned {number}": saved("L", "JPEG", orientation=number) for number in (2, 5, 8)},
    "JPEG progressive": saved("RGB", "JPEG", progressive=True),
    **{f"TIFF {mode}": saved(mode, "TIFF") for mode in ("1", "L", "I;16", "RGB")},
    **{
        f"TIFF {name}": saved("RGB", "TIFF", compression=name)
        for name in ("tiff_lzw", "tiff_adobe_deflate", "packbits")
    },
    **{f"TIFF turned {number}": saved("L", "TIFF", orientation=number) for number in (3, 6)},
    "TIFF of tifffile": tiff_of((9, 11), np.uint8),
    "TIFF of tifffile, RGB, big-endian": tiff_of((9, 11, 3), np.uint16, byteorder=">", photometric="rgb"),
    "TIFF with its directory at the end": tiff_of((90, 110), np.uint8, compression="zlib", predictor=True),
}
UNUSUAL = {
    "PNG transparent": saved("P", "PNG", transparency=0),
    "PNG turned": saved("L", "PNG", orientation=6),
    "JPEG CMYK": saved("CMYK", "JPEG"),
    "TIFF CMYK": saved("CMYK", "TIFF"),
    "TIFF palette": saved("P", "TIFF"),
    "TIFF of floats": tiff_of((9, 11), np.float32),
    "TIFF of pages": tiff_of((2, 9, 11), np.uint8, photometric="minisblack"),
    "TIFF in tiles": tiff_of((64, 64), np.uint8, tile=(16, 16)),
    "TIFF of ImageJ": tiff_of((9, 11), np.uint8, imagej=True),
    "BigTIFF": tiff_of((9, 11), np.uint8, bigtiff=True),
    "empty": b"",
    "text": b"no picture",
}
EVERY = {**USUAL, **UNUSUAL}
SUFFIXES = (".png", ".jpg", ".jpeg", ".tif")


@pytest.mark.parametrize("name", USUAL)
def test_usual_files_are_read_quickly_and_right(name: str) -> None:
    assert quickly(USUAL[name]) is not None
    assert disagreement(USUAL[name]) == ""


@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_files_are_left_to_the_careful_reader(name: str) -> None:
    assert quickly(UNUSUAL[name]) is None


@pytest.mark.parametrize("name", USUAL)
def test_a_file_that_was_cut_anywhere_is_not_taken_for_whole_where_the_careful_reader_sees_it(name: str) -> None:
    content = USUAL[name]
    cuts = {*range(0, len(content), max(1, len(content) // 60)), *range(max(0, len(content) - 30), len(content))}
    assert [found for cut in sorted(cuts) if (found := disagreement(content[:cut]))] == []


@pytest.mark.parametrize("name", [name for name in USUAL if name.startswith("PNG")])
def test_the_ends_of_a_png_tell_what_the_whole_tells(name: str) -> None:
    content = USUAL[name]
    assert quick_png_header(content[:1000], content[-1000:]) == quickly(content)
    assert quick_png_header(content[:1000], content[-1000:-1]) is None  # cut short
    assert quick_png_header(content[:40], content[-1000:]) is None  # the pixels begin behind the start


def test_an_orientation_behind_the_pixels_of_a_png_is_left_to_the_careful_reader() -> None:
    content = UNUSUAL["PNG turned"]
    at = content.index(b"eXIf") - 4
    length = 12 + int.from_bytes(content[at : at + 4], "big")
    moved = content[:at] + content[at + length : -12] + content[at : at + length] + content[-12:]
    assert header_of(read_stored(io.BytesIO(moved))).width_px == 23
    assert quick_png_header(moved[:1000], moved[-1000:]) is None
    assert quickly(moved) is None


@settings(max_examples=300, deadline=None)
@given(data=st.data(), name=st.sampled_from(sorted(EVERY)))
def test_damage_makes_no_disagreement(data: st.DataObject, name: str) -> None:
    content = bytearray(EVERY[name] or b"\0")
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.one_of(st.integers(0, min(400, len(content) - 1)), st.integers(0, len(content) - 1)))
        content[place] = data.draw(st.integers(0, 255))
    assert disagreement(bytes(content)) == ""


@settings(max_examples=50, deadline=None)
@given(
    changes=st.lists(st.tuples(st.integers(0, 14), st.integers(0, 11), st.sampled_from([0, 1, 2, 3, 4, 5, 8, 255]))),
    name=st.sampled_from(sorted(name for name in USUAL if name.startswith("TIFF"))),
)
def test_changed_tags_make_no_disagreement(changes: list[tuple[int, int, int]], name: str) -> None:
    content = bytearray(USUAL[name])
    directory = int.from_bytes(content[4:8], "little" if content[:2] == b"II" else "big") + 2
    for tag, place, value in changes:
        at = directory + 12 * tag + place
        content[at if at < len(content) else 8] = value
    assert disagreement(bytes(content)) == ""


@pytest.mark.parametrize(
    ("folder", "fewest_quick"),
    [("pngsuite", 120), ("bccd_crops", 489), ("mednist_600", 600), ("nctcrc_samples", 9), ("histology_tiles", 0)],
)
def test_real_files_are_read_as_the_careful_reader_does(shared_data: Path, folder: str, fewest_quick: int) -> None:
    files = sorted(path for path in (shared_data / folder).rglob("*") if path.suffix in SUFFIXES)
    outcomes = Counter[str]()
    for path in files[:: 10 if len(files) > 1000 else 1]:
        content = path.read_bytes()
        assert disagreement(content) == "", path.name
        outcomes["careful" if quickly(content) is None else "quick"] += 1
    assert outcomes["quick"] >= fewest_quick
