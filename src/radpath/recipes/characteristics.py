"""What a manifest knows of its images that people compare groups by: acquisition, size, and columns of the labels.

In: the table of a manifest. Out: a table with a column ``record_id`` and one column a characteristic. What only serves
the bookkeeping (paths, digests, reasons) and what a model is asked (labels) are left out.
"""

from pathlib import Path
from typing import Final

import polars as pl

from radpath.data.manifest import SCHEMA
from radpath.data.pixel_store import read_pool
from radpath.data.twins import NEAR_COLUMN

_OF_ACQUISITION: Final = (
    *("site", "manufacturer", "scanner", "modality", "stain", "view", "laterality", "body_part"),
    *("pixel_spacing_mm", "mode", "bit_depth", "format"),
)
SIZE_COLUMN: Final = "size_px"
"""The side of a square with as many pixels as the image."""


def characteristics_of(manifest: pl.DataFrame) -> pl.DataFrame:
    """Return the columns of a manifest that describe images: what the labels' table added, acquisition, and size."""
    added = [name for name in manifest.columns if name not in SCHEMA and name != NEAR_COLUMN]
    size = (pl.col("width_px").cast(pl.Float64) * pl.col("height_px").cast(pl.Float64)).sqrt().round(1)
    return manifest.select("record_id", *added, *_OF_ACQUISITION, size.alias(SIZE_COLUMN))


def levels_of(known: pl.DataFrame, manifest: pl.DataFrame, pool: Path) -> pl.DataFrame:
    """Add how bright each image is and how much its levels vary, where prepared pixels are still kept.

    Args:
        known: column ``record_id`` and one column a characteristic.
        manifest: of these images, with their digests.
        pool: the folder of the run's prepared pixels; images find theirs by content, wherever the files lie now.
    """
    prepared = read_pool(pool, with_pixels=True)
    if prepared.is_empty():
        return known
    # Of the range that the file's type can hold; floating-point numbers have none, and keep their own unit.
    span = (pl.col("brightest") - pl.col("darkest")).fill_nan(None).fill_null(1.0)
    levels = prepared.unique("pixel_digest").select(
        "pixel_digest", mean_level=pl.col("mean") / span, level_deviation=pl.col("deviation") / span
    )
    of_images = manifest.select("record_id", "pixel_digest").join(levels, on="pixel_digest", how="left")
    return known.join(of_images.drop("pixel_digest"), on="record_id", how="left", maintain_order="left")
