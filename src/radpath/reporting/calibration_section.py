"""The section on calibration: whether probabilities can be believed, as the model gave them and corrected.

In: ``Calibration``. Out: a ``Section`` with reliability diagrams. Nothing is computed here.
"""

import math
from typing import Any, Final

from matplotlib.axes import Axes

from radpath.data.findings import counted
from radpath.evaluation.calibration import Calibration, CalibrationMethod
from radpath.evaluation.measured import Measured
from radpath.evaluation.reliability import CoxLine, Reliability
from radpath.reporting.blocks import Block, Drawing, Note, Number, Paragraph, Section, Table
from radpath.reporting.measured_cells import cell, phrase
from radpath.reporting.svg import INK, PAPER, add_grid, colour_of, house_style, new_figure, shortened, to_svg
from radpath.reporting.wording import SIDE_NAMES, percent

_METHODS: Final[dict[CalibrationMethod, str]] = {
    "temperature": "one temperature for all classes (Guo et al. 2017)",
    "platt": "a line through the log-odds of each class (Platt 1999)",
    "isotonic": "rising steps for each class (isotonic regression)",
}
_FEW_FOR_STEPS: Final = 1000


def calibration_section(found: Calibration) -> Section:
    """Return the section."""
    blocks: list[Block] = [Paragraph(text=_introduction(found)), *_notes(found), _drawing(found), _table(found)]
    return Section(anchor="calibration", title="Calibration", blocks=tuple(blocks))


def _introduction(found: Calibration) -> str:
    if found.calibrator is None:
        return f"The probabilities are as the model gave them. {found.reason}"
    fit = found.calibrator
    by = "" if found.temperature is None else f" {_sureness(found.temperature)}"
    return (
        f"The correction is {_METHODS[fit.method]}, fitted on the {fit.fitted_on} side "
        f"({counted(fit.num_images, 'image')} of {counted(fit.num_cases, 'case')}) without the truth of the test side, "
        f"and kept in calibration.json for new images.{by} All other numbers of this report are of the probabilities "
        "as the model gave them."
    )


def _sureness(temperature: Measured) -> str:
    """Return the temperature, and which way the model erred where the interval tells."""
    known = f"The temperature is {phrase(temperature, 2)}"
    if temperature.low is None or temperature.high is None:
        return f"{known}."
    if temperature.low > 1:
        return f"{known}: on validation, the model was too sure."
    if temperature.high < 1:
        return f"{known}: on validation, the model was not sure enough."
    return f"{known}: validation does not tell whether the model was too sure or not sure enough."


def _notes(found: Calibration) -> list[Note]:
    notes = []
    fit = found.calibrator
    if found.side != "test" and fit is not None:
        text = "There is no test side: the corrected probabilities are judged on images that they were fitted on."
        notes.append(Note(kind="warning", text=text))
    if found.moved_by is not None:
        # TRIPOD+AI 2024, item 13, and PROBAST+AI 4.4 ask for it.
        notes.append(Note(text=found.moved_by))
    if fit is not None and fit.method == "isotonic" and fit.num_images < _FEW_FOR_STEPS:
        text = f"Isotonic steps on {fit.num_images:,} images follow chance; a temperature needs far fewer."
        notes.append(Note(kind="warning", text=text))
    if fit is not None and fit.method == "temperature":
        notes += [_shifted(line) for line in found.left_on_validation if _excludes_zero(line.intercept)]
    return notes


def _excludes_zero(measured: Measured) -> bool:
    return measured.low is not None and measured.high is not None and not measured.low <= 0 <= measured.high


def _shifted(line: CoxLine) -> Note:
    """Say, from validation alone, what no temperature can repair."""
    direction = "low" if (line.intercept.value or 0.0) > 0 else "high"
    text = (
        f"On validation, where it was fitted, the corrected probabilities of {line.of_class} are still too {direction} "
        f"(intercept {phrase(line.intercept, 2)}): a temperature cannot shift them, evaluation.calibration.method = "
        '"platt" can.'
    )
    return Note(kind="warning", text=text)


def _looks(found: Calibration) -> list[tuple[str, Reliability]]:
    looks = [("As the model gave them", found.before)]
    return looks if found.after is None else [*looks, ("Corrected", found.after)]


def _table(found: Calibration) -> Table:
    looks = [look for _, look in _looks(found)]
    rows: list[tuple[str | Number, ...]] = [
        ("Brier score (0 is best)", *(cell(look.brier) for look in looks)),
        ("Log loss (0 is best)", *(cell(look.log_loss) for look in looks)),
        ("Calibration error of the bins", *(cell(look.calibration_error) for look in looks)),
        ("Calibration error that chance alone would give", *(_plain(look.error_by_chance) for look in looks)),
    ]
    for number, line in enumerate(found.before.lines):
        pairs = [look.lines[number] for look in looks]
        rows.append((f"Intercept, {line.of_class} (0 is right)", *(cell(one.intercept) for one in pairs)))
        rows.append((f"Slope, {line.of_class} (1 is right)", *(cell(one.slope) for one in pairs)))
    return Table(
        name="calibration",
        caption=f"Calibration on the {SIDE_NAMES[found.side].lower()} side ({counted(found.num_images, 'image')} of "
        f"{counted(found.num_cases, 'case')}), with {percent(found.confidence, 0)} intervals by case. The intercept "
        "is calibration in the large, with the slope held at 1: above 0, probabilities are too low. A slope below 1 "
        "means that they are too extreme.",
        columns=("Number", *(name for name, _ in _looks(found))),
        rows=tuple(rows),
    )


def _plain(value: float) -> Number:
    return Number(text=f"{value:.3f}", value=value)


def _drawing(found: Calibration) -> Drawing:
    looks = _looks(found)
    layout: dict[str, Any] = {"nrows": 2, "ncols": len(looks), "sharex": True, "sharey": "row", "squeeze": False}
    with house_style():
        figure, axes = new_figure(
            330 if len(looks) > 1 else 470, gridspec_kw={"height_ratios": [len(looks) * 2 + 1, 2]}, **layout
        )
        for column, (name, look) in enumerate(looks):
            _draw_reliability(axes[0, column], look, colour=colour_of(column))
            axes[0, column].set_title(name)
            _draw_histogram(axes[1, column], look, colour=colour_of(column))
        axes[0, 0].set_ylabel("Share that is true")
        axes[1, 0].set_ylabel("Images")
        figure.supxlabel(_axis_name(found), fontsize=12)
        svg = to_svg(
            figure, name="figure-reliability", title="Reliability diagrams", description=_description(found, looks)
        )
    return Drawing(
        name="reliability",
        svg=svg,
        caption=f"Reliability on the {SIDE_NAMES[found.side].lower()} side: images in bins of about equal number, each "
        "with the share for which the statement is true. The diagonal is right; below, the number of images.",
    )


def _axis_name(found: Calibration) -> str:
    if found.positive_class is None:
        return "Highest probability of an image"
    return f"Probability of {shortened(found.positive_class, 24)}"


def _draw_reliability(axis: Axes, look: Reliability, *, colour: str) -> None:
    add_grid(axis)
    axis.plot([0, 1], [0, 1], color=INK, alpha=0.45, linewidth=0.9, linestyle=(0, (2, 3)))
    x = [one.mean_probability for one in look.bins]
    observed = [one.observed for one in look.bins]
    for place, one in zip(x, observed, strict=True):
        if one.low is not None and one.high is not None:
            axis.plot([place, place], [one.low, one.high], color=colour, linewidth=1.8, alpha=0.55)
    y = [math.nan if one.value is None else one.value for one in observed]
    axis.plot(x, y, color=colour, marker="o", markersize=5, markeredgecolor=PAPER, linewidth=1.2, clip_on=False)
    axis.set_xlim(-0.02, 1.02)
    axis.set_xticks([0, 0.5, 1])  # two panels side by side have no room for more
    axis.set_ylim(-0.02, 1.02)


def _draw_histogram(axis: Axes, look: Reliability, *, colour: str) -> None:
    width = 1 / len(look.histogram)
    places = [(number + 0.5) * width for number in range(len(look.histogram))]
    axis.bar(places, look.histogram, width=0.85 * width, color=colour, alpha=0.7)
    axis.set_ylim(bottom=0)


def _description(found: Calibration, looks: list[tuple[str, Reliability]]) -> str:
    words = []
    for name, look in looks:
        pairs = ", ".join(f"{one.mean_probability:.2f} and {_short(one.observed)}" for one in look.bins)
        words.append(f"{name}: mean probability and share that is true of each bin are {pairs}{_lines(look.lines)}.")
    return f"{_axis_name(found)} against the share that is true. {' '.join(words)}"


def _short(measured: Measured) -> str:
    return "undefined" if measured.value is None else f"{measured.value:.2f}"


def _lines(lines: tuple[CoxLine, ...]) -> str:
    return f"; slope {phrase(lines[0].slope, 2)}" if len(lines) == 1 else ""
