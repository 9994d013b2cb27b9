"""Every image is decoded once: what cannot be is excluded, what can gets its digests and, where asked, its pixels kept.

In: a manifest from headers and labels. Out: the manifest with ``file_digest`` and ``pixel_digest`` filled, and a
``PixelStore``. A file whose path, size and times are those of an image in the pool is not read again; all others are,
so that nothing stale is ever used, and a stop loses the work of seconds. Splits come after this, since identical
pixels decide them.
"""

import collections
import dataclasses
import functools
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, get_args

import polars as pl

from radpath import files
from radpath.data.cluster import spread
from radpath.data.findings import counted, exclude_and_note, reason_of, shortened, unreadable
from radpath.data.formats.jpeg import Reduction
from radpath.data.inputs import DataSettings, shaping_values
from radpath.data.intensity import require_rule
from radpath.data.location import Location, RemotePath
from radpath.data.manifest import Finding, Manifest
from radpath.data.pixel_store import CONTENT, IDENTITY, PixelStore, open_store, read_pool, write_shard
from radpath.data.pixels import Pixels, pixel_digest
from radpath.data.preparation import PixelSettings, level_statistics, prepare_image, prepared_size
from radpath.data.reading import patiently, read_with_digest
from radpath.data.stain.normalisation import StainReference
from radpath.errors import DataError
from radpath.progress import track

_VERSION: Final = 2  # raised whenever the same settings would give other pixels
# Decoding and resizing release the interpreter's lock; more threads than cores help where files come over a network.
_MIN_THREADS: Final = 2
_MAX_THREADS: Final = 8
_CHUNK_BYTES: Final = 64 << 20  # what a stop may lose, and what waits in memory to be written
_CHUNK_IMAGES: Final = 2048
_SETTINGS_OF_LEVELS: Final = {"intensity", "intensity_scope", "range"}  # applied to batches, so any store serves them

Problem = tuple[str, DataError]
"""A record that cannot be used, and why."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chunk:
    """Images that are decoded together and written as one shard; the same everywhere for the same images."""

    images: Location
    rows: Sequence[Mapping[str, Any]]
    """For each image its ``record_id``, ``path``, ``member`` and the columns of ``IDENTITY``."""
    data: DataSettings
    pixels: PixelSettings | None
    """None where only digests are wanted."""
    pool: Path
    stain: StainReference | None = None
    """What colours are brought to; None to leave them alone."""


def prepare(
    manifest: Manifest,
    data: DataSettings,
    settings: PixelSettings,
    *,
    stores: Path,
    stain: StainReference | None = None,
) -> tuple[Manifest, PixelStore]:
    """Return the manifest with its digests, and the prepared pixels of what it keeps.

    The digests do not depend on the stain; a finding says which images could not be brought to it.

    Args:
        manifest: what is kept is prepared.
        data: how files are read.
        settings: what becomes of their pixels.
        stores: the folder of all pools.
        stain: the typical stain of the training images, where colours are to be brought to it.

    Raises:
        DataError: no image can be used.
        SettingsError: the intensity rule has no answer to these images.
        StorageError: the disk is full.
    """
    require_rule(settings.intensity, has_floats=bool((manifest.kept["bit_depth"] == 32).any()))
    pool = stores / pool_name(data, settings, stain)
    identified = _identified(manifest)
    whole = _ingest(manifest, identified, data, settings, pool, stain)
    if whole.kept.is_empty():
        reasons = ", ".join(whole.excluded["reason"].unique().sort())
        raise DataError(f"none of the {len(whole.table)} images in {data.images} can be used: {reasons}")
    known = read_pool(pool, with_pixels=True)
    # As the files were when this began: whoever changes one meanwhile has it decoded the next time.
    wanted = identified.select("record_id", *IDENTITY).join(
        whole.kept.select("record_id"), on="record_id", how="semi", maintain_order="left"
    )
    table = wanted.join(known, on=list(IDENTITY), how="left", maintain_order="left")
    if stain is not None:
        whole = whole.note(_left_unchanged(table, stain))
    return whole, open_store(pool, table, channels=1 if settings.channels == "grey" else 3)


def verify(manifest: Manifest, data: DataSettings, *, stores: Path) -> Manifest:
    """Decode every kept image without keeping pixels: fill its digests, or exclude it with the reason.

    Raises:
        StorageError: the disk is full.
    """
    return _ingest(manifest, _identified(manifest), data, None, stores / pool_name(data, None))


def pool_name(data: DataSettings, settings: PixelSettings | None, stain: StainReference | None = None) -> str:
    """Return the name of the pool for images that are read and prepared in this way."""
    shaping: dict[str, Any] = {}
    if settings is not None:
        # The reference itself counts, not how it was asked for: without one, colours are as they were.
        shaping = settings.model_dump(mode="json", exclude={*_SETTINGS_OF_LEVELS, "stain"})
        shaping["jpeg"] = "scaled" if settings.allows_scaled_jpeg else "whole"
        shaping["stain"] = None if stain is None else stain.typical.model_dump(mode="json")
    return files.digest_json([shaping_values(data), shaping, _VERSION])


def _left_unchanged(table: pl.DataFrame, stain: StainReference) -> Finding:
    rows = table.with_columns(pl.col("stain_unchanged").cast(pl.String)).drop_nulls("stain_unchanged")
    reasons = rows["stain_unchanged"].value_counts().sort("stain_unchanged").iter_rows()
    why = ", ".join(f"{reason} ({number:,})" for reason, number in reasons)
    return Finding(
        kind="stain-unchanged",
        severity="note",
        count=len(rows),
        message=f"{counted(len(rows), 'image')} not normalised by {stain.typical.method}, colours left alone: {why}",
        examples=shortened(rows.select(pl.format("{}: {}", "record_id", "stain_unchanged")).to_series()),
    )


def _ingest(
    manifest: Manifest,
    identified: pl.DataFrame,
    data: DataSettings,
    settings: PixelSettings | None,
    pool: Path,
    stain: StainReference | None = None,
) -> Manifest:
    """Decode what the pool does not know, and fill digests from it."""
    missing = identified.join(read_pool(pool, with_pixels=settings is not None), on=list(IDENTITY), how="anti")
    missing = missing.sort("record_id")
    # One after another: the rows of a million images would fill the memory that their pixels do not.
    chunks = (
        Chunk(images=manifest.images, rows=rows, data=data, pixels=settings, pool=pool, stain=stain)
        for rows in _cut(missing, settings)
    )
    problems: dict[str, dict[str, str]] = collections.defaultdict(dict)
    with files.explained_storage_errors(pool):
        files.remove_abandoned(pool)
        work = _work_through(chunks) if data.ray is None else _spread(chunks, data.ray)
        for outcome in track(work, total=len(missing), what="preparing" if settings else "decoding"):
            if outcome is not None:
                record_id, error = outcome
                problems[reason_of(error)][record_id] = str(error)
    filled = _with_digests(manifest, identified, read_pool(pool, with_pixels=settings is not None))
    for reason in sorted(problems):
        filled = exclude_and_note(filled, problems[reason], reason=reason)
    return filled


def _identified(manifest: Manifest) -> pl.DataFrame:
    """Return the kept rows with what identifies each file today; a file that is gone has the size -1."""
    kept = manifest.kept
    paths = kept["path"].unique().to_list()
    stats = {path: _stat(manifest.images / path) for path in paths}
    # Links stay in the path: they may lead elsewhere tomorrow.
    place = str(manifest.images.absolute())
    columns = {name: [stats[path][number] for path in kept["path"]] for number, name in enumerate(list(IDENTITY)[1:])}
    return kept.with_columns(
        pl.format("{}/{}#{}", pl.lit(place), "path", "member").alias("source"),
        *(pl.Series(name, values, dtype=IDENTITY[name]) for name, values in columns.items()),
    )


def _stat(location: Location) -> tuple[int, int, int]:
    try:
        if isinstance(location, RemotePath):
            return patiently(location.identity)
        found = patiently(location.stat)
    except OSError:
        return -1, 0, 0
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _cut(missing: pl.DataFrame, settings: PixelSettings | None) -> Iterator[list[dict[str, Any]]]:
    """Cut the images into chunks by what their headers say of them, so that every machine cuts alike."""
    columns = ["record_id", "path", "member", *IDENTITY, "height_px", "width_px", "bit_depth"]
    rows: list[dict[str, Any]] = []
    waiting_bytes = 0
    for row in missing.select(columns).iter_rows(named=True):
        size = 0
        if settings is not None:
            height_px, width_px = prepared_size(row["height_px"], row["width_px"], settings)
            size = height_px * width_px * (1 if settings.channels == "grey" else 3) * (1 + (row["bit_depth"] > 8))
        if rows and (waiting_bytes + size > _CHUNK_BYTES or len(rows) == _CHUNK_IMAGES):
            yield rows
            rows, waiting_bytes = [], 0
        rows.append(row)
        waiting_bytes += size
    if rows:
        yield rows


def _work_through(chunks: Iterable[Chunk]) -> Iterator[Problem | None]:
    """Yield one outcome an image: None, or its problem. A shard is written while the next is decoded."""
    threads = min(_MAX_THREADS, max(_MIN_THREADS, os.cpu_count() or _MIN_THREADS))
    with ThreadPoolExecutor(threads) as pool, ThreadPoolExecutor(1) as writer:
        writing: Future[None] | None = None
        for chunk in chunks:
            done: list[dict[str, Any]] = []
            for outcome in pool.map(functools.partial(_decode, chunk), chunk.rows):
                if isinstance(outcome, dict):
                    done.append(outcome)
                    yield None
                else:
                    yield outcome
            if writing is not None:
                writing.result()
            writing = writer.submit(_write, chunk, done)
        if writing is not None:
            writing.result()


def prepare_chunk(chunk: Chunk) -> list[Problem | None]:
    """Decode and write one chunk, as a worker on another machine does; return one outcome an image."""
    return list(_work_through([chunk]))


def _spread(chunks: Iterable[Chunk], address: str) -> Iterator[Problem | None]:
    """Yield one outcome an image, as ``_work_through``, from the machines of a cluster."""
    return itertools.chain.from_iterable(spread(prepare_chunk, chunks, address=address))


def _write(chunk: Chunk, done: list[dict[str, Any]]) -> None:
    if not done:
        return
    images = [row.pop("codes") for row in done] if chunk.pixels is not None else None
    name = files.digest_json([[row[column] for column in IDENTITY] for row in done])
    write_shard(chunk.pool, name, done, images)


def _decode(chunk: Chunk, row: Mapping[str, Any]) -> dict[str, Any] | Problem:
    """Return what is kept of one image, or why it cannot be used."""
    pixels = chunk.pixels
    longest_side_px = pixels.longest_side_px if pixels is not None and pixels.allows_scaled_jpeg else None
    try:
        image, digest = read_with_digest(
            chunk.images, row["path"], row["member"], chunk.data, longest_side_px=longest_side_px
        )
        found = {name: row[name] for name in IDENTITY}
        found |= {"file_digest": digest, "pixel_digest": pixel_digest(image)}
        if pixels is None:
            return found
        whole_px = None if longest_side_px is None else _whole_size(image, row)
        ready = prepare_image(image, pixels, stain=chunk.stain, whole_px=whole_px)
    except DataError as error:
        return row["record_id"], error
    except OSError as error:
        return row["record_id"], unreadable(error)
    height_px, width_px, channels = ready.codes.shape
    return {
        **found,
        "height_px": height_px,
        "width_px": width_px,
        "channels": channels,
        "code_bits": ready.codes.dtype.itemsize * 8,
        "slope": ready.slope,
        "intercept": ready.intercept,
        **level_statistics(ready, pixels.percentiles),
        **({} if chunk.stain is None else {"stain_unchanged": ready.stain_unchanged}),
        "codes": ready.codes,
    }


def _whole_size(image: Pixels, row: Mapping[str, Any]) -> tuple[int, int]:
    """Return height and width of the image in its file, which may have been decoded at a fraction of them.

    Raises:
        DataError: the file is not the one that was scanned.
    """
    height_px, width_px = int(row["height_px"]), int(row["width_px"])
    if not any(image.shape[:2] == (height_px / part, width_px / part) for part in get_args(Reduction)):
        raise DataError(
            f"changed since the scan: {width_px} x {height_px} px then, {image.shape[1]} x {image.shape[0]} px "
            "or a multiple now; scan again"
        )
    return height_px, width_px


def _with_digests(manifest: Manifest, identified: pl.DataFrame, known: pl.DataFrame) -> Manifest:
    """Fill both digests of every image that the pool knows."""
    found = identified.select("record_id", *IDENTITY).join(
        known.select(*IDENTITY, *CONTENT), on=list(IDENTITY), how="inner"
    )
    table = manifest.table.drop("pixel_digest").join(
        found.select("record_id", "pixel_digest", digest_now="file_digest"),
        on="record_id",
        how="left",
        maintain_order="left",
    )
    # An array file's own digests stand: they are of each image, not of the file.
    table = table.with_columns(file_digest=pl.coalesce("file_digest", "digest_now")).drop("digest_now")
    return manifest.replace(table.select(manifest.table.columns))
