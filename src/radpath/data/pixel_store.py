"""Prepared pixels on disk: mapped into memory, in files that other programs open, never half-written.

In: prepared images with what is known of each. Out: a ``PixelStore`` of the images that a run asks for. A pool is a
folder of shards that holds every image ever prepared with the same settings: ``NAME.npy``, a flat array of bytes, and
``NAME.parquet``, which says of each image where it lies and what it was made from. Who prepares is in ``ingest``.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import polars as pl
from jaxtyping import Int, UInt8, UInt16

from radpath import files
from radpath.data.intensity import STATISTICS, LevelStatistics, measure_levels

Codes = UInt8[np.ndarray, "_height _width _channels"] | UInt16[np.ndarray, "_height _width _channels"]
"""Pixels as stored; ``code * slope + intercept`` is the level."""

IDENTITY: Final[dict[str, pl.DataType]] = {
    "source": pl.String(),  # the file's whole path or address, with the member
    "bytes_of_file": pl.Int64(),
    "modified_ns": pl.Int64(),
    "changed_ns": pl.Int64(),  # of the directory entry too: a file cannot take another's place unseen
}
"""What a file is recognised by without reading it."""

CONTENT: Final[dict[str, pl.DataType]] = {"file_digest": pl.String(), "pixel_digest": pl.String()}

PLACE: Final[dict[str, pl.DataType]] = {
    "offset": pl.Int64(),  # of its first byte in the shard's array
    "height_px": pl.Int32(),
    "width_px": pl.Int32(),
    "channels": pl.Int8(),
    "code_bits": pl.Int8(),  # 8, or 16 in little-endian order
    "slope": pl.Float64(),
    "intercept": pl.Float64(),
    **dict.fromkeys(STATISTICS, pl.Float64()),
}


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class PixelStore:
    """Prepared pixels of the images of one manifest, in the order of ``record_ids``."""

    record_ids: tuple[str, ...]
    heights_px: Int[np.ndarray, " images"]
    widths_px: Int[np.ndarray, " images"]
    channels: int
    slopes: np.ndarray
    """Levels a code, for each image."""
    intercepts: np.ndarray
    statistics: LevelStatistics
    shards: tuple[UInt8[np.ndarray, " _bytes"], ...]
    shard_of: Int[np.ndarray, " images"]
    offsets: Int[np.ndarray, " images"]
    code_bits: Int[np.ndarray, " images"]

    @classmethod
    def of_images(cls, record_ids: Sequence[str], images: Sequence[Codes]) -> "PixelStore":
        """Return a store in memory of images with the same number of channels, of 8 or 16 bits."""
        content, offsets = _laid_out(images)
        measured = [measure_levels(image, slope=1.0, intercept=0.0, percentiles=(5.0, 95.0)) for image in images]
        limits = [{"darkest": 0.0, "brightest": float(np.iinfo(image.dtype).max)} for image in images]
        known = [{**levels, **limit} for levels, limit in zip(measured, limits, strict=True)]
        return cls(
            record_ids=tuple(record_ids),
            heights_px=np.array([image.shape[0] for image in images], dtype=np.int64),
            widths_px=np.array([image.shape[1] for image in images], dtype=np.int64),
            channels=images[0].shape[2],
            slopes=np.ones(len(images)),
            intercepts=np.zeros(len(images)),
            statistics=LevelStatistics(**{name: np.array([row[name] for row in known]) for name in STATISTICS}),
            shards=(content,),
            shard_of=np.zeros(len(images), dtype=np.int64),
            offsets=np.array(offsets, dtype=np.int64),
            code_bits=np.array([8 * image.dtype.itemsize for image in images], dtype=np.int64),
        )

    def image(self, index: int) -> Codes:
        """Return the codes of one image, without copying."""
        height, width = int(self.heights_px[index]), int(self.widths_px[index])
        kind = np.dtype("<u2") if self.code_bits[index] == 16 else np.dtype(np.uint8)
        start = int(self.offsets[index])
        end = start + height * width * self.channels * kind.itemsize
        codes: Codes = self.shards[self.shard_of[index]][start:end].view(kind).reshape(height, width, self.channels)
        return codes

    def index(self, record_ids: Sequence[str]) -> Int[np.ndarray, " chosen"]:
        """Return the positions of records by their ids."""
        place = {record: position for position, record in enumerate(self.record_ids)}
        return np.array([place[record] for record in record_ids], dtype=np.int64)


def write_shard(pool: Path, name: str, rows: Sequence[Mapping[str, Any]], images: Sequence[Codes] | None) -> None:
    """Add images to a pool, whole or not at all; the table comes last, since it makes the shard count.

    Args:
        pool: the folder.
        name: of the shard; another process that writes the same images gives it the same name.
        rows: at least one; for each image the columns of ``IDENTITY``, ``CONTENT`` and, where there are pixels, of
            ``PLACE`` but for the offset; others are kept as they are.
        images: the codes of each; None where the pool keeps none.
    """
    kinds = {**IDENTITY, **CONTENT, **PLACE}
    placed = [dict(row) for row in rows]
    if images is not None:
        content, offsets = _laid_out(images)
        placed = [{**row, "offset": offset} for row, offset in zip(placed, offsets, strict=True)]
        with files.whole_file(pool / f"{name}.npy") as unfinished, unfinished.open("wb") as stream:
            np.save(stream, content)
    table = pl.DataFrame(placed, schema_overrides={column: kinds[column] for column in placed[0] if column in kinds})
    with files.whole_file(pool / f"{name}.parquet") as unfinished:
        table.write_parquet(unfinished)


def _laid_out(images: Sequence[Codes]) -> tuple[UInt8[np.ndarray, " _bytes"], list[int]]:
    """Return all images behind each other, each from an even byte on, and where each begins."""
    flat = [np.ascontiguousarray(image.astype(image.dtype.newbyteorder("<"), copy=False)) for image in images]
    lengths = np.array([-(-image.nbytes // 2) * 2 for image in flat], dtype=np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    content = np.zeros(int(offsets[-1]), dtype=np.uint8)
    for image, offset in zip(flat, offsets.tolist(), strict=False):
        content[offset : offset + image.nbytes] = image.reshape(-1).view(np.uint8)
    return content, offsets[:-1].tolist()


def read_pool(pool: Path, *, with_pixels: bool) -> pl.DataFrame:
    """Return a row for every image of a pool, with the name of its shard; empty where there is no pool yet.

    A table without its array, or one that cannot be read, does not count: its images are prepared again.
    """
    tables = []
    for path in sorted(pool.glob("*.parquet")):
        if with_pixels and not path.with_suffix(".npy").is_file():
            continue
        try:
            tables.append(pl.read_parquet(path).with_columns(shard=pl.lit(path.stem)))
        except (pl.exceptions.PolarsError, OSError):
            continue
    if not tables:
        kinds = {**IDENTITY, **CONTENT, **(PLACE if with_pixels else {}), "shard": pl.String()}
        return pl.DataFrame(schema=kinds)
    # Two processes that prepared at the same time may both have written an image; theirs are the same.
    return pl.concat(tables, how="diagonal_relaxed").unique(list(IDENTITY), keep="first", maintain_order=True)


def open_store(pool: Path, table: pl.DataFrame, *, channels: int) -> PixelStore:
    """Open prepared images.

    Args:
        pool: the folder of the shards.
        table: a row an image: its ``record_id`` and what ``read_pool`` returned of it.
        channels: of every image.
    """
    names = table["shard"].unique().sort().to_list()
    place = {name: number for number, name in enumerate(names)}
    return PixelStore(
        record_ids=tuple(table["record_id"]),
        heights_px=table["height_px"].to_numpy().astype(np.int64),
        widths_px=table["width_px"].to_numpy().astype(np.int64),
        channels=channels,
        slopes=table["slope"].to_numpy().copy(),
        intercepts=table["intercept"].to_numpy().copy(),
        statistics=LevelStatistics(**{name: table[name].to_numpy().copy() for name in STATISTICS}),
        shards=tuple(np.load(pool / f"{name}.npy", mmap_mode="r") for name in names),
        shard_of=np.array([place[name] for name in table["shard"]], dtype=np.int64),
        offsets=table["offset"].to_numpy().copy(),
        code_bits=table["code_bits"].to_numpy().astype(np.int64),
    )
