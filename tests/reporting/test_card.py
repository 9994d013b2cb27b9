import dataclasses
from collections.abc import Callable
from pathlib import Path

from radpath.reporting.blocks import Paragraph, Section, Table
from radpath.reporting.card import render_model_card, write_model_card
from radpath.reporting.content import ReportContent

ContentMaker = Callable[..., ReportContent]


def test_the_card_leaves_the_intended_use_to_a_person(two_classes: ReportContent) -> None:
    card = render_model_card(two_classes)
    assert "**To be filled in by a person.** Intended use" in card
    assert "## Caveats" in card
    assert "not a medical device" in card


def test_the_card_has_metrics_with_intervals_threshold_and_versions(two_classes: ReportContent) -> None:
    card = render_model_card(two_classes)
    area = two_classes.evaluation.headline("test")
    assert area is not None
    assert f"| ROC AUC, malignant | {area.value:.3f} ({area.low:.3f} to {area.high:.3f}) |" in card
    assert "An image is called malignant when" in card
    assert "| radpath | 0.1.0 |" in card


def test_every_table_row_has_as_many_cells_as_its_header(new_content: ContentMaker) -> None:
    card = render_model_card(new_content(("a|b", "c\nd", "`<x>`")))
    lengths: list[set[int]] = [set()]
    for line in card.splitlines():
        if line.startswith("|"):
            lengths[-1].add(line.replace("\\|", "").count("|"))
        elif lengths[-1]:
            lengths.append(set())
    assert all(len(one) <= 1 for one in lengths)
    assert "<x>" not in card.replace("\\<x\\>", "")


def test_the_same_content_gives_the_same_file(tmp_path: Path, four_classes: ReportContent) -> None:
    write_model_card(four_classes, tmp_path / "model_card.md")
    assert (tmp_path / "model_card.md").read_text(encoding="utf-8") == render_model_card(four_classes)


def test_the_card_has_calibration_and_thresholds_without_drawings(two_classes: ReportContent) -> None:
    table = Table(name="t", caption="Before_after", columns=("What", "Value"), rows=(("ECE", "0.1"),))
    shown = Section(anchor="calibration", title="Calibration", blocks=(Paragraph(text="Fitted."), table))
    hidden = Section(anchor="explanation", title="Where the model looked", blocks=(Paragraph(text="There."),))
    card = render_model_card(dataclasses.replace(two_classes, sections=(shown, hidden)))
    assert "## Calibration\n\nFitted.\n\nBefore\\_after\n\n| What | Value |" in card
    assert "Where the model looked" not in card


def test_predictions_alone_have_a_card(two_classes: ReportContent) -> None:
    alone = ReportContent(
        title="Foreign", question="Which?", evaluation=two_classes.evaluation, predictions=two_classes.predictions
    )
    card = render_model_card(alone)
    assert "Known from a table of predictions alone." in card
    assert "- Model:" not in card
    assert "- Made:" not in card


def test_the_card_has_the_numbers_by_case(two_classes: ReportContent) -> None:
    by_case = two_classes.evaluation.by_case
    assert by_case is not None
    area = by_case.numbers.headline("test")
    assert area is not None
    _, below = render_model_card(two_classes).split("### By case")
    assert f"| ROC AUC, malignant | {area.value:.3f} ({area.low:.3f} to {area.high:.3f})" in below
