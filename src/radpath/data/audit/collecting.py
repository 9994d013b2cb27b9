"""Signatures of all images of a study, in one place and one order.

In: a manifest with its images, or signatures that were computed where images are decoded anyway. Out: ``Signatures``,
which hold 1,024 bytes and five numbers an image, whatever the size of the images.
"""

import dataclasses
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final, final

import numpy as np
import polars as pl
from jaxtyping import Int, UInt8

from radpath.data.audit.signature import STATISTICS, ImageSignature, signature_of
from radpath.data.inputs import DataSettings
from radpath.data.manifest import Manifest
from radpath.data.pixel_store import Codes, PixelStore
from radpath.data.reading import read_image
from radpath.errors import DataError
from radpath.progress import track

_BATCH: Final = 512
_MAX_WORKERS: Final = 8


@final
@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Signatures:
    """What the audit knows of the pixels of many images."""

    record_ids: tuple[str, ...]
    thumbnails: UInt8[np.ndarray, "images 32 32"]
    statistics: pl.DataFrame
    """``record_id`` and one column a number of ``STATISTICS``, in the order of ``record_ids``."""

    @classmethod
    def of(cls, signatures: Mapping[str, ImageSignature]) -> "Signatures":
        """Put signatures by record id into one table, sorted by record id."""
        ordered = sorted(signatures)
        thumbnails = np.zeros((len(ordered), 32, 32), dtype=np.uint8)
        for place, record_id in enumerate(ordered):
            thumbnails[place] = signatures[record_id].thumbnail
        columns = {name: [getattr(signatures[record_id], name) for record_id in ordered] for name in STATISTICS}
        schema = {"record_id": pl.String(), **dict.fromkeys(STATISTICS, pl.Float64())}
        table = pl.DataFrame({"record_id": ordered, **columns}, schema=schema)
        return cls(record_ids=tuple(ordered), thumbnails=thumbnails, statistics=table)

    def places(self, record_ids: Iterable[str]) -> Int[np.ndarray, " chosen"]:
        """Return where records stand.

        Raises:
            DataError: a record has no signature.
        """
        place = {record_id: number for number, record_id in enumerate(self.record_ids)}
        wanted = list(record_ids)
        lacking = next((record_id for record_id in wanted if record_id not in place), None)
        if lacking is not None:
            raise DataError(f"image {lacking} has no signature; compute signatures of all kept images first")
        return np.array([place[record_id] for record_id in wanted], dtype=np.int64)


def read_signatures(manifest: Manifest, settings: DataSettings) -> Signatures:
    """Decode every kept image and return the signatures; one that cannot be decoded any more has none.

    The result does not depend on the number of threads, each of which holds one image in memory at a time.
    """
    decoded = track(_decode_all(manifest, settings), total=len(manifest.kept), what="looking at images")
    return Signatures.of({record_id: signature for record_id, signature in decoded if signature is not None})


def signatures_of_store(store: PixelStore) -> Signatures:
    """Return the signatures of prepared images; sizes and ranges are those of the store, not of the files."""
    images = track(range(len(store.record_ids)), total=len(store.record_ids), what="looking at images")
    return Signatures.of({store.record_ids[place]: signature_of(_plain(store.image(place))) for place in images})


def _plain(image: Codes) -> np.ndarray:
    return image[:, :, 0] if image.shape[2] == 1 else image


def _decode_all(manifest: Manifest, settings: DataSettings) -> Iterator[tuple[str, ImageSignature | None]]:
    def look(row: tuple[str, str, str]) -> tuple[str, ImageSignature | None]:
        record_id, path, member = row
        try:
            return record_id, signature_of(read_image(manifest.images, path, member, settings))
        except (DataError, OSError):  # verification has excluded and counted it, or the file has just gone
            return record_id, None

    rows = manifest.kept.select("record_id", "path", "member").iter_rows()
    with ThreadPoolExecutor(min(_MAX_WORKERS, max(2, os.cpu_count() or 2))) as pool:
        while batch := list(itertools.islice(rows, _BATCH)):
            yield from pool.map(look, batch)
