"""The tables of the report as rows of short texts, so that the template only lays them out.

In: an evaluation and a split. Out: frozen rows. Wording is in ``wording``, layout in the template.
"""

import dataclasses
from collections.abc import Sequence

from radpath.data.findings import counted
from radpath.evaluation.estimates import Estimate, Evaluation, SideEvaluation, find
from radpath.evaluation.metrics import METRICS
from radpath.reporting.content import Epoch, MemberScore, SideCounts, SplitSummary
from radpath.reporting.results import overall_estimates
from radpath.reporting.wording import (
    SIDE_NAMES,
    estimate_label,
    interval_text,
    metric_label,
    overall_label,
    reported_sides,
    value_text,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
    """One estimate as text."""

    value: str
    interval: str
    note: str
    undefined: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class ResultRow:
    """One metric on every side."""

    label: str
    falls: bool
    """Whether less is better."""
    cells: tuple[Cell | None, ...]
    baseline: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassRow:
    """One class with all its metrics on one side."""

    name: str
    num_images: str
    num_cases: str
    cells: tuple[Cell | None, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassTable:
    """All classes on one side."""

    caption: str
    metrics: tuple[str, ...]
    rows: tuple[ClassRow, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tile:
    """One number of the headline."""

    label: str
    cell: Cell
    baseline: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class MemberRow:
    """One of several runs that were joined, or all of them."""

    name: str
    weight: str
    tiles: tuple[Tile, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SplitCell:
    """Images and cases of one class on one side."""

    images: str
    cases: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class SplitRow:
    """One class on every side."""

    name: str
    cells: tuple[SplitCell, ...]
    total: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class SplitColumn:
    """One side as a whole."""

    name: str
    images: str
    cases: str
    size: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class EpochRow:
    """One epoch as text."""

    epoch: int
    chosen: bool
    cells: tuple[str, ...]


def cell_of(estimate: Estimate | None) -> Cell | None:
    """Return an estimate as text; None stays None."""
    if estimate is None:
        return None
    return Cell(
        value=value_text(estimate),
        interval=interval_text(estimate),
        note=estimate.note or "",
        undefined=estimate.value is None,
    )


def result_rows(evaluation: Evaluation) -> list[ResultRow]:
    """Return the overall metrics, one row a metric, one cell a side in the order of reporting."""
    sides = reported_sides(evaluation)
    rows = []
    for one in overall_estimates(sides[0].estimates, evaluation.positive_class):
        baseline = find(sides[0].baseline, one.metric, one.of_class)
        rows.append(
            ResultRow(
                label=estimate_label(one, evaluation.positive_class),
                falls=METRICS[one.metric].best == "lowest",
                cells=tuple(cell_of(side.find(one.metric, one.of_class)) for side in sides),
                baseline=_short_value(baseline),
            )
        )
    return rows


def headline_tiles(evaluation: Evaluation) -> list[Tile]:
    """Return the numbers that a reader looks for first."""
    side, positive = reported_sides(evaluation)[0], evaluation.positive_class
    wanted = [("roc_auc", positive), ("balanced_accuracy", None), ("accuracy", None)]
    if positive is not None:
        wanted = [("roc_auc", positive), ("sensitivity", positive), ("specificity", positive), ("accuracy", None)]
    tiles = []
    for metric, of_class in wanted:
        cell = cell_of(side.find(metric, of_class))
        baseline = find(side.baseline, metric, of_class)
        if cell is not None:
            label = metric_label(metric) if of_class is not None else overall_label(metric, positive)
            tiles.append(Tile(label=label, cell=cell, baseline=_short_value(baseline)))
    return tiles


def member_rows(members: Sequence[MemberScore], together: Evaluation) -> list[MemberRow]:
    """Return each joined run's headline numbers, and below them those of all together."""
    rows = [
        MemberRow(name=member.name, weight=f"{member.weight:.3f}", tiles=tuple(headline_tiles(member.evaluation)))
        for member in members
    ]
    return [*rows, MemberRow(name="together", weight="", tiles=tuple(headline_tiles(together)))]


def _short_value(baseline: Estimate | None) -> str:
    """Return the baseline's value; why it is undefined stands beside the estimate already."""
    return "" if baseline is None or baseline.value is None else value_text(baseline)


def class_tables(evaluation: Evaluation) -> list[ClassTable]:
    """Return one table a side with each class's own metrics, in the order of reporting."""
    return [_class_table(side, evaluation.classes) for side in reported_sides(evaluation)]


def _class_table(side: SideEvaluation, classes: Sequence[str]) -> ClassTable:
    metrics = list(dict.fromkeys(one.metric for one in side.estimates if one.of_class is not None))
    rows = tuple(
        ClassRow(
            name=name,
            num_images=f"{side.images_per_class[name]:,}",
            num_cases=f"{side.cases_per_class[name]:,}",
            cells=tuple(cell_of(side.find(metric, name)) for metric in metrics),
        )
        for name in classes
    )
    labels = tuple(metric_label(metric) for metric in metrics)
    return ClassTable(caption=f"Each class on the {SIDE_NAMES[side.side].lower()} side.", metrics=labels, rows=rows)


def split_columns(split: SplitSummary) -> list[SplitColumn]:
    """Return the sides of the split as wholes."""
    return [
        SplitColumn(
            name=SIDE_NAMES[side.side],
            images=f"{side.num_images:,}",
            cases=f"{side.num_cases:,}",
            size=f"{counted(side.num_images, 'image')}, {counted(side.num_cases, 'case')}",
        )
        for side in split.sides
    ]


def split_rows(split: SplitSummary) -> list[SplitRow]:
    """Return one row a class with its images and cases on every side."""
    names = list(dict.fromkeys(name for side in split.sides for name in side.images_per_class))
    return [
        SplitRow(
            name=name,
            cells=tuple(_split_cell(side, name) for side in split.sides),
            total=f"{sum(side.images_per_class.get(name, 0) for side in split.sides):,}",
        )
        for name in names
    ]


def _split_cell(side: SideCounts, name: str) -> SplitCell:
    return SplitCell(images=f"{side.images_per_class.get(name, 0):,}", cases=f"{side.cases_per_class.get(name, 0):,}")


def epoch_rows(history: Sequence[Epoch], chosen: int | None) -> list[EpochRow]:
    """Return the history as text, one row an epoch."""
    return [
        EpochRow(
            epoch=row.epoch,
            chosen=row.epoch == chosen,
            cells=(
                f"{row.train_loss:.4f}",
                _decimals(row.validation_loss),
                _decimals(row.validation_auc),
                f"{row.learning_rate:.2e}",
                f"{row.seconds:.1f}",
            ),
        )
        for row in history
    ]


def _decimals(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"
