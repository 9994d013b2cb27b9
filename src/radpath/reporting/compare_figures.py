"""Figures of a comparison: how far each model is from the best, and the ROC curves of all over each other.

In: a ``Comparison`` and its contenders. Out: drawings, or ``None`` where there is nothing to draw. Each model has one
colour and one line style throughout.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes

from radpath.evaluation.comparison import Contender
from radpath.evaluation.comparison_results import Comparison, Difference, marks
from radpath.evaluation.ranking import Curve, roc_curve
from radpath.reporting.blocks import Drawing
from radpath.reporting.compare_tables import column_title, difference_text
from radpath.reporting.results import ClassCurve, draw_curves, square_figure, thinned
from radpath.reporting.svg import (
    INK,
    PAPER,
    add_grid,
    colour_of,
    dash_of,
    house_style,
    new_figure,
    shortened,
    to_svg,
)
from radpath.reporting.wording import SIDE_NAMES, estimate_text, percent

MOST_CLASSES_DRAWN: Final = 12
"""With more there is no room for a panel of each class."""

_LONGEST_NAME: Final = 26
_PANELS_A_ROW: Final = 3


def to_best_figure(comparison: Comparison) -> Drawing | None:
    """Return the best minus each other model in the first metric, with intervals; ``None`` where nothing is tested."""
    metric = comparison.metrics[0]
    found = [(mark.name, mark.to_best) for mark in marks(comparison) if mark.to_best is not None]
    shown = [(name, one) for name, one in found if one.value is not None]
    if not shown:
        return None
    places = {name: place for place, name in enumerate(comparison.names)}
    best = shown[0][1].first
    with house_style():
        figure, axis = new_figure(96 + 27 * len(shown))
        add_grid(axis, "x")
        axis.axvline(0, color=INK, alpha=0.7, linewidth=1, linestyle=(0, (3, 2)))
        for row, (name, one) in enumerate(shown):
            _draw_difference(axis, row, one, colour=colour_of(places[name]))
        axis.set_yticks(range(len(shown)), [shortened(name, _LONGEST_NAME) for name, _ in shown])
        axis.set_ylim(len(shown) - 0.5, -0.5)
        axis.margins(x=0.06)
        axis.spines["left"].set_visible(False)
        axis.tick_params(axis="y", length=0)
        axis.set_xlabel(f"{column_title(comparison, metric)}\n{shortened(best, _LONGEST_NAME)} minus the model")
        words = "; ".join(f"{name}: {difference_text(comparison, one)}" for name, one in shown)
        name = f"{'to-best' if comparison.unit == 'image' else 'case-to-best'}"
        drawing = to_svg(figure, name=f"figure-{name}", title=f"Differences to {best}", description=f"{words}.")
    caption = (
        f"{best} minus each other model, by {comparison.unit}. Thick: the {percent(comparison.confidence, 0)} interval "
        "by itself; thin: at the level that the correction for all tests leaves. A model whose thin line crosses 0 is "
        "not distinguishable from the best."
    )
    return Drawing(name=name, svg=drawing, caption=caption)


def _draw_difference(axis: Axes, row: int, one: Difference, *, colour: str) -> None:
    for low, high, width in ((one.adjusted_low, one.adjusted_high, 1.2), (one.low, one.high, 3.4)):
        if low is not None and high is not None:
            axis.plot([low, high], [row, row], color=colour, linewidth=width, alpha=0.8, solid_capstyle="butt")
    if one.value is not None:
        axis.plot(one.value, row, marker="o", markersize=7, color=colour, markeredgecolor=PAPER)


def roc_overlay(comparison: Comparison, contenders: Sequence[Contender]) -> Drawing | None:
    """Return the ROC curves of all models: in one square for two classes, in a panel each for a few more."""
    if comparison.positive_class is not None:
        return _one_square(comparison, contenders, comparison.positive_class)
    if len(comparison.classes) > MOST_CLASSES_DRAWN:
        return None
    return _panels(comparison, contenders)


def _one_square(comparison: Comparison, contenders: Sequence[Contender], positive_class: str) -> Drawing:
    curves = [
        ClassCurve(name=one.name, summary=_area_of(comparison, place), line=_line(one, comparison, positive_class),
                   prevalence=0.0)
        for place, one in enumerate(contenders)
    ]  # fmt: skip
    side = SIDE_NAMES[comparison.side].lower()
    with house_style():
        figure, axis = square_figure(len(curves), x_label="1 - specificity", y_label="Sensitivity")
        axis.plot([0, 1], [0, 1], color=INK, alpha=0.45, linewidth=0.9, linestyle=(0, (2, 3)))
        draw_curves(figure, axis, curves, drawstyle="default")
        words = "; ".join(f"{curve.name}: {curve.summary or 'drawn'}" for curve in curves)
        drawing = to_svg(figure, name="figure-roc", title=f"ROC curves, {side} side", description=f"{words}.")
    caption = f"ROC curves of {positive_class} on the {side} side, one a model. The diagonal is chance."
    return Drawing(name="roc", svg=drawing, caption=caption)


def _panels(comparison: Comparison, contenders: Sequence[Contender]) -> Drawing:
    num_classes = len(comparison.classes)
    num_columns = 2 if num_classes == 4 else min(num_classes, _PANELS_A_ROW)
    num_rows = math.ceil(num_classes / num_columns)
    side = SIDE_NAMES[comparison.side].lower()
    with house_style():
        figure, axes = new_figure(
            60 + round(400 / num_columns) * num_rows + 17 * len(contenders),
            nrows=num_rows, ncols=num_columns, squeeze=False, sharex=True, sharey=True,
        )  # fmt: skip
        for axis, of_class in zip(axes.ravel(), comparison.classes, strict=False):
            _draw_panel(axis, comparison, contenders, of_class)
        for place in range(num_classes, num_rows * num_columns):
            axes.ravel()[place].set_visible(False)
            axes.ravel()[place - num_columns].tick_params(labelbottom=True)
        figure.supxlabel("1 - specificity", fontsize=12)
        figure.supylabel("Sensitivity", fontsize=12)
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper left", handlelength=2.6)
        names = ", ".join(comparison.names)
        words = f"One panel for each of {', '.join(comparison.classes)}; in each the curves of {names}."
        drawing = to_svg(figure, name="figure-roc", title=f"ROC curves, {side} side", description=words)
    caption = f"ROC curves of each class against the rest on the {side} side, one a model. The diagonals are chance."
    return Drawing(name="roc", svg=drawing, caption=caption)


def _draw_panel(axis: Axes, comparison: Comparison, contenders: Sequence[Contender], of_class: str) -> None:
    add_grid(axis)
    axis.set_aspect("equal")
    axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
    axis.set_title(shortened(of_class, 17))
    axis.plot([0, 1], [0, 1], color=INK, alpha=0.45, linewidth=0.9, linestyle=(0, (2, 3)))
    for place, one in enumerate(contenders):
        line = _line(one, comparison, of_class) or Curve(x=np.array([np.nan]), y=np.array([np.nan]))
        axis.plot(
            line.x, line.y, color=colour_of(place), linestyle=dash_of(place), linewidth=1.5, clip_on=False,
            label=f"{shortened(one.name, _LONGEST_NAME)}  {_area_of(comparison, place)}",
        )  # fmt: skip


def _line(contender: Contender, comparison: Comparison, of_class: str) -> Curve | None:
    known = contender.predictions
    rows = [
        row
        for row, (side, truth) in enumerate(zip(known.sides, known.truth, strict=True))
        if side == comparison.side and truth is not None
    ]
    is_positive = np.array([known.truth[row] == of_class for row in rows], dtype=bool)
    line = roc_curve(known.probabilities[rows, known.classes.index(of_class)], is_positive)
    return None if line is None else thinned(line)


def _area_of(comparison: Comparison, place: int) -> str:
    """Return the area with its interval, where the area is one of the compared metrics."""
    areas = [one for one in comparison.models[place].estimates if one.metric == "roc_auc"]
    return estimate_text(areas[0]) if areas else ""
