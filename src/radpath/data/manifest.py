"""The manifest: one row an image, with everything that later steps need to know; after it nobody walks folders.

In: rows from ``scan`` or ``medmnist``. Out: a Parquet file, and the questions that later steps ask of it. A record is
never deleted: it is excluded, with a reason, and stays in the table.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

import polars as pl

from radpath import files
from radpath.data.location import Location
from radpath.errors import DataError

SCHEMA: Final[dict[str, pl.DataType]] = {
    "record_id": pl.String(),  # unique and stable: the path below the images folder, with the member if any
    "path": pl.String(),  # relative to the images folder, with forward slashes
    "member": pl.String(),  # which image inside a file: "train_images[12]", "frame[3]"; "" where it holds one
    "case": pl.String(),  # one patient, specimen or exam; splits never divide it
    "case_assumed": pl.Boolean(),  # True where nothing names the case and the image counts as its own
    "label": pl.String(),  # null until labels are attached, and where there is none
    "split": pl.String(),  # train, validation or test; null until split, and for excluded images
    "stain": pl.String(),  # from the name pattern's group of that name, else null
    "site": pl.String(),  # the hospital or laboratory, from a name group or a column of the labels, else null
    "modality": pl.String(),  # DICOM's short names: CR, DX, MG, US, CT, MR, SM (a slide), ...
    "manufacturer": pl.String(),  # of the scanner
    "scanner": pl.String(),  # its model
    "view": pl.String(),  # the projection: PA, AP, LATERAL, CC, MLO, ...
    "laterality": pl.String(),  # L or R
    "body_part": pl.String(),
    "pixel_spacing_mm": pl.Float64(),  # between the centres of two rows, where the file says so
    "width_px": pl.Int32(),  # as displayed, that is after the EXIF orientation
    "height_px": pl.Int32(),
    "channels": pl.Int8(),  # 1 or 3, as decoded
    "bit_depth": pl.Int8(),  # 8 or 16, as decoded; 32 for floating-point numbers
    "mode": pl.String(),  # what the file holds: grey, RGB, RGBA, palette, CMYK, ...
    "format": pl.String(),  # PNG, JPEG, TIFF, NPZ
    "bytes": pl.Int64(),
    "file_digest": pl.String(),  # XXH3-128 of the file (of the array for a member); null until verified
    "pixel_digest": pl.String(),  # XXH3-128 of the decoded pixels; null until verified
    "status": pl.String(),  # kept or excluded
    "reason": pl.String(),  # a few words that can be counted: "truncated or damaged"; null where kept
    "detail": pl.String(),  # the whole sentence
}

EXCLUSION_COLUMNS: Final = ("record_id", "case", "label", "split", "reason", "detail")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finding:
    """Something about the data that a person should know, with how often it occurs."""

    kind: str
    """Stable short name, for example ``duplicate-images``."""
    severity: Literal["note", "warning"]
    count: int
    message: str
    """What was found, where, and what was done or should be done, in one line."""
    examples: tuple[str, ...] = ()
    """Up to ten lines that show it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Manifest:
    """All images below one folder (or in one array file), and what is known of each."""

    images: Location
    """The folder that record paths are relative to."""
    table: pl.DataFrame
    """One row an image, sorted by ``record_id``; the columns of ``SCHEMA``, then name groups and columns of labels."""
    findings: tuple[Finding, ...] = ()

    @classmethod
    def from_rows(cls, images: Location, rows: Sequence[Mapping[str, object]]) -> "Manifest":
        """Build a manifest from rows that may leave out columns; extra columns are kept as text.

        Raises:
            DataError: two rows have the same record id.
        """
        extra = sorted({name for row in rows for name in row} - set(SCHEMA))
        schema = {**SCHEMA, **{name: pl.String() for name in extra}}
        complete = [{name: row.get(name) for name in schema} for row in rows]
        return cls.from_table(images, pl.DataFrame(complete, schema=schema))

    @classmethod
    def from_table(cls, images: Location, rows: pl.DataFrame) -> "Manifest":
        """Build a manifest from a table that may leave out columns; extra columns are kept as text.

        Raises:
            DataError: two rows have the same record id.
        """
        schema = {**SCHEMA, **{name: pl.String() for name in sorted(set(rows.columns) - set(SCHEMA))}}
        absent = [pl.lit(None, kind).alias(name) for name, kind in schema.items() if name not in rows.columns]
        table = rows.with_columns(absent).select(pl.col(name).cast(kind) for name, kind in schema.items())
        table = table.with_columns(pl.col("member").fill_null(""), pl.col("status").fill_null("kept"))
        if table["record_id"].n_unique() != len(table):
            twice = table.filter(pl.col("record_id").is_duplicated())["record_id"][0]
            raise DataError(f"two images have the same record id '{twice}'")
        return cls(images=images, table=table.sort("record_id"))

    @property
    def kept(self) -> pl.DataFrame:
        """The rows that take part, sorted by record id."""
        return self.table.filter(pl.col("status") == "kept")

    @property
    def excluded(self) -> pl.DataFrame:
        """The rows that do not take part, each with its reason."""
        return self.table.filter(pl.col("status") == "excluded")

    def exclude(self, details: Mapping[str, str], *, reason: str) -> "Manifest":
        """Exclude the records that are keys of ``details``; a record excluded earlier keeps its first reason."""
        chosen = pl.col("record_id").is_in(list(details)) & (pl.col("status") == "kept")
        sentence = pl.col("record_id").replace_strict(dict(details), default=None, return_dtype=pl.String)
        return self.replace(
            self.table.with_columns(
                detail=pl.when(chosen).then(sentence).otherwise(pl.col("detail")),
                reason=pl.when(chosen).then(pl.lit(reason)).otherwise(pl.col("reason")),
                status=pl.when(chosen).then(pl.lit("excluded")).otherwise(pl.col("status")),
            )
        )

    def replace(self, table: pl.DataFrame) -> "Manifest":
        """Return the same manifest with another table."""
        return dataclasses.replace(self, table=table)

    def note(self, *findings: Finding) -> "Manifest":
        """Return the manifest with findings added; those that count nothing are left out."""
        return dataclasses.replace(self, findings=(*self.findings, *(f for f in findings if f.count)))

    def content_digest(self) -> str:
        """Return a digest of which images take part, with their content, case, label and side.

        Two manifests with the same digest give the same run; where the files lie does not matter.
        """
        columns = ["record_id", "file_digest", "case", "label", "split", "status"]
        return files.digest_bytes(self.table.select(columns).write_csv().encode())

    def write(self, path: Path) -> None:
        """Write the table as Parquet, whole or not at all."""
        with files.whole_file(path) as unfinished:
            self.table.write_parquet(unfinished)

    @classmethod
    def read(cls, path: Path, *, images: Location) -> "Manifest":
        """Read a table that ``write`` wrote.

        Raises:
            DataError: the file is missing, is not Parquet, or lacks a column.
        """
        try:
            table = pl.read_parquet(path)
        except FileNotFoundError:
            raise DataError(f"there is no manifest {path}; run `radpath scan` first") from None
        except (pl.exceptions.PolarsError, OSError) as error:
            raise DataError(f"{path} cannot be read as a manifest: {error}; run `radpath scan` again") from None
        missing = [name for name in SCHEMA if name not in table.columns]
        if missing:
            raise DataError(f"{path} is no manifest: column '{missing[0]}' is missing; run `radpath scan` again")
        return cls(images=images, table=table)

    def write_exclusions(self, path: Path) -> None:
        """Write one row for every excluded image, with its reason, as CSV."""
        files.write_text(path, self.excluded.select(EXCLUSION_COLUMNS).write_csv())
