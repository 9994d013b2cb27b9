"""Decodes every kept image once: what cannot be decoded is excluded, what can gets digests of its file and its pixels.

In: a manifest. Out: the same manifest with ``file_digest`` and ``pixel_digest`` filled. Identical pixels are found in
``twins``.
"""

import collections
import contextlib
import itertools
import os
from collections.abc import Container, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import polars as pl

from radpath import files
from radpath.data.findings import exclude_and_note, reason_of, unreadable
from radpath.data.inputs import DataSettings
from radpath.data.location import RemotePath, local_file
from radpath.data.manifest import Manifest
from radpath.data.pixels import pixel_digest
from radpath.data.reading import patiently, read_image
from radpath.errors import DataError
from radpath.progress import track

# Decoders release the interpreter's lock; more threads than cores help where files come over a network.
_MIN_WORKERS: Final = 2
_MAX_WORKERS: Final = 8
_BATCH: Final = 1024  # so that two million images are never two million waiting tasks


def verify(manifest: Manifest, settings: DataSettings) -> Manifest:
    """Decode every kept image; fill its digests, or exclude it with the reason why it cannot be decoded.

    The result does not depend on the number of threads, each of which holds one image in memory at a time.
    """
    whole = _digests_of_shared_files(manifest)
    pixels: dict[str, str] = {}
    problems: dict[str, dict[str, str]] = collections.defaultdict(dict)
    outcomes = _decode_all(manifest, settings, shared=whole.keys())
    for path, record_id, outcome in track(outcomes, total=len(manifest.kept), what="decoding"):
        if isinstance(outcome, DataError):
            problems[reason_of(outcome)][record_id] = str(outcome)
            continue
        file_digest, pixels[record_id] = outcome
        whole.setdefault(path, file_digest)
    table = manifest.table.with_columns(
        pixel_digest=pl.col("record_id").replace_strict(pixels, default=None, return_dtype=pl.String),
        file_digest=_file_digests(whole),
    )
    verified = manifest.replace(table)
    for reason in sorted(problems):
        verified = exclude_and_note(verified, problems[reason], reason=reason)
    return verified


def _digests_of_shared_files(manifest: Manifest) -> dict[str, str]:
    """Return by their paths the digests of files that hold several images, so that each is digested once."""
    unknown = manifest.kept.filter((pl.col("member") != "") & pl.col("file_digest").is_null())
    paths = unknown["path"].unique(maintain_order=True)
    digests: dict[str, str] = {}
    for path in track(paths, total=len(paths), what="reading", unit="files"):
        with contextlib.suppress(OSError), local_file(manifest.images / path) as file:  # decoding says what is wrong
            digests[path] = files.digest_file(file)
    return digests


def _file_digests(whole: Mapping[str, str]) -> pl.Expr:
    """Return each record's digest: that of its file, and where it shares the file, one of that and its place."""
    of_file = pl.col("path").replace_strict(dict(whole), default=None, return_dtype=pl.String)
    of_member = pl.concat_str(of_file, pl.lit(" "), "member").map_elements(_digest_text, return_dtype=pl.String)
    return pl.coalesce("file_digest", pl.when(pl.col("member") == "").then(of_file).otherwise(of_member))


def _digest_text(text: str) -> str:
    return files.digest_bytes(text.encode())


Outcome = tuple[str, str] | DataError
"""The digests of a file ("" where it was not asked for) and of its pixels, or why they cannot be decoded."""


def _decode_all(
    manifest: Manifest, settings: DataSettings, *, shared: Container[str]
) -> Iterator[tuple[str, str, Outcome]]:
    """Yield path and id of each kept record with what decoding gave, in order; shared files are not digested again."""

    def decode(row: tuple[str, str, str, bool]) -> tuple[str, str, Outcome]:
        record_id, path, member, has_digest = row

        def read() -> tuple[str, str]:
            with local_file(manifest.images / path) as file:  # fetched once, for both digests
                image = read_image(file.parent, file.name, member, settings)
                is_known = has_digest or path in shared
                return "" if is_known else files.digest_file(file), pixel_digest(image)

        try:
            # Of a file of this machine, read_image is patient itself.
            return path, record_id, patiently(read) if isinstance(manifest.images, RemotePath) else read()
        except DataError as error:
            return path, record_id, error
        except OSError as error:
            return path, record_id, unreadable(error)

    is_known = pl.col("file_digest").is_not_null()
    rows = manifest.kept.select("record_id", "path", "member", is_known).iter_rows()
    workers = min(_MAX_WORKERS, max(_MIN_WORKERS, os.cpu_count() or _MIN_WORKERS))
    with ThreadPoolExecutor(workers) as pool:
        while batch := list(itertools.islice(rows, _BATCH)):
            yield from pool.map(decode, batch)
