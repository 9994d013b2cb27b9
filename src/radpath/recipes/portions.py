"""What is finished of a long prediction is kept, portion by portion, until the whole is there.

In: named arrays with one row an image, of some images at a time. Out: the same arrays of all images, in their order.
Where there is a folder, each portion is a file in it, whole or not there, so that an interrupted work goes on.
"""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import final

import numpy as np

from radpath import files
from radpath.errors import DataError

Portion = Mapping[str, np.ndarray]
"""Arrays by name, one row an image."""


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Portions:
    """So many images in portions of one size, but for the last."""

    folder: Path | None
    """Named after all that decides the numbers, so that what is found in it belongs to this work; None: in memory."""
    num_images: int
    size: int
    _held: dict[int, Portion] = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of portions."""
        return math.ceil(self.num_images / self.size)

    def rows(self, number: int) -> slice:
        """Return which images a portion is of."""
        return slice(number * self.size, min((number + 1) * self.size, self.num_images))

    def missing(self) -> list[int]:
        """Return the portions that are not finished."""
        return [number for number in range(len(self)) if not self._is_there(number)]

    def num_done(self, missing: list[int]) -> int:
        """Return the number of images in the other portions."""
        left = [range(self.num_images)[self.rows(number)] for number in missing]
        return self.num_images - sum(map(len, left))

    def add(self, number: int, portion: Portion) -> None:
        """Keep a finished portion.

        Raises:
            StorageError: the disk is full.
        """
        if self.folder is None:
            self._held[number] = portion
            return
        from safetensors.numpy import save

        files.write_bytes(self._path(number), save({name: np.ascontiguousarray(of) for name, of in portion.items()}))

    def all(self) -> dict[str, np.ndarray]:
        """Return the arrays of all images; every portion must be there."""
        found = [self._read(number) for number in range(len(self))]
        return {name: np.concatenate([portion[name] for portion in found]) for name in found[0]}

    def _is_there(self, number: int) -> bool:
        return number in self._held if self.folder is None else self._path(number).is_file()

    def _read(self, number: int) -> Portion:
        if self.folder is None:
            return self._held[number]
        from safetensors import SafetensorError
        from safetensors.numpy import load

        path = self._path(number)
        try:
            return load(path.read_bytes())
        except SafetensorError as error:
            raise DataError(f"{path} is damaged ({error}); delete its folder and predict again") from None

    def _path(self, number: int) -> Path:
        if self.folder is None:
            raise AssertionError("portions in memory have no files")  # a defect of radpath, never a user's
        return self.folder / f"{number:06d}.safetensors"
