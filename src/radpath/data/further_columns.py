"""Further columns of a table of labels reach the manifest: what people compare groups of images by.

In: the table, what each of its rows and each image speak of, and the settings. Out: the manifest with these columns as
text. A column that the manifest has anyway (site, scanner, view, ...) is filled; any other is added under its own name.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl

from radpath.data.findings import counted, shortened
from radpath.data.inputs import DataSettings
from radpath.data.label_table import Columns, LabelTable
from radpath.data.manifest import SCHEMA, Finding, Manifest
from radpath.errors import DataError

_FILLED: Final = ("site", "modality", "manufacturer", "scanner", "view", "laterality", "body_part", "stain")
_KNOWN: Final = re.compile(
    "site|hospital|cent(er|re)|institution|sex|gender|age(years|atscan|atexam)?|race|ethnicity"
    "|scanner|manufacturer|vendor|modality|view|laterality|bodypart|magnification"
)
"""Compared in lower case and without spaces, underscores and other signs."""


def attach_further(
    manifest: Manifest,
    table: LabelTable,
    columns: Columns,
    settings: DataSettings,
    *,
    row_keys: Sequence[str | None],
    record_keys: Sequence[str | None],
) -> Manifest:
    """Fill or add the columns that the settings name, or those with well-known names.

    Where rows of one image or case say different things, nothing is taken, and a finding tells it.

    Args:
        manifest: of the images.
        table: of the labels.
        columns: which of its columns have a use already.
        settings: which further columns are wanted.
        row_keys: for each row of the table, the image or case that it speaks of.
        record_keys: the same for each record of the manifest.

    Raises:
        DataError: a named column is missing, or has a name that the manifest needs for something else.
    """
    for name in _wanted(table, columns, settings):
        texts_of: dict[str, set[str]] = {}
        for key, text in zip(row_keys, table.columns[name], strict=True):
            if key is not None and text:
                texts_of.setdefault(key, set()).add(text)
        manifest = _with_column(manifest, name, texts_of, record_keys)
    return manifest


def _wanted(table: LabelTable, columns: Columns, settings: DataSettings) -> list[str]:
    used = {columns.path, columns.label, columns.case, columns.split}
    if settings.keep_columns is None:
        return [name for name in table.columns if name not in used and _KNOWN.fullmatch(_plain(name))]
    for name in settings.keep_columns:
        if name not in table.columns:
            raise DataError(
                f"{table.source} has no column '{name}' (data.keep_columns); its columns: {', '.join(table.columns)}"
            )
        if name in SCHEMA and name not in _FILLED:
            raise DataError(f"{table.source}: radpath needs the name '{name}' itself; rename this column to keep it")
    return list(settings.keep_columns)


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.lower())


def _with_column(
    manifest: Manifest, name: str, texts_of: Mapping[str, set[str]], record_keys: Sequence[str | None]
) -> Manifest:
    """Fill one column; what a file says of itself yields to the table."""
    filled = next((one for one in _FILLED if _plain(one) == _plain(name)), name)
    given = [texts_of.get(key, set()) if key is not None else set() for key in record_keys]
    texts = pl.Series(filled, [next(iter(found)) if len(found) == 1 else None for found in given], dtype=pl.String)
    unclear = [
        f"{record}: {', '.join(sorted(found))}"
        for record, found in zip(manifest.table["record_id"], given, strict=True)
        if len(found) > 1
    ]
    known = manifest.table.columns
    value = pl.coalesce(pl.lit(texts), pl.col(filled)) if filled in known else pl.lit(texts)
    finding = Finding(
        kind="unclear-column",
        severity="warning",
        count=len(unclear),
        message=f"{counted(len(unclear), 'image')} with several values of '{name}' in the table: none is taken",
        examples=shortened(unclear),
    )
    return manifest.replace(manifest.table.with_columns(value.alias(filled))).note(finding)
