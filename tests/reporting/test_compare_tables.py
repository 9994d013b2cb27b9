"""Words and cells of a comparison."""

import dataclasses

import pytest

from radpath.evaluation.comparison_results import Mark, marks
from radpath.reporting.blocks import Number
from radpath.reporting.compare import CompareContent
from radpath.reporting.compare_tables import (
    areas_table,
    column_title,
    decisions_table,
    difference_text,
    differences_table,
    mark_text,
    models_table,
)


def test_a_mark_says_in_words_where_a_model_stands(compared: CompareContent) -> None:
    clear = dataclasses.replace(compared.comparison.differences[0], adjusted_p_value=0.0123)
    mark = Mark(name="B", is_best=False, is_tied=False, to_best=clear)
    assert mark_text(Mark(name="A", is_best=True, is_tied=False, to_best=None)) == "best"
    assert mark_text(dataclasses.replace(mark, is_tied=True)) == "not distinguishable from the best"
    assert mark_text(mark) == "worse than the best (p = 0.012)"
    clearest = dataclasses.replace(clear, adjusted_p_value=0.00001)
    assert mark_text(dataclasses.replace(mark, to_best=clearest)) == "worse than the best (p < 0.001)"
    assert mark_text(dataclasses.replace(mark, to_best=None)) == "no value"


def test_every_model_stands_with_its_numbers_and_its_mark(compared: CompareContent) -> None:
    table = models_table(compared.comparison)
    assert table.columns == (
        "Model",
        "ROC AUC, malignant",
        "Balanced accuracy",
        "Brier score (lower is better)",
        "Beside the best",
    )
    for row, model, mark in zip(table.rows, compared.comparison.models, marks(compared.comparison), strict=True):
        assert row[0] == model.name
        assert row[-1] == mark_text(mark)
        cell, estimate = row[1], model.estimates[0]
        assert isinstance(cell, Number)
        assert (cell.value, cell.low, cell.high) == (estimate.value, estimate.low, estimate.high)


def test_every_pair_stands_in_every_metric_with_its_verdict(compared: CompareContent) -> None:
    table, comparison = differences_table(compared.comparison), compared.comparison
    assert len(table.rows) == 9
    for row, one in zip(table.rows, comparison.differences, strict=True):
        assert row[1] == column_title(comparison, one.metric)
        assert isinstance(row[2], Number)
        assert row[2].value == one.value
        assert row[-1] == ("yes" if one.is_clear else "no")
    untested = dataclasses.replace(comparison.differences[0], p_value=None, adjusted_p_value=None, note="no test: x")
    row = differences_table(dataclasses.replace(comparison, differences=(untested,))).rows[0]
    assert row[-1] == "not tested"
    assert isinstance(row[3], Number)
    assert (row[3].text, row[3].value) == ("none", None)


def test_tests_of_decisions_show_their_counts_and_that_images_share_cases(compared: CompareContent) -> None:
    table = decisions_table(compared.comparison)
    assert "p, clustered" in table.columns
    counts = [cell.value for cell in table.rows[0][1:5] if isinstance(cell, Number)]
    assert sum(count or 0 for count in counts) == compared.comparison.num_images
    by_case = dataclasses.replace(compared.comparison, num_cases=compared.comparison.num_images, unit="case")
    assert "p, clustered" not in decisions_table(by_case).columns
    assert decisions_table(by_case).name == "case-decisions"
    assert "Obuchowski's variance" in areas_table(compared.comparison).caption
    assert "DeLong's variance" in areas_table(by_case).caption


def test_a_difference_reads_as_one_phrase(compared: CompareContent) -> None:
    comparison, one = compared.comparison, compared.comparison.differences[0]
    told = dataclasses.replace(one, value=0.0123, low=-0.01, high=0.03, p_value=0.2, adjusted_p_value=0.4)
    assert difference_text(comparison, told) == "+0.012 (-0.010 to +0.030), p 0.200, corrected 0.400"
    alone = dataclasses.replace(comparison, differences=(told,))
    assert difference_text(alone, told) == "+0.012 (-0.010 to +0.030), p 0.200"
    untested = dataclasses.replace(told, low=None, high=None, p_value=None, note="no test: x")
    assert difference_text(comparison, untested) == "+0.012; no test: x"
    assert difference_text(comparison, dataclasses.replace(untested, value=None, note="undefined: y")) == "undefined: y"


@pytest.mark.parametrize("metric", ["roc_auc", "brier"])
def test_a_title_says_the_class_and_whether_less_is_better(compared: CompareContent, metric: str) -> None:
    title = column_title(compared.comparison, metric)
    assert title == {"roc_auc": "ROC AUC, malignant", "brier": "Brier score (lower is better)"}[metric]
