"""The page of a comparison says who is best, shows where models disagree, and has the same bytes every time."""

import dataclasses
import re
from collections.abc import Callable

import pytest

from radpath.evaluation.comparison_disagreement import only_first_right
from radpath.reporting.blocks import Gallery, Heading, Note, Section, Table
from radpath.reporting.compare import CompareContent, compare_sections, shown_pairs, verdict
from radpath.reporting.rendering import render_sections_page

MakeComparison = Callable[..., CompareContent]


def section(content: CompareContent, anchor: str) -> Section:
    return next(one for one in compare_sections(content) if one.anchor == anchor)


def page(content: CompareContent) -> str:
    return render_sections_page(compare_sections(content), title="t", lead=verdict(content.comparison))


def test_the_verdict_names_the_best_the_tied_and_the_worse(compared: CompareContent) -> None:
    values = [model.estimates[0].value or 0.0 for model in compared.comparison.models]
    best = ("plain", "wide")[values[1] > values[0]]
    other = {"plain": "wide", "wide": "plain"}[best]
    assert verdict(compared.comparison) == (
        f"The best by ROC AUC, malignant is {best}, with {max(values):.3f}. {other} is not distinguishable from it. "
        "blind is worse."
    )


def test_models_without_any_value_have_no_best(compared: CompareContent) -> None:
    models = tuple(
        dataclasses.replace(model, estimates=tuple(dataclasses.replace(one, value=None) for one in model.estimates))
        for model in compared.comparison.models
    )
    told = verdict(dataclasses.replace(compared.comparison, models=models))
    assert told == "No model has a value of ROC AUC, malignant on these images, so none is best."


def test_the_best_model_is_shown_against_each_other_in_both_directions(compared: CompareContent) -> None:
    pairs = shown_pairs(compared)
    assert len(pairs) == 4
    assert {pairs[0][0]} == {pairs[1][1]} == {pairs[2][0]} == {pairs[3][1]}
    for first, second, images in pairs:
        assert images == only_first_right(compared.disagreements, first, second)[:6]
        assert all(one.is_right[first] and not one.is_right[second] for one in images)


def test_images_are_shown_where_they_are_there_and_listed_where_they_are_not(
    compared: CompareContent, new_comparison: MakeComparison
) -> None:
    blocks = section(compared, "disagreement").blocks
    assert any(isinstance(block, Table) for block in blocks)
    assert not any(isinstance(block, Gallery) for block in blocks)
    pictured = section(new_comparison(with_pictures=True), "disagreement").blocks
    galleries = [block for block in pictured if isinstance(block, Gallery)]
    assert len(galleries) == sum(isinstance(block, Heading) for block in pictured)
    assert re.match(r"images/.*, truly \w+, decided \w+ by \w+$", galleries[0].pictures[0].alternative)


def test_that_images_share_cases_is_said_beside_mcnemars_test(compared: CompareContent) -> None:
    notes = [block.text for block in section(compared, "differences").blocks if isinstance(block, Note)]
    assert any(text.startswith("McNemar's test takes images for independent") for text in notes)


def test_how_the_best_was_chosen_is_said(compared: CompareContent) -> None:
    text = page(compared)
    assert "it was not named before" in text
    assert "The correction is over all 9 tests" in text
    assert "Take care." in text
    assert "training.seed" in text


def test_a_comparison_by_case_has_a_section_of_its_own(compared: CompareContent) -> None:
    by_case = dataclasses.replace(compared.comparison, unit="case", num_images=compared.comparison.num_cases)
    content = dataclasses.replace(compared, by_case=by_case)
    names = re.findall(r'id="table-([^"]+)"', page(content))
    assert len(names) == len(set(names))
    assert {"models", "case-models", "case-differences", "case-decisions", "areas", "case-areas"} <= set(names)


@pytest.mark.parametrize("classes", [("benign", "malignant"), ("a", "b", "c")])
def test_the_same_comparison_gives_the_same_bytes(new_comparison: MakeComparison, classes: tuple[str, ...]) -> None:
    assert page(new_comparison(classes)) == page(new_comparison(classes))


def test_names_are_text_never_markup(new_comparison: MakeComparison) -> None:
    hostile = "<b>&'\"</b>"
    text = page(new_comparison(("benign", hostile), names=("plain", hostile), with_pictures=True))
    assert hostile not in text
    assert "&lt;b&gt;" in text
