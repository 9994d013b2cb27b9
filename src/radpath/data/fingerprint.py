"""Measures a data set: how many images and cases, how balanced, how large, how deep.

In: a manifest. Out: a ``Fingerprint`` of its kept images, from which the plan of ``fit`` is derived and which the
report shows. No image is opened.
"""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import polars as pl

from radpath.data.class_order import natural_order
from radpath.data.label_sets import NONE_OF_THESE, names_of, one_row_a_class
from radpath.data.manifest import Manifest
from radpath.errors import DataError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quantiles:
    """How a quantity is spread: its extremes, its median, and where its outer twentieths begin."""

    minimum: float
    p5: float
    median: float
    p95: float
    maximum: float

    @classmethod
    def of(cls, values: pl.Series) -> "Quantiles":
        """Measure a column without nulls, interpolating linearly.

        >>> Quantiles.of(pl.Series([1, 2, 3])).median
        2.0
        """
        return cls(
            **dict(zip(_QUANTILES, np.quantile(values.to_numpy(), [0, 0.05, 0.5, 0.95, 1]).tolist(), strict=True))
        )

    def __str__(self) -> str:
        """Return all five in one line; the value alone where there is only one."""
        if self.minimum == self.maximum:
            return f"{self.minimum:g}"
        return f"{self.minimum:g} to {self.maximum:g}, median {self.median:g}, 90 % within {self.p5:g} to {self.p95:g}"


_QUANTILES = tuple(field.name for field in dataclasses.fields(Quantiles))


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassSize:
    """How much there is of one class."""

    num_images: int
    num_cases: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """What a data set looks like from outside; everything is about kept images unless its name says otherwise."""

    num_images: int
    num_excluded: int
    excluded_share: float
    """Excluded images among all, in [0, 1)."""
    num_cases: int
    cases: Literal["known", "assumed", "partly assumed"]
    """Whether something named each image's case, or an image without one counts as its own."""
    median_images_per_case: float
    max_images_per_case: int
    classes: Mapping[str, ClassSize]
    """By label, in natural order; empty where nothing is labelled; an image with several labels counts in each."""
    imbalance_ratio: float | None
    """Images of the largest class over images of the smallest, 1 or more; None without labels. Images without any of
    several labels are no class."""
    long_side_px: Quantiles
    short_side_px: Quantiles
    size_spread: float
    """The 95th over the 5th percentile of the long side, 1 or more; 1 where all sizes are the same."""
    most_common_size_px: tuple[int, int]
    """Width and height."""
    most_common_size_share: float
    """Images of that size among all, in (0, 1]."""
    total_megapixels: float
    colour: Literal["grey", "colour", "mixed"]
    channels: Mapping[str, int]
    """Images by number of channels as decoded."""
    bit_depths: Mapping[str, int]
    """Images by bits per channel as decoded; here and below, "unknown" counts those of which nothing is recorded."""
    modes: Mapping[str, int]
    formats: Mapping[str, int]
    stains: Mapping[str, int]
    """Images by stain; empty where no name or table says any."""
    several_labels: bool = False
    """Whether an image has several labels, each there or not there, instead of one class."""

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON holds it.

        The keys are the names of the fields.
        """
        plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        return plain

    def to_rows(self) -> list[tuple[str, str]]:
        """Return a table for a person: what was measured, and its value."""
        each = self.max_images_per_case == 1
        per_case = "1" if each else f"median {self.median_images_per_case:g}, at most {self.max_images_per_case:,}"
        excluded = (
            f"{self.num_excluded:,} excluded ({self.excluded_share:.1%})" if self.num_excluded else "none excluded"
        )
        known = {"known": "", "assumed": " (assumed: every image is its own)", "partly assumed": " (partly assumed)"}
        sizes = (f"{name}: {size.num_images:,} ({size.num_cases:,})" for name, size in self.classes.items())
        tallies = {
            "bits per channel": self.bit_depths,
            "pixels in the files": self.modes,
            "formats": self.formats,
            "stains": self.stains,
        }
        return [
            ("images", f"{self.num_images:,}, {excluded}"),
            ("cases", f"{self.num_cases:,}{known[self.cases]}"),
            ("images per case", per_case),
            ("images (cases) of each class", ", ".join(sizes) or "no labels"),
            *([("largest to smallest class", _ratio(self.imbalance_ratio))] if self.imbalance_ratio else []),
            *self._size_rows(),
            ("megapixels in all", f"{self.total_megapixels:,.3g}"),
            ("colour", self.colour),
            *((name, _listed(counts)) for name, counts in tallies.items() if counts),
        ]

    def _size_rows(self) -> list[tuple[str, str]]:
        width, height = self.most_common_size_px
        if self.most_common_size_share == 1:
            return [("size, px", f"{width} x {height}, all images")]
        return [
            ("long side, px", str(self.long_side_px)),
            ("short side, px", str(self.short_side_px)),
            ("spread of the long side", f"{self.size_spread:.3g} (95th over 5th percentile)"),
            ("most common size, px", f"{width} x {height} ({self.most_common_size_share:.1%} of images)"),
        ]


def measure(manifest: Manifest) -> Fingerprint:
    """Measure the kept images of a manifest.

    Raises:
        DataError: no image is kept, or a size or number of channels is missing.
    """
    kept = manifest.kept
    if kept.is_empty():
        raise DataError(f"no image below {manifest.images} is left to measure; look at the reasons in exclusions.csv")
    unmeasured = kept.filter(pl.any_horizontal(pl.col("width_px", "height_px", "channels").is_null()))["record_id"]
    if len(unmeasured):
        raise DataError(f"the size or the channels of {unmeasured[0]} are not known; scan the images again")
    per_case = kept["case"].value_counts()["count"]
    classes = _class_sizes(kept)
    image_counts = [size.num_images for name, size in classes.items() if name != NONE_OF_THESE]
    channels = _tally(kept["channels"])
    return Fingerprint(
        num_images=len(kept),
        num_excluded=len(manifest.excluded),
        excluded_share=len(manifest.excluded) / len(manifest.table),
        num_cases=len(per_case),
        cases=_how_cases_are_known(kept["case_assumed"]),
        median_images_per_case=float(np.median(per_case.to_numpy())),
        max_images_per_case=int(per_case.to_numpy().max()),
        classes=classes,
        imbalance_ratio=max(image_counts) / min(image_counts) if image_counts else None,
        **_measure_sizes(kept["width_px"].cast(pl.Int64), kept["height_px"].cast(pl.Int64)),
        colour="mixed" if len(channels) > 1 else "grey" if "1" in channels else "colour",
        channels=channels,
        bit_depths=_tally(kept["bit_depth"]),
        modes=_tally(kept["mode"]),
        formats=_tally(kept["format"]),
        stains=_tally(kept["stain"]) if kept["stain"].is_not_null().any() else {},
        several_labels=names_of(kept["label"].to_list()) is not None,
    )


def _class_sizes(kept: pl.DataFrame) -> dict[str, ClassSize]:
    labelled = one_row_a_class(kept.drop_nulls("label"))
    counts = labelled.group_by("label").agg(images=pl.len(), cases=pl.col("case").n_unique())
    sizes = {name: ClassSize(num_images=images, num_cases=cases) for name, images, cases in counts.iter_rows()}
    return {name: sizes[name] for name in natural_order(sizes)}


def _how_cases_are_known(assumed: pl.Series) -> Literal["known", "assumed", "partly assumed"]:
    share = assumed.fill_null(value=False).mean()
    return "known" if share == 0 else "assumed" if share == 1 else "partly assumed"


def _measure_sizes(width_px: pl.Series, height_px: pl.Series) -> dict[str, Any]:
    """Return the fields of a fingerprint that follow from the sizes."""
    sides = pl.DataFrame({"width": width_px, "height": height_px})
    long_side_px = Quantiles.of(sides.max_horizontal())
    *size, count = sides.group_by("width", "height").len().sort("len", "width", "height").row(-1)
    return {
        "long_side_px": long_side_px,
        "short_side_px": Quantiles.of(sides.min_horizontal()),
        "size_spread": long_side_px.p95 / long_side_px.p5,
        "most_common_size_px": tuple(size),
        "most_common_size_share": count / len(sides),
        "total_megapixels": float((width_px * height_px).sum()) / 1e6,
    }


def _tally(values: pl.Series) -> dict[str, int]:
    """Count each value, the most frequent first, and in natural order among equals."""
    counts = dict(values.cast(pl.String).fill_null("unknown").value_counts().iter_rows())
    return {name: counts[name] for name in sorted(natural_order(counts), key=lambda name: -counts[name])}


def _ratio(ratio: float) -> str:
    return "equal" if ratio == 1 else f"{ratio:.3g} to 1"


def _listed(counts: Mapping[str, int]) -> str:
    """Return the values with their counts; a single one needs none."""
    return (
        next(iter(counts)) if len(counts) == 1 else ", ".join(f"{name} ({count:,})" for name, count in counts.items())
    )
