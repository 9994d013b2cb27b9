"""How fast image files are decoded, with every check, beside Pillow.

One picture is written in the usual kinds, then read by both in turn; the table has megabytes of pixels a second (median
of the rounds) and the ratio. Run it with another version of radpath on PYTHONPATH to compare two versions.

Usage: python benchmarks/decoding.py IMAGE [--rounds 9]
"""

import argparse
import datetime as dt
import io
import math
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import tifffile
from PIL import Image

from radpath.data.pixels import decode

_RESULTS = Path(__file__).parent / "results"
_WIDTH_PX, _HEIGHT_PX = 2048, 1536


def photograph(path: Path) -> np.ndarray:
    """Return copies of an image beside and below each other, 2048 x 1536."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    copies = (math.ceil(_HEIGHT_PX / pixels.shape[0]), math.ceil(_WIDTH_PX / pixels.shape[1]), 1)
    return np.tile(pixels, copies)[:_HEIGHT_PX, :_WIDTH_PX]


def with_pillow_writer(pixels: np.ndarray, kind: str, **options: Any) -> bytes:  # noqa: ANN401 - any of Pillow's
    """Return a file that Pillow writes."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


def with_tifffile_writer(pixels: np.ndarray, **options: Any) -> bytes:  # noqa: ANN401 - any of tifffile's
    """Return a file that tifffile writes."""
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, photometric="rgb", **options)
    return stream.getvalue()


def kinds(pixels: np.ndarray) -> dict[str, bytes]:
    """Return the picture in the usual kinds of file."""
    deep = pixels[:, :, 0].astype(np.uint16) * 257
    tiles = {"tile": (256, 256), "compression": "jpeg"}
    return {
        "JPEG, quality 90": with_pillow_writer(pixels, "JPEG", quality=90),
        "progressive JPEG": with_pillow_writer(pixels, "JPEG", quality=90, progressive=True),
        "PNG": with_pillow_writer(pixels, "PNG"),
        "PNG, 16-bit grey": with_pillow_writer(deep, "PNG"),
        "TIFF": with_pillow_writer(pixels, "TIFF"),
        "TIFF, LZW": with_pillow_writer(pixels, "TIFF", compression="tiff_lzw"),
        "TIFF, deflate with predictor": with_tifffile_writer(
            pixels, compression="zlib", predictor=True, rowsperstrip=64
        ),
        "TIFF, JPEG tiles": with_tifffile_writer(pixels, subsampling=(2, 2), **tiles),
    }


def medians_s(ways: list[Callable[[], object]], rounds: int) -> list[float]:
    """Return the median seconds of each way; they take turns."""
    times: list[list[float]] = [[] for _ in ways]
    for _ in range(rounds):
        for way, own in zip(ways, times, strict=True):
            began = time.perf_counter()
            way()
            own.append(time.perf_counter() - began)
    return [statistics.median(own) for own in times]


def rows(pixels: np.ndarray, folder: Path, rounds: int) -> list[str]:
    """Return the table."""
    table = ["| file | radpath, MB/s | Pillow, MB/s | ratio |", "|---|---|---|---|"]
    path = folder / "picture"

    def ours() -> object:
        return decode(path, max_pixels=10**8, transparency="white")

    def pillows() -> object:
        with Image.open(path) as picture:
            return np.asarray(picture)

    for name, content in kinds(pixels).items():
        path.write_bytes(content)
        megabytes = _WIDTH_PX * _HEIGHT_PX * (2 if "16-bit" in name else 3) / 1e6
        own, other = medians_s([ours, pillows], rounds)
        table.append(f"| {name} | {megabytes / own:.0f} | {megabytes / other:.0f} | {other / own:.2f} |")
    return table


def main() -> None:
    """Print the table and write it with the versions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--name", default="decoding", help="how the file of results begins")
    options = parser.parse_args()
    today = dt.datetime.now(tz=dt.UTC).date().isoformat()
    with tempfile.TemporaryDirectory() as scratch:
        table = rows(photograph(options.image), Path(scratch), options.rounds)
    lines = [
        f"# Decoding beside Pillow, {today}",
        "",
        f"Command: `python benchmarks/decoding.py IMAGE --rounds {options.rounds}`, 2048 x 1536 px, one thread.",
        f"{platform.machine()}, Python {platform.python_version()}, Pillow {PIL.__version__}.",
        "Other programs used the machine at the same time.",
        "",
        *table,
        "",
    ]
    text = "\n".join(lines)
    sys.stdout.write(text)
    (_RESULTS / f"{options.name}-{today}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
