"""Activations on disk: mapped into memory, in files that other programs open, never half-written.

In: what a network computed of some images in one look. Out: the same numbers, for any of the images, as one batch. A
folder holds shards: ``NAME.npy``, a flat array of float32, and ``NAME.parquet``, which says of each image where its
numbers lie and what shape they have. What is computed, and under which folder it is found, is left to
``feature_cache``.
"""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final, final

import numpy as np
import polars as pl
import torch
from jaxtyping import Float32, Int

from radpath import files
from radpath.models.cut import Activations

_COLUMNS: Final[dict[str, pl.DataType]] = {
    "position": pl.Int64(),  # of the image in its side
    "offset": pl.Int64(),  # of its first number in the shard's array
    "first": pl.Int64(),  # sides of its array: channels, height, width; or tokens, channels; or features; else 0
    "second": pl.Int64(),
    "third": pl.Int64(),
    "height": pl.Int64(),  # valid rows and columns of a map; the rest is padding
    "width": pl.Int64(),
    "dtype": pl.String(),  # that the network computed in; float32 holds each of them exactly
}
_SIDES: Final = ("first", "second", "third")
_DTYPES: Final = {str(dtype): dtype for dtype in (torch.float32, torch.bfloat16, torch.float16)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kept:
    """What is kept of one image in one look."""

    values: Float32[np.ndarray, "..."]
    height: int
    width: int
    dtype: torch.dtype


def write_shard(folder: Path, positions: Sequence[int], kept: Sequence[Kept]) -> None:
    """Add images to a folder, whole or not at all; the table comes last, since it makes the shard count.

    Raises:
        StorageError: the disk is full, or the folder cannot be written.
    """
    offsets = np.concatenate([[0], np.cumsum([entry.values.size for entry in kept])])[:-1].tolist()
    name = files.digest_json(list(positions))
    with files.whole_file(folder / f"{name}.npy") as unfinished, unfinished.open("wb") as stream:
        np.save(stream, np.concatenate([entry.values.reshape(-1) for entry in kept]))
    rows = [
        (position, offset, *(*entry.values.shape, 0, 0)[: len(_SIDES)], entry.height, entry.width, str(entry.dtype))
        for position, offset, entry in zip(positions, offsets, kept, strict=True)
    ]
    with files.whole_file(folder / f"{name}.parquet") as unfinished:
        pl.DataFrame(rows, schema=_COLUMNS, orient="row").write_parquet(unfinished)


@final
class KeptActivations:
    """All that a folder holds of one side in one look."""

    def __init__(self, folder: Path) -> None:
        """Open the shards; one that cannot be read does not count: its images are computed again."""
        self._shards: list[np.ndarray] = []
        tables = []
        for path in sorted(folder.glob("*.parquet")):
            try:
                table, values = pl.read_parquet(path), np.load(path.with_suffix(".npy"), mmap_mode="r")
            except (pl.exceptions.PolarsError, OSError, ValueError):
                continue
            if dict(table.schema) == _COLUMNS and values.dtype == np.float32:
                tables.append(table.with_columns(shard=pl.lit(len(self._shards))))
                self._shards.append(values.view(np.ndarray))
        table = pl.concat(tables) if tables else pl.DataFrame(schema={**_COLUMNS, "shard": pl.Int32()})
        self._columns = {name: table[name].to_numpy() for name in table.columns if name != "dtype"}
        self._dtypes = table["dtype"].to_list()
        positions = self._columns["position"]
        self._rows = np.full(int(positions.max(initial=-1)) + 1, -1)
        self._rows[positions] = np.arange(len(table))

    @property
    def num_bytes(self) -> int:
        """How much disk the numbers take."""
        return sum(values.nbytes for values in self._shards)

    def holds(self, positions: Int[np.ndarray, " batch"]) -> bool:
        """Return True where nothing of these images has to be computed."""
        return bool((positions < len(self._rows)).all()) and bool((self._rows[positions] >= 0).all())

    def of_image(self, position: int) -> Kept:
        """Return what is kept of one image, without copying."""
        row = self._rows[position]
        sides = tuple(side for name in _SIDES if (side := int(self._columns[name][row])))
        offset, height, width = (int(self._columns[name][row]) for name in ("offset", "height", "width"))
        values = self._shards[self._columns["shard"][row]][offset : offset + math.prod(sides)].reshape(sides)
        return Kept(values=values, height=height, width=width, dtype=_DTYPES[self._dtypes[row]])

    def of(self, positions: Int[np.ndarray, " batch"]) -> Activations:
        """Return a batch of images, on the CPU."""
        return together([self.of_image(position) for position in positions.tolist()])


def together(kept: Sequence[Kept]) -> Activations:
    """Return images as one batch, each in the top left corner of the smallest map that holds all; zeros beside it."""
    arrays = [entry.values for entry in kept]
    largest = tuple(np.max([values.shape for values in arrays], axis=0).tolist())
    batch = np.zeros((len(arrays), *largest), dtype=np.float32)
    for place, values in enumerate(arrays):
        batch[place][tuple(slice(side) for side in values.shape)] = values
    return Activations(
        torch.from_numpy(batch).to(kept[0].dtype),
        torch.tensor([entry.height for entry in kept]),
        torch.tensor([entry.width for entry in kept]),
    )
