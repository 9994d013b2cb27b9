"""What is known of an image without looking at what it shows, as columns from which a label should not be readable.

In: a manifest and signatures. Out: ``Telltale`` columns, each with a small number of values, so that counting is
enough to learn from them. How well they give a label or a side away is measured in ``confounders``.
"""

import dataclasses
from pathlib import PurePosixPath
from typing import Final, Literal

import numpy as np
import polars as pl
from jaxtyping import Int

from radpath.data.audit.collecting import Signatures
from radpath.data.audit.signature import STATISTICS
from radpath.data.manifest import Manifest

Origin = Literal["file", "acquisition", "name", "appearance", "overlay"]
"""Where a column comes from: how the file was written, how the image was made, what the file is called, how bright it
is, what was drawn onto it."""

NUM_BINS: Final = 10
"""Numbers are divided into so many bins of equal counts; texts into as many values, the rarest together."""

_OVERLAYS: Final = ("border_share", "corner_text_share")
_ACQUISITION: Final = (
    "site",
    "modality",
    "manufacturer",
    "scanner",
    "view",
    "laterality",
    "body_part",
    "stain",
    "pixel_spacing_mm",
)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Telltale:
    """One column in few values."""

    name: str
    origin: Origin
    bins: Int[np.ndarray, " images"]
    """From 0 to ``num_bins`` - 1; unknown values are a bin of their own."""
    num_bins: int


def telltales_of(manifest: Manifest, signatures: Signatures) -> list[Telltale]:
    """Return every column that has two or more values among the kept images, in the order of the kept rows."""
    kept = manifest.kept
    statistics = signatures.statistics[signatures.places(kept["record_id"]).tolist()]
    columns: list[tuple[Origin, pl.Series]] = [
        *(("file", column) for column in _file_columns(kept)),
        *(("acquisition", kept[name]) for name in _ACQUISITION),
        *(("name", column) for column in _name_columns(kept["path"])),
        *(("overlay" if name in _OVERLAYS else "appearance", statistics[name]) for name in STATISTICS),
    ]
    telltales = []
    for origin, values in columns:
        bins, num_bins = _binned(values)
        if num_bins > 1:
            telltales.append(Telltale(name=values.name, origin=origin, bins=bins, num_bins=num_bins))
    return telltales


def _file_columns(kept: pl.DataFrame) -> list[pl.Series]:
    width, height = pl.col("width_px").cast(pl.Float64), pl.col("height_px").cast(pl.Float64)
    is_alone = pl.col("member") == ""  # the bytes of an array file or a stack say nothing of one image
    columns = kept.select(
        width,
        height,
        (width / height).alias("aspect_ratio"),
        pl.when(is_alone).then(pl.col("bytes") / (width * height)).alias("bytes_per_pixel"),
        pl.col("bit_depth", "channels").cast(pl.String),
        "mode",
        "format",
    )
    return columns.get_columns()


def _name_columns(paths: pl.Series) -> list[pl.Series]:
    """Look at the file's own name: folders are how labels are given."""
    stems = pl.Series("name", [PurePosixPath(path).stem for path in paths], dtype=pl.String)
    return [
        stems.str.len_chars().cast(pl.Float64).alias("name_length"),
        stems.str.extract(r"^(\D{1,12})").alias("name_prefix"),
        stems.str.extract(r"(\d{1,15})\D*$").cast(pl.Float64).alias("name_number"),
    ]


def _binned(values: pl.Series) -> tuple[Int[np.ndarray, " images"], int]:
    """Number the values: texts by how frequent they are, numbers with many values by bins of equal counts."""
    if values.dtype.is_float() and values.n_unique() > NUM_BINS:
        numbers = values.to_numpy()
        known = numbers[np.isfinite(numbers)]
        edges = np.unique(np.quantile(known, np.linspace(0, 1, NUM_BINS + 1)[1:-1]))
        bins = np.where(np.isfinite(numbers), np.searchsorted(edges, numbers, side="right"), len(edges) + 1)
    else:
        by_count = values.value_counts().sort(["count", values.name], descending=True)[values.name].to_list()
        number_of = {value: min(number, NUM_BINS - 1) for number, value in enumerate(by_count)}
        bins = np.array([number_of[value] for value in values], dtype=np.int64)
    used, numbered = np.unique(bins, return_inverse=True)
    return numbered.astype(np.int64), len(used)
