"""Headers of many files become rows of a table, in blocks whose size follows the speed of the drive.

In: a folder with names, sizes and versions from ``listing``. Out: tables of one row an image, in the order of the names
within each. What was read before is remembered in ``scan_cache``; what becomes of the rows is ``scan``'s work.

A local drive answers faster than threads can wait for each other, so files are read one after another; where they keep
the reader waiting, as on a network, many are asked for at once. The rows are the same either way.
"""

import collections
import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

import polars as pl

from radpath.data.cluster import spread
from radpath.data.findings import reason_of, unreadable
from radpath.data.formats import png
from radpath.data.headers import QUICK_SUFFIXES, ImageHeader, read_headers
from radpath.data.inputs import DataSettings
from radpath.data.location import BLOCK_BYTES, Location, RemotePath
from radpath.data.quick_headers import START_BYTES, QuickHeader, quick_header, quick_png_header
from radpath.data.reading import patiently
from radpath.errors import DataError

UNREAD: Final = "cannot be read"
"""The reason of a file that the operating system does not deliver: to be tried again in the next scan."""

_FIRST_BLOCK: Final = 64
_LARGEST_BLOCK: Final = 8192
_BLOCK_S: Final = 1.0  # how long reading a block may take: what an interruption loses
_WAIT_S: Final = 0.0005  # a file of a local drive keeps the reader waiting for a tenth of this
_THREADS: Final = 32
_BINARY: Final = getattr(os, "O_BINARY", 0)  # Windows would translate the ends of lines

_HEADER_TYPES: Final[dict[str, pl.DataType]] = {
    "width_px": pl.Int32(),
    "height_px": pl.Int32(),
    "channels": pl.Int8(),
    "bit_depth": pl.Int8(),
    "mode": pl.String(),
    "format": pl.String(),
}
_COLUMNS: Final[dict[str, pl.DataType]] = {
    "path": pl.String(),
    "bytes": pl.Int64(),
    "version": pl.String(),
    "member": pl.String(),
    **_HEADER_TYPES,
    "reason": pl.String(),
    "detail": pl.String(),
}

NO_ROWS: Final = pl.DataFrame(schema=_COLUMNS)

Outcome = QuickHeader | list[ImageHeader] | DataError


def read_rows(folder: Location, found: pl.DataFrame, settings: DataSettings) -> Iterator[pl.DataFrame]:
    """Yield tables of one row an image, for one block of files after another.

    Args:
        folder: what the paths are relative to.
        found: columns path, bytes and version.
        settings: how files are read.
    """
    if settings.ray is not None:
        blocks = found.iter_slices(_LARGEST_BLOCK)
        yield from spread(partial(_read_block, folder, settings), blocks, address=settings.ray)
        return
    read = partial(read_file, folder, settings=settings)
    with contextlib.closing(_Crew(at_once=folder.most_connections if isinstance(folder, RemotePath) else None)) as crew:
        at, block = 0, _FIRST_BLOCK
        while at < len(found):
            taken = found.slice(at, block).rows()
            began = time.perf_counter()
            outcomes = crew.read(read, taken)
            yield to_table(taken, outcomes)
            block = min(_LARGEST_BLOCK, max(_FIRST_BLOCK, int(len(taken) * _BLOCK_S / (time.perf_counter() - began))))
            at += len(taken)


def _read_block(folder: Location, settings: DataSettings, block: pl.DataFrame) -> pl.DataFrame:
    files = block.rows()
    return to_table(files, [read_file(folder, file, settings=settings) for file in files])


class _Crew:
    """Reads files one after another, or by many threads once they keep it waiting."""

    def __init__(self, *, at_once: int | None) -> None:
        self._pool = None if at_once is None else ThreadPoolExecutor(at_once)

    def read(
        self, read: Callable[[tuple[str, int, str]], Outcome], files: Sequence[tuple[str, int, str]]
    ) -> list[Outcome]:
        """Return what was read of each file, in order."""
        if self._pool is not None:
            return list(self._pool.map(read, files))
        began_s, began_cpu_s = time.perf_counter(), time.thread_time()
        outcomes = [read(file) for file in files]
        waited_s = time.perf_counter() - began_s - (time.thread_time() - began_cpu_s)
        if waited_s > _WAIT_S * len(files):
            self._pool = ThreadPoolExecutor(_THREADS)
        return outcomes

    def close(self) -> None:
        """End the threads, without what they have not begun."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


def read_file(folder: Location, file: tuple[str, int, str], *, settings: DataSettings) -> Outcome:
    """Return what the header of a file says, or why it cannot be read; network drives get several chances."""
    name, num_bytes, _ = file
    try:
        if name.lower().endswith(QUICK_SUFFIXES):
            quick = _read_quickly(folder, name, num_bytes)
            if quick is not None and (quick.kind.format != "TIFF" or settings.tiff.pages in ("all", 0)):
                return quick  # a quick TIFF has one page; where another is asked for, the careful reader says so
        return patiently(lambda: read_headers(folder / name, settings))
    except DataError as error:
        return error
    except OSError as error:
        return unreadable(error)


def _read_quickly(folder: Location, name: str, num_bytes: int) -> QuickHeader | None:
    """Return the quick reader's answer, None also where the drive fails: the careful reader tries again."""
    try:
        if isinstance(folder, RemotePath):
            return _read_remotely(folder / name, num_bytes)
        descriptor = os.open(f"{folder}/{name}", os.O_RDONLY | _BINARY)
        try:
            return quick_header(os.read(descriptor, START_BYTES), num_bytes, partial(_read_at, descriptor))
        finally:
            os.close(descriptor)
    except OSError:
        return None


def _read_at(descriptor: int, place: int, num_bytes: int) -> bytes:
    os.lseek(descriptor, place, os.SEEK_SET)
    return os.read(descriptor, num_bytes)


def _read_remotely(file: RemotePath, num_bytes: int) -> QuickHeader | None:
    """Read the first block of a remote file, and one more where that does not tell enough."""
    start = file.read_range(0, BLOCK_BYTES)
    if start.startswith(png.SIGNATURE) and num_bytes > len(start):
        at = max(len(start), num_bytes - BLOCK_BYTES)
        return quick_png_header(start, file.read_range(at, num_bytes - at))
    return quick_header(start, num_bytes, file.read_range)


def to_table(files: Sequence[tuple[str, int, str]], outcomes: Sequence[Outcome]) -> pl.DataFrame:
    """Return one row an image, with a column for each fact that some header states beside the usual ones."""
    rows: list[tuple[object, ...]] = []
    facts: dict[str, dict[int, str | float]] = collections.defaultdict(dict)
    for (name, num_bytes, version), outcome in zip(files, outcomes, strict=True):
        if isinstance(outcome, QuickHeader):
            rows.append((name, num_bytes, version, "", outcome.width_px, outcome.height_px, *outcome.kind, None, None))
        elif isinstance(outcome, DataError):
            unknown = (None,) * len(_HEADER_TYPES)
            rows.append((name, num_bytes, version, "", *unknown, reason_of(outcome), str(outcome)))
        else:
            for header in outcome:
                for fact in header.facts:
                    facts[fact][len(rows)] = header.facts[fact]
                told = (getattr(header, column) for column in _HEADER_TYPES)
                rows.append((name, num_bytes, version, header.member, *told, None, None))
    columns = dict(zip(_COLUMNS, zip(*rows, strict=True), strict=True)) if rows else {}
    extra = {name: pl.Series(name, [known.get(row) for row in range(len(rows))]) for name, known in facts.items()}
    return pl.DataFrame(columns, schema=_COLUMNS).with_columns(**extra)
