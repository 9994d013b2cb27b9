"""Which of the readable images a study wants: by size, stain, modality, or any expression over the manifest's columns.

In: a manifest. Out: the same manifest, in which the others are excluded, each with its reason. What the files tell is
judged in ``scan``; what names and labels tell, after these are attached.
"""

import difflib
from typing import Final

import polars as pl

from radpath.data.findings import counted, shortened
from radpath.data.inputs import DataSettings
from radpath.data.manifest import Finding, Manifest
from radpath.errors import DataError

_UNDECODED: Final = "slide"  # a whole slide has no size that a network sees; its patches are judged on their own


def keep_by_file(manifest: Manifest, settings: DataSettings) -> Manifest:
    """Exclude images whose size or modality is not wanted; both sides count.

    An image without a modality is excluded where some are named.
    """
    shorter, longer = pl.min_horizontal("width_px", "height_px"), pl.max_horizontal("width_px", "height_px")
    size = pl.format("{} x {} px", "width_px", "height_px")
    is_image = pl.col("format").ne_missing(_UNDECODED)
    smallest, largest, most_pixels = settings.min_side_px, settings.max_side_px, settings.max_pixels
    manifest = exclude_where(
        manifest,
        is_image & (shorter < smallest),
        reason="too small",
        detail=pl.format("{}; a side must have {} px or more (data.min_side_px)", size, pl.lit(smallest)),
    )
    if largest is not None:
        detail = pl.format("{}; no side may have more than {} px (data.max_side_px)", size, pl.lit(largest))
        manifest = exclude_where(manifest, is_image & (longer > largest), reason="too large", detail=detail)
    num_pixels = pl.col("width_px").cast(pl.Int64) * pl.col("height_px")
    manifest = exclude_where(
        manifest,
        is_image & (num_pixels > most_pixels),
        reason="over the pixel limit",
        detail=pl.format("{} are more than data.max_pixels = {}", size, pl.lit(most_pixels)),
    )
    return _keep_named(manifest, "modality", settings.modalities, setting="modalities")


def keep_by_labels(manifest: Manifest, settings: DataSettings) -> Manifest:
    """Exclude images whose stain is not wanted, or for which the expression ``data.keep`` is not true.

    Raises:
        DataError: the expression cannot be understood, names an unknown column, or is neither true nor false.
    """
    manifest = _keep_named(manifest, "stain", settings.stains, setting="stains")
    if settings.keep is None:
        return manifest
    wanted = _parse(settings.keep, manifest.table)
    detail = pl.lit(f"data.keep is not true: {settings.keep}")
    return exclude_where(manifest, ~wanted.fill_null(value=False), reason="not wanted", detail=detail)


def keep_where_known(manifest: Manifest, settings: DataSettings) -> Manifest:
    """Apply those of the filters of ``keep_by_labels`` whose columns something fills, and say which are left out.

    New images come without labels, and often without names that tell their stain.

    Raises:
        DataError: as ``keep_by_labels``.
    """
    left_out = []
    if settings.stains and _lacks(manifest, ["stain"]):
        left_out.append("stains")
    if settings.keep is not None and _lacks(manifest, _parse(settings.keep, manifest.table).meta.root_names()):
        left_out.append("keep")
    nothing = {name: DataSettings.model_fields[name].default for name in left_out}
    finding = Finding(
        kind="filters-left-out",
        severity="warning",
        count=len(left_out),
        message=f"{' and '.join(f'data.{name}' for name in left_out)} left out: nothing tells what they look at here",
    )
    return keep_by_labels(manifest, settings.model_copy(update=nothing)).note(finding)


def _lacks(manifest: Manifest, columns: list[str]) -> bool:
    """Return whether some column is empty in all records that are kept."""
    kept = manifest.kept
    return any(kept[name].null_count() == len(kept) for name in columns)


def _keep_named(manifest: Manifest, column: str, wanted: tuple[str, ...], *, setting: str) -> Manifest:
    if not wanted:
        return manifest
    found = pl.col(column).fill_null("none")
    detail = pl.format(f"the {column} is {{}}; data.{setting} names {', '.join(wanted)}", found)
    is_other = ~pl.col(column).is_in(list(wanted)).fill_null(value=False)
    return exclude_where(manifest, is_other, reason=f"other {column}", detail=detail)


def exclude_where(manifest: Manifest, unwanted: pl.Expr, *, reason: str, detail: pl.Expr) -> Manifest:
    """Exclude the kept records for which ``unwanted`` is true, and note how many there are.

    Args:
        manifest: where the records stand.
        unwanted: over the columns of the table.
        reason: a few words that can be counted; "too small" gives a finding of kind ``too-small``.
        detail: gives each excluded record its sentence, which comes behind the reason.
    """
    chosen = (pl.col("status") == "kept") & unwanted.fill_null(value=False)
    rows = manifest.table.filter(chosen).select(
        "record_id", pl.format("{}: {}", pl.lit(reason), detail).alias("detail")
    )
    if rows.is_empty():
        return manifest
    table = manifest.table.with_columns(
        detail=pl.when(chosen).then(pl.format("{}: {}", pl.lit(reason), detail)).otherwise("detail"),
        reason=pl.when(chosen).then(pl.lit(reason)).otherwise("reason"),
        status=pl.when(chosen).then(pl.lit("excluded")).otherwise("status"),
    )
    finding = Finding(
        kind=reason.replace(" ", "-"),
        severity="warning",
        count=len(rows),
        message=f"{counted(len(rows), 'image')} excluded: {reason}",
        examples=shortened(f"{record_id}: {sentence}" for record_id, sentence in rows.head(10).iter_rows()),
    )
    return manifest.replace(table).note(finding)


def _parse(text: str, table: pl.DataFrame) -> pl.Expr:
    """Return ``data.keep`` as an expression over the columns of ``table``."""
    try:
        wanted = pl.sql_expr(text)
        named = wanted.meta.root_names()
    except pl.exceptions.PolarsError as error:
        raise DataError(f"data.keep {text!r} is no expression ({_line(error)}); {_EXAMPLE}") from None
    unknown = sorted(set(named) - set(table.columns))
    if unknown:
        close = difflib.get_close_matches(unknown[0], table.columns, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"the columns are {', '.join(table.columns)}"
        raise DataError(f"data.keep {text!r} names the column '{unknown[0]}', which there is not; {hint}")
    try:
        kind = table.head(0).select(wanted.alias("wanted")).schema["wanted"]
    except pl.exceptions.PolarsError as error:
        raise DataError(f"data.keep {text!r} does not fit its columns ({_line(error)}); {_EXAMPLE}") from None
    if kind != pl.Boolean:
        raise DataError(f"data.keep {text!r} is neither true nor false; {_EXAMPLE}")
    return wanted


_EXAMPLE: Final = "write for example stain = 'HE' and width_px >= 64"


def _line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
