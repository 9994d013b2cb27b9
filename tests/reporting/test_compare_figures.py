"""Figures of a comparison: every model is there, described in words, and nothing is drawn of nothing."""

import dataclasses
import xml.etree.ElementTree as ET
from collections.abc import Callable

from radpath.evaluation.comparison_results import Comparison
from radpath.reporting.blocks import Drawing
from radpath.reporting.compare import CompareContent
from radpath.reporting.compare_figures import MOST_CLASSES_DRAWN, roc_overlay, to_best_figure

MakeComparison = Callable[..., CompareContent]


def described(drawing: Drawing | None) -> tuple[str, str]:
    """Return the words for readers who cannot see the drawing, and every text drawn."""
    assert drawing is not None
    root = ET.fromstring(drawing.svg)  # noqa: S314 - our own drawing
    space = "{http://www.w3.org/2000/svg}"
    texts = " ".join("".join(one.itertext()) for one in root.iter(f"{space}text"))
    return root.findtext(f"{space}desc") or "", texts


def test_the_curves_of_two_classes_stand_in_one_square_with_their_areas(compared: CompareContent) -> None:
    words, texts = described(roc_overlay(compared.comparison, compared.contenders))
    for model in compared.comparison.models:
        assert f"{model.name}: {model.estimates[0].value:.3f}" in words
        assert model.name in texts


def test_several_classes_have_a_panel_each(new_comparison: MakeComparison) -> None:
    content = new_comparison(("a1", "b2", "c3", "d4", "e5"))
    words, texts = described(roc_overlay(content.comparison, content.contenders))
    assert all(name in texts for name in content.comparison.classes)
    assert "One panel for each of a1, b2, c3, d4, e5" in words


def test_too_many_classes_are_not_drawn(compared: CompareContent) -> None:
    many = tuple(f"class {place}" for place in range(MOST_CLASSES_DRAWN + 1))
    crowded = dataclasses.replace(compared.comparison, classes=many, positive_class=None)
    assert roc_overlay(crowded, compared.contenders) is None


def test_the_differences_to_the_best_leave_out_the_best(compared: CompareContent) -> None:
    words, texts = described(to_best_figure(compared.comparison))
    assert "blind: +" in words
    assert "minus the model" in texts
    assert len(words.split("; ")) == 2


def test_without_a_difference_there_is_no_figure(compared: CompareContent) -> None:
    assert to_best_figure(_without_values(compared.comparison)) is None


def _without_values(comparison: Comparison) -> Comparison:
    models = tuple(
        dataclasses.replace(model, estimates=tuple(dataclasses.replace(one, value=None) for one in model.estimates))
        for model in comparison.models
    )
    return dataclasses.replace(comparison, models=models)
