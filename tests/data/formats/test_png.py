import itertools
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from radpath.data.pixels import decode
from radpath.errors import DataError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
RGB_16_BITS = (16, 2)
GREY_8_BITS = (8, 0)
PALETTE_8_BITS = (8, 3)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    width: int, height: int, kind: tuple[int, int], filtered: bytes, *, before: bytes = b"", after: bytes = b""
) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, *kind, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(filtered))
    return SIGNATURE + chunk(b"IHDR", header) + before + pixels + after + chunk(b"IEND", b"")


def decoded(folder: Path, content: bytes) -> np.ndarray:
    path = folder / "picture.png"
    path.write_bytes(content)
    return decode(path, max_pixels=10_000, transparency="white")


def slow_png(content: bytes) -> tuple[np.ndarray, int]:
    """Read a PNG by the letter of its specification, byte by byte; return its samples and the colour type."""
    chunks: dict[bytes, bytes] = {}
    at = 8
    while at < len(content):
        length, name = struct.unpack_from(">I4s", content, at)
        chunks[name] = chunks.get(name, b"") + content[at + 8 : at + 8 + length]
        at += 12 + length
    width, height, bits, colour_type, _, _, interlace = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour_type]
    stream = iter(zlib.decompress(chunks[b"IDAT"]))
    samples = np.zeros((height, width, channels), np.int64)
    for row0, column0, row_step, column_step in ADAM7 if interlace else ((0, 0, 1, 1),):
        columns = range(column0, width, column_step)
        if not columns:
            continue
        previous = [0] * ((len(columns) * channels * bits + 7) // 8)
        for row in range(row0, height, row_step):
            previous = unfiltered(
                next(stream), list(itertools.islice(stream, len(previous))), previous, max(1, channels * bits // 8)
            )
            text = "".join(f"{byte:08b}" for byte in previous)
            values = [int(text[i * bits : (i + 1) * bits], 2) for i in range(len(columns) * channels)]
            samples[row, column0::column_step] = np.reshape(values, (len(columns), channels))
    if colour_type == 3:
        samples = with_palette(samples[:, :, 0], chunks)
    elif bits < 8:
        samples = samples * 255 // (2**bits - 1)
    return samples, colour_type


def unfiltered(kind: int, row: list[int], above: list[int], step: int) -> list[int]:
    for i in range(len(row)):
        left = row[i - step] if i >= step else 0
        corner = above[i - step] if i >= step else 0
        guess = left + above[i] - corner
        nearest = min((left, above[i], corner), key=lambda value: abs(guess - value))
        row[i] = (row[i] + (0, left, above[i], (left + above[i]) // 2, nearest)[kind]) % 256
    return row


def with_palette(indices: np.ndarray, chunks: dict[bytes, bytes]) -> np.ndarray:
    palette = np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(-1, 3).astype(np.int64)
    opacity = np.full(len(palette), 255)
    known = np.frombuffer(chunks.get(b"tRNS", b""), np.uint8)
    opacity[: len(known)] = known
    return np.concatenate([palette[indices], opacity[indices][:, :, None]], axis=2)


def on_white(samples: np.ndarray, key: tuple[int, ...] | None, top: int) -> np.ndarray:
    """Lay samples over white with fractions; ``key`` is the colour that is transparent."""
    if samples.shape[2] in (2, 4):
        colours, opacity = samples[:, :, :-1], samples[:, :, -1:] / top
    else:
        colours = samples
        opacity = 1.0 - (samples == key).all(axis=2, keepdims=True) if key else np.ones((1, 1, 1))
    image = np.floor(colours * opacity + top * (1 - opacity) + 0.5 + 1e-9)
    return image[:, :, 0] if image.shape[2] == 1 else image


def transparent_colour(content: bytes, colour_type: int, bits: int) -> tuple[int, ...] | None:
    at = content.find(b"tRNS")
    if at < 0 or colour_type not in (0, 2):
        return None
    scale = 255 // (2**bits - 1) if bits < 8 else 1
    return tuple(value * scale for value in struct.unpack_from(f">{colour_type + 1}H", content, at + 4))


def test_every_valid_file_of_pngsuite_equals_a_reader_that_follows_the_specification(shared_data: Path) -> None:
    num_equal = 0
    for path in sorted((shared_data / "pngsuite").glob("*.png")):
        if path.name.startswith("x") or path.name == "PngSuite.png":
            continue
        content = path.read_bytes()
        image = decode(path, max_pixels=10_000, transparency="white")
        samples, colour_type = slow_png(content)
        top = 65535 if content[24] == 16 else 255
        expected = on_white(samples, transparent_colour(content, colour_type, content[24]), top)
        assert image.dtype == (np.uint16 if content[24] == 16 else np.uint8), path.name
        np.testing.assert_array_equal(image, expected, err_msg=path.name)
        num_equal += 1
    assert num_equal == 160


def test_every_corrupt_file_of_pngsuite_is_refused(shared_data: Path) -> None:
    corrupt = sorted((shared_data / "pngsuite").glob("x*.png"))
    for path in corrupt:
        with pytest.raises(DataError, match=r"^(truncated or damaged|not an image): "):
            decode(path, max_pixels=10_000, transparency="white")
    assert len(corrupt) == 14


def test_nothing_is_printed_about_interlacing_or_odd_metadata(
    tmp_path: Path, shared_data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    odd = chunk(b"iCCP", b"profile\0\0" + zlib.compress(b"no profile")) + chunk(b"gAMA", b"\0\0\0\0")
    decoded(tmp_path, png(1, 1, GREY_8_BITS, b"\0\x07", before=odd))
    decode(shared_data / "pngsuite" / "basi6a16.png", max_pixels=10_000, transparency="white")
    assert capfd.readouterr() == ("", "")


def test_sixteen_bits_a_channel_are_kept(tmp_path: Path) -> None:
    values = struct.pack(">6H", 0, 1, 256, 257, 40_000, 65_535)
    assert decoded(tmp_path, png(2, 1, RGB_16_BITS, b"\0" + values)).tolist() == [[[0, 1, 256], [257, 40_000, 65_535]]]


def test_an_orientation_behind_the_pixels_counts(tmp_path: Path) -> None:
    turned = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    assert decoded(tmp_path, png(2, 1, GREY_8_BITS, b"\0\x07\x09", after=chunk(b"eXIf", turned))).tolist() == [[7], [9]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (png(2, 1, GREY_8_BITS, b"\0\x07"), "the PNG holds 2 of 3 bytes of pixels"),
        (png(2, 1, GREY_8_BITS, b"\0\x07\x08\x09"), "the PNG holds more of 3 bytes of pixels"),
        (
            png(2, 1, GREY_8_BITS, b"")[:33] + chunk(b"IDAT", b"not zlib") + chunk(b"IEND", b""),
            r"the pixels of the PNG cannot be decompressed \(",
        ),
        (png(2, 1, GREY_8_BITS, b"\x09\x07\x08"), r"the pixels of the PNG cannot be decoded \("),
        (
            png(2, 1, GREY_8_BITS, b"\0\x07\x08", before=chunk(b"tRNS", b"\0")),
            "transparent colour has the wrong length",
        ),
        (
            png(1, 1, PALETTE_8_BITS, b"\0\x02", before=chunk(b"PLTE", bytes(6))),
            "a pixel has colour 2 of a palette of 2",
        ),
        (png(1, 1, PALETTE_8_BITS, b"\0\0"), "the palette of the PNG has the wrong length"),
        (png(0, 1, GREY_8_BITS, b"\0"), "the PNG header declares 0 x 1 px"),
        (png(1, 1, (4, 2), b"\0\0\0"), "the PNG header declares a kind of image that does not exist"),
        (png(1, 1, GREY_8_BITS, b"\0\x07")[:-12], "the file ends too early"),
        (SIGNATURE + chunk(b"IDAT", bytes(13)) + chunk(b"IEND", b""), "the PNG has no header"),
    ],
)
def test_a_png_that_contradicts_itself_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=rf"^truncated or damaged: .*{message}"):
        decoded(tmp_path, content)


def test_one_changed_bit_anywhere_is_noticed(tmp_path: Path) -> None:
    whole = png(2, 2, GREY_8_BITS, b"\0\x07\x08\0\x09\x0a", before=chunk(b"tEXt", b"a\0b"))
    assert decoded(tmp_path, whole).tolist() == [[7, 8], [9, 10]]
    for at in range(len(whole)):
        changed = whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :]
        with pytest.raises(DataError):
            decoded(tmp_path, changed)
