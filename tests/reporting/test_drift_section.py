"""The section on drift: what differs is a warning, sizes stand beside p-values, and what was not tested says why."""

import dataclasses

import pytest

from radpath.evaluation.drift import Drift, Shift
from radpath.reporting.blocks import Drawing, Note, Number, Table
from radpath.reporting.drift_section import drift_section

LEVEL = Shift(
    name="mean_level",
    kind="input",
    compared_with="train",
    seen="100 (90 to 110)",
    new="130 (120 to 140)",
    num_seen=80,
    num_new=40,
    test="Kolmogorov-Smirnov",
    statistic=0.7,
    p_value=1e-6,
    p_adjusted=2e-6,
    difference=2.5,
    stability=1.25,
    stability_by_chance=0.034,
    note=None,
)
DECISION = dataclasses.replace(
    LEVEL, name="decision", kind="output", compared_with="test", seen="no 70 %, yes 30 %", new="yes 100 %", num_new=3,
    test="none", statistic=None, p_value=None, p_adjusted=None, difference=None, stability=None,
    stability_by_chance=None, note="not tested: 3 cases on one side",
)  # fmt: skip


@pytest.fixture
def found() -> Drift:
    return Drift(
        level=0.05, min_cases=10, num_seen_images=160, num_new_images=50, num_new_cases=40, shifts=(LEVEL, DECISION)
    )


def test_what_differs_is_a_warning_with_its_size(found: Drift) -> None:
    blocks = drift_section(found).blocks
    (note,) = (block for block in blocks if isinstance(block, Note))
    assert note == Note(
        kind="warning", text="New images differ from those of the run in: mean_level (corrected p < 0.05)."
    )
    (table,) = (block for block in blocks if isinstance(block, Table))
    assert table.rows[0][0] == "mean_level (input)"
    assert table.rows[0][6:8] == (Number(text="+2.50", value=2.5), Number(text="1.250", value=1.25))
    assert table.rows[0][8] == Number(text="0.034", value=0.034)
    assert table.rows[1][9] == Number(text="none", value=None, note="not tested: 3 cases on one side")
    assert all(len(row) == len(table.columns) for row in table.rows)


def test_the_drawing_shows_everything_that_has_a_size(found: Drift) -> None:
    (drawing,) = (block for block in drift_section(found).blocks if isinstance(block, Drawing))
    assert "mean_level 1.250." in drawing.svg
    assert "decision" not in drawing.svg


def test_the_usual_marks_are_drawn_only_where_chance_stays_below_them(found: Drift) -> None:
    few = dataclasses.replace(found, shifts=(dataclasses.replace(LEVEL, stability_by_chance=0.18),))
    (many,), (marked,) = (
        [block for block in drift_section(one).blocks if isinstance(block, Drawing)] for one in (found, few)
    )
    assert ">large<" in many.svg
    assert ">large<" not in marked.svg
    assert many.caption.endswith("Beyond 0.25 is usually called large.")
    assert marked.caption.endswith("With so few cases chance alone often passes the usual marks, 0.1 and 0.25.")


def test_without_a_difference_and_without_inputs_that_is_said(found: Drift) -> None:
    calm = dataclasses.replace(found, shifts=(dataclasses.replace(LEVEL, kind="output", p_adjusted=0.6),))
    notes = [block.text for block in drift_section(calm).blocks if isinstance(block, Note)]
    assert notes == [
        "None of 1 test shows a difference (corrected p < 0.05).",
        "Nothing is known of the images that could be compared; only the outputs are.",
    ]
