"""Replaces each slide of a manifest by its patches that show tissue.

In: a manifest whose slides have their labels and cases. Out: one row a patch, which has those of its slide; a slide
without any stays, excluded with its reason. Patches are read one by one when they are verified.
"""

import collections
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from radpath.data.findings import counted, exclude_and_note, reason_of, unreadable
from radpath.data.inputs import DataSettings
from radpath.data.manifest import Finding, Manifest
from radpath.data.slides.grid import Patch, starts
from radpath.data.slides.opening import open_slide, um_per_px_of
from radpath.data.slides.patches import patch_size
from radpath.data.slides.recognition import SLIDE_FORMAT
from radpath.data.slides.settings import SlideSettings
from radpath.data.slides.tissue import find_tissue
from radpath.errors import DataError
from radpath.progress import track

# Each worker holds the cells of one slide.
_MOST_WORKERS: Final = 4

PATCH_COLUMNS: Final[dict[str, pl.DataType]] = {
    "patch_left_px": pl.Int64(),  # in pixels of the full slide, as the next two
    "patch_top_px": pl.Int64(),
    "patch_side_px": pl.Int64(),
    "um_per_px": pl.Float64(),  # of the patch
    "tissue_share": pl.Float64(),  # of the patch's area, 0 to 1
}
"""Columns that a manifest of patches has beside the usual ones; null for images that are no patch."""


def cut_slides(manifest: Manifest, settings: DataSettings) -> Manifest:
    """Return the manifest with a row for every patch that holds enough tissue, in the order slide, row, column.

    A patch has everything of its slide's row but its record id, member, size, resolution and digest. With
    ``slides.mode`` "whole", and where there are no slides, the manifest comes back as it is.

    Raises:
        MissingExtraError: OpenSlide or scikit-image is not installed.
    """
    slides = manifest.kept.filter(pl.col("format") == SLIDE_FORMAT)
    # What lies on another machine is never taken for a slide.
    if settings.slides.mode == "whole" or slides.is_empty() or not isinstance(manifest.images, Path):
        return manifest
    tables: list[pl.DataFrame] = []
    num_places = 0
    problems: dict[str, dict[str, str]] = collections.defaultdict(dict)
    cuts = track(_cut_all(manifest.images, slides, settings.slides), total=len(slides), what="cutting", unit="slides")
    for record_id, outcome in cuts:
        if isinstance(outcome, DataError):
            problems[reason_of(outcome)][record_id] = str(outcome)
        else:
            patches, places = outcome
            num_places += places
            tables.append(_rows_of(slides.filter(pl.col("record_id") == record_id), patches))
    for reason in sorted(problems):
        manifest = exclude_and_note(manifest, problems[reason], reason=reason)
    is_cut = (pl.col("format") == SLIDE_FORMAT) & (pl.col("status") == "kept")
    rest = manifest.table.filter(~is_cut).with_columns(
        pl.lit(None, dtype=kind).alias(name) for name, kind in PATCH_COLUMNS.items()
    )
    table = pl.concat([rest, *(patches.select(rest.columns) for patches in tables)]).sort("record_id")
    return manifest.replace(table).note(
        _about_patches(len(tables), len(table) - len(rest), num_places, settings.slides)
    )


def _cut_all(
    images: Path, slides: pl.DataFrame, settings: SlideSettings
) -> Iterator[tuple[str, tuple[pl.DataFrame, int] | DataError]]:
    """Yield each slide with its patches and the number of places looked at, or with what is wrong with it."""

    def cut(row: dict[str, Any]) -> tuple[str, tuple[pl.DataFrame, int] | DataError]:
        try:
            return row["record_id"], find_patches(images / row["path"], settings)
        except DataError as error:
            return row["record_id"], error
        except OSError as error:
            return row["record_id"], unreadable(error)

    with ThreadPoolExecutor(min(_MOST_WORKERS, os.cpu_count() or 1)) as pool:
        yield from pool.map(cut, slides.select("record_id", "path").to_dicts())


def find_patches(path: Path, settings: SlideSettings) -> tuple[pl.DataFrame, int]:
    """Return the patches of a slide that hold enough tissue, by row and column, and how many places there are.

    The table has ``PATCH_COLUMNS``, the member, and the width of a patch.

    Raises:
        DataError: no patch holds enough tissue, the resolution is unknown or too coarse, or the slide is damaged.
        MissingExtraError: OpenSlide or scikit-image is not installed.
        OSError: the file cannot be read.
    """
    slide = open_slide(path)
    um_per_px = um_per_px_of(slide, settings)
    size = patch_size(slide, settings, um_per_px=um_per_px)
    tops = starts(slide.full.height_px, side_px=size.side_px, stride_px=size.stride_px)
    lefts = starts(slide.full.width_px, side_px=size.side_px, stride_px=size.stride_px)
    mask = find_tissue(slide, um_per_px=um_per_px, method=settings.tissue)
    shares = mask.shares(tops, lefts, side_px=size.side_px)
    rows, columns = np.nonzero(shares >= settings.min_tissue_share)
    if len(rows) == 0:
        raise DataError(
            f"no tissue: no patch of {settings.patch_px} px has a share of {settings.min_tissue_share:g}, the largest "
            f"is {shares.max():.3f}; lower data.slides.min_tissue_share, or choose another data.slides.tissue"
        )
    table = pl.DataFrame(
        {
            "patch_left_px": lefts[columns],
            "patch_top_px": tops[rows],
            "tissue_share": shares[rows, columns],
            "member": [
                Patch(left_px=left, top_px=top, side_px=size.side_px, patch_px=settings.patch_px).member
                for top, left in zip(tops[rows].tolist(), lefts[columns].tolist(), strict=True)
            ],
        }
    ).with_columns(
        patch_side_px=pl.lit(size.side_px, dtype=pl.Int64),
        um_per_px=pl.lit(size.um_per_px),
        width_px=pl.lit(settings.patch_px, dtype=pl.Int32),
    )
    return table, len(tops) * len(lefts)


def _rows_of(slide: pl.DataFrame, patches: pl.DataFrame) -> pl.DataFrame:
    """Return the manifest's rows of a slide's patches: what is the slide's, and what is each patch's own."""
    rows = slide.drop(set(patches.columns) & set(slide.columns)).join(patches, how="cross")
    return rows.with_columns(
        record_id=pl.col("record_id") + "#" + pl.col("member"),
        height_px=pl.col("width_px"),
        pixel_spacing_mm=pl.col("um_per_px") / 1000,
        file_digest=pl.lit(None, dtype=pl.String),  # a patch's own, of the file and the member, is made by verify
    )


def _about_patches(num_slides: int, num_patches: int, num_places: int, settings: SlideSettings) -> Finding:
    return Finding(
        kind="slides-cut",
        severity="note",
        count=num_patches,
        message=f"{counted(num_slides, 'slide')} cut into {counted(num_patches, 'patch')} of {settings.patch_px} px at "
        f"{settings.um_per_px:g} um/px; {counted(num_places - num_patches, 'place')} of {num_places:,} left out: less "
        f"than {settings.min_tissue_share:.0%} tissue ({settings.tissue})",
    )
