"""A census of odd and broken files: each is decoded as another reader decodes it, or excluded with a reason.

Every file below the folders of DATA that radpath would scan, and files made here (cut at every tenth, turned, of
unusual depths, bombs, wrong names), is read in a process of its own with a time limit, and compared with Pillow, or
with tifffile where Pillow does not read it.

Usage: python benchmarks/odd_files.py DATA [--folders pngsuite,histology_tiles,...]
"""

import argparse
import collections
import datetime as dt
import io
import multiprocessing
import platform
import struct
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import PIL
import tifffile
from PIL import ExifTags, Image, ImageOps

from radpath.data.findings import reason_of
from radpath.data.headers import read_headers
from radpath.data.inputs import DataSettings
from radpath.data.pixels import decode
from radpath.errors import DataError

_RESULTS = Path(__file__).parent / "results"
_FOLDERS = "pngsuite,wsidicom_data,histology_tiles,nctcrc_samples,mednist_600,bccd"
_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
_LIMIT_S = 30
_MAX_PIXELS = 100_000_000
_NOISE = np.random.default_rng(0)


def with_pillow(path: Path) -> np.ndarray:
    """Return what Pillow shows of a file, on white."""
    Image.MAX_IMAGE_PIXELS = None
    with Image.open(path) as opened:
        picture = ImageOps.exif_transpose(opened)
        picture.load()
        if picture.mode == "I;16" and "transparency" in picture.info:
            raise ValueError("Pillow cuts 16 bits at 255 to make them transparent")
        if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
            clear = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")
        elif picture.mode in ("P", "CMYK"):
            picture = picture.convert("RGB")
        elif picture.mode == "1":
            picture = picture.convert("L")
        return np.asarray(picture)


def with_tifffile(path: Path) -> np.ndarray:
    """Return the first page of a TIFF."""
    return np.asarray(tifffile.imread(path, key=0))


def outcome(path: Path) -> str:
    """Return how radpath and another reader agree about a file."""
    try:
        headers = read_headers(path, DataSettings(images=path.parent))
        image = decode(path, headers[0].member, max_pixels=_MAX_PIXELS, transparency="white")
    except DataError as error:
        return f"excluded: {reason_of(error)}"
    # Pillow takes signed bytes for unsigned ones.
    readers = (with_tifffile, with_pillow) if image.dtype == np.float32 else (with_pillow, with_tifffile)
    found = (read_or_none(reader, path) for reader in readers)
    other = next((pixels for pixels in found if pixels is not None), None)
    return "decoded, no other reader" if other is None else compared(image, other)


def read_or_none(reader: Callable[[Path], np.ndarray], path: Path) -> np.ndarray | None:
    """Return what another reader makes of a file, None where it does not read it."""
    try:
        return reader(path)
    except Exception:  # noqa: BLE001 - whatever another program raises means that it does not read the file
        return None


def compared(image: np.ndarray, other: np.ndarray) -> str:
    """Return how far two readers' pixels are apart."""
    if image.ndim == 2 and other.ndim == 3 and (other == other[:, :, :1]).all():
        other = other[:, :, 0]  # Pillow made colours of grey with opacity
    if image.shape != other.shape:
        return "DIFFERENT shape"
    if image.dtype == np.uint16 and other.dtype == np.uint8:  # Pillow drops the low byte of 16-bit colour
        distance = np.abs((image >> 8).astype(int) - other)
        return "equal in the high byte" if distance.max() <= 1 else "DIFFERENT"
    distance = np.abs(image.astype(float) - other.astype(float))
    if not distance.any():
        return "equal"
    return "within one level" if distance.max() <= 1 else "DIFFERENT"


def saved(pixels: np.ndarray, kind: str, mode: str | None = None, **options: object) -> bytes:
    """Return pixels as a file of Pillow's."""
    stream = io.BytesIO()
    picture = Image.fromarray(pixels) if mode is None else Image.frombytes(mode, pixels.shape[1::-1], pixels.tobytes())
    picture.save(stream, kind, **options)
    return stream.getvalue()


def as_tiff(pixels: np.ndarray, **options: Any) -> bytes:  # noqa: ANN401 - any of tifffile's
    """Return pixels as a file of tifffile's."""
    stream = io.BytesIO()
    options.setdefault("photometric", "rgb" if pixels.ndim == 3 else "minisblack")
    tifffile.imwrite(stream, pixels, **options)
    return stream.getvalue()


def png(width: int, height: int, rows: bytes) -> bytes:
    """Return a grey PNG that declares a size, whatever its rows hold."""
    parts = [b"\x89PNG\r\n\x1a\n"]
    for kind, data in (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ):
        parts += [struct.pack(">I4s", len(data), kind), data, struct.pack(">I", zlib.crc32(kind + data))]
    return b"".join(parts)


def made_files() -> Iterator[tuple[str, str, bytes]]:
    """Yield group, name and content of each made file."""
    grey = _NOISE.integers(0, 256, (33, 47), dtype=np.uint8)
    rgb = _NOISE.normal(size=(33, 47, 3)).cumsum(axis=1).clip(-12, 12).astype(np.int8).view(np.uint8) // 3 + 100
    whole = {
        "png": saved(rgb, "PNG"),
        "jpg": saved(rgb, "JPEG", quality=90),
        "progressive.jpg": saved(rgb, "JPEG", quality=90, progressive=True),
        "tif": saved(rgb, "TIFF"),
        "lzw.tif": saved(rgb, "TIFF", compression="tiff_lzw"),
        "deflate.tif": as_tiff(rgb, compression="zlib", predictor=True),
        "jpeg.tif": as_tiff(rgb, compression="jpeg", tile=(16, 16)),
    }
    for name, content in whole.items():
        yield "whole", f"whole.{name}", content
        yield "bytes behind the end", f"trailing.{name}", content + b"behind the end" * 9
        for tenth in range(10):
            yield "cut at every tenth", f"cut{tenth}.{name}", content[: len(content) * tenth // 10]
    for suffix, kind in (("jpg", "JPEG"), ("png", "PNG"), ("tif", "TIFF")):
        for orientation in range(1, 9):
            exif = Image.Exif()
            exif[ExifTags.Base.Orientation] = orientation
            yield "turned by EXIF", f"turned{orientation}.{suffix}", saved(rgb, kind, exif=exif)
    yield from _unusual(grey, rgb)
    yield from _deep()
    yield from _hostile()


def _unusual(grey: np.ndarray, rgb: np.ndarray) -> Iterator[tuple[str, str, bytes]]:
    inks = np.dstack([rgb, grey // 4])
    yield "CMYK", "cmyk.jpg", saved(inks, "JPEG", "CMYK", quality=95)
    yield "CMYK", "cmyk.tif", saved(inks, "TIFF", "CMYK")
    palette = Image.fromarray(rgb).quantize(16)
    stream = io.BytesIO()
    palette.save(stream, "PNG", transparency=bytes(range(0, 256, 16)))
    yield "palette with opacity", "palette.png", stream.getvalue()
    for channels, name in ((2, "grey"), (4, "colour")):
        wide = _NOISE.integers(0, 65536, (9, 11, channels), dtype=np.uint16)
        yield "16 bits with opacity", f"{name}.png", bytes(imagecodecs.png_encode(wide))
    for name, content in (("one.png", saved(grey[:1, :1], "PNG")), ("one.jpg", saved(grey[:1, :1], "JPEG"))):
        yield "1 x 1", name, content
    yield "wrong suffix", "jpeg.png", saved(rgb, "JPEG")
    yield "wrong suffix", "png.tif", saved(rgb, "PNG")
    yield "wrong suffix", "tiff.jpg", saved(rgb, "TIFF")


def _deep() -> Iterator[tuple[str, str, bytes]]:
    for kind in (np.int8, np.int16, np.int32, np.uint32, np.float16, np.float32, np.float64):
        for channels in (1, 3):
            numbers = _NOISE.normal(100, 9, (21, 34, channels)).astype(kind)
            pixels = numbers[:, :, 0] if channels == 1 else numbers
            yield "signed, 32-bit, float TIFF", f"{np.dtype(kind)}x{channels}.tif", as_tiff(pixels)
    holed = np.ones((8, 8), np.float32)
    holed[3, 3] = np.nan
    yield "float TIFF with NaN", "nan.tif", as_tiff(holed)


def _hostile() -> Iterator[tuple[str, str, bytes]]:
    yield "no image", "empty.png", b""
    yield "no image", "text.png", b"patient,label\n1,benign\n"
    yield "no image", "zeros.tif", bytes(1000)
    yield "bomb", "size.png", png(50_000, 50_000, b"")
    yield "bomb", "deflate.png", png(10, 10, bytes(300_000_000))
    tiff = bytearray(as_tiff(np.zeros((16, 16), np.uint8), compression="zlib"))
    with tifffile.TiffFile(io.BytesIO(tiff)) as file:
        places = {tag: file.pages.first.tags[tag].offset + 8 for tag in (256, 257, 273, 278, 279)}
    large = bytearray(tiff)
    for tag in (256, 257, 278):
        struct.pack_into("<I", large, places[tag], 50_000)
    yield "bomb", "size.tif", bytes(large)
    unpacked = zlib.compress(bytes(300_000_000))
    struct.pack_into("<I", tiff, places[273], len(tiff))
    struct.pack_into("<I", tiff, places[279], len(unpacked))
    yield "bomb", "deflate.tif", bytes(tiff) + unpacked


class Census:
    """Counts outcomes by group; a process that hangs or crashes is counted and replaced."""

    def __init__(self) -> None:
        self.counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
        self._pool = self._started()

    @staticmethod
    def _started() -> ProcessPoolExecutor:
        return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))

    def add(self, group: str, path: Path) -> None:
        """Read one file and count what came of it."""
        try:
            found = self._pool.submit(outcome, path).result(timeout=_LIMIT_S)
        except TimeoutError:
            found = "HANG"
        except BrokenProcessPool:
            found = "CRASH"
        except Exception as error:  # noqa: BLE001 - any other error is what the census looks for
            found = f"ERROR {type(error).__name__}"
        if found in ("HANG", "CRASH"):
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = self._started()
        if found.isupper() or found.startswith(("ERROR", "DIFFERENT")):
            sys.stderr.write(f"{found}: {path}\n")
        self.counts[group][found] += 1

    def rows(self) -> Iterator[str]:
        """Yield the table."""
        yield "| files | number | decoded as another reader does | excluded, with the reason | other |"
        yield "|---|---|---|---|---|"
        for group, counts in self.counts.items():
            same = [f"{number} {name}" for name, number in counts.most_common() if name.startswith(("equal", "within"))]
            left = [
                f"{number} {name.removeprefix('excluded: ')}"
                for name, number in counts.most_common()
                if name.startswith("excluded")
            ]
            rest = [f"{number} {name}" for name, number in counts.items() if not name.startswith(("eq", "with", "ex"))]
            cells = (group, str(counts.total()), *("; ".join(cell) or "-" for cell in (same, left, rest)))
            yield f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the census and write it with the versions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--folders", default=_FOLDERS)
    options = parser.parse_args()
    census = Census()
    for folder in options.folders.split(","):
        for path in sorted((options.data / folder).rglob("*")):
            if path.suffix.lower() in _SUFFIXES:
                census.add(folder, path)
    with tempfile.TemporaryDirectory() as scratch:
        for group, name, content in made_files():
            path = Path(scratch) / name
            path.write_bytes(content)
            census.add(f"made: {group}", path)
            path.unlink()
    today = dt.datetime.now(tz=dt.UTC).date().isoformat()
    versions = f"Pillow {PIL.__version__}, tifffile {tifffile.__version__}, imagecodecs {imagecodecs.__version__}"
    heading = (
        f"# Odd and broken files, {today}\n\nCommand: `python benchmarks/odd_files.py DATA --folders {options.folders}`"
    )
    text = f"{heading}\nPython {platform.python_version()}, {versions}.\n\n" + "\n".join(census.rows()) + "\n"
    sys.stdout.write(text)
    (_RESULTS / f"odd_files-{today}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
