"""From what people have to a manifest in which every image is labelled, and on demand verified.

A slide gets its label and its case as one image; then it is cut, and its patches are verified one by one. What headers
said and what was decoded is remembered beside the runs, so that the next one opens changed files only.
"""

from pathlib import Path
from typing import Any

import polars as pl

from radpath.data.array_file import is_array_file
from radpath.data.ingest import verify
from radpath.data.inputs import DataSettings
from radpath.data.labels import attach_labels
from radpath.data.location import Location
from radpath.data.manifest import Manifest
from radpath.data.names import assume_cases
from radpath.data.record_filter import keep_by_labels, keep_where_known
from radpath.data.scan import scan
from radpath.data.slides.cutting import cut_slides


def gather(data: DataSettings, *, beside: Path) -> Manifest:
    """Scan and label all images; none is decoded yet.

    Args:
        data: where they are.
        beside: the folder of a run, beside which is remembered what headers said and what was decoded.

    Raises:
        DataError: the images or the labels are missing, unreadable, or do not fit together.
    """
    return _with_labels(scan(data, cache=scans_beside(beside)), data)


def _with_labels(manifest: Manifest, data: DataSettings) -> Manifest:
    return cut_slides(keep_by_labels(attach_labels(manifest, data), data), data)


def gather_verified(data: DataSettings, *, beside: Path) -> Manifest:
    """Scan, label and decode all images.

    Raises:
        DataError: as ``gather``.
    """
    return verify(gather(data, beside=beside), data, stores=pools_beside(beside))


def gather_what_there_is(data: DataSettings, *, beside: Path) -> Manifest:
    """Scan all images, and label them where a table, names, folders or an array file could.

    Raises:
        DataError: as ``gather``.
    """
    manifest = scan(data, cache=scans_beside(beside))
    told = data.labels is not None or data.name_pattern is not None or is_array_file(data.images)
    has_folders = bool(manifest.table["path"].str.contains("/", literal=True).any())
    return _with_labels(manifest, data) if told or has_folders else _without_labels(manifest, data)


def gather_unlabelled(data: DataSettings, *, beside: Path) -> Manifest:
    """Scan all images; what an array file says of labels and sides is left out.

    So are the filters ``data.stains`` and ``data.keep`` where nothing fills the columns that they look at.

    Raises:
        DataError: the images are missing or unreadable.
    """
    return _without_labels(scan(data, cache=scans_beside(beside)), data)


def _without_labels(manifest: Manifest, data: DataSettings) -> Manifest:
    manifest = cut_slides(keep_where_known(assume_cases(manifest), data), data)
    unknown = pl.lit(None, dtype=pl.String)
    return manifest.replace(manifest.table.with_columns(label=unknown, split=unknown))


def scans_beside(folder: Path) -> Path:
    """Return where is remembered what headers said: beside the runs, for all of them."""
    return folder.absolute().parent / ".scan"


def pools_beside(folder: Path) -> Path:
    """Return where prepared pixels are kept: beside the runs, where other runs on the same images find them."""
    return folder.absolute().parent / ".pixels"


def data_values(images: Location, labels: Location | None) -> dict[str, Any]:
    """Return the ``[data]`` table that the arguments of a command stand for, with absolute paths."""
    values = {"images": str(images.absolute())}
    return values if labels is None else {**values, "labels": str(labels.absolute())}


def run_name(images: Location) -> str:
    """Return the name that a run on these images gets unless another is given.

    >>> run_name(Path("data/breastmnist.npz"))
    'breastmnist'
    """
    return images.resolve().stem if is_array_file(images) else images.resolve().name
