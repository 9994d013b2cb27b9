"""From what people have to a manifest in which every image is labelled, and on demand verified.

A slide gets its label and its case as one image; then it is cut, and its patches are verified one by one. What headers
said and what was decoded is remembered beside the runs, so that the next one opens changed files only.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from radpath.data.array_file import is_array_file
from radpath.data.audit.collecting import Signatures, read_signatures, signatures_of_store
from radpath.data.audit.duplicates import NearDuplicates, tie_near_duplicates
from radpath.data.audit.study import AuditSettings, audit_study, find_near_duplicates
from radpath.data.class_order import chosen_order
from radpath.data.ingest import verify
from radpath.data.inputs import DataSettings
from radpath.data.label_set_table import recognise_label_sets
from radpath.data.label_table import read_label_table
from radpath.data.labels import attach_labels
from radpath.data.location import Location
from radpath.data.manifest import Manifest
from radpath.data.names import assume_cases, attach_cases
from radpath.data.pixel_store import PixelStore
from radpath.data.record_filter import keep_by_labels, keep_where_known
from radpath.data.scan import scan
from radpath.data.slides.cutting import cut_slides
from radpath.data.split import Split, SplitSettings, split_by_case


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


def recognised_label_sets(data: DataSettings) -> tuple[Mapping[str, Any], str] | None:
    """Return the settings of ``[data.label_sets]`` that the table of labels calls for, and why; None for none.

    Raises:
        DataError: the table cannot be read.
    """
    return None if data.labels is None else recognise_label_sets(read_label_table(data.labels), data)


def gather_what_there_is(data: DataSettings, *, beside: Path) -> Manifest:
    """Scan all images, and label them where a table, names, folders or an array file could.

    Raises:
        DataError: as ``gather``.
    """
    manifest = scan(data, cache=scans_beside(beside))
    told = data.labels is not None or data.name_pattern is not None or is_array_file(data.images)
    has_folders = bool(manifest.table["path"].str.contains("/", literal=True).any())
    return _with_labels(manifest, data) if told or has_folders else _without_labels(manifest, data)


def gather_verified(data: DataSettings, *, beside: Path) -> Manifest:
    """Scan and decode all images, and label them where anything could.

    Raises:
        DataError: as ``gather``.
    """
    return verify(gather_what_there_is(data, beside=beside), data, stores=pools_beside(beside))


def gather_unlabelled(data: DataSettings, *, beside: Path) -> Manifest:
    """Scan all images, with the cases that names tell; what an array file says of labels and sides is left out.

    So are the filters ``data.stains`` and ``data.keep`` where nothing fills the columns that they look at.

    Raises:
        DataError: the images are missing or unreadable.
    """
    manifest = scan(data, cache=scans_beside(beside))
    is_named = data.name_pattern is not None and not is_array_file(data.images)
    return _without_labels(attach_cases(manifest, data.name_pattern or "") if is_named else manifest, data)


def _without_labels(manifest: Manifest, data: DataSettings) -> Manifest:
    manifest = cut_slides(keep_where_known(assume_cases(manifest), data), data)
    unknown = pl.lit(None, dtype=pl.String)
    return manifest.replace(manifest.table.with_columns(label=unknown, split=unknown))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Looked:
    """A manifest whose near duplicates are tied, and what the audit needs to know of its pixels."""

    manifest: Manifest
    signatures: Signatures
    near: NearDuplicates | None


def look_closer(
    manifest: Manifest, data: DataSettings, settings: AuditSettings, *, store: PixelStore | None = None
) -> Looked:
    """Compute the signatures of all kept images, find near duplicates, and tie them in the manifest.

    Args:
        manifest: verified.
        data: how files are read.
        settings: what is looked for.
        store: prepared pixels, which spare the decoding; None where there are none.
    """
    if settings.near_duplicates == "skip" and settings.confounders == "skip":
        return Looked(manifest=manifest, signatures=Signatures.of({}), near=None)
    signatures = read_signatures(manifest, data) if store is None else signatures_of_store(store)
    near = find_near_duplicates(manifest, signatures, settings)
    tied = manifest if near is None else tie_near_duplicates(manifest, near)
    return Looked(manifest=tied, signatures=signatures, near=near)


def in_class_order(split: Split, data: DataSettings) -> Split:
    """Return a split with its classes in the order of the settings.

    Raises:
        SettingsError: data.class_order does not name each class once.
    """
    return dataclasses.replace(split, classes=chosen_order(split.classes, data.class_order))


def audited_split(looked: Looked, settings: SplitSettings, audit: AuditSettings) -> Split:
    """Split by case, keeping near duplicates together where the settings say so, and note what the audit finds.

    Raises:
        DataError: a class has too few cases, or a column to keep apart says nothing.
        LeakError: a case or an identical image stands on two sides.
    """
    split = split_by_case(looked.manifest, settings)
    found = audit_study(split.manifest, looked.signatures, looked.near, audit)
    return dataclasses.replace(split, manifest=split.manifest.note(*found.findings))


def gather_split(data: DataSettings, split: SplitSettings, audit: AuditSettings, *, beside: Path) -> Split:
    """Scan, label, decode, look closer at and split all images.

    Raises:
        DataError: as ``gather``, or a class has too few cases.
        LeakError: a case or an identical image stands on two sides.
    """
    manifest = verify(gather(data, beside=beside), data, stores=pools_beside(beside))
    return audited_split(look_closer(manifest, data, audit), split, audit)


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
