"""Cutting and reading slides: peak memory on slides of very different size, and patches a second beside a naive reader.

Run: ``python benchmarks/slides.py``. Slides are made on the way: pyramids of JPEG tiles, as scanners write them, with
tissue in half of the tiles. The naive reader takes each patch from the full resolution and scales it with Pillow; both
readers take the same patches in turns, each slide has been read once before, and the median of several rounds counts.
"""

import argparse
import datetime as dt
import importlib.metadata
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import imagecodecs
import numpy as np
import openslide
import tifffile
from PIL import Image

from radpath.data.slides.cutting import find_patches
from radpath.data.slides.grid import Patch
from radpath.data.slides.patches import read_patch
from radpath.data.slides.settings import SlideSettings

TILE_PX = 512
UM_PER_PX = 0.25
LEVELS = (1, 4)
ROUNDS = 5
PATCHES_A_ROUND = 40
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Measure, print the tables, and write them into a dated file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sides", type=int, nargs="+", default=[8_192, 65_536], help="sides, multiples of 8,192 px")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(*memory_of_a_run(arguments.measure))
        return
    with tempfile.TemporaryDirectory() as folder:
        slides = [write_slide(Path(folder) / f"{side}.tif", side) for side in arguments.sides]
        lines = [*about_this_run(), "", *memory_table(slides), "", *speed_table(slides[-1])]
    text = "\n".join(lines) + "\n"
    print(text)
    (RESULTS / f"slides-{dt.datetime.now(tz=dt.UTC):%Y-%m-%d}.md").write_text(text, encoding="utf-8")


def about_this_run() -> list[str]:
    """Return what a reader must know of the machine."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("openslide-bin", "torch", "pillow"))
    return [
        "# Whole slides",
        "",
        f"`{' '.join(['python', *sys.argv])}`; {platform.machine()}, Python {platform.python_version()}, {versions}.",
        f"Load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.",
    ]


def write_slide(path: Path, side_px: int) -> Path:
    """Write a pyramid tile by tile: each of its tiles is glass or tissue, encoded once."""
    noise = np.random.default_rng(0).normal(0, 1, (TILE_PX, TILE_PX, 1))
    drawn = (np.array((246, 246, 245)) + 2 * noise, np.array((170, 90, 160)) + 20 * noise)
    encoded = [bytes(imagecodecs.jpeg_encode(np.clip(tile, 0, 255).astype(np.uint8), level=80)) for tile in drawn]

    def tiles(count: int) -> Iterator[bytes]:
        for row in range(count):
            for column in range(count):
                yield encoded[(row * 4 // count + column * 4 // count) % 2]

    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        for downsample in LEVELS:
            count = -(-side_px // downsample // TILE_PX)
            writer.write(
                tiles(count),
                shape=(side_px // downsample, side_px // downsample, 3),
                dtype=np.uint8,
                tile=(TILE_PX, TILE_PX),
                photometric="ycbcr",
                subsampling=(2, 2),
                compression="jpeg",
                subfiletype=int(downsample > 1),
                resolution=(1e4 / UM_PER_PX / downsample, 1e4 / UM_PER_PX / downsample),
                resolutionunit="CENTIMETER",
                metadata=None,
            )
    return path


def memory_table(slides: list[Path]) -> list[str]:
    """Return one row a slide, each measured in a process of its own."""
    rows = [
        "| slide | pixels at full resolution, MB | patches | before, MB | peak, MB | more, MB |",
        "|---|---|---|---|---|---|",
    ]
    for slide in slides:
        words = [sys.executable, __file__, "--measure", str(slide)]
        printed = subprocess.run(words, check=True, capture_output=True, text=True).stdout
        num_patches, before, peak = (int(word) for word in printed.split())
        side, megabytes = int(slide.stem), int(slide.stem) ** 2 * 3 // 10**6
        rows.append(f"| {side:,} x {side:,} | {megabytes:,} | {num_patches:,} | {before} | {peak} | {peak - before} |")
    return rows


def memory_of_a_run(slide: Path) -> tuple[int, int, int]:
    """Find a slide's patches and read 200 all over it; return their number, and the memory before and at most."""
    settings = SlideSettings()
    warm = Patch(left_px=0, top_px=0, side_px=448, patch_px=224)
    read_patch(slide, warm.member)  # PyTorch and OpenSlide are loaded
    before = resident_mb("VmRSS")
    patches, _ = find_patches(slide, settings)
    members = patches["member"].to_list()
    for member in members[:: max(1, len(members) // 200)]:
        read_patch(slide, member)
    return len(members), before, resident_mb("VmHWM")


def resident_mb(field: str) -> int:
    """Return this process's resident memory, now (VmRSS) or at most (VmHWM), in megabytes."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) // 1000


def speed_table(slide: Path) -> list[str]:
    """Return patches a second of both readers, for resolutions at and between the stored levels."""
    rows = ["| patches of 224 px at | radpath, 1/s | naive, 1/s | ratio |", "|---|---|---|---|"]
    with openslide.OpenSlide(slide) as handle:
        readers: tuple[Callable[[str], object], ...] = (
            lambda member: read_patch(slide, member),
            lambda member: read_naively(handle, member),
        )
        for um_per_px in (0.25, 0.5, 1.0, 2.0):
            patches, _ = find_patches(slide, SlideSettings(um_per_px=um_per_px))
            members = patches["member"].shuffle(seed=0).to_list()[:PATCHES_A_ROUND]
            rounds = [[seconds(reader, members) for reader in readers] for _ in range(ROUNDS + 1)]
            ours, naive = (len(members) / statistics.median(times) for times in zip(*rounds[1:], strict=True))
            rows.append(f"| {um_per_px:g} um/px | {ours:,.0f} | {naive:,.0f} | {ours / naive:.1f} |")
    return rows


def seconds(read: Callable[[str], object], members: list[str]) -> float:
    """Return how long a reader takes for some patches."""
    start = time.perf_counter()
    for member in members:
        read(member)
    return time.perf_counter() - start


def read_naively(handle: openslide.OpenSlide, member: str) -> np.ndarray:
    """Return a patch from the full resolution, scaled by Pillow."""
    patch = Patch.from_member(member)
    square = handle.read_region((patch.left_px, patch.top_px), 0, (patch.side_px, patch.side_px)).convert("RGB")
    return np.asarray(square.resize((patch.patch_px, patch.patch_px), Image.Resampling.BICUBIC))


if __name__ == "__main__":
    main()
