"""Figures of the results: intervals beside the baseline, ROC and precision-recall curves, and the confusion matrix.

In: an evaluation, and the predictions it was made from. Out: SVG text. All show the side that is reported first; what
the numbers are is left to ``evaluation``.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from jaxtyping import Bool, Float64, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from radpath.data.findings import counted
from radpath.evaluation.estimates import Estimate, Evaluation, find
from radpath.evaluation.metrics import METRICS
from radpath.evaluation.predictions import Predictions
from radpath.evaluation.ranking import Curve, precision_recall_curve, roc_curve
from radpath.evaluation.roc_band import GRID, Band, roc_band
from radpath.evaluation.sample import take_sample
from radpath.reporting.svg import INK, PAPER, add_grid, colour_of, dash_of, house_style, new_figure, shortened, to_svg
from radpath.reporting.wording import SIDE_NAMES, estimate_text, metric_label, percent, reported_sides
from radpath.seeding import generator_for

_BAND_REPLICATES: Final = 400  # a line of the figure is wider than what more would change
_FINEST_STEP: Final = 1 / 400  # one pixel of the figure; finer points of a curve would only add bytes
_DARKEST_CELL: Final = 0.75  # opacity; text on the cell keeps a contrast of 4.5:1 in light and in dark
_LONGEST_NAME: Final = 26
_NAMES_FIT_BELOW: Final = 9  # characters of a class's name that fit below a column of up to five classes
_CHANCE: Final[dict[str, Any]] = {"color": INK, "alpha": 0.45, "linewidth": 0.9, "linestyle": (0, (2, 3))}
_ESTIMATE: Final[dict[str, Any]] = {
    "marker": "o", "markersize": 6, "color": colour_of(0), "markeredgecolor": PAPER, "linestyle": "none",
}  # fmt: skip
_BASELINE: Final[dict[str, Any]] = {
    "marker": "D", "markersize": 5, "markerfacecolor": "none", "markeredgecolor": INK, "linestyle": "none",
    "alpha": 0.8,
}  # fmt: skip
_CurveMaker = Callable[[Float64[np.ndarray, " images"], Bool[np.ndarray, " images"]], Curve | None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassCurve:
    """One class against the others, ready to draw."""

    name: str
    summary: str
    """Area with interval, or why it is undefined."""
    line: Curve | None
    """None where the curve is undefined."""
    prevalence: float


def roc_figure(evaluation: Evaluation, predictions: Predictions) -> str:
    """Return ROC curves, one for each class that counts as positive."""
    curves = _class_curves(evaluation, predictions, kind=roc_curve, metric="roc_auc")
    with house_style():
        figure, axis = square_figure(len(curves), x_label="1 - specificity", y_label="Sensitivity")
        axis.plot([0, 1], [0, 1], **_CHANCE)
        band = _band(evaluation, predictions) if len(curves) == 1 else None
        if band is not None:
            axis.fill_between(GRID, band.low, band.high, color=colour_of(0), alpha=0.16, linewidth=0)
        draw_curves(figure, axis, curves, drawstyle="default")
        point = operating_point(evaluation)
        if point is not None:
            axis.plot(*point, marker="o", markersize=7, color=colour_of(0), markeredgecolor=PAPER, clip_on=False)
            axis.annotate("threshold", point, xytext=(9, -4), textcoords="offset points", va="top")
        title = f"ROC curve{'s' * (len(curves) > 1)}, {_side_name(evaluation)}"
        return to_svg(figure, name="figure-roc", title=title, description=_describe(curves, "area under the curve"))


def _band(evaluation: Evaluation, predictions: Predictions) -> Band | None:
    """Return the band of the positive class's ROC curve on the side that is reported first."""
    positive = evaluation.positive_class
    if positive is None:
        return None
    side = reported_sides(evaluation)[0].side
    sample = take_sample(predictions, side, positive_class=positive, threshold=None)
    place = predictions.classes.index(positive)
    return roc_band(
        sample.probabilities[:, place],
        sample.truth == place,
        sample.case_of,
        confidence=evaluation.confidence,
        replicates=_BAND_REPLICATES,
        generator=generator_for(evaluation.seed, "roc band"),
        stratum_of=sample.stratum_of_case if evaluation.stratified else None,
    )


def pr_figure(evaluation: Evaluation, predictions: Predictions) -> str:
    """Return precision-recall curves, one for each class that counts as positive."""
    curves = _class_curves(evaluation, predictions, kind=_steps_of_precision, metric="average_precision")
    with house_style():
        figure, axis = square_figure(len(curves), x_label="Recall", y_label="Precision")
        draw_curves(figure, axis, curves, drawstyle="steps-pre")
        if len(curves) == 1:
            axis.axhline(curves[0].prevalence, **_CHANCE)
        title = f"Precision-recall curve{'s' * (len(curves) > 1)}, {_side_name(evaluation)}"
        return to_svg(figure, name="figure-pr", title=title, description=_describe(curves, "average precision"))


def confusion_figure(evaluation: Evaluation) -> str:
    """Return the confusion matrix, shaded by the share of each true class."""
    cells = np.asarray(reported_sides(evaluation)[0].confusion)
    with house_style():
        figure, axis = new_figure(110 + min(310, 66 * len(cells)))
        _draw_cells(axis, cells)
        _name_cells(axis, evaluation.classes)
        words = [
            f"{name}: {cells[row, row]} of {counted(int(cells[row].sum()), 'image')} decided rightly"
            for row, name in enumerate(evaluation.classes)
        ]
        title = f"Confusion matrix, {_side_name(evaluation)}"
        return to_svg(figure, name="figure-confusion", title=title, description=f"{'; '.join(words)}.")


def intervals_figure(evaluation: Evaluation) -> str:
    """Return the overall metrics as dots with their intervals beside the majority-class baseline."""
    side = reported_sides(evaluation)[0]
    rows = [row for row in overall_estimates(side.estimates, evaluation.positive_class) if _rises_to_one(row)]
    labels = [metric_label(row.metric, row.at) for row in rows]
    interval = f"{percent(evaluation.confidence, 0)} interval"
    with house_style():
        figure, axis = new_figure(80 + 27 * len(rows))
        add_grid(axis, "x")
        for position, row in enumerate(rows):
            baseline = find(side.baseline, row.metric, row.of_class)
            _draw_interval(axis, position, row, interval=interval)
            if baseline is not None and baseline.value is not None:
                axis.plot(baseline.value, position, label="Most frequent class", **_BASELINE)
        axis.set_yticks(range(len(rows)), labels)
        axis.set(ylim=(len(rows) - 0.5, -0.5), xlim=(1.02 * lowest_end(rows) - 0.01, 1.01))
        axis.spines["left"].set_visible(False)
        axis.tick_params(axis="y", length=0)
        handles, names = axis.get_legend_handles_labels()
        once = dict(zip(names, handles, strict=True))
        figure.legend(once.values(), once.keys(), loc="outside upper left", ncols=2)
        title = f"Results with {percent(evaluation.confidence, 0)} intervals, {_side_name(evaluation)}"
        words = "; ".join(f"{label} {estimate_text(row)}" for label, row in zip(labels, rows, strict=True))
        return to_svg(figure, name="figure-intervals", title=title, description=f"{words}.")


def lowest_end(rows: Sequence[Estimate]) -> float:
    """Return where a scale up to 1 has to start: at 0, or lower for a coefficient, kappa or net benefit below it."""
    return min([0.0, *(number for row in rows for number in (row.value, row.low) if number is not None)])


def overall_estimates(estimates: Sequence[Estimate], positive_class: str | None) -> list[Estimate]:
    """Return one estimate a metric: of the positive class of two where there is one, else of all classes together."""
    of_positive = {
        one.metric: one for one in estimates if positive_class is not None and one.of_class == positive_class
    }
    of_all = {one.metric: one for one in estimates if one.of_class is None}
    metrics = dict.fromkeys(one.metric for one in estimates)
    chosen = (of_positive.get(metric) or of_all.get(metric) for metric in metrics)
    return [one for one in chosen if one is not None]


def operating_point(evaluation: Evaluation) -> tuple[float, float] | None:
    """Return 1 - specificity and sensitivity at the threshold on the side reported first; None where there is none."""
    side = reported_sides(evaluation)[0]
    both = [side.find(metric, evaluation.positive_class) for metric in ("specificity", "sensitivity")]
    values = [one.value for one in both if one is not None and one.value is not None]
    if evaluation.threshold is None or len(values) < 2:
        return None
    return 1 - values[0], values[1]


def _side_name(evaluation: Evaluation) -> str:
    return f"{SIDE_NAMES[reported_sides(evaluation)[0].side].lower()} side"


def _rises_to_one(estimate: Estimate) -> bool:
    return METRICS[estimate.metric].best == "highest"


def _class_curves(
    evaluation: Evaluation, predictions: Predictions, *, kind: _CurveMaker, metric: str
) -> list[ClassCurve]:
    """Draw up each class that counts as positive against the others, on the side that is reported first."""
    side = reported_sides(evaluation)[0]
    pairs = zip(predictions.sides, predictions.truth, strict=True)
    chosen = [row for row, (where, truth) in enumerate(pairs) if where == side.side and truth is not None]
    names = evaluation.classes if evaluation.positive_class is None else (evaluation.positive_class,)
    curves = []
    for name in names:
        is_positive = np.array([predictions.truth[row] == name for row in chosen], dtype=bool)
        line = kind(predictions.probabilities[chosen, predictions.classes.index(name)], is_positive)
        area = side.find(metric, name)
        curves.append(
            ClassCurve(
                name=name,
                summary="not estimated" if area is None else estimate_text(area),
                line=None if line is None else thinned(line),
                prevalence=float(is_positive.mean()),
            )
        )
    return curves


def _steps_of_precision(
    scores: Float64[np.ndarray, " images"], is_positive: Bool[np.ndarray, " images"]
) -> Curve | None:
    """Return the first point at every recall: the others only draw spikes, and average precision leaves them out."""
    line = precision_recall_curve(scores, is_positive)
    if line is None:
        return None
    gains = np.flatnonzero(np.diff(line.x, prepend=0.0) > 0)
    return Curve(x=line.x[gains], y=line.y[gains])


def thinned(curve: Curve) -> Curve:
    """Leave out the points that no reader could tell apart; the ends stay."""
    cells = np.round(np.stack([curve.x, curve.y], axis=1) / _FINEST_STEP)
    kept = np.unique(cells, axis=0, return_index=True)[1]
    kept = np.union1d(kept, [0, len(curve.x) - 1])
    return Curve(x=curve.x[kept], y=curve.y[kept])


def square_figure(num_curves: int, *, x_label: str, y_label: str) -> tuple[Figure, Axes]:
    """Return axes from 0 to 1 with room for a legend of so many curves; call it inside ``house_style``."""
    figure, axis = new_figure(340 + 17 * num_curves)
    add_grid(axis)
    axis.set_aspect("equal")
    axis.set_xlim(-0.01, 1.01)
    axis.set_ylim(-0.01, 1.01)
    axis.set_xlabel(x_label)
    axis.set_ylabel(y_label)
    return figure, axis


def draw_curves(figure: Figure, axis: Axes, curves: Sequence[ClassCurve], *, drawstyle: Any) -> None:  # noqa: ANN401 - matplotlib's Literal
    """Draw curves in the colours of their places, with their names and summaries below."""
    for index, curve in enumerate(curves):
        line = curve.line or Curve(x=np.array([np.nan]), y=np.array([np.nan]))
        # A step to the first point of a precision-recall curve starts at recall 0.
        x, y = np.concatenate([[0.0], line.x]), np.concatenate([line.y[:1], line.y])
        axis.plot(
            x, y, color=colour_of(index), linestyle=dash_of(index), drawstyle=drawstyle, clip_on=False,
            label=f"{shortened(curve.name, _LONGEST_NAME)}  {curve.summary}",
        )  # fmt: skip
    figure.legend(loc="outside lower left", handlelength=2.6)


def _describe(curves: Sequence[ClassCurve], what: str) -> str:
    return "; ".join(f"{curve.name}: {what} {curve.summary}" for curve in curves) + "."


def _draw_interval(axis: Axes, position: int, row: Estimate, *, interval: str) -> None:
    if row.value is None:
        axis.text(0.01, position, "undefined", va="center", alpha=0.75)
        return
    if row.low is not None and row.high is not None:
        axis.plot([row.low, row.high], [position, position], color=colour_of(0), linewidth=2.4, alpha=0.75)
    axis.plot(row.value, position, label=f"Estimate, {interval}", **_ESTIMATE)


def _draw_cells(axis: Axes, cells: Int[np.ndarray, "classes classes"]) -> None:
    totals = cells.sum(axis=1)
    for (row, column), number in np.ndenumerate(cells):
        share = number / totals[row] if totals[row] else 0.0
        axis.fill_between(
            [column - 0.5, column + 0.5],
            row - 0.5,
            row + 0.5,
            color=colour_of(0),
            alpha=share * _DARKEST_CELL,
            linewidth=0,
        )
        axis.text(
            column, row, f"{number:,}" if len(cells) > 6 or not totals[row] else f"{number:,}\n{share:.0%}",
            ha="center", va="center", fontsize=12 if len(cells) <= 4 else 10,
            fontweight="bold" if row == column else "normal", alpha=1.0 if number else 0.45,
        )  # fmt: skip


def _name_cells(axis: Axes, classes: Sequence[str]) -> None:
    """Name rows in full; columns too where names are short, else by the number that the row shows."""
    places = range(len(classes))
    fits = len(classes) == 2 or (len(classes) <= 5 and all(len(name) <= _NAMES_FIT_BELOW for name in classes))
    rows = [shortened(name, _LONGEST_NAME) for name in classes]
    if fits:
        columns = [shortened(name, _LONGEST_NAME // len(classes) * 2) for name in classes]
    else:
        rows = [f"{name} · {place + 1}" for place, name in enumerate(rows)]
        columns = [str(place + 1) for place in places]
    axis.set_xticks(places, columns)
    axis.set_yticks(places, rows)
    axis.set_xlim(-0.5, len(classes) - 0.5)
    axis.set_ylim(len(classes) - 0.5, -0.5)
    axis.tick_params(length=0)
    axis.set_xlabel("Decision" if fits else "Decision, numbered as the rows")
    axis.set_ylabel("Truth")
    for spine in axis.spines.values():
        spine.set_visible(False)
