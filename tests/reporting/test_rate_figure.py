"""The figure of a rate test is whole SVG, the same every time, and says what it shows."""

from xml.etree import ElementTree as ET

import pytest

from radpath.reporting.rate_figure import rate_figure


@pytest.mark.parametrize(("suggestion", "told"), [(1e-3, "1.0e-03 is suggested"), (None, "none is suggested")])
def test_the_figure_says_what_is_suggested(suggestion: float | None, told: str) -> None:
    numbers = ([1e-6, 1e-4, 1e-2], [1.0, 0.5, 3.0], [1.0, 0.8, 1.2])
    drawing = rate_figure(*numbers, suggestion=suggestion, current=1e-4)
    assert drawing == rate_figure(*numbers, suggestion=suggestion, current=1e-4)
    words = "".join(ET.fromstring(drawing).itertext())  # noqa: S314 - our own drawing
    assert f"3 steps with a growing learning rate; {told}, 1.0e-04 is set" in words
    assert "Learning rate" in words
    assert ("Suggested, 1.0e-03" in words) == (suggestion is not None)
