"""The section on the decision curve: whether acting on the model does more good than acting on everybody or nobody.

In: ``DecisionCurve``. Out: a ``Section``. Nothing is computed here.
"""

from typing import Final

from radpath.data.findings import counted
from radpath.evaluation.decision_curve import DecisionCurve, DecisionPoint
from radpath.reporting.blocks import Drawing, Number, Paragraph, Section, Table
from radpath.reporting.measured_cells import cell, draw_band, phrase
from radpath.reporting.svg import INK, add_grid, colour_of, dash_of, house_style, new_figure, shortened, to_svg
from radpath.reporting.wording import SIDE_NAMES, percent

_ROWS: Final = 7


def decision_curve_section(found: DecisionCurve) -> Section:
    """Return the section."""
    blocks = (Paragraph(text=_introduction(found)), _drawing(found), _table(found))
    return Section(anchor="decision-curve", title="Decision curve", blocks=blocks)


def _introduction(found: DecisionCurve) -> str:
    return (
        f"Whoever acts (a biopsy, a treatment) when {found.of_class} has a probability of at least t holds a missed "
        "case for (1 - t) / t times as bad as a needless action. The net benefit is the share of right actions minus "
        "that of needless ones, weighed so (Vickers and Elkin 2006). Acting on nobody has 0; a model is of use at the "
        "probabilities where it lies above both that and acting on everybody. Prevalence here is "
        f"{percent(found.prevalence)}; elsewhere the curve is another one."
    )


def _shown(found: DecisionCurve) -> list[DecisionPoint]:
    last = len(found.points) - 1
    return [found.points[round(number * last / (_ROWS - 1))] for number in range(_ROWS)]


def _corrected(found: DecisionCurve) -> bool:
    return found.points[0].calibrated is not None


def _table(found: DecisionCurve) -> Table:
    names = ("Model, as it is", *(("Model, corrected",) if _corrected(found) else ()), "Everybody", "Gain")
    last = "corrected probabilities" if _corrected(found) else "model"
    return Table(
        name="decision-curve",
        caption=f"Net benefit on the {SIDE_NAMES[found.side].lower()} side ({counted(found.num_images, 'image')} of "
        f"{counted(found.num_cases, 'case')}), with {percent(found.confidence, 0)} intervals by case. The gain is that "
        f"of the {last} over the better of everybody and nobody.",
        columns=("Probability to act at", *names),
        rows=tuple(_row(point) for point in _shown(found)),
    )


def _row(point: DecisionPoint) -> tuple[str | Number, ...]:
    corrected = () if point.calibrated is None else (cell(point.calibrated),)
    threshold = Number(text=f"{point.threshold:.3g}", value=point.threshold)
    return (threshold, cell(point.model), *corrected, cell(point.treat_all), cell(point.gain))


def _drawing(found: DecisionCurve) -> Drawing:
    x = [point.threshold for point in found.points]
    with house_style():
        figure, axis = new_figure(340)
        add_grid(axis)
        axis.axhline(0, color=INK, alpha=0.6, linewidth=1, label="Nobody")
        everybody = [point.treat_all.value or 0.0 for point in found.points]
        axis.plot(x, everybody, color=INK, alpha=0.6, linewidth=1.2, linestyle=(0, (2, 2)), label="Everybody")
        model = [point.model for point in found.points]
        draw_band(axis, x, model, colour=colour_of(0), linestyle=dash_of(0), label="Model, as it is")
        corrected = [point.calibrated for point in found.points if point.calibrated is not None]
        if corrected:
            draw_band(axis, x, corrected, colour=colour_of(1), linestyle=dash_of(1), label="Model, corrected")
        axis.set_xlim(0, x[-1])
        highest = max(number for one in (*model, *corrected) for number in (one.value or 0.0, one.high or 0.0))
        # Acting on everybody falls without end; what lies far below 0 helps nobody.
        axis.set_ylim(-0.25 * max(highest, 0.05), 1.08 * max(highest, 0.05))
        axis.set_xlabel(f"Probability of {shortened(found.of_class, 24)} to act at")
        axis.set_ylabel("Net benefit")
        figure.legend(loc="outside upper left", ncols=2, handlelength=2.6)
        words = "; ".join(
            f"at {point.threshold:.2f}: model {phrase(point.model)}, everybody {phrase(point.treat_all)}"
            for point in _shown(found)
        )
        svg = to_svg(figure, name="figure-decision-curve", title="Decision curve", description=f"Net benefit {words}.")
    return Drawing(
        name="decision_curve",
        svg=svg,
        caption=f"Net benefit on the {SIDE_NAMES[found.side].lower()} side, with {percent(found.confidence, 0)} "
        "intervals by case.",
    )
