import contextlib
import io
import itertools
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from radpath.data.formats.tiff import Pages, TiffSettings, find_image, read_tiff
from radpath.data.headers import read_header, read_headers
from radpath.data.inputs import DataSettings
from radpath.data.pixels import decode
from radpath.errors import DataError

NOISE = np.random.default_rng(3)
GREY = NOISE.integers(0, 256, (37, 53), dtype=np.uint8)
GREY_16 = NOISE.integers(0, 65536, (37, 53), dtype=np.uint16)
RGB = NOISE.integers(0, 256, (37, 53, 3), dtype=np.uint8)
RGB_16 = NOISE.integers(0, 65536, (37, 53, 3), dtype=np.uint16)
BILEVEL = GREY > 127


def encoded(pixels: np.ndarray, **options: Any) -> bytes:
    stream = io.BytesIO()
    options.setdefault("photometric", "rgb" if pixels.ndim == 3 else "minisblack")
    tifffile.imwrite(stream, pixels, **options)
    return stream.getvalue()


def entry_of(content: bytes, tag: int) -> int:
    """Return where the entry of a tag stands in a little-endian TIFF."""
    (directory,) = struct.unpack_from("<I", content, 4)
    (num_tags,) = struct.unpack_from("<H", content, directory)
    entries = range(directory + 2, directory + 2 + 12 * num_tags, 12)
    return next(at for at in entries if struct.unpack_from("<H", content, at) == (tag,))


def with_tag(content: bytes, tag: int, value: int) -> bytes:
    """Return a TIFF with the value of a tag that stands in its entry replaced."""
    at = entry_of(content, tag) + 8
    return content[:at] + struct.pack("<I", value) + content[at + 4 :]


def renamed(content: bytes, tag: int, new_tag: int = 65100) -> bytes:
    """Return a TIFF in which a tag has another number, by default one that nobody knows."""
    at = entry_of(content, tag)
    return content[:at] + struct.pack("<H", new_tag) + content[at + 2 :]


def with_type(content: bytes, tag: int, type_number: int) -> bytes:
    """Return a TIFF in which a tag says that its values are of another type."""
    at = entry_of(content, tag) + 2
    return content[:at] + struct.pack("<H", type_number) + content[at + 2 :]


def written(folder: Path, content: bytes) -> Path:
    path = folder / "picture.tif"
    path.write_bytes(content)
    return path


def decoded(folder: Path, content: bytes) -> np.ndarray:
    return decode(written(folder, content), max_pixels=10_000, transparency="white")


LOSSLESS: dict[str, tuple[np.ndarray, dict[str, Any]]] = {
    "one strip": (RGB, {}),
    "several strips": (RGB, {"rowsperstrip": 8}),
    "tiles": (RGB, {"tile": (16, 32)}),
    "LZW": (RGB, {"compression": "lzw", "rowsperstrip": 8}),
    "LZW with predictor": (RGB, {"compression": "lzw", "predictor": True, "rowsperstrip": 8}),
    "deflate in tiles with predictor": (RGB, {"compression": "zlib", "predictor": True, "tile": (16, 16)}),
    "zstandard": (RGB, {"compression": "zstd"}),
    "packbits": (RGB, {"compression": "packbits"}),
    "JPEG 2000": (RGB, {"compression": "jpeg2000", "tile": (32, 32)}),
    "planes apart": (RGB.transpose(2, 0, 1), {"planarconfig": "separate", "rowsperstrip": 16}),
    "planes apart in LZW tiles": (
        RGB.transpose(2, 0, 1),
        {"planarconfig": "separate", "tile": (16, 16), "compression": "lzw", "predictor": True},
    ),
    "big-endian": (RGB, {"byteorder": ">"}),
    "BigTIFF": (RGB, {"bigtiff": True}),
    "big-endian BigTIFF": (RGB_16, {"bigtiff": True, "byteorder": ">"}),
    "16-bit RGB": (RGB_16, {}),
    "16-bit RGB with predictor": (RGB_16, {"compression": "zlib", "predictor": True, "rowsperstrip": 8}),
    "16-bit RGB, planes apart": (RGB_16.transpose(2, 0, 1), {"planarconfig": "separate"}),
    "16-bit JPEG 2000": (GREY_16, {"compression": "jpeg2000"}),
    "grey": (GREY, {}),
    "16-bit grey": (GREY_16, {}),
    "big-endian 16-bit grey with predictor": (GREY_16, {"byteorder": ">", "compression": "lzw", "predictor": True}),
    "MINISWHITE": (GREY, {"photometric": "miniswhite"}),
    "16-bit MINISWHITE": (GREY_16, {"photometric": "miniswhite", "compression": "zlib"}),
    "bilevel": (BILEVEL, {}),
    "bilevel MINISWHITE": (BILEVEL, {"photometric": "miniswhite", "compression": "packbits"}),
}


def as_shown(pixels: np.ndarray, options: dict[str, Any]) -> np.ndarray:
    if pixels.dtype == bool:
        pixels = np.where(pixels, 255, 0).astype(np.uint8)
    if options.get("planarconfig") == "separate":
        return pixels.transpose(1, 2, 0)
    return np.iinfo(pixels.dtype).max - pixels if options.get("photometric") == "miniswhite" else pixels


@pytest.mark.parametrize("kind", LOSSLESS)
def test_the_pixels_are_those_that_were_written(tmp_path: Path, kind: str) -> None:
    pixels, options = LOSSLESS[kind]
    image = decoded(tmp_path, encoded(pixels, **options))
    expected = as_shown(pixels, options)
    assert image.dtype == expected.dtype
    np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK"])
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_files_written_by_libtiff_equal_pillows_reading(tmp_path: Path, mode: str, compression: str) -> None:
    path = tmp_path / "picture.tif"
    picture = Image.fromarray(RGB)
    cyan, magenta, yellow = picture.split()
    inks = Image.merge("CMYK", (cyan, magenta, yellow, Image.fromarray(GREY)))
    (inks if mode == "CMYK" else picture.convert(mode)).save(path, compression=compression)
    with Image.open(path) as image:
        expected = np.asarray(image.convert("L" if mode in {"1", "L"} else "RGB")).astype(int)
    tolerance = 1 if mode == "CMYK" else 0  # Pillow truncates where this rounds
    np.testing.assert_allclose(decode(path, max_pixels=10_000, transparency="white"), expected, atol=tolerance)


@pytest.mark.parametrize("bits", [2, 4])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_two_and_four_bits_are_spread_over_eight(tmp_path: Path, bits: int, photometric: str) -> None:
    top = 2**bits - 1
    levels = GREY[:, :51] & top
    packed = np.zeros((37, -(-51 * bits // 8)), np.uint8)
    for column in range(51):
        packed[:, column * bits // 8] |= levels[:, column] << (8 - bits - column * bits % 8)
    content = with_tag(with_tag(encoded(packed, photometric=photometric), 258, bits), 256, 51)
    shown = levels if photometric == "minisblack" else top - levels
    np.testing.assert_array_equal(decoded(tmp_path, content), shown * (255 // top))


def test_a_palette_of_eight_bit_values_is_understood(tmp_path: Path) -> None:
    colours = np.stack([np.arange(256)] * 3).astype(np.uint16)
    content = encoded(GREY, photometric="palette", colormap=colours)
    np.testing.assert_array_equal(decoded(tmp_path, content), np.stack([GREY] * 3, axis=2))


@pytest.mark.parametrize("colours", ["YCbCr", "YCbCr, few colours", "RGB", "grey"])
def test_jpeg_inside_tiff_equals_other_readers(tmp_path: Path, colours: str) -> None:
    rows, columns = np.mgrid[:40, :56]
    smooth = np.stack([rows * 6, columns * 4, 255 - rows * 3], axis=2).astype(np.uint8)
    pixels = smooth[:, :, 0] if colours == "grey" else smooth
    subsampling = (2, 2) if "few" in colours else (1, 1)
    arguments = {"level": 95} | ({"outcolorspace": "rgb"} if colours == "RGB" else {})
    content = encoded(pixels, compression="jpeg", compressionargs=arguments, rowsperstrip=16, subsampling=subsampling)
    image = decoded(tmp_path, content)
    np.testing.assert_array_equal(image, tifffile.imread(io.BytesIO(content)))
    np.testing.assert_allclose(image.astype(int), pixels, atol=12)
    assert struct.unpack_from("<H", content, entry_of(content, 262) + 8) == ({"RGB": 2, "grey": 1}.get(colours, 6),)


def test_a_jpeg_inside_tiff_that_says_two_things_about_its_colours_is_refused(tmp_path: Path) -> None:
    content = encoded(RGB, compression="jpeg")
    assert b"JFIF" in content
    with pytest.raises(
        DataError, match=r"^unsupported: a TIFF that says its JPEG streams are RGB, while they say YCbCr$"
    ):
        decoded(tmp_path, with_tag(content, 262, 2))


@pytest.mark.parametrize(
    ("extra", "mode"), [("unassalpha", "RGBA"), ("assocalpha", "RGBA premultiplied"), ("unspecified", "RGB")]
)
def test_a_fourth_sample_is_what_its_tag_says(tmp_path: Path, extra: str, mode: str) -> None:
    content = encoded(np.array([[[100, 50, 0, 128]]], np.uint8), extrasamples=[extra])
    assert read_header(written(tmp_path, content)).mode == mode
    # 100 x 128/255 + 255 x 127/255 = 177.2, and so on; premultiplied colours are only added to.
    expected = {"unassalpha": [177, 152, 127], "assocalpha": [227, 177, 127], "unspecified": [100, 50, 0]}[extra]
    assert decoded(tmp_path, content).tolist() == [[expected]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (encoded(GREY.astype(np.complex64)), "a TIFF of complex samples; export it with real numbers"),
        (encoded(GREY.astype(np.uint64)), "a grey TIFF of 64 bits a sample, unsigned"),
        (
            encoded(GREY.astype(np.float32), photometric="miniswhite"),
            "floating-point samples in which the lowest is wh",
        ),
        (encoded(np.zeros((4, 4, 4), np.float32), extrasamples=["unassalpha"]), "a RGBA TIFF of 32 bits a sample, flo"),
        (with_tag(encoded(GREY), 258, 11), "a grey TIFF of 11 bits a sample, unsigned"),
        (with_tag(encoded(GREY.astype(np.int8)), 339, 4), "a TIFF of undefined samples"),
        (with_tag(encoded(GREY), 259, 4), "a TIFF with compression 4"),
        (with_tag(encoded(GREY), 262, 8), r"a TIFF of 1 samples a pixel \(0 extra\) with photometric interpretation 8"),
        (with_tag(encoded(GREY, compression="lzw", predictor=True), 259, 1), "a TIFF with predictor 2, compression 1"),
        (with_tag(encoded(RGB), 262, 6), "a TIFF of YCbCr samples that are not JPEG"),
        (encoded(np.zeros((4, 4, 5), np.uint8), photometric="minisblack", planarconfig="contig"), "5 samples a pixel"),
        (with_tag(encoded(GREY, compression="lzw", predictor=True), 317, 3), "a TIFF with predictor 3"),
        (encoded(np.zeros((2, 4, 4), np.uint8), photometric="minisblack", truncate=True), "a TIFF that holds a stack"),
        (
            encoded(np.zeros((2, 4, 4), np.uint8), photometric="minisblack", volumetric=True, tile=(2, 16, 16)),
            "a TIFF that holds a stack",
        ),
        (
            encoded(RGB, description="ImageJ=1.54f\nimages=40\n", metadata=None, compression="lzw"),
            "a stack of ImageJ whose pixels are compressed",
        ),
        (with_tag(renamed(encoded(BILEVEL), 296, 266), 266, 2), "the bits of each byte in reverse order"),
        (with_tag(encoded(RGB, tile=(4096, 16)), 322, 8192), "a TIFF with tiles of 8192 x 4096 px"),
        (with_tag(encoded(GREY_16), 259, 7), "a grey TIFF with JPEG compression of 16 bits a sample"),
        (with_tag(encoded(BILEVEL), 259, 7), "a grey TIFF with JPEG compression of 1 bits a sample"),
    ],
)
def test_other_kinds_of_tiff_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=rf"^unsupported: .*{message}"):
        read_header(written(tmp_path, content))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (encoded(GREY)[:-1], "the TIFF ends before its last strip or tile"),
        (with_tag(encoded(GREY), 279, 1960), "the strips or tiles of the TIFF hold 1960 of 1961 bytes"),
        (with_tag(encoded(GREY), 279, 0), "strips or tiles of the TIFF are missing"),
        (renamed(encoded(GREY), 279), "TIFF tag 279 is missing"),
        (with_tag(encoded(GREY, compression="lzw"), 256, 54), r"the TIFF cannot be read \("),
        (with_tag(encoded(GREY), 278, 36), "the TIFF lists 1 of 2 strips or tiles"),
        (with_tag(encoded(GREY), 256, 0), "the TIFF directory declares 0 x 37 px"),
        (with_type(encoded(GREY), 259, 7), "the compression of the TIFF is b"),
        (with_type(encoded(GREY), 273, 11), "strips or tiles of the TIFF are missing"),
        (with_tag(encoded(RGB), 284, 0), "the TIFF has planar configuration 0"),
        (with_tag(encoded(GREY), 278, 0), "the strips or tiles of the TIFF have no size"),
        (renamed(encoded(GREY), 262), "TIFF tag 262 is missing"),
        (with_tag(encoded(GREY), 262, 3), "the palette of the TIFF has 0 numbers"),
        (
            with_tag(encoded(RGB[:32, :32], compression="jpeg"), 256, 31),
            "a JPEG stream in the TIFF declares",
        ),
        (
            encoded(GREY, compression="jpeg2000").replace(b"\xff\x4f\xff\x51", b"\0\0\0\0"),
            "a JPEG 2000 stream in the TIFF",
        ),
    ],
)
def test_a_tiff_that_contradicts_itself_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=rf"^truncated or damaged: .*{message}"):
        decoded(tmp_path, content)


SMALL = {
    "plain": encoded(RGB[:16, :24]),
    "LZW": encoded(RGB[:16, :24], compression="lzw", rowsperstrip=8),
    "deflate": encoded(RGB[:16, :24], compression="zlib", predictor=True),
    "zstandard": encoded(RGB[:16, :24], compression="zstd"),
    "packbits": encoded(RGB[:16, :24], compression="packbits"),
    "JPEG": encoded(RGB[:16, :24], compression="jpeg"),
    "JPEG 2000": encoded(RGB[:16, :24], compression="jpeg2000"),
    "tiles": encoded(RGB[:16, :24], tile=(16, 16), compression="lzw"),
}


@settings(max_examples=100, deadline=None)
@given(kind=st.sampled_from(sorted(SMALL)), share=st.floats(0, 1, exclude_max=True))
def test_a_beginning_of_a_file_is_never_a_picture(kind: str, share: float) -> None:
    whole = SMALL[kind]
    with pytest.raises(DataError):
        find_image(io.BytesIO(b"II*\0" + whole[4 : max(4, int(share * len(whole)))])).decode()


@settings(max_examples=150, deadline=None)
@given(kind=st.sampled_from(sorted(SMALL)), data=st.data())
def test_changed_bytes_raise_nothing_but_a_data_error(kind: str, data: st.DataObject) -> None:
    content = bytearray(SMALL[kind])
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(4, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(DataError):
        for member, stored in read_tiff(io.BytesIO(content)):
            if stored.width_px * stored.height_px < 10_000:
                pixels = find_image(io.BytesIO(content), member).decode()
                assert pixels.shape[:2] == (stored.height_px, stored.width_px)


def test_real_tiles_equal_two_other_readers(shared_data: Path) -> None:
    paths = sorted((shared_data / "nctcrc_samples").glob("*.tif"))
    for path in paths:
        image = decode(path, max_pixels=100_000, transparency="refuse")
        np.testing.assert_array_equal(image, tifffile.imread(path))
        with Image.open(path) as picture:
            np.testing.assert_array_equal(image, np.asarray(picture))
    assert len(paths) == 9


def taken(folder: Path, content: bytes, pages: Pages = "all") -> dict[str, np.ndarray]:
    """Return the images that a scan finds in a file, by their names inside it."""
    path = written(folder, content)
    found = read_headers(path, DataSettings(images=folder, tiff=TiffSettings(pages=pages)))
    images = {h.member: decode(path, h.member, max_pixels=10_000, transparency="white") for h in found}
    assert [image.shape[:2] for image in images.values()] == [(h.height_px, h.width_px) for h in found]
    return images


def several(*pages: np.ndarray, options: tuple[dict[str, Any], ...] = ({},)) -> bytes:
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        for page, own in zip(pages, itertools.cycle(options), strict=False):
            writer.write(page, photometric="rgb" if page.ndim == 3 else "minisblack", metadata=None, **own)
    return stream.getvalue()


PAGES = (GREY, RGB_16, GREY_16[:20])


def test_each_page_is_an_image_with_its_number(tmp_path: Path) -> None:
    images = taken(tmp_path, several(*PAGES))
    assert list(images) == ["page[0]", "page[1]", "page[2]"]
    for image, page in zip(images.values(), PAGES, strict=True):
        np.testing.assert_array_equal(image, page)


def test_one_page_can_be_chosen_and_keeps_its_name(tmp_path: Path) -> None:
    images = taken(tmp_path, several(*PAGES), pages=1)
    assert list(images) == ["page[1]"]
    np.testing.assert_array_equal(images["page[1]"], RGB_16)
    assert list(taken(tmp_path, encoded(GREY), pages=0)) == [""]
    with pytest.raises(DataError, match=r"^no such page: page\[3\] is asked for, the TIFF has 3, counted from 0$"):
        taken(tmp_path, several(*PAGES), pages=3)


@pytest.mark.parametrize("member", ["page[3]", "page[x]", "frame[1]"])
def test_an_image_that_a_file_does_not_hold_is_refused(tmp_path: Path, member: str) -> None:
    path = written(tmp_path, several(*PAGES))
    with pytest.raises(DataError, match=rf"^no such page: the TIFF holds no {re.escape(member)}$"):
        decode(path, member, max_pixels=10_000, transparency="white")


def test_an_image_among_several_must_be_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^unsupported: a TIFF of 3 images; name the one that is meant, as page\[0\]$"):
        decoded(tmp_path, several(*PAGES))


def test_an_error_says_which_page_it_means(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^unsupported: a grey TIFF of 64 bits a sample, unsigned \(page\[1\]\)$"):
        taken(tmp_path, several(GREY, GREY.astype(np.uint64)))


@pytest.mark.parametrize("kind", [1, 4, 5])
def test_reduced_copies_and_masks_are_no_images(tmp_path: Path, kind: int) -> None:
    copy: tuple[dict[str, Any], ...] = ({"subfiletype": 1}, {}, {})
    content = with_tag(several(GREY[::2, ::2], RGB, GREY, options=copy), 254, kind)
    assert list(taken(tmp_path, content)) == ["page[1]", "page[2]"]
    assert list(taken(tmp_path, content, pages=0)) == ["page[0]"]
    images = taken(tmp_path, with_tag(several(GREY[::2, ::2], RGB, options=copy), 254, kind))
    assert list(images) == [""]
    np.testing.assert_array_equal(images[""], RGB)


def test_the_levels_of_a_pyramid_are_one_image_even_where_they_do_not_say_so(tmp_path: Path) -> None:
    levels = several(RGB, RGB[::2, ::2], RGB[::4, ::4], options=({"tile": (16, 16)},))
    assert list(taken(tmp_path, levels)) == [""]
    np.testing.assert_array_equal(taken(tmp_path, levels)[""], RGB)
    others = several(RGB, RGB[::2, ::4], options=({"tile": (16, 16)},))
    assert list(taken(tmp_path, others)) == ["page[0]", "page[1]"]


def test_sub_directories_are_no_pages(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        writer.write(RGB, photometric="rgb", subifds=1, tile=(16, 16))
        writer.write(RGB[::2, ::2], photometric="rgb", subfiletype=1, tile=(16, 16))
    assert list(taken(tmp_path, stream.getvalue())) == [""]


RGB_SHAPE = (4, 13, 17, 3)


@pytest.mark.parametrize(
    ("kind", "shape"),
    [(np.uint8, RGB_SHAPE), *((kind, (5, 13, 17)) for kind in (np.uint8, np.uint16, np.float32))],
)
@pytest.mark.parametrize("is_truncated", [False, True], ids=["a directory each", "one directory"])
def test_a_stack_of_imagej_is_as_many_images(
    tmp_path: Path, *, kind: type[np.generic], shape: tuple[int, ...], is_truncated: bool
) -> None:
    stack = NOISE.integers(0, 200, shape).astype(kind)
    photometric = "rgb" if stack.ndim == 4 else "minisblack"
    content = encoded(stack, imagej=True, truncate=is_truncated, photometric=photometric)
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        assert (len(file.pages) == 1) == is_truncated
        end = file.pages.first.dataoffsets[0] + stack.nbytes
    images = taken(tmp_path, content)
    assert list(images) == [f"page[{index}]" for index in range(len(stack))]
    np.testing.assert_array_equal(list(images.values()), stack)
    if is_truncated:
        with pytest.raises(
            DataError, match=rf"^truncated or damaged: the TIFF ends before the last of {len(stack)} im"
        ):
            taken(tmp_path, content[: end - 1])


def test_directories_in_a_circle_are_refused(tmp_path: Path) -> None:
    content = bytearray(several(GREY, GREY))
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        first, second = (page.offset for page in file.pages)
    (num_tags,) = struct.unpack_from("<H", content, second)
    struct.pack_into("<I", content, second + 2 + 12 * num_tags, first)
    with pytest.raises(DataError, match=r"^truncated or damaged: the directories of the TIFF form a circle$"):
        taken(tmp_path, bytes(content))


def test_a_next_page_outside_the_file_is_refused(tmp_path: Path) -> None:
    content = several(GREY, GREY)
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        second = file.pages[1].offset
    with pytest.raises(DataError, match=r"^truncated or damaged: the TIFF cannot be read"):
        taken(tmp_path, content[: second + 1])


def test_compressed_bytes_that_hold_more_than_their_strip_are_not_unpacked(tmp_path: Path) -> None:
    bomb = zlib.compress(bytes(50_000_000))
    content = bytearray(encoded(np.zeros((4, 4), np.uint8), compression="zlib"))
    place = len(content)
    content = bytearray(with_tag(with_tag(bytes(content), 273, place), 279, len(bomb))) + bomb
    with pytest.raises(DataError, match=r"^truncated or damaged: the TIFF cannot be read \("):
        decoded(tmp_path, bytes(content))


def test_label_and_overview_of_a_slide_are_no_images(shared_data: Path) -> None:
    with (shared_data / "histology_slides" / "CMU-1-Small-Region.svs").open("rb") as stream:
        found = [(member, stored.width_px, stored.height_px) for member, stored in read_tiff(stream)]
    assert found == [("page[0]", 2220, 2967), ("page[1]", 574, 768)]
