import pytest

from radpath.evaluation.measured import Measured
from radpath.reporting.blocks import Number
from radpath.reporting.measured_cells import cell, draw_band, phrase
from radpath.reporting.svg import house_style, new_figure


def test_a_number_keeps_its_precision_and_its_interval() -> None:
    found = cell(Measured(value=1 / 3, low=0.25, high=0.5, note="few"))
    assert found == Number(text="0.333", value=1 / 3, low=0.25, high=0.5, note="few")
    assert cell(None) == "–"  # noqa: RUF001 - the dash of an empty cell


def test_what_does_not_exist_is_a_word_with_its_reason() -> None:
    missing = Measured(value=None, note="undefined: no image")
    assert cell(missing) == Number(text="undefined", value=None, note="undefined: no image")
    assert phrase(missing) == "undefined: no image"
    assert phrase(Measured(value=0.5)) == "0.500"


def test_a_band_has_gaps_where_there_are_no_numbers() -> None:
    with house_style():
        _, axis = new_figure(100)
        measured = [Measured(value=0.5, low=0.4, high=0.6), Measured(value=None), Measured(value=0.7)]
        draw_band(axis, [0.0, 0.5, 1.0], measured, colour="#000000", label="a")
        (line,) = axis.get_lines()
    assert line.get_ydata().tolist() == pytest.approx([0.5, float("nan"), 0.7], nan_ok=True)
