"""Decodes every kept image once: what cannot be decoded is excluded, what can gets digests of its file and its pixels.

In: a manifest. Out: the same manifest with ``file_digest`` and ``pixel_digest`` filled. Identical pixels are found in
``twins``.
"""

import collections
import contextlib
import itertools
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import polars as pl

from radpath import files
from radpath.data.findings import exclude_and_note, reason_of, unreadable
from radpath.data.inputs import DataSettings
from radpath.data.location import local_file
from radpath.data.manifest import Manifest
from radpath.data.pixels import pixel_digest
from radpath.data.reading import read_image
from radpath.errors import DataError
from radpath.progress import track

# Decoders release the interpreter's lock; more threads than cores help where files come over a network.
_MIN_WORKERS: Final = 2
_MAX_WORKERS: Final = 8
_BATCH: Final = 1024  # so that two million images are never two million waiting tasks


def verify(manifest: Manifest, settings: DataSettings) -> Manifest:
    """Decode every kept image; fill its ``pixel_digest``, or exclude it with the reason why it cannot be decoded.

    The result does not depend on the number of threads, each of which holds one image in memory at a time.
    """
    digests: dict[str, str] = {}
    problems: dict[str, dict[str, str]] = collections.defaultdict(dict)
    for record_id, outcome in track(_decode_all(manifest, settings), total=len(manifest.kept), what="decoding"):
        if isinstance(outcome, str):
            digests[record_id] = outcome
        else:
            problems[reason_of(outcome)][record_id] = str(outcome)
    pixels = pl.col("record_id").replace_strict(digests, default=None, return_dtype=pl.String)
    verified = manifest.replace(manifest.table.with_columns(pixel_digest=pixels, file_digest=_file_digests(manifest)))
    for reason in sorted(problems):
        verified = exclude_and_note(verified, problems[reason], reason=reason)
    return verified


def _file_digests(manifest: Manifest) -> pl.Expr:
    """Return the digest of each record's file, and for an image that shares its file, one of that and its place."""
    unknown = manifest.kept.filter(pl.col("file_digest").is_null())["path"].unique(maintain_order=True)
    whole: dict[str, str] = {}
    for path in track(unknown, total=len(unknown), what="reading", unit="files"):
        with contextlib.suppress(OSError), local_file(manifest.images / path) as file:
            whole[path] = files.digest_file(file)
    of_file = pl.col("path").replace_strict(whole, default=None, return_dtype=pl.String)
    of_member = pl.concat_str(of_file, pl.lit(" "), "member").map_elements(_digest_text, return_dtype=pl.String)
    return pl.coalesce("file_digest", pl.when(pl.col("member") == "").then(of_file).otherwise(of_member))


def _digest_text(text: str) -> str:
    return files.digest_bytes(text.encode())


def _decode_all(manifest: Manifest, settings: DataSettings) -> Iterator[tuple[str, str | DataError]]:
    """Yield each kept record with its pixels' digest, or with the error that decoding gave, in order."""

    def decode(row: tuple[str, str, str]) -> tuple[str, str | DataError]:
        record_id, path, member = row
        try:
            image = read_image(manifest.images, path, member, settings)
        except DataError as error:
            return record_id, error
        except OSError as error:
            return record_id, unreadable(error)
        return record_id, pixel_digest(image)

    rows = manifest.kept.select("record_id", "path", "member").iter_rows()
    workers = min(_MAX_WORKERS, max(_MIN_WORKERS, os.cpu_count() or _MIN_WORKERS))
    with ThreadPoolExecutor(workers) as pool:
        while batch := list(itertools.islice(rows, _BATCH)):
            yield from pool.map(decode, batch)
