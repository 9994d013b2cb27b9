"""Figures of several labels: each label's ROC AUC with its interval, and the ROC curves of a few labels side by side.

In: an evaluation and the predictions it was made from. Out: SVG text. All show the side that is reported first.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes

from radpath.evaluation.estimates import Estimate
from radpath.evaluation.label_evaluation import LabelEvaluation, LabelSide
from radpath.evaluation.label_predictions import LabelPredictions
from radpath.evaluation.ranking import roc_curve
from radpath.reporting.results import ClassCurve, draw_curves, square_figure, thinned
from radpath.reporting.svg import INK, PAPER, add_grid, colour_of, house_style, new_figure, shortened, to_svg
from radpath.reporting.wording import REPORTING_ORDER, SIDE_NAMES, estimate_text, percent

CURVES_A_FIGURE: Final = 6
"""More curves in one figure than this cannot be told apart."""

_LONGEST_NAME: Final = 26
_CHANCE: Final[dict[str, Any]] = {"color": INK, "alpha": 0.45, "linewidth": 0.9, "linestyle": (0, (2, 3))}


def reported_label_side(evaluation: LabelEvaluation) -> LabelSide:
    """Return the side that counts most."""
    return next(evaluation.sides[side] for side in REPORTING_ORDER if side in evaluation.sides)


def area_of(evaluation: LabelEvaluation, name: str) -> Estimate | None:
    """Return the ROC AUC of one label on the side that counts most; None where nothing is known of it there."""
    side = evaluation.of_label[name].sides.get(reported_label_side(evaluation).side)
    return None if side is None else side.find("roc_auc", name)


def areas_figure(evaluation: LabelEvaluation) -> str:
    """Return each label's ROC AUC as a dot with its interval, the best first, and below them both averages."""
    side = reported_label_side(evaluation)
    found = {name: area_of(evaluation, name) for name in evaluation.names}
    ordered = sorted(evaluation.names, key=lambda name: -_value(found[name]))
    rows = [(shortened(name, _LONGEST_NAME), found[name]) for name in ordered]
    rows += [("mean of labels", side.find("macro_roc_auc")), ("all labels as one", side.find("micro_roc_auc"))]
    with house_style():
        figure, axis = new_figure(70 + 25 * len(rows))
        add_grid(axis, "x")
        axis.axvline(0.5, **_CHANCE)
        for position, (_, area) in enumerate(rows):
            _draw(axis, position, area, colour=colour_of(0 if position < len(ordered) else 1))
        axis.axhline(len(ordered) - 0.5, color=INK, alpha=0.3, linewidth=0.8)
        axis.set_yticks(range(len(rows)), [label for label, _ in rows])
        axis.set(ylim=(len(rows) - 0.5, -0.5), xlim=(min(0.4, _lowest(rows)) - 0.01, 1.01), xlabel="ROC AUC")
        axis.spines["left"].set_visible(False)
        axis.tick_params(axis="y", length=0)
        words = "; ".join(f"{label} {'not known' if area is None else estimate_text(area)}" for label, area in rows)
        title = f"ROC AUC of each label with {percent(evaluation.confidence, 0)} intervals, {_named(side)}"
        return to_svg(figure, name="figure-label-areas", title=title, description=f"{words}.")


def _value(area: Estimate | None) -> float:
    return -1.0 if area is None or area.value is None else area.value


def _lowest(rows: Sequence[tuple[str, Estimate | None]]) -> float:
    edges = [edge for _, area in rows if area is not None for edge in (area.low, area.value) if edge is not None]
    return min(edges, default=0.5)


def _draw(axis: Axes, position: int, area: Estimate | None, *, colour: str) -> None:
    if area is None or area.value is None:
        axis.text(0.51, position, "undefined", va="center", alpha=0.75)
        return
    if area.low is not None and area.high is not None:
        axis.plot([area.low, area.high], [position, position], color=colour, linewidth=2.4, alpha=0.75)
    axis.plot(area.value, position, marker="o", markersize=6, color=colour, markeredgecolor=PAPER, linestyle="none")


def curve_figures(evaluation: LabelEvaluation, predictions: LabelPredictions) -> list[str]:
    """Return ROC curves, a few labels a figure, in the order of the labels."""
    names = evaluation.names
    groups = [names[first : first + CURVES_A_FIGURE] for first in range(0, len(names), CURVES_A_FIGURE)]
    return [_curves(evaluation, predictions, group, number) for number, group in enumerate(groups, 1)]


def _curves(evaluation: LabelEvaluation, predictions: LabelPredictions, names: Sequence[str], number: int) -> str:
    curves = [_curve(evaluation, predictions, name) for name in names]
    with house_style():
        figure, axis = square_figure(len(curves), x_label="1 - specificity", y_label="Sensitivity")
        axis.plot([0, 1], [0, 1], **_CHANCE)
        draw_curves(figure, axis, curves, drawstyle="default")
        title = f"ROC curves of labels, {_named(reported_label_side(evaluation))}"
        words = "; ".join(f"{curve.name}: area under the curve {curve.summary}" for curve in curves)
        return to_svg(figure, name=f"figure-label-curves-{number}", title=title, description=f"{words}.")


def _curve(evaluation: LabelEvaluation, predictions: LabelPredictions, name: str) -> ClassCurve:
    place, side = predictions.names.index(name), reported_label_side(evaluation).side
    on_side = np.array([there == side for there in predictions.sides]) & ~np.isnan(predictions.truth[:, place])
    is_positive = predictions.truth[on_side, place] == 1
    line = roc_curve(predictions.probabilities[on_side, place].copy(), is_positive)
    area = area_of(evaluation, name)
    return ClassCurve(
        name=name,
        summary="not known" if area is None else estimate_text(area),
        line=None if line is None else thinned(line),
        prevalence=float(is_positive.mean()) if len(is_positive) else 0.0,
    )


def _named(side: LabelSide) -> str:
    return f"{SIDE_NAMES[side.side].lower()} side"
