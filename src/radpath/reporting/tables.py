"""The tables of the report as blocks, so that the page, the PDF, CSV, LaTeX and the model card show the same.

In: an evaluation, the counts of a split, a history. Out: ``blocks.Table`` and the headline's tiles. Wording is in
``wording``.
"""

import dataclasses
from collections.abc import Sequence
from typing import Final

from radpath.data.findings import counted
from radpath.evaluation.estimates import Estimate, Evaluation, SideEvaluation, find
from radpath.evaluation.metrics import METRICS
from radpath.reporting.blocks import Number, Table
from radpath.reporting.content import Epoch, MemberScore, SideCounts
from radpath.reporting.results import overall_estimates
from radpath.reporting.wording import (
    SIDE_NAMES,
    estimate_label,
    interval_sentence,
    metric_label,
    overall_label,
    percent,
    reported_sides,
)

_NOTHING: Final = "–"  # noqa: RUF001 - a dash in a cell that stays empty
_UNDEFINED: Final = "undefined"
_MOST_FREQUENT: Final = "Most frequent class"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tile:
    """One number of the headline."""

    label: str
    number: Number
    baseline: str
    """What the most frequent class gives; empty where nobody knows."""


def number_of(estimate: Estimate | None) -> Number | str:
    """Return an estimate as a cell, to three decimals; a dash where it was not made."""
    if estimate is None:
        return _NOTHING
    if estimate.value is None:
        reason = (estimate.note or "").removeprefix("undefined: ")
        return Number(text=_UNDEFINED, value=None, note=reason)
    has_width = estimate.low is not None and estimate.low != estimate.high
    return Number(
        text=f"{estimate.value:.3f}",
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        # How many resamples were left out stands in metrics.json; below a table it would drown what matters.
        note="" if has_width else estimate.note or "",
    )


def count(number: int) -> Number:
    """Return a count as a cell.

    >>> count(1200).text
    '1,200'
    """
    return Number(text=f"{number:,}", value=float(number))


def results_table(evaluation: Evaluation, *, name: str, caption: str = "") -> Table:
    """Return the overall metrics: one row a metric, one column a side in the order of reporting, and the baseline."""
    sides = reported_sides(evaluation)
    rows: list[tuple[str | Number, ...]] = []
    for one in overall_estimates(sides[0].estimates, evaluation.positive_class):
        falls = " (lower is better)" if METRICS[one.metric].best == "lowest" else ""
        cells = (number_of(side.find(one.metric, one.of_class)) for side in sides)
        baseline = find(sides[0].baseline, one.metric, one.of_class)
        label = f"{estimate_label(one, evaluation.positive_class)}{falls}"
        rows.append((label, *cells, _defined(baseline)))
    columns = ("Metric", *(_side_title(side, evaluation) for side in sides), _MOST_FREQUENT)
    return Table(name=name, caption=caption or _results_caption(evaluation), columns=columns, rows=tuple(rows))


def _side_title(side: SideEvaluation, evaluation: Evaluation) -> str:
    if evaluation.unit == "case":
        return f"{SIDE_NAMES[side.side]} ({counted(side.num_cases, 'case')})"
    return SIDE_NAMES[side.side]


def _results_caption(evaluation: Evaluation) -> str:
    side = SIDE_NAMES[reported_sides(evaluation)[0].side].lower()
    return (
        f"Each number with its {percent(evaluation.confidence, 0)} interval, beside what always answering with the "
        f"most frequent training class gives on the {side} side. {interval_sentence(evaluation)}"
    )


def _defined(baseline: Estimate | None) -> Number | str:
    """Return the baseline's value; why it is undefined stands beside the estimate already."""
    if baseline is None or baseline.value is None:
        return _NOTHING
    return Number(text=f"{baseline.value:.3f}", value=baseline.value)


def headline_tiles(evaluation: Evaluation) -> list[Tile]:
    """Return the numbers that a reader looks for first."""
    side, positive = reported_sides(evaluation)[0], evaluation.positive_class
    wanted = [("roc_auc", positive), ("balanced_accuracy", None), ("accuracy", None)]
    if positive is not None:
        wanted = [("roc_auc", positive), ("sensitivity", positive), ("specificity", positive), ("accuracy", None)]
    tiles = []
    for metric, of_class in wanted:
        number = number_of(side.find(metric, of_class))
        baseline = _defined(find(side.baseline, metric, of_class))
        if isinstance(number, Number):
            label = metric_label(metric) if of_class is not None else overall_label(metric, positive)
            known = baseline.text if isinstance(baseline, Number) else ""
            tiles.append(Tile(label=label, number=number, baseline=known))
    return tiles


def members_table(members: Sequence[MemberScore], together: Evaluation, *, joined_mark: str = "") -> Table:
    """Return each joined run's headline numbers and its mark, and below them those of all together."""
    side = SIDE_NAMES[reported_sides(together)[0].side].lower()
    tiles = headline_tiles(together)
    marked = bool(joined_mark) or any(member.mark for member in members)
    marks = [(member.mark,) if marked else () for member in members]
    rows: list[tuple[str | Number, ...]] = [
        (member.name, Number(text=f"{member.weight:.3f}", value=member.weight), *_numbers(member.evaluation), *mark)
        for member, mark in zip(members, marks, strict=True)
    ]
    compared = (
        " Beside the best: by ROC AUC on the same images, p corrected over all pairs of the rows (paired bootstrap)."
        if marked
        else ""
    )
    return Table(
        name="members",
        caption=f"Each run that was joined, by itself, and all together, on the {side} side.{compared}",
        columns=("Run", "Weight", *(tile.label for tile in tiles), *(["Beside the best"] if marked else [])),
        rows=tuple(rows),
        total=("together", "", *_numbers(together), *([joined_mark] if marked else [])),
    )


def _numbers(evaluation: Evaluation) -> list[Number]:
    return [tile.number for tile in headline_tiles(evaluation)]


def class_tables(evaluation: Evaluation) -> list[Table]:
    """Return one table a side with each class's own metrics, in the order of reporting."""
    return [_class_table(side, evaluation.classes) for side in reported_sides(evaluation)]


def _class_table(side: SideEvaluation, classes: Sequence[str]) -> Table:
    metrics = {one.metric: one.at for one in side.estimates if one.of_class is not None}
    return Table(
        name=f"classes-{side.side}",
        caption=f"Each class on the {SIDE_NAMES[side.side].lower()} side.",
        columns=("Class", "Images", "Cases", *(metric_label(metric, at) for metric, at in metrics.items())),
        rows=tuple(
            (
                name,
                count(side.images_per_class[name]),
                count(side.cases_per_class[name]),
                *(number_of(side.find(metric, name)) for metric in metrics),
            )
            for name in classes
        ),
    )


def confusion_table(evaluation: Evaluation, *, name: str) -> Table:
    """Return decisions by true class on the side that is reported first."""
    side = reported_sides(evaluation)[0]
    units = "images" if evaluation.unit == "image" else "cases"
    return Table(
        name=name,
        caption=f"{SIDE_NAMES[side.side]} side, {units}: true class in rows, decision in columns.",
        columns=("Truth", *(f"decided {label}" for label in evaluation.classes)),
        rows=tuple(
            (label, *(count(number) for number in row))
            for label, row in zip(evaluation.classes, side.confusion, strict=True)
        ),
    )


def split_table(sides: Sequence[SideCounts]) -> Table:
    """Return one row a class with its images and cases on every side."""
    classes = list(dict.fromkeys(name for side in sides for name in side.images_per_class))
    columns = [f"{SIDE_NAMES[side.side]}, {unit}" for side in sides for unit in ("images", "cases")]
    return Table(
        name="split",
        caption="Images and cases of each class. A case with images of several classes counts in each of them.",
        columns=("Class", *columns, "All images"),
        rows=tuple(
            (
                name,
                *(count(of.get(name, 0)) for side in sides for of in (side.images_per_class, side.cases_per_class)),
                count(sum(side.images_per_class.get(name, 0) for side in sides)),
            )
            for name in classes
        ),
        total=(
            "All",
            *(count(number) for side in sides for number in (side.num_images, side.num_cases)),
            count(sum(side.num_images for side in sides)),
        ),
    )  # fmt: skip


def history_table(history: Sequence[Epoch], chosen: int | None) -> Table:
    """Return the history of a training, one row an epoch."""
    return Table(
        name="history",
        caption="Every epoch of the training.",
        columns=("Epoch", "Training loss", "Validation loss", "Validation AUC", "Learning rate", "Seconds", "Kept"),
        rows=tuple(
            (
                Number(text=f"{row.epoch}", value=float(row.epoch)),
                Number(text=f"{row.train_loss:.4f}", value=row.train_loss),
                _decimals(row.validation_loss),
                _decimals(row.validation_auc),
                Number(text=f"{row.learning_rate:.2e}", value=row.learning_rate),
                Number(text=f"{row.seconds:.1f}", value=row.seconds),
                "kept" if row.epoch == chosen else "",
            )
            for row in history
        ),
    )


def _decimals(value: float | None) -> Number | str:
    return _NOTHING if value is None else Number(text=f"{value:.4f}", value=value)
