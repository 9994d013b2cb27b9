"""What a manifest knows of its images that people compare groups by: acquisition, size, and columns of the labels.

In: the table of a manifest. Out: a table with a column ``record_id`` and one column a characteristic. What only serves
the bookkeeping (paths, digests, reasons) and what a model is asked (labels) are left out.
"""

from typing import Final

import polars as pl

from radpath.data.manifest import SCHEMA
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
