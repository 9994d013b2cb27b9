"""How good a model is in each group of images: each site, scanner, sex, band of age.

In: predictions, their evaluation, and what is known of each image. Out: for every group its numbers with intervals and
their differences to all other images, where there are enough cases; only counts where there are not. All groups see the
same resamples of whole cases. Intervals are not corrected for how many there are; p-values are given as they are and
after Holm's correction. Two groups are compared once, since each is all the images that the other is not.
"""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Annotated, Final

import numpy as np
import polars as pl
from pydantic import Field, field_validator

from radpath.evaluation.characteristics import UNKNOWN, Grouping, characteristic_names, group_by, in_order
from radpath.evaluation.estimates import Evaluation
from radpath.evaluation.group_numbers import GroupEstimate, GroupNumbers, num_cases_of, numbers_of_parts
from radpath.evaluation.multiplicity import holm
from radpath.evaluation.predictions import Predictions
from radpath.evaluation.sample import Sample, take_sample
from radpath.records import Side
from radpath.settings import Settings

_SIDES: Final[tuple[Side, ...]] = ("test", "validation", "train")
_MOST_GROUPS: Final = 12
"""A column of more values, such as a date, is no characteristic that anybody reads group by group."""


class SubgroupSettings(Settings):
    """In which groups of images the numbers are given again."""

    columns: tuple[str, ...] | None = None
    """Characteristics: columns of the manifest (site, scanner, size_px, ...) or further columns of the labels
    (data.keep_columns) or of another program's predictions.csv; not set: all with 2 to 12 groups; []: none."""
    edges: dict[str, tuple[float, ...]] = Field(default={})
    """For columns of numbers, the rising edges between bands, for example { age = [40, 65] }; a column that is not
    named is cut at the quartiles of its training images."""
    min_cases: Annotated[int, Field(ge=2)] = 10
    """A group's number is given only where at least so many cases stand behind each class that it is made of."""

    @field_validator("edges")
    @classmethod
    def _edges_rise(cls, edges: dict[str, tuple[float, ...]]) -> dict[str, tuple[float, ...]]:
        for column, values in edges.items():
            if not values or any(low >= high for low, high in itertools.pairwise(values)):
                raise ValueError(f"the edges of '{column}' are {list(values)}; give one or more numbers that rise")
        return edges


@dataclasses.dataclass(frozen=True, kw_only=True)
class Subgroup:
    """One group of one characteristic."""

    name: str
    num_images: int
    num_cases: int
    cases_per_class: dict[str, int]
    is_smallest: bool
    """It has the fewest cases among the groups of its characteristic."""
    estimates: tuple[GroupEstimate, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Characteristic:
    """All groups of one column."""

    column: str
    edges: tuple[float, ...] | None
    """Between bands of numbers; None where groups are values."""
    groups: tuple[Subgroup, ...]

    @property
    def compared(self) -> tuple[Subgroup, ...]:
        """The groups whose differences say something new: of two only the first."""
        return self.groups[:1] if len(self.groups) == 2 else self.groups


@dataclasses.dataclass(frozen=True, kw_only=True)
class Subgroups:
    """The numbers of every group of one side."""

    side: Side
    positive_class: str | None
    min_cases: int
    confidence: float
    replicates: int
    whole: Subgroup
    """All images of the side; its differences are None."""
    characteristics: tuple[Characteristic, ...]
    left_out: tuple[str, ...]
    """Sentences: which columns are not shown, and why."""


def assess_subgroups(
    predictions: Predictions, evaluation: Evaluation, characteristics: pl.DataFrame | None, settings: SubgroupSettings
) -> Subgroups | None:
    """Return the numbers of each group of the side that counts most; None where nothing divides it.

    Args:
        predictions: of one model.
        evaluation: of these predictions; its threshold decides, unchanged, in every group.
        characteristics: a column ``record_id`` and one column a characteristic; None where nothing is known.
        settings: which columns.
    """
    side = next(side for side in _SIDES if side in evaluation.sides)
    sample = take_sample(predictions, side, positive_class=evaluation.positive_class, threshold=evaluation.threshold)
    if characteristics is None or settings.columns == ():
        return None
    groupings, left_out = _groupings(predictions, side, characteristics, settings)
    if not groupings and (settings.columns is None or not left_out):
        return None
    everything = np.ones(len(sample), dtype=bool)
    members = [everything, *(np.array(one.groups) == name for one in groupings for name in one.names)]
    numbers = iter(numbers_of_parts(sample, members, side, evaluation, settings.min_cases))
    _, whole = next(numbers)
    found = [{name: next(numbers) for name in grouping.names} for grouping in groupings]
    divided = [_characteristic(grouping, of_groups) for grouping, of_groups in zip(groupings, found, strict=True)]
    return Subgroups(
        side=side,
        positive_class=evaluation.positive_class,
        min_cases=settings.min_cases,
        confidence=evaluation.confidence,
        replicates=evaluation.replicates,
        whole=_subgroup("all", sample, whole, is_smallest=False),
        characteristics=_with_adjusted(divided),
        left_out=tuple(left_out),
    )


def _characteristic(grouping: Grouping, found: Mapping[str, GroupNumbers]) -> Characteristic:
    stated = [name for name in grouping.names if name != UNKNOWN]
    smallest = min(stated, key=lambda name: num_cases_of(found[name][0]))
    groups = [
        _subgroup(name, part, estimates, is_smallest=name == smallest) for name, (part, estimates) in found.items()
    ]
    if len(groups) == 2:
        untested = tuple(dataclasses.replace(one, p_value=None) for one in groups[1].estimates)
        groups[1] = dataclasses.replace(groups[1], estimates=untested)
    return Characteristic(column=grouping.column, edges=grouping.edges, groups=tuple(groups))


def _with_adjusted(characteristics: Sequence[Characteristic]) -> tuple[Characteristic, ...]:
    """Return the same with Holm's p-values; all differences of one metric are one family."""
    groups = [group.estimates for of in characteristics for group in of.groups]
    families = [holm([one.p_value for one in of_metric]) for of_metric in zip(*groups, strict=True)]
    adjusted = iter(zip(*families, strict=True))
    return tuple(
        dataclasses.replace(of, groups=tuple(_adjusted(group, next(adjusted)) for group in of.groups))
        for of in characteristics
    )


def _adjusted(group: Subgroup, p_values: Sequence[float | None]) -> Subgroup:
    together = zip(group.estimates, p_values, strict=True)
    return dataclasses.replace(group, estimates=tuple(dataclasses.replace(one, p_adjusted=p) for one, p in together))


def _subgroup(name: str, part: Sample, estimates: tuple[GroupEstimate, ...], *, is_smallest: bool) -> Subgroup:
    return Subgroup(
        name=name,
        num_images=len(part),
        num_cases=num_cases_of(part),
        cases_per_class=part.cases_per_class(),
        is_smallest=is_smallest,
        estimates=estimates,
    )


def _groupings(
    predictions: Predictions, side: Side, table: pl.DataFrame, settings: SubgroupSettings
) -> tuple[list[Grouping], list[str]]:
    """Return the groups of the labelled images of a side, in the order of a ``Sample``, and what is not shown."""
    rows = in_order(table, predictions.record_ids)
    is_training = np.array([one == "train" for one in predictions.sides])
    labelled = [
        row
        for row, (known, there) in enumerate(zip(predictions.truth, predictions.sides, strict=True))
        if known is not None and there == side
    ]
    labelled.sort(key=lambda row: predictions.record_ids[row])
    chosen: list[Grouping] = []
    left_out: list[str] = []
    for column in characteristic_names(table) if settings.columns is None else settings.columns:
        if column not in rows.columns:
            left_out.append(f"Nothing says the {column} of any image.")
            continue
        every = group_by(rows[column], is_training=is_training, edges=settings.edges.get(column))
        groups = tuple(every.groups[row] for row in labelled)
        names = tuple(name for name in every.names if name in set(groups))
        grouping = dataclasses.replace(every, groups=groups, names=names)
        reason = _why_not(grouping, chosen, is_asked=settings.columns is not None)
        if reason is None:
            chosen.append(grouping)
        elif reason:
            left_out.append(reason)
    return chosen, left_out


def _why_not(grouping: Grouping, chosen: Sequence[Grouping], *, is_asked: bool) -> str | None:
    """Return why a column is not shown, "" where nobody wants to know, or None where it is shown."""
    if len(grouping.names) < 2:
        return f"All images have the same {grouping.column}." if is_asked else ""
    if len(grouping.names) > _MOST_GROUPS and not is_asked:
        return f"'{grouping.column}' has {len(grouping.names):,} values; evaluation.subgroups.columns can name it."
    twin = next((one.column for one in chosen if _divide_alike(one, grouping)), None)
    if twin is not None:
        return f"'{grouping.column}' divides the images exactly as '{twin}' does: their effects cannot be told apart."
    return None


def _divide_alike(one: Grouping, other: Grouping) -> bool:
    pairs = set(zip(one.groups, other.groups, strict=True))
    return len(pairs) == len(one.names) == len(other.names)
