"""The section on drift: how far new images, and what the model says of them, are from those that it was made with.

In: ``Drift``. Out: a ``Section``. Nothing is computed here.
"""

from collections.abc import Sequence
from typing import Final

from radpath.data.findings import counted
from radpath.evaluation.drift import Drift, Shift
from radpath.reporting.blocks import Block, Drawing, Note, Number, Paragraph, Section, Table
from radpath.reporting.svg import INK, PAPER, add_grid, colour_of, house_style, new_figure, shortened, to_svg
from radpath.reporting.wording import SIDE_NAMES

_PX_A_ROW: Final = 24
_LONGEST_NAME: Final = 28
_SMALL, _LARGE = 0.1, 0.25
"""Usual marks of the population stability index (Siddiqi 2006)."""
_MOST_BY_CHANCE: Final = _SMALL / 2
"""Where chance alone shows more, the index often passes the marks although nothing has changed: they are not drawn."""


def drift_section(found: Drift) -> Section:
    """Return the section."""
    blocks: list[Block] = [Paragraph(text=_rule(found)), _verdict(found)]
    if not any(shift.kind == "input" for shift in found.shifts):
        blocks.append(Note(text="Nothing is known of the images that could be compared; only the outputs are."))
    drawing = _drawing([shift for shift in found.shifts if shift.stability is not None])
    blocks += [] if drawing is None else [drawing]
    if found.shifts:
        blocks.append(_table(found))
    return Section(anchor="drift", title="Drift", blocks=tuple(blocks))


def _rule(found: Drift) -> str:
    outputs = [SIDE_NAMES[shift.compared_with].lower() for shift in found.shifts if shift.kind == "output"]
    of_outputs = f", what the model says of them with that of the {outputs[0]} side" if outputs else ""
    return (
        f"{counted(found.num_new_images, 'new image')} of {counted(found.num_new_cases, 'case')} beside those of the "
        f"run: the images are compared with the {found.num_seen_images:,} of the training side{of_outputs}. A case "
        "counts once. Labels are not looked at. Numbers are compared by Kolmogorov and Smirnov's test, values by "
        "chi-square; p-values are corrected by Holm's procedure over all tests, which need "
        f"{counted(found.min_cases, 'case')} on either side. With many cases small differences are significant and "
        "with few cases large ones are not: look at the sizes of the differences."
    )


def _verdict(found: Drift) -> Note:
    """Return what differs; drift is not by itself a worse model, so it is told and not judged."""
    differing = [shift for shift in found.shifts if shift.p_adjusted is not None and shift.p_adjusted < found.level]
    if not differing:
        tested = sum(shift.p_value is not None for shift in found.shifts)
        return Note(text=f"None of {counted(tested, 'test')} shows a difference (corrected p < {found.level:g}).")
    named = ", ".join(shift.name for shift in differing)
    return Note(
        kind="warning",
        text=f"New images differ from those of the run in: {named} (corrected p < {found.level:g}).",
    )


def _table(found: Drift) -> Table:
    return Table(
        name="drift",
        caption="Medians with quartiles, or shares of values, one value a case. PSI: population stability index, "
        "beside what so many cases show on average where nothing has changed.",
        columns=(
            *("What", "Of the run", "New", "Cases of the run", "New cases", "Test"),
            *("Difference (SD)", "PSI", "PSI by chance", "p", "p, corrected"),
        ),
        rows=tuple(_row(shift) for shift in found.shifts),
    )


def _row(shift: Shift) -> tuple[str | Number, ...]:
    counts = (Number(text=f"{number:,}", value=float(number)) for number in (shift.num_seen, shift.num_new))
    return (
        f"{shift.name} ({shift.kind})",
        shift.seen,
        shift.new,
        *counts,
        shift.test,
        _number(shift.difference, "+.2f", shift.note or "of values there is none"),
        _number(shift.stability, ".3f", shift.note),
        _number(shift.stability_by_chance, ".3f", shift.note),
        _number(shift.p_value, ".3g", shift.note),
        _number(shift.p_adjusted, ".3g", shift.note),
    )


def _number(value: float | None, form: str, note: str | None) -> Number:
    if value is None:
        return Number(text="none", value=None, note=note or "")
    return Number(text=f"{value:{form}}", value=value)


def _drawing(shifts: Sequence[Shift]) -> Drawing | None:
    """Draw the stability index of everything that has one, the inputs first."""
    if not shifts:
        return None
    largest = max(max(shift.stability or 0.0, shift.stability_by_chance or 0.0) for shift in shifts)
    enough = all((shift.stability_by_chance or 0.0) <= _MOST_BY_CHANCE for shift in shifts)
    with house_style():
        figure, axis = new_figure(92 + _PX_A_ROW * len(shifts))
        add_grid(axis, "x")
        for mark, label in ((_SMALL, "small"), (_LARGE, "large")) if enough else ():
            axis.axvline(mark, color=INK, alpha=0.6, linewidth=1, linestyle=(0, (3, 2)))
            axis.annotate(label, (mark, 1), xycoords=("data", "axes fraction"), xytext=(3, 3),
                          textcoords="offset points", fontsize=10)  # fmt: skip
        for row, shift in enumerate(shifts):
            colour = colour_of(0 if shift.kind == "input" else 1)
            axis.plot([0, shift.stability or 0.0], [row, row], color=colour, linewidth=1.6, alpha=0.6)
            if shift.stability_by_chance is not None:
                axis.plot([shift.stability_by_chance] * 2, [row - 0.32, row + 0.32], color=INK, linewidth=1.6)
            axis.plot(shift.stability, row, marker="o" if shift.kind == "input" else "s", markersize=7, color=colour,
                      markeredgecolor=PAPER, linestyle="none", label=f"{shift.kind}s")  # fmt: skip
        axis.set_yticks(range(len(shifts)), [shortened(shift.name, _LONGEST_NAME) for shift in shifts])
        axis.set(
            ylim=(len(shifts) - 0.5, -0.5), xlim=(0, max(1.15 * largest, 0.32)), xlabel="Population stability index"
        )
        axis.spines["left"].set_visible(False)
        axis.tick_params(axis="y", length=0)
        handles, names = axis.get_legend_handles_labels()
        once = dict(zip(names, handles, strict=True))
        figure.legend(once.values(), once.keys(), loc="outside upper left", ncols=2)
        words = "; ".join(f"{shift.name} {shift.stability or 0.0:.3f}" for shift in shifts)
        svg = to_svg(figure, name="figure-drift", title="Drift of inputs and outputs", description=f"{words}.")
    caption = (
        "How far the shares of new cases are from those of the run: 0 means equal shares; the upright line of each row "
        "is what so many cases show on average where nothing has changed. "
    )
    caption += (
        f"Beyond {_LARGE:g} is usually called large."
        if enough
        else f"With so few cases chance alone often passes the usual marks, {_SMALL:g} and {_LARGE:g}."
    )
    return Drawing(name="drift", svg=svg, caption=caption)
