"""The section on subgroups: a forest plot, every group's numbers, and their differences to all other images.

In: ``Subgroups``. Out: a ``Section``. Nothing is computed here; a number that does not exist shows why.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from matplotlib.axes import Axes

from radpath.data.findings import counted
from radpath.evaluation.group_numbers import GroupEstimate
from radpath.evaluation.subgroups import Characteristic, Subgroup, Subgroups
from radpath.reporting.blocks import Block, Drawing, Note, Number, Paragraph, Section, Table
from radpath.reporting.svg import INK, PAPER, add_grid, colour_of, house_style, new_figure, shortened, to_svg
from radpath.reporting.wording import SIDE_NAMES, metric_label, percent

_PX_A_ROW: Final = 23
_LONGEST_NAME: Final = 30
_FAMILY_LEVEL: Final = 0.05


def subgroups_section(found: Subgroups) -> Section:
    """Return the section."""
    blocks: list[Block] = [Paragraph(text=_rule(found))]
    blocks += [Note(text=sentence) for sentence in found.left_out]
    if found.characteristics:
        blocks += [Paragraph(text=_verdict(found)), *_warnings(found)]
        drawing = _forest(found)
        blocks += [] if drawing is None else [drawing]
        blocks += [_numbers_table(found), _differences_table(found)]
    return Section(anchor="subgroups", title="Subgroups", blocks=tuple(blocks))


def _rule(found: Subgroups) -> str:
    return (
        f"The {SIDE_NAMES[found.side].lower()} side, group by group, with the same frozen decisions everywhere. A "
        f"number is given only where at least {counted(found.min_cases, 'case')} stand behind each class that it is "
        "made of; smaller groups are counted, and nothing is claimed of them. Intervals "
        f"({percent(found.confidence, 0)}; by formula where those of the results are, else percentiles of "
        f"{counted(found.replicates, 'resample')} of whole cases) are not corrected for the number of groups. "
        "Differences of a ROC AUC have DeLong's interval and test on the scale of the logit, "
        "those of shares Newcombe's interval and Fisher's exact test, with images of one case counted for as much as "
        "they are worth; a mean of shares has no test. P-values are given as they are and after Holm's correction over "
        "all differences of one metric. Groups were not randomised: a difference says where the model does worse, not "
        "why."
    )


def _verdict(found: Subgroups) -> str:
    """Return how many differences there are, and which stand after correction."""
    tested = [(of, group, one) for of, group, one in _all(found) if one.p_adjusted is not None]
    if not tested:
        some = any(one.difference is not None for _, _, one in _all(found))
        return "No difference could be tested." if some else "No two groups are large enough to be compared."
    clear = [entry for entry in tested if (entry[2].p_adjusted or 0.0) < _FAMILY_LEVEL]
    compared = f"{counted(len(tested), 'difference')} of a group to all other images could be tested; "
    if not clear:
        return f"{compared}after Holm's correction none of them is distinguishable from 0 (p < {_FAMILY_LEVEL:g})."
    named = "; ".join(
        f"{metric_label(one.metric)} of {of.column} {_contrast(of, group)} ({one.difference or 0.0:+.3f})"
        for of, group, one in clear[:6]
    )
    more = f"; and {len(clear) - 6} more" if len(clear) > 6 else ""
    return f"{compared}after Holm's correction these differ from 0 (p < {_FAMILY_LEVEL:g}): {named}{more}."


def _warnings(found: Subgroups) -> Iterator[Note]:
    """Yield one line for each characteristic some of whose groups are too small for any number."""
    for characteristic in found.characteristics:
        silent = [group for group in characteristic.groups if all(one.value is None for one in group.estimates)]
        if silent:
            names = ", ".join(f"{group.name} ({counted(group.num_cases, 'case')})" for group in silent)
            yield Note(kind="warning", text=f"Too few cases for any claim, by {characteristic.column}: {names}.")


def _all(found: Subgroups) -> Iterator[tuple[Characteristic, Subgroup, GroupEstimate]]:
    for characteristic in found.characteristics:
        for group in characteristic.groups:
            for estimate in group.estimates:
                yield characteristic, group, estimate


def _numbers_table(found: Subgroups) -> Table:
    metrics = [metric_label(one.metric) for one in found.whole.estimates]
    counts = ("Images", "Cases") if found.positive_class is None else ("Images", "Cases", "Positive cases")
    rows = [("all", found.whole), *((_name(of, group), group) for of in found.characteristics for group in of.groups)]
    return Table(
        name="subgroups",
        caption="Every group; the smallest of each characteristic is marked. Cases with images of both classes count "
        "as positive.",
        columns=("Group", *counts, *metrics),
        rows=tuple(
            (
                name,
                *_counts(found, group),
                *(_number(one.value, one.low, one.high, one.note) for one in group.estimates),
            )
            for name, group in rows
        ),
    )


def _counts(found: Subgroups, group: Subgroup) -> tuple[Number, ...]:
    counts = [group.num_images, group.num_cases]
    if found.positive_class is not None:
        counts.append(group.cases_per_class.get(found.positive_class, 0))
    return tuple(Number(text=f"{count:,}", value=float(count)) for count in counts)


def _differences_table(found: Subgroups) -> Table:
    metrics = [metric_label(one.metric) for one in found.whole.estimates]
    return Table(
        name="subgroup-differences",
        caption="Each group minus all other images of the side, and of two groups the first minus the second; p and, "
        "in brackets, p after Holm's correction.",
        columns=("Group", *(column for metric in metrics for column in (metric, f"{metric}: p"))),
        rows=tuple(
            (
                f"{of.column}: {_contrast(of, group)}",
                *(cell for one in group.estimates for cell in _difference_cells(one)),
            )
            for of in found.characteristics
            for group in of.compared
        ),
    )


def _difference_cells(one: GroupEstimate) -> tuple[Number, Number]:
    if one.difference is None:
        # An interval's note says nothing of why the other images have no number.
        absent = _absent((one.note if one.value is None else None) or "too few other cases")
        return absent, absent
    difference = Number(
        text=f"{one.difference:+.3f}", value=one.difference, low=one.difference_low, high=one.difference_high
    )
    if one.p_value is None or one.p_adjusted is None:
        return difference, _absent(one.difference_note or "no test")
    return difference, Number(text=f"{one.p_value:.3f} ({one.p_adjusted:.3f})", value=one.p_value)


def _number(value: float | None, low: float | None, high: float | None, note: str | None) -> Number:
    if value is None:
        return _absent(note or "undefined")
    return Number(text=f"{value:.3f}", value=value, low=low, high=high, note=note or "")


def _absent(note: str) -> Number:
    """Return the cell of a number that does not exist: "too few" or "undefined", with the whole reason."""
    return Number(text=note.partition(":")[0], value=None, note=note)


def _name(characteristic: Characteristic, group: Subgroup) -> str:
    return f"{characteristic.column}: {group.name}{' (smallest)' if group.is_smallest else ''}"


def _contrast(characteristic: Characteristic, group: Subgroup) -> str:
    """Return the name of a group, or of two groups the first "minus" the second, whose images are all others."""
    if len(characteristic.groups) == 2:
        return " minus ".join(one.name for one in characteristic.groups)
    return f"{group.name}{' (smallest)' if group.is_smallest else ''}"


def _forest(found: Subgroups) -> Drawing | None:
    """Draw the first metric that some group has: of all groups below each other, beside that of all images."""
    groups = [(of, group) for of in found.characteristics for group in of.groups]
    metrics = [one.metric for one in found.whole.estimates]
    place = next(
        (
            place
            for place in range(len(metrics))
            if any(group.estimates[place].value is not None for _, group in groups)
        ),
        None,
    )
    if place is None:
        return None
    label = metric_label(metrics[place])
    whole = found.whole.estimates[place]
    with house_style():
        figure, axis = new_figure(64 + _PX_A_ROW * (len(groups) + len(found.characteristics)))
        add_grid(axis, "x")
        if whole.value is not None:
            axis.axvline(whole.value, color=INK, alpha=0.6, linewidth=1, linestyle=(0, (3, 2)))
        names = _draw_groups(axis, found.characteristics, place)
        axis.set_yticks(range(len(names)), names)
        for tick, name in zip(axis.get_yticklabels(), names, strict=True):
            tick.set_fontweight("normal" if name.startswith("  ") else "bold")
        axis.set(ylim=(len(names) - 0.5, -0.5), xlabel=f"{label}, {percent(found.confidence, 0)} interval")
        axis.spines["left"].set_visible(False)
        axis.tick_params(axis="y", length=0)
        words = "; ".join(f"{_name(of, group)} {_spoken(group.estimates[place])}" for of, group in groups)
        description = f"All images: {_spoken(whole)}. {words}."
        svg = to_svg(figure, name="figure-subgroups", title=f"{label} of each group", description=description)
    caption = f"{label} of each group; the dashed line is that of all images. Groups without a mark are too small."
    return Drawing(name="subgroups", svg=svg, caption=caption)


def _draw_groups(axis: Axes, characteristics: Sequence[Characteristic], place: int) -> list[str]:
    """Draw one row a group below one for the name of its characteristic; return the names of all rows."""
    names: list[str] = []
    for characteristic in characteristics:
        names.append(shortened(characteristic.column, _LONGEST_NAME))
        for group in characteristic.groups:
            row, one = len(names), group.estimates[place]
            names.append(f"  {shortened(group.name, _LONGEST_NAME - 8)} ({group.num_cases:,})")
            if one.low is not None and one.high is not None:
                axis.plot([one.low, one.high], [row, row], color=colour_of(0), linewidth=2.4, alpha=0.75)
            if one.value is not None:
                axis.plot(one.value, row, marker="o", markersize=6, color=colour_of(0), markeredgecolor=PAPER)
    return names


def _spoken(one: GroupEstimate) -> str:
    if one.value is None:
        return one.note or "undefined"
    interval = "" if one.low is None or one.high is None else f" ({one.low:.3f} to {one.high:.3f})"
    return f"{one.value:.3f}{interval}"
