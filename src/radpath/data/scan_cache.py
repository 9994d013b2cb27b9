"""What earlier scans read of files that have not changed since, so that they need not be opened again.

In: tables of rows from ``header_rows``. Out: the rows of the files that have the same path, size and version now. A
memory belongs to one images folder, to the settings that matter to a reader, and to the version of the readers; it can
be deleted at any time. Each process adds files of its own and deletes only what it has copied, so that several may scan
the same folder at once; one that is killed loses what it read since its last file.
"""

import contextlib
import os
import secrets
import time
from pathlib import Path
from typing import Final, final

import polars as pl

from radpath import files
from radpath.data.dicom.identity import key_fingerprint
from radpath.data.header_rows import UNREAD
from radpath.data.headers import READER_VERSION
from radpath.data.inputs import DataSettings

IRRELEVANT_SETTINGS: Final = frozenset(
    (
        *("labels", "path_column", "label_column", "case_column", "split_column", "name_pattern"),
        *("max_pixels", "transparency", "min_side_px", "max_side_px", "stains", "modalities", "keep"),
    )
)
"""What a header reader never looks at; any other setting of [data], also one that is added later, counts."""

_IDENTITY: Final = ("path", "bytes", "version")
_PAUSE_S: Final = 3.0  # what a killed scan loses


@final
class ScanCache:
    """The memory of one images folder below ``root``; without a root nothing is remembered."""

    def __init__(self, root: Path | None, settings: DataSettings) -> None:
        self._folder = None if root is None else root / memory_key(settings)
        self._chunks: list[Path] = []
        self._waiting: list[pl.DataFrame] = []
        self._written_s = time.monotonic()
        self._has_news = False

    def recall(self, found: pl.DataFrame) -> pl.DataFrame | None:
        """Return the remembered rows of files that are as they were, None where there are none.

        Args:
            found: columns path, bytes and version, as they are now.
        """
        tables = [] if self._folder is None else [self._read(path) for path in sorted(self._folder.glob("*.parquet"))]
        known = [table for table in tables if table is not None]
        if not known:
            return None
        rows = pl.concat(known, how="diagonal_relaxed").unique(("path", "member"), keep="last")
        same = rows.join(found, on=_IDENTITY, how="semi")
        self._has_news = len(same) < len(rows) or len(self._chunks) > 1
        return same if len(same) else None

    def add(self, rows: pl.DataFrame) -> None:
        """Remember rows; they reach the disk after a few seconds, or with ``finish``.

        Raises:
            StorageError: the disk is full, or the folder cannot be written.
        """
        self._has_news = True
        self._waiting.append(rows)
        if self._folder is not None and time.monotonic() - self._written_s > _PAUSE_S:
            self._write(pl.concat(self._waiting, how="diagonal_relaxed"))
            self._waiting, self._written_s = [], time.monotonic()

    def finish(self, rows: pl.DataFrame) -> None:
        """Replace all that was read and added by one file of all rows.

        Raises:
            StorageError: as ``add``.
        """
        if self._folder is None or not self._has_news:
            return
        outdated = self._chunks
        self._chunks = []
        self._write(rows)
        for path in outdated:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def _read(self, path: Path) -> pl.DataFrame | None:
        """Read one file; None where another process has deleted it, or where it is damaged."""
        try:
            table = pl.read_parquet(path)
        except (OSError, pl.exceptions.PolarsError):
            return None
        self._chunks.append(path)
        return table

    def _write(self, rows: pl.DataFrame) -> None:
        """Write what may be remembered: files that were delivered, and that have a version."""
        assert self._folder is not None
        lasting = pl.col("reason").ne_missing(UNREAD) & (pl.col("version") != "")
        # Names in the order of time: where two files speak of one image, the later one counts.
        path = self._folder / f"{time.time_ns():020}-{os.getpid()}-{secrets.token_hex(4)}.parquet"
        remembered = rows.filter(lasting)
        if len(remembered):
            with files.whole_file(path) as unfinished:
                remembered.write_parquet(unfinished)
            self._chunks.append(path)


def memory_key(settings: DataSettings) -> str:
    """Return the name of a memory: a digest of the folder, the settings that matter and the version of the readers.

    The key that names the cases of DICOM files counts too: under another one, a patient would get a second name.
    """
    values = settings.model_dump(mode="json", exclude=set(IRRELEVANT_SETTINGS))
    return files.digest_json([values, str(settings.images.absolute()), READER_VERSION, key_fingerprint(settings.dicom)])
