"""How many files a second ``scan`` takes in, beside Pillow and beside a pool of threads, and how much memory it needs.

The files are small PNG, JPEG and TIFF images in folders of 1,000. Beside ``scan`` (without a memory, with one that is
filled, and with one that is full) stand a loop of ``PIL.Image.open(path).size`` over known paths, and the way that many
projects take: a recursive walk with retries, then a pool of threads that read the 24 bytes of PNG's header, with Pillow
for what is no PNG. The ways take turns, so that what else the machine does meets all of them.

Usage: python benchmarks/scan.py [--files 100000] [--rounds 3] [--million]
"""

import argparse
import datetime as dt
import io
import os
import platform
import random
import re
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import PIL
import polars as pl
from PIL import Image

from radpath.data.inputs import DataSettings
from radpath.data.listing import SETTLED_NS
from radpath.data.scan import scan

_RESULTS = Path(__file__).parent / "results"
_PER_FOLDER = 1000
_KINDS = (("PNG", "png"), ("JPEG", "jpg"), ("TIFF", "tif"))
_NAME = re.compile(r"case_0*(\d+)_(HE|PAS)")


def main() -> None:
    """Print and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--million", action="store_true", help="measure memory and time for 1,000,000 names too")
    parser.add_argument("--memory-of", type=Path, help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.memory_of is not None:
        print(*memory_of_a_scan(words.memory_of))
        return
    with tempfile.TemporaryDirectory(prefix="radpath-scan-") as place:
        folder = Path(place) / "files"
        write_files(folder, words.files)
        wait_until_settled()
        lines = [*about_this_run(words.files), "", *speed_table(folder, words.rounds, Path(place))]
        lines += ["", *memory_table(folder, Path(place), [words.files, 1_000_000] if words.million else [words.files])]
    print("\n".join(lines))
    path = _RESULTS / f"scan-{dt.datetime.now(tz=dt.UTC).date()}.md"
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def about_this_run(num_files: int) -> list[str]:
    """Return what a reader must know of the machine."""
    load, cores = os.getloadavg()[0], os.cpu_count()
    versions = f"Python {platform.python_version()}, Pillow {PIL.__version__}, polars {pl.__version__}"
    return [
        f"# Scanning {num_files:,} files, {dt.datetime.now(tz=dt.UTC).date()}",
        "",
        f"`{' '.join(['python', *sys.argv])}`; {platform.machine()}, {cores} cores, {versions}.",
        "Files on a local disk, in the system's cache.",
        f"Load of the machine at the beginning: {load:.1f}; other programs used it at the same time, so the seconds of",
        "the processor are given beside those on the clock.",
    ]


def write_files(folder: Path, num_files: int) -> None:
    """Write images of some hundred different sizes and contents."""
    draw = random.Random(0)  # noqa: S311 - sizes of pictures, no secrets
    contents = []
    for number in range(300):
        kind, suffix = _KINDS[number % len(_KINDS)]
        size = (draw.randint(20, 60), draw.randint(20, 60))
        stream = io.BytesIO()
        Image.frombytes("RGB", size, draw.randbytes(3 * size[0] * size[1])).save(stream, kind)
        contents.append((stream.getvalue(), suffix))
    for number in range(num_files):
        below = folder / f"{number // _PER_FOLDER:04d}"
        if number % _PER_FOLDER == 0:
            below.mkdir(parents=True)
        content, suffix = contents[number % len(contents)]
        (below / f"case_{number // 4:06d}_{('HE', 'PAS')[number % 2]}_{number}.{suffix}").write_bytes(content)


def wait_until_settled() -> None:
    """Wait until files that were just written may be remembered."""
    time.sleep(SETTLED_NS / 1e9 + 1)


def speed_table(folder: Path, rounds: int, place: Path) -> list[str]:
    """Return a table of files a second, the median of some rounds in which the ways take turns."""
    paths = [str(path) for path in folder.rglob("*.*")]
    data = DataSettings(images=folder)
    ways: dict[str, Callable[[int], int]] = {
        "loop of PIL.Image.open(path).size": lambda _: sum(1 for path in paths if size_of(path)),
        "walk, then threads that read PNG headers": lambda _: len(list(in_threads(folder))),
        "scan, nothing remembered": lambda _: len(scan(data).table),
        "scan, filling a memory": lambda number: len(scan(data, cache=place / f"memory{number}").table),
        "scan, all remembered": lambda number: len(scan(data, cache=place / f"memory{number}").table),
    }
    wall: dict[str, list[float]] = {name: [] for name in ways}
    processor: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        for name, way in ways.items():
            began, began_processor = time.perf_counter(), time.process_time()
            found = way(number)
            processor[name].append(time.process_time() - began_processor)
            wall[name].append(time.perf_counter() - began)
            assert found == len(paths), (name, found)
    base, base_processor = (statistics.median(times[next(iter(ways))]) for times in (wall, processor))
    lines = [
        "| way | files/s | times the loop | files a processor's second | times the loop |",
        "|---|---|---|---|---|",
    ]
    for name in ways:
        seconds, busy = statistics.median(wall[name]), statistics.median(processor[name])
        lines.append(
            f"| {name} | {len(paths) / seconds:,.0f} | {base / seconds:.1f} | {len(paths) / busy:,.0f} | "
            f"{base_processor / busy:.1f} |"
        )
    return lines


def size_of(path: str) -> tuple[int, int]:
    """Return a picture's size, as most scripts ask for it."""
    with Image.open(path) as picture:
        return picture.size


def in_threads(folder: Path) -> Iterator[dict[str, object]]:
    """Yield a row for each image, by a walk with retries and a pool of threads."""
    with ThreadPoolExecutor(8) as pool:
        yield from filter(None, pool.map(row_of, walk(folder)))


def walk(folder: Path) -> Iterator[Path]:
    """Yield images below a folder, listing each folder up to three times."""
    for attempt in range(3):
        try:
            entries = list(os.scandir(folder))
            break
        except OSError:
            time.sleep(1.5**attempt)
    else:
        return
    for entry in entries:
        if entry.is_dir():
            yield from walk(Path(entry.path))
        elif entry.name.endswith((".png", ".jpg", ".tif")):
            yield Path(entry.path)


def row_of(path: Path) -> dict[str, object] | None:
    """Return case, stain and size of one image."""
    found = _NAME.search(path.name)
    if found is None:
        return None
    with path.open("rb") as stream:
        start = stream.read(24)
    if start.startswith(b"\x89PNG"):
        width_px, height_px = struct.unpack(">II", start[16:24])
    else:
        width_px, height_px = size_of(str(path))
    return {"path": str(path), "case": int(found[1]), "stain": found[2], "width": width_px, "height": height_px}


def memory_table(folder: Path, place: Path, sizes: list[int]) -> list[str]:
    """Return a table of the memory that a process needs to scan, beyond what it needs to begin."""
    lines = [
        "| files | memory remembered | seconds | peak above the start, MB | bytes a file |",
        "|---|---|---|---|---|",
    ]
    for num_files in sizes:
        many = folder if num_files == sizes[0] else linked(folder, place / "many", num_files)
        wait_until_settled()
        for state in ("empty", "full"):
            words = [sys.executable, __file__, "--memory-of", str(many)]
            printed = subprocess.run(
                words,
                check=True,
                capture_output=True,
                text=True,
                env={**os.environ, "MEMORY": str(place / f"of{num_files}")},
            )
            seconds, megabytes = map(float, printed.stdout.split())
            lines.append(
                f"| {num_files:,} | {state} | {seconds:.1f} | {megabytes:,.0f} | {megabytes * 1e6 / num_files:,.0f} |"
            )
    return lines


def linked(folder: Path, many: Path, num_files: int) -> Path:
    """Return a folder of more names for the same files, which cost no room on the disk."""
    originals = sorted(folder.rglob("*.*"))
    for number in range(num_files):
        below = many / f"{number // _PER_FOLDER:04d}"
        if number % _PER_FOLDER == 0:
            below.mkdir(parents=True)
        original = originals[number % len(originals)]
        (below / f"{number}{original.suffix}").hardlink_to(original)
    return many


def memory_of_a_scan(folder: Path) -> tuple[float, float]:
    """Return the seconds that a scan takes, and by how many MB the peak of this process grows."""
    before = resident_mb("VmRSS")
    began = time.perf_counter()
    scan(DataSettings(images=folder), cache=Path(os.environ["MEMORY"]))
    seconds = time.perf_counter() - began
    return seconds, resident_mb("VmHWM") - before


def resident_mb(field: str) -> float:
    """Return the memory that this process holds (VmRSS) or held at most (VmHWM), as Linux tells it."""
    found = re.search(rf"^{field}:\s+(\d+) kB$", Path("/proc/self/status").read_text(encoding="ascii"), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024 / 1e6


if __name__ == "__main__":
    main()
