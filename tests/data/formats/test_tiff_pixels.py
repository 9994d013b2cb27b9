"""TIFF beyond 8 and 16 bits: the full range is kept, and what 32-bit floating point cannot hold is refused."""

import io
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from radpath.data.formats.tiff import find_image
from radpath.data.formats.tiff_pixels import to_float32
from radpath.data.headers import read_header
from radpath.data.pixels import decode
from radpath.errors import DataError

NOISE = np.random.default_rng(9)
WHOLE_KINDS = [np.int8, np.int16, np.uint32, np.int32]
KINDS = [*WHOLE_KINDS, np.float16, np.float32, np.float64]


def written(folder: Path, pixels: np.ndarray, **options: Any) -> Path:
    path = folder / "picture.tif"
    options.setdefault("photometric", "rgb" if pixels.ndim == 3 else "minisblack")
    tifffile.imwrite(path, pixels, **options)
    return path


def decoded(path: Path) -> np.ndarray:
    return decode(path, max_pixels=10_000, transparency="white")


def drawn(kind: type[np.generic], *shape: int) -> np.ndarray:
    """Return numbers from the whole range of a kind; whole ones of 32 bits in steps that float32 has."""
    if np.issubdtype(kind, np.floating):
        return NOISE.normal(-5, 300, shape).astype(kind)
    limits = np.iinfo(np.dtype(kind))
    step = 1 << max(0, limits.bits - 24)
    return (NOISE.integers(limits.min // step, limits.max // step + 1, shape) * step).astype(kind)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", [{}, {"compression": "lzw"}, {"tile": (16, 16)}, {"byteorder": ">"}], ids=str)
def test_signed_long_and_fractional_numbers_become_float32(
    tmp_path: Path, kind: type[np.generic], channels: int, options: dict[str, Any]
) -> None:
    pixels = drawn(kind, 21, 34, channels)
    pixels = pixels[:, :, 0] if channels == 1 else pixels
    path = written(tmp_path, pixels, **options)
    image = decoded(path)
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image, pixels.astype(np.float32))
    header = read_header(path)
    assert (header.bit_depth, header.channels, header.mode) == (32, channels, "grey" if channels == 1 else "RGB")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("compression", ["lzw", "zlib", "zstd"])
def test_predictors_of_every_kind_are_undone(tmp_path: Path, kind: type[np.generic], compression: str) -> None:
    pixels = drawn(kind, 21, 34)
    image = decoded(written(tmp_path, pixels, compression=compression, predictor=True, rowsperstrip=8))
    np.testing.assert_array_equal(image, pixels.astype(np.float32))


def test_planes_apart_become_channels(tmp_path: Path) -> None:
    pixels = drawn(np.float32, 3, 21, 34)
    image = decoded(written(tmp_path, pixels, photometric="rgb", planarconfig="separate"))
    np.testing.assert_array_equal(image, pixels.transpose(1, 2, 0))


def test_whole_numbers_of_32_bits_in_which_the_lowest_is_white_are_inverted(tmp_path: Path) -> None:
    path = written(tmp_path, np.array([[0, 2**32 - 1, 2**31 - 1]], np.uint32), photometric="miniswhite")
    assert decoded(path).tolist() == [[2.0**32, 0.0, 2.0**31]]


def packed(levels: np.ndarray, bits: int) -> bytes:
    """Write levels one behind the other, most significant bit first, each row filled up to a byte."""
    rows = ("".join(f"{level:0{bits}b}" for level in row.ravel()) for row in levels)
    return b"".join(int(row.ljust(-(-len(row) // 8) * 8, "0"), 2).to_bytes(-(-len(row) // 8), "big") for row in rows)


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
@pytest.mark.parametrize("compression", [None, "lzw"])
def test_ten_to_fourteen_bits_are_spread_over_sixteen(
    tmp_path: Path, bits: int, channels: int, photometric: str, compression: str | None
) -> None:
    top = 2**bits - 1
    levels = NOISE.integers(0, top + 1, (7, 9, channels))
    levels[0, 0], levels[0, 1] = 0, top
    shown = top - levels if photometric == "miniswhite" and channels == 1 else levels
    content = packed(levels, bits) if compression is None else bytes(imagecodecs.lzw_encode(packed(levels, bits)))
    path = tmp_path / "picture.tif"
    path.write_bytes(tiff_of(content, levels.shape, bits, photometric if channels == 1 else "rgb", compression))
    image = decoded(path)
    assert image.dtype == np.uint16
    np.testing.assert_array_equal(image, np.rint(shown / top * 65535).squeeze())
    assert read_header(path).bit_depth == 16


def tiff_of(content: bytes, shape: tuple[int, ...], bits: int, photometric: str, compression: str | None) -> bytes:
    """Build a TIFF of one strip, tag by tag."""
    height, width, channels = shape
    numbers = {
        256: width,
        257: height,
        258: bits,
        259: 5 if compression == "lzw" else 1,
        262: {"miniswhite": 0, "minisblack": 1, "rgb": 2}[photometric],
        273: 8,
        277: channels,
        278: height,
        279: len(content),
    }
    if channels == 3:  # three numbers do not fit into the entry; they stand behind the pixels
        content += np.array([bits] * 3, "<u2").tobytes()
    entries = [np.array([(tag, 4, 1, value)], ENTRY) for tag, value in numbers.items()]
    if channels == 3:
        entries[2] = np.array([(258, 3, 3, 8 + len(content) - 6)], ENTRY)
    directory = len(entries).to_bytes(2, "little") + b"".join(map(np.ndarray.tobytes, entries)) + bytes(4)
    return b"II*\0" + (8 + len(content)).to_bytes(4, "little") + content + directory


ENTRY = np.dtype([("tag", "<u2"), ("type", "<u2"), ("count", "<u4"), ("value", "<u4")])


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_exclude_the_image(tmp_path: Path, wrong: float) -> None:
    pixels = drawn(np.float32, 4, 5)
    pixels[1, 2] = pixels[3, 3] = wrong
    with pytest.raises(DataError, match=r"^not finite: 2 of 20 numbers are NaN or infinite; write others there$"):
        decoded(written(tmp_path, pixels))


def test_numbers_beyond_float32_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^unsupported: numbers from -1e\+39 to 2, larger than 32-bit floating point"):
        decoded(written(tmp_path, np.array([[-1e39, 2.0]])))


@pytest.mark.parametrize(
    "numbers",
    [
        np.array([1e9, 1e9 + 100]),
        np.array([2**30, 2**30 + 100], np.int32),
        np.array([2**32 - 100, 2**32 - 1], np.uint32),
        np.array([1e-50, 3e-50]),
    ],
    ids=str,
)
def test_differences_that_rounding_would_take_away_are_refused(numbers: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"^unsupported: numbers from \S+ to \S+, closer than 32-bit floating point"):
        to_float32(numbers)


@pytest.mark.parametrize("number", [0.1, 1e-50, 2.0**31 + 1])
def test_a_constant_image_has_no_difference_to_lose(number: float) -> None:
    np.testing.assert_array_equal(to_float32(np.full((2, 3), number)), np.full((2, 3), number, np.float32))


@settings(max_examples=50, deadline=None)
@given(
    hnp.arrays(
        st.sampled_from([np.dtype(kind) for kind in (np.int32, np.uint32, np.float64)]), st.integers(1, 8), fill=None
    )
)
def test_what_is_accepted_moved_by_less_than_a_sixteen_bit_step_of_its_range(numbers: np.ndarray) -> None:
    try:
        rounded = to_float32(numbers)
    except DataError:
        return
    exact = numbers.astype(np.longdouble)
    with np.errstate(over="ignore"):
        assert np.abs(rounded - exact).max() <= (exact.max() - exact.min()) / 65536 or exact.max() == exact.min()
    assert np.isfinite(rounded).all()


def test_jpeg_in_tiles_of_an_odd_size_equals_tifffile(tmp_path: Path) -> None:
    rows, columns = np.mgrid[:75, :83]
    pixels = np.stack([rows * 3, columns * 3, 255 - rows * 2], axis=2).astype(np.uint8)
    ways: dict[str, dict[str, Any]] = {
        "tiles": {"tile": (32, 48), "subsampling": (2, 2)},
        "RGB tiles": {"tile": (32, 48), "compressionargs": {"outcolorspace": "rgb"}},
        "strips": {"rowsperstrip": 32, "subsampling": (2, 1)},
        "planes apart": {"rowsperstrip": 32, "planarconfig": "separate"},
    }
    for name, options in ways.items():
        stored = pixels.transpose(2, 0, 1) if name == "planes apart" else pixels
        path = written(tmp_path, stored, photometric="rgb", compression="jpeg", **options)
        expected = tifffile.imread(path)
        expected = expected.transpose(1, 2, 0) if name == "planes apart" else expected
        np.testing.assert_array_equal(decoded(path), expected, err_msg=name)


def test_a_jpeg_tile_that_was_cut_and_closed_is_refused() -> None:
    pixels = NOISE.integers(0, 256, (64, 64), dtype=np.uint8)
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, compression="jpeg", tile=(32, 32))
    whole = stream.getvalue()
    with tifffile.TiffFile(io.BytesIO(whole)) as file:
        start, length = file.pages.first.dataoffsets[2], file.pages.first.databytecounts[2]
    cut = bytearray(whole)
    cut[start + length - 202 : start + length - 200] = b"\xff\xd9"
    with pytest.raises(DataError, match=r"^truncated or damaged: "):
        find_image(io.BytesIO(bytes(cut))).decode()
