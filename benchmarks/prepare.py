"""How fast images are prepared, beside a pool of Pillow workers, and how much memory it takes.

The same textures of 2048 x 1536 px are written in the usual kinds of file. radpath scans and prepares them to 256 px;
a pool of as many processes as the machine has cores opens each, scales it with Pillow's antialiased BICUBIC, and saves
a PNG or not. The processes are started before the clock. The ways take turns; medians of the rounds are compared, on
the clock and in seconds of the processors, which other programs disturb less. The result is compared with Pillow's,
level by level. Then many small images are prepared, each number in a process of its own that tells its peak of memory.

Usage: python benchmarks/prepare.py [--images 24] [--rounds 3] [--small 1000 20000]
"""

import argparse
import concurrent.futures
import dataclasses
import datetime as dt
import importlib.metadata
import multiprocessing
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import torch
from PIL import Image

from radpath.data.ingest import prepare
from radpath.data.inputs import DataSettings
from radpath.data.pixel_store import PixelStore
from radpath.data.preparation import PixelSettings
from radpath.data.scan import scan

_RESULTS = Path(__file__).parent / "results"
_WIDTH_PX, _HEIGHT_PX = 2048, 1536
_SIDE_PX = 256
_SMALL_PX = 64
_DIFFERENT_SMALL = 1000
_OURS, _SAVING, _SCALING = "radpath: scan and prepare", "pool of Pillow: scale, save PNG", "pool of Pillow: scale only"

Seconds = tuple[float, float]
"""On the clock, and of all processors."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """What was measured of one kind of file."""

    kind: str
    megabytes: float
    """Of one file."""
    medians: dict[str, Seconds]
    share_within_1: float
    largest_difference: int


def main() -> None:
    """Measure, print and write a dated table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=24, help="of each kind of file")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--small", type=int, nargs="*", default=[1000, 20_000], help="for the memory, one row each")
    parser.add_argument("--memory-of", type=Path, help=argparse.SUPPRESS)  # what a process of its own is started for
    arguments = parser.parse_args()
    if arguments.memory_of:
        sys.stdout.write(memory_of_preparing(arguments.memory_of))
        return
    lines = about_this_run(arguments.images, arguments.rounds)
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        pool.map(abs, range(64))  # every process has started
        rows = []
        for kind, write in kinds().items():
            with tempfile.TemporaryDirectory() as folder:
                rows.append(measure(kind, write, Path(folder), pool=pool, arguments=arguments))
    lines += [*speed_table(rows, arguments.images), ""]
    with tempfile.TemporaryDirectory() as folder:
        lines += memory_table(Path(folder), arguments.small)
    sys.stdout.write("\n".join(lines) + "\n")
    path = _RESULTS / f"prepare-{dt.datetime.now(tz=dt.UTC).date()}.md"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def about_this_run(num_images: int, rounds: int) -> list[str]:
    """Return what a reader must know of the machine."""
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("Pillow", "torch", "tifffile", "imagecodecs")]
    command = " ".join(["python", *sys.argv])
    return [
        f"# Preparing images, {dt.datetime.now(tz=dt.UTC).date()}",
        "",
        f"`{command}`; {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()},",
        f"{', '.join(versions)}.",
        f"{num_images} textures of {_WIDTH_PX} x {_HEIGHT_PX} px, RGB, of each kind, to {_SIDE_PX} px; files on a",
        f"local disk, in the system's cache; medians of {rounds} rounds in which the ways take turns.",
        f"Load of the machine at the beginning: {os.getloadavg()[0]:.1f}; other programs used it at the same time, so",
        "the seconds of the processors are given beside those on the clock.",
        "",
    ]


def kinds() -> dict[str, Callable[[Path, np.ndarray], None]]:
    """Return the kinds of file, each with what writes one."""
    tiff: dict[str, dict[str, Any]] = {
        "TIFF, uncompressed": {},
        "TIFF, LZW": {"compression": "lzw"},
        "TIFF, deflate with predictor": {"compression": "deflate", "predictor": True},
        "TIFF, JPEG tiles": {"compression": "jpeg", "tile": (256, 256)},
    }
    return {**{kind: partial(_write_tiff, options) for kind, options in tiff.items()}, "JPEG, quality 90": _write_jpeg}


def _write_tiff(options: dict[str, Any], stem: Path, pixels: np.ndarray) -> None:
    tifffile.imwrite(stem.with_suffix(".tif"), pixels, photometric="rgb", **options)


def _write_jpeg(stem: Path, pixels: np.ndarray) -> None:
    Image.fromarray(pixels).save(stem.with_suffix(".jpg"), quality=90)


def texture(seed: int) -> np.ndarray:
    """Return smooth random colours with details of many sizes, down to 4 px, and no noise."""
    rng = np.random.default_rng(seed)
    together = np.zeros((_HEIGHT_PX, _WIDTH_PX, 3), np.float32)
    for details, strength in ((8, 1.0), (32, 0.5), (128, 0.3), (512, 0.25)):
        grid = torch.from_numpy(rng.random((1, 3, details * 3 // 4, details), dtype=np.float32))
        layer = torch.nn.functional.interpolate(grid, size=(_HEIGHT_PX, _WIDTH_PX), mode="bicubic")
        together += layer[0].permute(1, 2, 0).numpy() * strength
    spread = (together - together.min()) / np.ptp(together)
    levels: np.ndarray = np.rint(spread * 255).astype(np.uint8)
    return levels


def measure(
    kind: str, write: Callable[[Path, np.ndarray], None], folder: Path, *, pool: Pool, arguments: argparse.Namespace
) -> Row:
    """Write files of one kind and prepare them in all ways."""
    images = folder / "images"
    images.mkdir()
    for number in range(arguments.images):
        write(images / f"{number:03d}", texture(number))
    paths = sorted(images.iterdir())
    ways: dict[str, Callable[[Path], Seconds]] = {
        _OURS: partial(with_radpath, images),
        _SAVING: partial(with_pillow, pool, paths, saves=True),
        _SCALING: partial(with_pillow, pool, paths, saves=False),
    }
    seconds: dict[str, list[Seconds]] = {name: [] for name in ways}
    for number in range(arguments.rounds + 1):
        for name, way in ways.items():
            with tempfile.TemporaryDirectory(dir=folder) as out:
                taken = way(Path(out))
            if number:  # the first round warms up
                seconds[name].append(taken)
    medians = {
        name: (statistics.median(clock for clock, _ in taken), statistics.median(cpu for _, cpu in taken))
        for name, taken in seconds.items()
    }
    share, largest = differences(images, folder / "pools")
    megabytes = statistics.mean(path.stat().st_size for path in paths) / 1e6
    return Row(kind=kind, megabytes=megabytes, medians=medians, share_within_1=share, largest_difference=largest)


def prepared(images: Path, pools: Path, *, size_px: int) -> PixelStore:
    """Scan and prepare a folder."""
    data = DataSettings(images=images)
    manifest = scan(data, cache=pools / "scan")
    return prepare(manifest, data, PixelSettings(size_px=size_px), stores=pools)[1]


def with_radpath(images: Path, out: Path) -> Seconds:
    """Return how long radpath takes from the folder to a store on the disk."""
    began, began_cpu = time.perf_counter(), time.process_time()
    prepared(images, out, size_px=_SIDE_PX)
    return time.perf_counter() - began, time.process_time() - began_cpu


def with_pillow(pool: Pool, paths: list[Path], out: Path, *, saves: bool) -> Seconds:
    """Return how long the pool takes."""
    began = time.perf_counter()
    cpu = sum(pool.imap_unordered(partial(scale_file, out if saves else None), paths))
    return time.perf_counter() - began, cpu


def scale_file(out: Path | None, path: Path) -> float:
    """Scale one image and save it where asked; return the seconds of the processor."""
    began = time.process_time()
    scaled = scaled_by_pillow(path)
    if out is not None:
        scaled.save(out / f"{path.stem}.png")
    return time.process_time() - began


def scaled_by_pillow(path: Path) -> Image.Image:
    """Return an image whose longer side has the wanted length."""
    with Image.open(path) as image:
        scale = _SIDE_PX / max(image.size)
        size = round(image.width * scale), round(image.height * scale)
        return image.convert("RGB").resize(size, Image.Resampling.BICUBIC)


def differences(images: Path, pools: Path) -> tuple[float, int]:
    """Return the share of levels that are within one of Pillow's, and the largest difference."""
    store = prepared(images, pools, size_px=_SIDE_PX)
    apart = []
    for index, record_id in enumerate(store.record_ids):
        theirs = np.asarray(scaled_by_pillow(images / record_id), dtype=np.int16)
        apart.append(np.abs(store.image(index).astype(np.int16) - theirs))
    every = np.stack(apart)
    return float((every <= 1).mean()), int(every.max())


def speed_table(rows: list[Row], num_images: int) -> list[str]:
    """Return a Markdown table: for each kind and way images a second, and how many times radpath's time it takes."""
    lines = [
        "| file | MB | way | images/s | times radpath's | CPU ms an image | times radpath's |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        our_clock, our_cpu = row.medians[_OURS]
        lines += [
            f"| {row.kind} | {row.megabytes:.1f} | {way} | {num_images / clock:.1f} | {clock / our_clock:.2f} "
            f"| {cpu / num_images * 1e3:.1f} | {cpu / our_cpu:.2f} |"
            for way, (clock, cpu) in row.medians.items()
        ]
    lines += ["", "| file | levels within 1 of Pillow's | largest difference |", "|---|---|---|"]
    lines += [f"| {row.kind} | {row.share_within_1:.4%} | {row.largest_difference} |" for row in rows]
    return lines


def memory_table(folder: Path, numbers: list[int]) -> list[str]:
    """Return a Markdown table of the memory that so many small images take."""
    originals = folder / "originals"
    originals.mkdir()
    rng = np.random.default_rng(0)
    for number in range(_DIFFERENT_SMALL):
        pixels = rng.integers(0, 256, (_SMALL_PX, _SMALL_PX, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(originals / f"{number}.png", compress_level=1)
    lines = [
        f"PNG files of {_SMALL_PX} x {_SMALL_PX} px, RGB; memory is that of the process itself, above what it held",
        "when everything was imported; mapped files are left out.",
        "",
        "| images | seconds | store, MB | peak, MB | of it after the scan, MB |",
        "|---|---|---|---|---|",
    ]
    for count in numbers:
        images = folder / str(count) / "images"
        images.mkdir(parents=True)
        for number in range(count):
            (images / f"{number}.png").hardlink_to(originals / f"{number % _DIFFERENT_SMALL}.png")
        command = [sys.executable, __file__, "--memory-of", str(images)]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        lines.append(f"| {count:,} | {told} |")
    return lines


def memory_of_preparing(images: Path) -> str:
    """Return seconds, the store's size, and by how many MB this process grew at most: in all, and after the scan."""
    torch.zeros(1)
    data, pools = DataSettings(images=images), images.parent / "pools"
    before = resident_mb()
    with concurrent.futures.ThreadPoolExecutor(1) as watcher:
        watched = Watch()
        watching = watcher.submit(watched.run)
        began = time.perf_counter()
        manifest = scan(data, cache=pools / "scan")
        watched.after_scan = resident_mb()
        manifest, store = prepare(manifest, data, PixelSettings(size_px=_SMALL_PX), stores=pools)
        seconds = time.perf_counter() - began
        watched.is_over = True
        watching.result()
    size = sum(path.stat().st_size for path in pools.rglob("*.npy")) / 1e6
    assert len(store.record_ids) == len(manifest.kept)
    peak, after = watched.peak - before, watched.peak - watched.after_scan
    return f"{seconds:.1f} | {size:.0f} | {peak:.0f} | {after:.0f}"


class Watch:
    """Looks at the memory of this process every few milliseconds."""

    def __init__(self) -> None:
        """Begin with nothing seen."""
        self.peak = 0.0
        self.after_scan = 0.0
        self.is_over = False

    def run(self) -> None:
        """Look until it is over."""
        while not self.is_over:
            self.peak = max(self.peak, resident_mb())
            time.sleep(0.005)


def resident_mb() -> float:
    """Return the memory that this process holds, without mapped files, as Linux tells it."""
    found = re.search(r"^RssAnon:\s+(\d+) kB$", Path("/proc/self/status").read_text(encoding="ascii"), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024 / 1e6


if __name__ == "__main__":
    main()
