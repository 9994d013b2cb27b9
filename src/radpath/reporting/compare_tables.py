"""The tables of a comparison of several models, and the words for what its tests found.

In: a ``Comparison``. Out: tables of blocks, and short phrases that the terminal and other tables of several models use
too. Nothing is computed here.
"""

from collections.abc import Callable
from typing import Final

from radpath.evaluation.comparison_results import Comparison, Difference, Mark, marks
from radpath.evaluation.comparison_tests import DecisionTest
from radpath.evaluation.estimates import Estimate
from radpath.evaluation.metrics import METRICS
from radpath.reporting.blocks import Number, Table
from radpath.reporting.wording import SIDE_NAMES, estimate_label, percent

_SMALLEST_SHOWN: Final = 0.001
_CLUSTERED: Final = {
    "exact sign flip": "exact: the sign of each case's difference is a fair coin",
    "Obuchowski": "Obuchowski's chi-square",
}


def p_text(p_value: float | None) -> str:
    """Return a p-value to three decimals.

    >>> p_text(0.01234), p_text(0.0001), p_text(None)
    ('0.012', '< 0.001', 'none')
    """
    if p_value is None:
        return "none"
    return f"< {_SMALLEST_SHOWN}" if p_value < _SMALLEST_SHOWN else f"{p_value:.3f}"


def mark_text(mark: Mark) -> str:
    """Return where a model stands beside the best, for any table of several models."""
    if mark.is_best:
        return "best"
    if mark.to_best is None:
        return "no value"
    if mark.is_tied:
        return "not distinguishable from the best"
    p_value = p_text(mark.to_best.adjusted_p_value)
    return f"worse than the best (p {p_value})" if p_value.startswith("<") else f"worse than the best (p = {p_value})"


def column_title(comparison: Comparison, metric: str) -> str:
    """Return a metric's name, with the class that it is about, and whether less is better."""
    one = next(one for one in comparison.models[0].estimates if one.metric == metric)
    falls = " (lower is better)" if METRICS[metric].best == "lowest" else ""
    return f"{estimate_label(one, comparison.positive_class)}{falls}"


def models_table(comparison: Comparison) -> Table:
    """Return every model's own numbers, and its mark."""
    of_model = {mark.name: mark for mark in marks(comparison)}
    rows: tuple[tuple[str | Number, ...], ...] = tuple(
        (model.name, *map(_estimate_cell, model.estimates), mark_text(of_model[model.name]))
        for model in comparison.models
    )
    first = column_title(comparison, comparison.metrics[0])
    return Table(
        name=_table_name(comparison, "models"),
        caption=(
            f"Every model on the {SIDE_NAMES[comparison.side].lower()} side, by {comparison.unit}, with "
            f"{percent(comparison.confidence, 0)} intervals of each by itself. The last column is about {first}."
        ),
        columns=("Model", *(column_title(comparison, metric) for metric in comparison.metrics), "Beside the best"),
        rows=rows,
    )


def differences_table(comparison: Comparison) -> Table:
    """Return every pair in every metric."""
    return Table(
        name=_table_name(comparison, "differences"),
        caption=(
            f"First minus second, with the {percent(comparison.confidence, 0)} interval of each difference by itself; "
            f"p by inversion of such intervals; corrected p (Holm) over all {len(comparison.differences)} rows."
        ),
        columns=("Models", "Metric", "Difference", "p", "Corrected p", "Told apart"),
        rows=tuple(
            (
                f"{one.first} − {one.second}",  # noqa: RUF001 - the minus sign is meant
                column_title(comparison, one.metric),
                Number(text=_signed(one.value), value=one.value, low=one.low, high=one.high, note=one.note or ""),
                _p_cell(one.p_value),
                _p_cell(one.adjusted_p_value),
                _verdict(one),
            )
            for one in comparison.differences
        ),
    )


def areas_table(comparison: Comparison) -> Table:
    """Return DeLong's test of every pair."""
    clustered = comparison.num_cases < comparison.num_images
    method = "Obuchowski's variance for images that share cases" if clustered else "DeLong's variance"
    return Table(
        name=_table_name(comparison, "areas"),
        caption=(
            f"Differences of the areas under the ROC curves of {comparison.positive_class} without resampling: "
            f"{method}, with {percent(comparison.confidence, 0)} intervals; p corrected (Holm) over these rows."
        ),
        columns=("Models", "Difference", "p", "Corrected p"),
        rows=tuple(
            (
                f"{one.first} − {one.second}",  # noqa: RUF001 - the minus sign is meant
                Number(
                    text=_signed(one.test.value),
                    value=one.test.value,
                    low=one.test.low,
                    high=one.test.high,
                    note=one.test.note or "",
                ),
                _p_cell(one.test.p_value),
                _p_cell(one.adjusted_p_value),
            )
            for one in comparison.area_differences
        ),
    )


def decisions_table(comparison: Comparison) -> Table:
    """Return McNemar's test of every pair, with the counts it stands on."""
    clustered = comparison.num_cases < comparison.num_images
    also: tuple[str, ...] = ("p, clustered",) if clustered else ()
    return Table(
        name=_table_name(comparison, "decisions"),
        caption=f"{comparison.unit.capitalize()}s by whose decision was right; corrected p (Holm) over these rows.",
        columns=("Models", "Both right", "First only", "Second only", "Neither", "p, McNemar", *also, "Corrected p"),
        rows=tuple(
            (
                f"{one.first} − {one.second}",  # noqa: RUF001 - the minus sign is meant
                _count(one.test.num_both),
                _count(one.test.num_first_only),
                _count(one.test.num_second_only),
                _count(one.test.num_neither),
                Number(text=p_text(one.test.p_value), value=one.test.p_value, note=f"{one.test.method} p-value"),
                *([_clustered_cell(one.test)] if clustered else []),
                _p_cell(one.adjusted_p_value),
            )
            for one in comparison.decision_differences
        ),
    )


COMPARISON_TABLES: Final[tuple[Callable[[Comparison], Table], ...]] = (
    models_table,
    differences_table,
    areas_table,
    decisions_table,
)


def difference_text(comparison: Comparison, one: Difference) -> str:
    """Return a difference in one phrase, for the terminal.

    The interval is that of the difference by itself.
    """
    if one.value is None:
        return one.note or "undefined"
    interval = "" if one.low is None or one.high is None else f" ({one.low:+.3f} to {one.high:+.3f})"
    if one.p_value is None:
        return f"{_signed(one.value)}{interval}; {one.note}"
    many = len(comparison.differences) > 1
    corrected = f", corrected {p_text(one.adjusted_p_value)}" if many else ""
    return f"{_signed(one.value)}{interval}, p {p_text(one.p_value)}{corrected}"


def _table_name(comparison: Comparison, name: str) -> str:
    return name if comparison.unit == "image" else f"case-{name}"


def _estimate_cell(one: Estimate) -> Number:
    text = "undefined" if one.value is None else f"{one.value:.3f}"
    return Number(text=text, value=one.value, low=one.low, high=one.high, note=one.note or "")


def _p_cell(p_value: float | None) -> Number:
    return Number(text=p_text(p_value), value=p_value)


def _clustered_cell(test: DecisionTest) -> Number:
    return Number(
        text=p_text(test.clustered_p_value),
        value=test.clustered_p_value,
        note=_CLUSTERED.get(test.clustered_method or "", ""),
    )


def _count(number: int) -> Number:
    return Number(text=f"{number:,}", value=float(number))


def _signed(value: float | None) -> str:
    return "undefined" if value is None else f"{value:+.3f}"


def _verdict(one: Difference) -> str:
    if one.p_value is None:
        return "not tested"
    return "yes" if one.is_clear else "no"
