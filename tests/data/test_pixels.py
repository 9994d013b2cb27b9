import io
import struct
import warnings
import zlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import ExifTags, Image, ImageOps

from radpath.data.headers import IMAGE_SUFFIXES, read_header
from radpath.data.pixels import REDUCE_ABOVE, decode, pixel_digest, to_uint8
from radpath.data.preparation import resize
from radpath.errors import DataError

Transparency = Literal["white", "black", "refuse"]

NOISE = np.random.default_rng(11)
SIXTEEN_BIT_IMAGES = hnp.arrays(np.uint16, hnp.array_shapes(min_dims=2, max_dims=3, max_side=6))


def decoded(
    path: Path, *, max_pixels: int = 10_000, transparency: Transparency = "refuse", longest_side_px: int | None = None
) -> np.ndarray:
    return decode(path, max_pixels=max_pixels, transparency=transparency, longest_side_px=longest_side_px)


def saved(folder: Path, pixels: np.ndarray, name: str = "picture.png", **options: Any) -> Path:
    path = folder / name
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (9, 1), (13, 21)])
def test_eight_bit_pixels_are_those_that_were_written(
    tmp_path: Path, channels: int, suffix: str, size: tuple[int, int]
) -> None:
    pixels = NOISE.integers(0, 256, (*size, channels), dtype=np.uint8)
    pixels = pixels[:, :, 0] if channels == 1 else pixels
    image = decoded(saved(tmp_path, pixels, f"picture{suffix}"))
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, pixels)


def test_sixteen_bit_grey_keeps_its_depth(tmp_path: Path) -> None:
    pixels = NOISE.integers(0, 65536, (5, 6), dtype=np.uint16)
    image = decoded(saved(tmp_path, pixels))
    assert image.dtype == np.uint16
    np.testing.assert_array_equal(image, pixels)


def test_one_bit_becomes_black_and_white(tmp_path: Path) -> None:
    pixels = NOISE.integers(0, 2, (5, 11)).astype(bool)
    np.testing.assert_array_equal(decoded(saved(tmp_path, pixels)), np.where(pixels, 255, 0))


@pytest.mark.parametrize("num_colours", [2, 4, 16, 256])
def test_a_palette_becomes_its_colours(tmp_path: Path, num_colours: int) -> None:
    palette = NOISE.integers(0, 256, (num_colours, 3), dtype=np.uint8)
    indices = NOISE.integers(0, num_colours, (9, 13), dtype=np.uint8)
    indices[0, 0] = num_colours - 1
    picture = Image.fromarray(indices, "P")
    picture.putpalette(palette.tobytes())
    picture.save(tmp_path / "picture.png", bits=(num_colours - 1).bit_length())
    np.testing.assert_array_equal(decoded(tmp_path / "picture.png"), palette[indices])


def test_an_image_is_turned_as_it_is_displayed(tmp_path: Path) -> None:
    pixels = NOISE.integers(0, 256, (16, 24, 3), dtype=np.uint8)
    for suffix in (".png", ".tif", ".jpg"):
        for orientation in range(1, 9):
            exif = Image.Exif()
            exif[ExifTags.Base.Orientation] = orientation
            path = saved(tmp_path, pixels, f"picture{suffix}", exif=exif)
            with Image.open(path) as picture:
                expected = np.asarray(ImageOps.exif_transpose(picture))
            np.testing.assert_array_equal(decoded(path), expected, err_msg=f"{suffix} {orientation}")


def test_the_eight_orientations_of_one_mark(tmp_path: Path) -> None:
    # The letter F, stored upright; EXIF 2.3 names the side at which its first row and column belong.
    letter = np.array([[1, 1, 1], [1, 0, 0], [1, 1, 0], [1, 0, 0]], np.uint8)
    clockwise = letter[::-1].T
    expected = {
        1: letter,
        2: letter[:, ::-1],
        3: letter[::-1, ::-1],
        4: letter[::-1],
        5: letter.T,
        6: clockwise,
        7: letter[::-1, ::-1].T,
        8: letter[:, ::-1].T,
    }
    for orientation, image in expected.items():
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        np.testing.assert_array_equal(decoded(saved(tmp_path, letter, exif=exif)), image, err_msg=str(orientation))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize(("transparency", "background"), [("white", 255), ("black", 0)])
def test_transparent_pixels_show_the_background(
    tmp_path: Path, mode: str, transparency: Transparency, background: int
) -> None:
    pixels = NOISE.integers(0, 256, (16, 16, len(mode)), dtype=np.uint8)
    image = decoded(saved(tmp_path, pixels), transparency=transparency)
    opacity = pixels[:, :, -1:] / 255
    expected = pixels[:, :, :-1] * opacity + background * (1 - opacity)
    np.testing.assert_allclose(image, expected.squeeze(), atol=0.5 + 1e-9)


def test_sixteen_bit_transparency_is_blended_in_sixteen_bits(tmp_path: Path) -> None:
    pixels = NOISE.integers(0, 65536, (8, 8, 4), dtype=np.uint16)
    path = tmp_path / "picture.tif"
    tifffile.imwrite(path, pixels, photometric="rgb", extrasamples=["unassalpha"])
    image = decoded(path, transparency="white")
    opacity = pixels[:, :, 3:].astype(np.float64) / 65535
    assert image.dtype == np.uint16
    np.testing.assert_allclose(image, pixels[:, :, :3] * opacity + 65535 * (1 - opacity), atol=0.5 + 1e-6)


def test_a_palette_with_transparent_colours_shows_the_background(tmp_path: Path) -> None:
    picture = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "P")
    picture.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    picture.save(tmp_path / "picture.png", transparency=bytes([255, 0, 102]))
    image = decoded(tmp_path / "picture.png", transparency="black")
    assert image.tolist() == [[[10, 20, 30], [0, 0, 0], [28, 32, 36]]]


def test_opacity_that_is_full_everywhere_is_dropped_even_where_transparency_is_refused(tmp_path: Path) -> None:
    pixels = NOISE.integers(0, 256, (4, 5, 4), dtype=np.uint8)
    pixels[:, :, 3] = 255
    np.testing.assert_array_equal(decoded(saved(tmp_path, pixels)), pixels[:, :, :3])


def test_transparent_pixels_can_be_refused(tmp_path: Path) -> None:
    pixels = np.full((4, 5, 4), 255, np.uint8)
    pixels[2, 2, 3] = 254
    with pytest.raises(DataError, match=r"^transparent: some pixels are; set transparency to white or black"):
        decoded(saved(tmp_path, pixels))


def test_an_image_over_the_limit_is_refused_before_its_pixels_are_read(tmp_path: Path) -> None:
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    path = tmp_path / "bomb.png"
    path.write_bytes(bomb + b"\0\0\0\0IEND\xae\x42\x60\x82")
    with pytest.raises(DataError, match=r"^over the pixel limit: 60000 x 60000 px are more than 200000000$"):
        decoded(path, max_pixels=200_000_000)


def test_the_limit_itself_is_allowed(tmp_path: Path) -> None:
    path = saved(tmp_path, np.zeros((10, 12), np.uint8))
    assert decoded(path, max_pixels=120).shape == (10, 12)
    with pytest.raises(DataError, match=r"^over the pixel limit: 12 x 10 px are more than 119$"):
        decoded(path, max_pixels=119)


@pytest.mark.parametrize("content", [b"", b"patient,label\n1,benign\n", b"\xff\xd8\xff", b"II*\0"])
def test_what_is_no_image_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"^(empty file|not an image|truncated or damaged): "):
        decoded(path)


def _encoded(kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(NOISE.integers(0, 256, (12, 14, 3), dtype=np.uint8)).save(stream, kind, **options)
    return stream.getvalue()


WHOLE = {
    "PNG": _encoded("PNG"),
    "JPEG": _encoded("JPEG"),
    "progressive JPEG": _encoded("JPEG", progressive=True),
    "TIFF": _encoded("TIFF"),
    "LZW": _encoded("TIFF", compression="tiff_lzw"),
}


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cut") / "picture"


@settings(max_examples=100, deadline=None)
@given(kind=st.sampled_from(sorted(WHOLE)), share=st.floats(0, 1, exclude_max=True))
def test_a_file_that_was_cut_anywhere_is_refused(scratch: Path, kind: str, share: float) -> None:
    scratch.write_bytes(WHOLE[kind][: int(share * len(WHOLE[kind]))])
    with pytest.raises(DataError, match=r"^(empty file|not an image|truncated or damaged): ."):
        decoded(scratch)


def test_threads_decode_side_by_side(tmp_path: Path) -> None:
    images = [NOISE.integers(0, 256, (20, 20, 3), dtype=np.uint8) for _ in range(24)]
    paths = [
        saved(tmp_path, image, f"{number}.{'png' if number % 2 else 'tif'}") for number, image in enumerate(images)
    ]
    with ThreadPoolExecutor(8) as pool:
        for image, pixels in zip(pool.map(decoded, paths), images, strict=True):
            np.testing.assert_array_equal(image, pixels)


def test_a_copy_in_another_format_or_with_equal_channels_has_the_same_digest(tmp_path: Path) -> None:
    grey = NOISE.integers(0, 256, (6, 7), dtype=np.uint8)
    colour = np.stack([grey] * 3, axis=2)
    digests = {
        pixel_digest(decoded(path))
        for path in (saved(tmp_path, grey), saved(tmp_path, grey, "b.tif"), saved(tmp_path, colour, "c.png"))
    }
    assert digests == {pixel_digest(grey), pixel_digest(grey[:, :, None])}
    assert len(digests) == 1


def test_digests_differ_with_size_depth_and_pixels() -> None:
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    changed = grey.copy()
    changed[2, 3] = 0
    colour = np.stack([grey, grey, changed], axis=2)
    images: list[np.ndarray] = [
        grey,
        grey.reshape(4, 3),
        grey.astype(np.uint16),
        grey.view(np.uint16),
        changed,
        colour,
        colour[:, :, ::-1],
    ]
    assert len({pixel_digest(image) for image in images}) == len(images)


def test_the_digest_does_not_depend_on_the_memory_layout() -> None:
    wide = NOISE.integers(0, 65536, (5, 8), dtype=np.uint16)
    assert pixel_digest(wide) == pixel_digest(np.asfortranarray(wide)) == pixel_digest(wide.astype(">u2"))


@settings(max_examples=50, deadline=None)
@given(SIXTEEN_BIT_IMAGES)
def test_the_full_range_is_divided_and_rounded(image: np.ndarray) -> None:
    np.testing.assert_array_equal(to_uint8(image, intensity="full"), np.rint(image / 257))


def test_every_sixteen_bit_level_is_rounded_to_the_nearest() -> None:
    levels = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    np.testing.assert_array_equal(to_uint8(levels, intensity="full"), np.rint(levels / 257))


@settings(max_examples=50, deadline=None)
@given(SIXTEEN_BIT_IMAGES)
def test_minmax_uses_the_whole_range_keeps_the_order_and_clips_nothing(image: np.ndarray) -> None:
    stretched = to_uint8(image, intensity="minmax")
    lowest, highest = float(image.min()), float(image.max())
    if lowest == highest:
        assert not stretched.any()
        return
    assert (stretched.min(), stretched.max()) == (0, 255)
    np.testing.assert_allclose(stretched, (image - lowest) / (highest - lowest) * 255, atol=0.5 + 1e-9)


@pytest.mark.parametrize("value", [0, 7, 65535])
def test_a_constant_image_has_no_contrast_and_no_division_by_zero(value: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stretched = to_uint8(np.full((3, 3), value, np.uint16), intensity="minmax")
    assert stretched.dtype == np.uint8
    assert not stretched.any()


def test_eight_bits_stay_as_they_are_in_full_range() -> None:
    image = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(to_uint8(image, intensity="full"), image)


def texture(height: int, width: int, channels: int) -> np.ndarray:
    """Draw strokes of every width, in the colours of stained tissue or of inks."""
    rows, columns = np.mgrid[:height, :width]
    waves = [np.sin(rows / (3 + 2 * n)) + np.cos(columns / (4 + n) + rows / 9) for n in range(channels)]
    noise = NOISE.normal(0, 0.3, (height, width, channels))
    return ((np.stack(waves, axis=2) + noise) * 50 + 128).clip(0, 255).astype(np.uint8)


SCALED_PX = 24
SIDES_PX = {2: (192, 160), 4: (384, 320), 8: (768, 704)}


@pytest.mark.parametrize("reduction", [2, 4, 8])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_a_jpeg_decoded_at_a_fraction_and_scaled_is_close_to_the_whole_one_scaled(
    tmp_path: Path, reduction: int, mode: str
) -> None:
    height, width = SIDES_PX[reduction]
    pixels = texture(height, width, len(mode) if mode != "L" else 1)
    Image.frombytes(mode, (width, height), pixels.tobytes()).save(tmp_path / "1.jpg", quality=90)
    whole = decoded(tmp_path / "1.jpg", max_pixels=10**6)
    reduced = decoded(tmp_path / "1.jpg", max_pixels=10**6, longest_side_px=SCALED_PX)
    assert reduced.shape[:2] == (height // reduction, width // reduction)
    assert max(reduced.shape[:2]) >= REDUCE_ABOVE * SCALED_PX
    scaled = [
        resize(image[:, :, None] if image.ndim == 2 else image, height_px=SCALED_PX, width_px=SCALED_PX)
        for image in (whole, reduced)
    ]
    assert np.abs(scaled[0].astype(int) - scaled[1]).max() <= 4


def test_pixels_at_a_fraction_of_the_size_equal_pillows_draft(tmp_path: Path) -> None:
    path = saved(tmp_path, texture(192, 160, 3), "1.jpg", quality=90)
    with Image.open(path) as picture:
        picture.draft("RGB", (80, 96))
        np.testing.assert_array_equal(decoded(path, max_pixels=10**6, longest_side_px=SCALED_PX), np.asarray(picture))


def test_a_fraction_is_turned_as_the_whole(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    path = saved(tmp_path, texture(192, 160, 3), "1.jpg", quality=90, exif=exif)
    turned = decoded(path, max_pixels=10**6, longest_side_px=SCALED_PX)
    assert turned.shape == (80, 96, 3)
    with Image.open(path) as picture:
        picture.draft("RGB", (80, 96))
        np.testing.assert_array_equal(turned, np.rot90(np.asarray(picture), k=-1))


@pytest.mark.parametrize("name", ["1.png", "1.tif", "odd.jpg"])
def test_other_formats_and_sides_that_do_not_divide_are_decoded_whole(tmp_path: Path, name: str) -> None:
    size = (193, 160) if name == "odd.jpg" else (192, 160)
    path = saved(tmp_path, texture(*size, 3), name)
    np.testing.assert_array_equal(
        decoded(path, max_pixels=10**6, longest_side_px=SCALED_PX), decoded(path, max_pixels=10**6)
    )


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8, 0.95])
@pytest.mark.parametrize("end", [b"", b"\xff\xd9"], ids=["cut", "cut and closed"])
def test_a_fraction_of_a_truncated_jpeg_is_refused(tmp_path: Path, share: float, end: bytes) -> None:
    path = saved(tmp_path, texture(192, 160, 3), "1.jpg", quality=90)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))] + end)
    with pytest.raises(DataError, match=r"^truncated or damaged: "):
        decoded(path, max_pixels=10**6, longest_side_px=SCALED_PX)


FLOAT_IMAGES = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=3, max_side=6),
    elements=st.floats(-(2.0**100), 2.0**100, width=32),
)


@settings(max_examples=50, deadline=None)
@given(FLOAT_IMAGES)
def test_minmax_of_fractions_uses_the_whole_range_and_keeps_the_order(image: np.ndarray) -> None:
    stretched = to_uint8(image, intensity="minmax")
    lowest, highest = float(image.min()), float(image.max())
    if lowest == highest:
        assert not stretched.any()
        return
    assert (stretched.min(), stretched.max()) == (0, 255)
    expected = (image.astype(np.float64) - lowest) / (highest - lowest) * 255
    np.testing.assert_allclose(stretched, expected, atol=0.5 + 1e-6)


def test_floating_point_numbers_have_no_full_range() -> None:
    with pytest.raises(DataError, match=r"^no full range: floating-point pixels have none; choose another intensity"):
        to_uint8(np.zeros((2, 2), np.float32), intensity="full")


@pytest.mark.parametrize(
    ("folder", "step", "num_equal"),
    [("bccd_crops", 40, 123), ("mednist_600", 20, 30), ("nctcrc_samples", 1, 9), ("histology_tiles", 4, 9)],
)
def test_real_images_equal_pillows_reading_and_their_headers(
    shared_data: Path, folder: str, step: int, num_equal: int
) -> None:
    outcomes: Counter[str] = Counter()
    paths = sorted(path for path in (shared_data / folder).rglob("*") if path.name.lower().endswith(IMAGE_SUFFIXES))
    for path in paths[::step]:
        image = decoded(path, max_pixels=20_000_000, transparency="white")
        header = read_header(path)
        with Image.open(path) as picture:
            white = Image.new("RGBA", picture.size, "white")
            shown = Image.alpha_composite(white, picture).convert("RGB") if picture.mode == "RGBA" else picture
            expected = np.asarray(shown)
        fits = image.shape[:2] == (header.height_px, header.width_px) and image.ndim == (
            3 if header.channels == 3 else 2
        )
        outcomes["equal" if fits and np.array_equal(image, expected) else path.name] += 1
    assert outcomes == {"equal": num_equal}


def test_lossless_jpegs_of_one_tile_equal_their_source(shared_data: Path) -> None:
    source = decoded(shared_data / "wsidicom_data" / "test_tile.png", max_pixels=100_000)
    paths = sorted((shared_data / "wsidicom_data" / "encoded").glob("JPEG_Lossless*8.jpg"))
    equal = [path.name for path in paths if np.array_equal(decoded(path, max_pixels=100_000), source)]
    assert len(paths) == 3
    assert [name.rpartition("-8")[0].rpartition("-")[2] for name in equal] == ["RGB", "YBR"]


def test_jpegs_of_every_process_are_decoded_or_refused_with_their_depth(shared_data: Path) -> None:
    outcomes: Counter[str] = Counter()
    for path in sorted((shared_data / "wsidicom_data" / "encoded").glob("*.jpg")):
        try:
            image = decoded(path, max_pixels=100_000)
        except DataError as error:
            outcomes[str(error)] += 1
        else:
            outcomes[f"{image.dtype} {image.ndim}"] += 1
    refused = "unsupported: a JPEG of {} bits a sample; export it as PNG or TIFF of 16 bits"
    assert outcomes == {"uint8 2": 2, "uint8 3": 4, refused.format(12): 1, refused.format(16): 1}
