"""How this folder excludes images and says so: one reason, one count, a few examples.

In: record ids with a sentence each. Out: the manifest with those images excluded and one finding that counts them.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import polars as pl

from radpath.data.manifest import Finding, Manifest
from radpath.errors import DataError

MAX_EXAMPLES: Final = 10


def counted(number: int, noun: str) -> str:
    """Return a count with its noun, in the plural where that is right.

    >>> counted(1, "image"), counted(12_000, "image"), counted(3, "class"), counted(2, "batch"), counted(5, "epoch")
    ('1 image', '12,000 images', '3 classes', '2 batches', '5 epochs')
    """
    ending = "" if number == 1 else "es" if noun.endswith(("s", "x", "tch")) else "s"
    return f"{number:,} {noun}{ending}"


def shortened(items: Iterable[str]) -> tuple[str, ...]:
    """Return the first few of ``items``, as many as a finding may show."""
    return tuple(items)[:MAX_EXAMPLES]


def reason_of(error: DataError) -> str:
    """Return what stands before the first colon: by convention, the part of an image's error that can be counted.

    >>> reason_of(DataError("truncated or damaged: the file ends too early"))
    'truncated or damaged'
    """
    return str(error).partition(":")[0]


def unreadable(error: OSError) -> DataError:
    """Return the error of an image that the operating system does not deliver."""
    return DataError(f"cannot be read: {error.strerror or error}")


def exclude_and_note(manifest: Manifest, details: Mapping[str, str], *, reason: str) -> Manifest:
    """Exclude the kept records that are keys of ``details``, and add a finding named after the reason.

    Args:
        manifest: where the records stand.
        details: for each record id, the sentence that explains its exclusion.
        reason: a few words that can be counted; "no label" gives a finding of kind ``no-label``.
    """
    rows = manifest.kept.filter(pl.col("record_id").is_in(list(details)))
    taken, cases = rows["record_id"].to_list(), rows["case"].drop_nulls()
    whose = f" of {counted(cases.n_unique(), 'case')}" if len(cases) else ""
    finding = Finding(
        kind=reason.replace(" ", "-"),
        severity="warning",
        count=len(taken),
        message=f"{counted(len(taken), 'image')}{whose} excluded: {reason}",
        examples=shortened(f"{record_id}: {details[record_id]}" for record_id in taken),
    )
    return manifest.exclude({record_id: details[record_id] for record_id in taken}, reason=reason).note(finding)
