from collections.abc import Callable

import pytest

from radpath.evaluation.calibration import CalibrationSettings, Calibrator, fit_calibrator
from radpath.evaluation.decision_curve import DecisionCurveSettings, assess_decision_curve
from radpath.reporting.blocks import Drawing, Number, Paragraph, Table
from radpath.reporting.content import ReportContent
from radpath.reporting.decision_curve_section import decision_curve_section


@pytest.mark.parametrize("corrected", [True, False])
def test_model_everybody_and_gain_are_there(new_content: Callable[..., ReportContent], *, corrected: bool) -> None:
    content = new_content()
    fitted = fit_calibrator(content.predictions, CalibrationSettings()) if corrected else None
    calibrator = fitted if isinstance(fitted, Calibrator) else None
    found = assess_decision_curve(
        content.predictions, content.evaluation, DecisionCurveSettings(), calibrator=calibrator
    )
    assert found is not None
    paragraph, drawing, table = decision_curve_section(found).blocks
    assert isinstance(paragraph, Paragraph)
    assert f"when {found.of_class} has a probability of at least t" in paragraph.text
    assert isinstance(drawing, Drawing)
    assert ("Model, corrected" in drawing.svg) == corrected
    assert isinstance(table, Table)
    middle = ("Model, as it is", "Model, corrected") if corrected else ("Model, as it is",)
    assert table.columns == ("Probability to act at", *middle, "Everybody", "Gain")
    assert [row[0].value for row in table.rows if isinstance(row[0], Number)][::6] == [0.01, 0.5]
