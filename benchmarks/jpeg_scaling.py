"""What decoding a JPEG at a fraction of its size saves, and by how much the result differs.

Each image is cut to sides that 8 divides, written as JPEG in several qualities and with and without reduced colour,
then brought to several sizes in two ways: decoded whole, and decoded at 1/2, 1/4 or 1/8; both are then scaled by
radpath's antialiased bicubic filter. Pillow's way is timed beside (``draft`` and BICUBIC, and BICUBIC alone).

The table has a row for each factor by which the decoded picture was larger than the result: that is what
``radpath.data.pixels.REDUCE_ABOVE`` bounds from below.

Usage: python benchmarks/jpeg_scaling.py IMAGE [IMAGE ...] [--rounds 3]
"""

import argparse
import collections
import datetime as dt
import io
import itertools
import math
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import PIL
import simplejpeg
from PIL import Image

from radpath.data.formats.jpeg import Reduction, decode_jpeg
from radpath.data.preparation import resize

_RESULTS = Path(__file__).parent / "results"
_TARGETS_PX = (64, 96, 128, 192, 224, 256)
_QUALITIES = (75, 90, 95)
_SUBSAMPLINGS = {"4:2:0": 2, "4:4:4": 0}
_REDUCTIONS: tuple[Reduction, ...] = (2, 4, 8)
_FACTORS = (1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 1e9)


def opened(path: Path) -> np.ndarray:
    """Return an RGB image whose sides 8 divides."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    return pixels[: pixels.shape[0] // 8 * 8, : pixels.shape[1] // 8 * 8]


def encoded(pixels: np.ndarray, quality: int, subsampling: int) -> bytes:
    """Return the image as JPEG."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality, subsampling=subsampling)
    return stream.getvalue()


def target_of(pixels: np.ndarray, longest_px: int) -> tuple[int, int]:
    """Return height and width of the image scaled to a longest side."""
    height, width = pixels.shape[:2]
    return max(1, round(height * longest_px / max(height, width))), max(
        1, round(width * longest_px / max(height, width))
    )


def difference(one: np.ndarray, other: np.ndarray) -> tuple[float, int]:
    """Return the peak signal-to-noise ratio in dB and the largest difference in levels."""
    apart = np.abs(one.astype(int) - other)
    error = float((apart**2).mean())
    return (math.inf if error == 0 else 10 * math.log10(255**2 / error)), int(apart.max())


def accuracy(paths: list[Path]) -> list[str]:
    """Return the table of differences, a row for each range of factors."""
    found: dict[float, list[tuple[float, int]]] = collections.defaultdict(list)
    for path in paths:
        pixels = opened(path)
        for quality in _QUALITIES:
            for subsampling in _SUBSAMPLINGS.values():
                content = encoded(pixels, quality, subsampling)
                whole = decode_jpeg(content)
                for longest_px in _TARGETS_PX:
                    height_px, width_px = target_of(pixels, longest_px)
                    wanted = resize(whole, height_px=height_px, width_px=width_px)
                    for reduction in _REDUCTIONS:
                        factor = max(pixels.shape[:2]) / reduction / longest_px
                        if factor >= 1:
                            reduced = decode_jpeg(content, reduction=reduction)
                            result = resize(reduced, height_px=height_px, width_px=width_px)
                            low = max(bound for bound in _FACTORS if bound <= factor)
                            found[low].append(difference(wanted, result))
    rows = ["| decoded picture / result | results | PSNR, worst | PSNR, median | largest difference, worst | median |"]
    rows.append("|---|---|---|---|---|---|")
    for low, high in itertools.pairwise(_FACTORS):
        if found[low]:
            ratios, most = zip(*found[low], strict=True)
            name = f"{low:g} to {high:g}" if high < 1e9 else f"{low:g} and more"
            in_db = f"{min(ratios):.1f} dB | {statistics.median(ratios):.1f} dB"
            rows.append(f"| {name} | {len(ratios)} | {in_db} | {max(most)} | {statistics.median(most):g} |")
    return rows


def milliseconds(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median time of each way, all taking turns."""
    times: dict[str, list[float]] = collections.defaultdict(list)
    for _ in range(rounds):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            times[name].append(1000 * (time.perf_counter() - began))
    return {name: statistics.median(values) for name, values in times.items()}


def with_pillow(content: bytes, size: tuple[int, int], *, draft: bool) -> np.ndarray:
    """Decode and scale as Pillow does; ``draft`` leaves a picture of twice the size, as ``thumbnail`` does."""
    with Image.open(io.BytesIO(content)) as picture:
        if draft:
            picture.draft("RGB", (2 * size[1], 2 * size[0]))
        return np.asarray(picture.resize(size[::-1], Image.Resampling.BICUBIC))


def speed(pixels: np.ndarray, rounds: int) -> list[str]:
    """Return the table of times, for a photograph made of copies of one image, quality 90, 4:2:0, to 224 px."""
    across = math.ceil(4096 / pixels.shape[1])
    content = encoded(np.tile(pixels, (across, across, 1))[:3072, :4096], 90, 2)
    size = target_of(np.empty((3072, 4096)), 224)

    def ours(reduction: Reduction) -> np.ndarray:
        return resize(decode_jpeg(content, reduction=reduction), height_px=size[0], width_px=size[1])

    ways: dict[str, Callable[[], object]] = {
        "Pillow, whole": lambda: with_pillow(content, size, draft=False),
        "Pillow, draft": lambda: with_pillow(content, size, draft=True),
        "radpath, whole": lambda: ours(1),
        "radpath, 1/2": lambda: ours(2),
        "radpath, 1/4": lambda: ours(4),
        "radpath, 1/8": lambda: ours(8),
    }
    found = milliseconds(ways, rounds)
    rows = ["| 4096 x 3072 to 224 px | ms | against Pillow, whole |", "|---|---|---|"]
    return rows + [f"| {name} | {ms:.1f} | {found['Pillow, whole'] / ms:.1f} x |" for name, ms in found.items()]


def main() -> None:
    """Print both tables and write them with the machine and the versions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    today = dt.datetime.now(tz=dt.UTC).date().isoformat()
    versions = f"simplejpeg {simplejpeg.__version__}, imagecodecs {imagecodecs.__version__}, Pillow {PIL.__version__}"
    lines = [
        f"# JPEG at a fraction of its size, {today}",
        "",
        f"Command: `python benchmarks/jpeg_scaling.py` with {len(options.images)} images, `--rounds {options.rounds}`.",
        f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}, {versions}.",
        "Other programs used the machine at the same time.",
        "",
        *accuracy(options.images),
        "",
        *speed(opened(options.images[0]), options.rounds),
        "",
    ]
    text = "\n".join(lines)
    sys.stdout.write(text)
    (_RESULTS / f"jpeg_scaling-{today}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
