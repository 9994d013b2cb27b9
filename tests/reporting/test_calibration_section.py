import dataclasses
from collections.abc import Callable

import pytest

from radpath.evaluation.calibration import Calibration, CalibrationMethod, CalibrationSettings, assess_calibration
from radpath.evaluation.measured import Measured
from radpath.reporting.blocks import Drawing, Note, Paragraph, Table
from radpath.reporting.calibration_section import calibration_section
from radpath.reporting.content import ReportContent

ContentMaker = Callable[..., ReportContent]


def made(content: ReportContent, method: CalibrationMethod = "temperature", moved_by: str | None = None) -> Calibration:
    settings = CalibrationSettings(method=method)
    return assess_calibration(content.predictions, content.evaluation, settings, moved_by=moved_by)


def notes(found: Calibration) -> list[str]:
    return [block.text for block in calibration_section(found).blocks if isinstance(block, Note)]


@pytest.mark.parametrize("classes", [("benign", "malignant"), ("a", "b", "c", "d")])
def test_before_and_after_stand_side_by_side(new_content: ContentMaker, classes: tuple[str, ...]) -> None:
    found = made(new_content(classes))
    paragraph, drawing, table = calibration_section(found).blocks
    assert isinstance(paragraph, Paragraph)
    assert "fitted on the validation side (24 images of 12 cases) without the truth of the test side" in paragraph.text
    assert "The temperature is" in paragraph.text
    assert isinstance(table, Table)
    assert table.columns == ("Number", "As the model gave them", "Corrected")
    num_lines = 1 if len(classes) == 2 else len(classes)
    assert len(table.rows) == 4 + 2 * num_lines
    assert isinstance(drawing, Drawing)
    expected = "Probability of" if len(classes) == 2 else "Highest probability of an image"
    assert expected in drawing.svg
    assert "Corrected: mean probability and share that is true of each bin are" in drawing.svg


def test_without_a_correction_the_reason_is_given(new_content: ContentMaker) -> None:
    found = made(new_content(images_per_side=8), "isotonic")
    paragraph, drawing, table = calibration_section(found).blocks
    assert isinstance(paragraph, Paragraph)
    assert paragraph.text.startswith(
        "The probabilities are as the model gave them. The validation side has 4 of 'benign'"
    )
    assert isinstance(table, Table)
    assert table.columns == ("Number", "As the model gave them")
    assert isinstance(drawing, Drawing)


def test_a_reader_is_told_what_moved_the_probabilities_and_what_to_doubt(new_content: ContentMaker) -> None:
    content = new_content(images_per_side=120)
    found = made(content, "isotonic", moved_by="The loss weighs classes.")
    assert notes(found) == [
        "The loss weighs classes.",
        "Isotonic steps on 120 images follow chance; a temperature needs far fewer.",
    ]
    assert notes(made(content, "platt")) == []
    assert notes(dataclasses.replace(made(content, "platt"), side="validation")) == [
        "There is no test side: the corrected probabilities are judged on images that they were fitted on."
    ]


def test_without_a_correction_nothing_is_said_of_corrected_probabilities(new_content: ContentMaker) -> None:
    found = dataclasses.replace(made(new_content(images_per_side=8)), side="validation")
    assert found.calibrator is None
    assert notes(found) == []


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.8, 1.3, "1.05 (0.80 to 1.30): validation does not tell whether the model was too sure or not sure enough."),
        (1.02, 1.08, "1.05 (1.02 to 1.08): on validation, the model was too sure."),
        (0.8, 0.9, "1.05 (0.80 to 0.90): on validation, the model was not sure enough."),
        (None, None, "1.05."),
    ],
)
def test_a_temperature_says_which_way_the_model_erred_where_its_interval_does(
    new_content: ContentMaker, low: float | None, high: float | None, words: str
) -> None:
    found = dataclasses.replace(made(new_content()), temperature=Measured(value=1.05, low=low, high=high))
    paragraph = calibration_section(found).blocks[0]
    assert isinstance(paragraph, Paragraph)
    assert f"The temperature is {words} All other numbers" in paragraph.text


@pytest.mark.parametrize(("low", "high", "words"), [(0.2, 0.8, "too low"), (-0.8, -0.2, "too high"), (-0.1, 0.2, "")])
def test_what_a_temperature_cannot_repair_is_said_from_validation(
    new_content: ContentMaker, low: float, high: float, words: str
) -> None:
    found = made(new_content())
    (line,) = found.left_on_validation
    intercept = Measured(value=(low + high) / 2, low=low, high=high)
    texts = notes(dataclasses.replace(found, left_on_validation=(dataclasses.replace(line, intercept=intercept),)))
    assert len(texts) == (1 if words else 0)
    assert all(f"of {line.of_class} are still {words}" in text and '"platt" can.' in text for text in texts)
