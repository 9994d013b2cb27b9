import contextlib
import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from radpath.data.formats.jpeg import decode_jpeg
from radpath.data.headers import read_header
from radpath.data.pixels import decode
from radpath.errors import DataError

END = b"\xff\xd9"


def smooth_noise(height: int, width: int, channels: int) -> np.ndarray:
    steps = np.random.default_rng(5).normal(size=(height, width, channels)).cumsum(axis=1)
    return (steps * 9 + 128).clip(0, 255).astype(np.uint8)


def encoded(pixels: np.ndarray, mode: str | None = None, **options: Any) -> bytes:
    stream = io.BytesIO()
    image = Image.fromarray(pixels) if mode is None else Image.frombytes(mode, pixels.shape[1::-1], pixels.tobytes())
    image.save(stream, "JPEG", **options)
    return stream.getvalue()


RGB = smooth_noise(33, 47, 3)
VARIANTS = {
    "baseline": encoded(RGB, quality=90),
    "progressive": encoded(RGB, quality=90, progressive=True),
    "full colour": encoded(RGB, quality=95, subsampling=0),
    "restart markers": encoded(RGB, quality=90, restart_marker_blocks=1),
    "grey": encoded(RGB[:, :, 0], quality=90),
}


def written(folder: Path, content: bytes) -> Path:
    path = folder / "picture.jpg"
    path.write_bytes(content)
    return path


def decoded(folder: Path, content: bytes) -> np.ndarray:
    return decode(written(folder, content), max_pixels=10_000, transparency="white")


@pytest.mark.parametrize("variant", VARIANTS)
def test_pixels_equal_those_of_pillow(tmp_path: Path, variant: str) -> None:
    with Image.open(io.BytesIO(VARIANTS[variant])) as image:
        np.testing.assert_array_equal(decoded(tmp_path, VARIANTS[variant]), np.asarray(image))


@settings(max_examples=60, deadline=None)
@given(variant=st.sampled_from(sorted(VARIANTS)), share=st.floats(0, 1, exclude_max=True))
def test_a_beginning_of_a_file_is_never_a_picture(variant: str, share: float) -> None:
    whole = VARIANTS[variant]
    with pytest.raises(DataError):
        decode_jpeg(whole[: int(share * len(whole))])


@settings(max_examples=60, deadline=None)
@given(variant=st.sampled_from(["baseline", "full colour", "grey", "restart markers"]), share=st.floats(0.6, 0.99))
def test_a_file_that_was_cut_and_closed_with_an_end_marker_is_refused(variant: str, share: float) -> None:
    whole = VARIANTS[variant]
    with pytest.raises(DataError, match=r"^truncated or damaged: "):
        decode_jpeg(whole[: int(share * len(whole))] + END)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_file_whose_end_was_overwritten_with_zeros_is_refused(tmp_path: Path, variant: str) -> None:
    whole = VARIANTS[variant]
    half = len(whole) * 3 // 4
    with pytest.raises(DataError, match=r"^truncated or damaged: the JPEG has no end marker$"):
        decoded(tmp_path, whole[:half] + bytes(len(whole) - half))


def test_what_follows_the_end_marker_is_ignored(tmp_path: Path) -> None:
    whole = VARIANTS["baseline"]
    np.testing.assert_array_equal(decoded(tmp_path, whole + b"\0\xff\xd8more"), decoded(tmp_path, whole))


def test_an_end_marker_inside_a_thumbnail_is_not_the_end(tmp_path: Path) -> None:
    comment = b"\xff\xfe" + struct.pack(">H", 8) + END + END + b"ab"
    whole = VARIANTS["baseline"]
    np.testing.assert_array_equal(decoded(tmp_path, whole[:2] + comment + whole[2:]), decoded(tmp_path, whole))


def test_cmyk_with_inverted_inks_becomes_the_right_colours(tmp_path: Path) -> None:
    inks = np.zeros((16, 40, 4), np.uint8)
    for column, ink in enumerate(([0, 0, 0, 0], [255, 0, 0, 0], [0, 255, 0, 0], [0, 0, 255, 0], [0, 0, 0, 255])):
        inks[:, column * 8 : column * 8 + 8] = ink
    image = decoded(tmp_path, encoded(inks, "CMYK", quality=100))
    expected = np.array([[255, 255, 255], [0, 255, 255], [255, 0, 255], [255, 255, 0], [0, 0, 0]])
    np.testing.assert_allclose(image[8, 4::8].astype(int), expected, atol=2)


def test_cmyk_agrees_with_pillow(tmp_path: Path) -> None:
    content = encoded(smooth_noise(16, 24, 4), "CMYK", quality=95)
    with Image.open(io.BytesIO(content)) as image:
        np.testing.assert_allclose(decoded(tmp_path, content).astype(int), np.asarray(image.convert("RGB")), atol=1)


def test_cmyk_without_an_adobe_marker_is_refused(tmp_path: Path) -> None:
    content = encoded(smooth_noise(8, 8, 4), "CMYK").replace(b"Adobe", b"Other")
    with pytest.raises(DataError, match=r"^unsupported: a CMYK JPEG without an Adobe marker"):
        read_header(written(tmp_path, content))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"\xff\xc0\x00\x11\x08", b"\xff\xc1\x00\x11\x0c", "unsupported: a JPEG of 12 bits a sample; export it as PNG"),
        (b"\xff\xc0", b"\xff\xc9", "unsupported: a JPEG that is arithmetically coded"),
        (b"\xff\xc0", b"\xff\xc5", "unsupported: a JPEG that is hierarchical"),
        (b"\xff\xc0\x00\x11\x08\x00\x21", b"\xff\xc0\x00\x11\x08\x00\x00", "unsupported: a JPEG whose header does not"),
        (b"\xff\xdb\x00\x43", b"\xff\xdb\x00\x01", "truncated or damaged: the header of the JPEG is broken"),
        (b"\xff\xdb\x00\x43", b"\xff\xdb\x00\x42", "truncated or damaged: the header of the JPEG is broken"),
        (b"\xff\xc0", b"\xff\xfe", "truncated or damaged: the JPEG has no frame header"),
    ],
)
def test_other_kinds_of_jpeg_are_refused(tmp_path: Path, old: bytes, new: bytes, message: str) -> None:
    content = VARIANTS["baseline"].replace(old, new, 1)
    with pytest.raises(DataError, match=f"^{message}"):
        read_header(written(tmp_path, content))


def test_two_components_are_refused(tmp_path: Path) -> None:
    content = bytearray(VARIANTS["grey"])
    content[content.index(b"\xff\xc0") + 9] = 2
    with pytest.raises(DataError, match=r"^unsupported: a JPEG of 2 components$"):
        read_header(written(tmp_path, bytes(content)))


def test_an_exif_block_that_was_cut_short_leaves_the_picture_as_it_is_stored(tmp_path: Path) -> None:
    block = b"Exif\0\0II*\0\x08\0\0\0\x09\0"
    segment = b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block
    whole = VARIANTS["baseline"]
    np.testing.assert_array_equal(decoded(tmp_path, whole[:2] + segment + whole[2:]), decoded(tmp_path, whole))


@settings(max_examples=100, deadline=None)
@given(variant=st.sampled_from(sorted(VARIANTS)), data=st.data())
def test_changed_bytes_raise_nothing_but_a_data_error(variant: str, data: st.DataObject) -> None:
    content = bytearray(VARIANTS[variant])
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(DataError):
        assert decode_jpeg(bytes(content)).dtype == np.uint8
