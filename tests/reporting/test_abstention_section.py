from collections.abc import Callable

import pytest

from radpath.evaluation.abstention import assess_abstention
from radpath.reporting.abstention_section import abstention_section
from radpath.reporting.blocks import Drawing, Number, Paragraph, Table
from radpath.reporting.content import ReportContent


@pytest.mark.parametrize(("classes", "certain", "num_columns"), [
    (("benign", "malignant"), "the closer their probability is to the threshold, in log-odds", 4),
    (("a", "b", "c"), "the lower their highest probability", 2),
])  # fmt: skip
def test_the_curve_its_area_and_chosen_shares_are_there(
    new_content: Callable[..., ReportContent], classes: tuple[str, ...], certain: str, num_columns: int
) -> None:
    content = new_content(classes)
    found = assess_abstention(content.predictions, content.evaluation)
    paragraph, drawing, table = abstention_section(found).blocks
    assert isinstance(paragraph, Paragraph)
    assert f"Images are the less certain {certain}." in paragraph.text
    assert f"(AURC) is {found.area.value:.3f}" in paragraph.text
    assert isinstance(drawing, Drawing)
    assert "50% of the images decided" in drawing.svg
    assert isinstance(table, Table)
    assert len(table.columns) == num_columns
    shares = [row[0].value for row in table.rows if isinstance(row[0], Number)]
    assert shares == [1.0, 0.95, 0.9, 0.8, 0.7, 0.5]
    risk = table.rows[0][1]
    assert isinstance(risk, Number)
    assert risk.value == found.kept[0].risk.value
