"""New images may be named by a table: each row names a file below the table's own folder, by any of its columns.

In: the path of a table, and the manifest of its folder. Out: the manifest of the named images alone.
"""

from pathlib import Path
from typing import Final, TypeGuard

import polars as pl

from radpath.data.findings import counted, shortened
from radpath.data.image_index import ImageIndex
from radpath.data.label_table import LabelTable, read_label_table
from radpath.data.location import Location
from radpath.data.manifest import Finding, Manifest
from radpath.errors import DataError

_SUFFIXES: Final = (".csv", ".tsv")


def is_table(images: Location) -> TypeGuard[Path]:
    """Return whether images are named by a table, rather than by their folder."""
    return isinstance(images, Path) and images.suffix.lower() in _SUFFIXES and not images.is_dir()


def only_named(manifest: Manifest, table: Path) -> Manifest:
    """Return the images that a table names; a finding says which names fit no image.

    The column is that whose texts name the most images, by their path below the table's folder or by their file name.

    Args:
        manifest: of the folder of the table.
        table: a CSV file with a header.

    Raises:
        DataError: no text of the table names an image.
    """
    read = read_label_table(table)
    index = ImageIndex(manifest.table["record_id"].to_list(), folder=table.parent, table_folder=table.parent)
    found = {name: [index.find(text) for text in texts] for name, texts in read.columns.items()}
    column = max(found, key=lambda name: sum(record is not None for record in found[name]))
    named = {record for record in found[column] if record is not None}
    if not named:
        raise DataError(
            f"{table}: no column names an image below {table.parent}; write the paths of the images as they are there, "
            f"in one of its columns {', '.join(read.columns)}"
        )
    kept = manifest.table.filter(pl.col("record_id").is_in(list(named)))
    return manifest.replace(kept).note(_about_unknown(read, column, found[column]))


def _about_unknown(table: LabelTable, column: str, records: list[str | None]) -> Finding:
    unknown = [text for text, record in zip(table.columns[column], records, strict=True) if record is None]
    return Finding(
        kind="unknown-images",
        severity="warning",
        count=len(unknown),
        message=f"{counted(len(unknown), 'row')} of {table.source.name} with a '{column}' that is no image, or several",
        examples=shortened(unknown),
    )
