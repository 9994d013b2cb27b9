import dataclasses
from collections.abc import Callable

import pytest

from radpath.evaluation.operating_points import OperatingPoints, assess_operating_points
from radpath.evaluation.thresholds import OperatingPointSettings
from radpath.reporting.blocks import Note, Number, Paragraph, Table
from radpath.reporting.content import ReportContent
from radpath.reporting.operating_points_section import operating_points_section


@pytest.fixture
def found(new_content: Callable[..., ReportContent]) -> OperatingPoints:
    content = new_content()
    points = assess_operating_points(content.predictions, content.evaluation, OperatingPointSettings())
    assert points is not None
    return points


def test_every_threshold_has_a_row_and_the_decision_is_marked(found: OperatingPoints) -> None:
    section = operating_points_section(found)
    paragraph, table = section.blocks
    assert isinstance(paragraph, Paragraph)
    assert "Each was chosen on validation alone or on nothing, without the truth of the test side. " in paragraph.text
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows] == [
        "the highest sensitivity + specificity (Youden) (the decision)",
        "0.5 and depends on no data",
        "the highest specificity with a sensitivity of at least 0.95",
        "the highest sensitivity with a specificity of at least 0.95",
        "the lowest expected cost (a missed positive 1, a false alarm 1, prevalence 0.5)",
        "the highest F-beta (beta 1)",
    ]
    first = table.rows[0]
    assert isinstance(first[1], Number)
    assert first[1].value == found.points[0].threshold.value
    assert str(first[2]).startswith("on validation: sensitivity ")
    assert isinstance(first[3], Number)
    assert (first[3].value, first[3].low) == (found.points[0].sensitivity.value, found.points[0].sensitivity.low)
    assert table.rows[1][2] == "on nothing"


def test_a_threshold_set_by_hand_and_numbers_of_another_side_are_said(found: OperatingPoints) -> None:
    decision = found.points[0]
    by_hand = dataclasses.replace(
        decision, threshold=dataclasses.replace(decision.threshold, rule="given", fitted_on=None, asked={})
    )
    other = dataclasses.replace(
        found, side="validation", points=(by_hand, *found.points[1:]), without_answer=("cost", "f_beta")
    )
    warning, paragraph, table, note = operating_points_section(other).blocks
    assert isinstance(paragraph, Paragraph)
    assert "test side, but for the one set by hand, of which it is not known. " in paragraph.text
    assert isinstance(warning, Note)
    assert warning.kind == "warning"
    assert "There is no test side" in warning.text
    assert isinstance(table, Table)
    assert table.rows[0][2] == "by hand; when and on what is not known"
    assert isinstance(note, Note)
    assert "a class is absent or no threshold is better than chance: cost, f_beta" in note.text
