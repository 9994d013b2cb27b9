import dataclasses
from collections.abc import Callable

from radpath.evaluation.conformal import ConformalSettings, assess_conformal
from radpath.reporting.blocks import Drawing, Note, Number, Paragraph, Table
from radpath.reporting.conformal_section import conformal_section
from radpath.reporting.content import ReportContent

ContentMaker = Callable[..., ReportContent]


def test_promise_assumption_coverage_and_sizes_are_there(new_content: ContentMaker) -> None:
    content = new_content(images_per_side=60)
    found = assess_conformal(content.predictions, content.evaluation, ConformalSettings(alpha=0.2))
    promise, assumption, drawing, coverage, sizes = conformal_section(found).blocks
    assert isinstance(promise, Paragraph)
    assert "with a chance of at least 80" in promise.text
    assert "each class by its own limit" in promise.text
    assert isinstance(assumption, Note)
    assert "need not hold at another site" in assumption.text
    assert "a case counts once, by the mean of its images" in assumption.text
    assert assumption.text.endswith("chose the epoch or the weights of an ensemble, the promise holds approximately.")
    assert isinstance(drawing, Drawing)
    assert "The dashed line is the promise, 0.8." in drawing.svg
    assert isinstance(coverage, Table)
    assert "each case counting once" in coverage.caption
    assert [row[0] for row in coverage.rows] == ["All images", "benign", "malignant"]
    last = coverage.rows[1][3]
    assert isinstance(last, Number)
    assert last.value == 15
    assert isinstance(sizes, Table)
    assert [row[0] for row in sizes.rows] == ["none: nothing fits", "one class", "2 classes"]


def test_a_class_without_a_limit_is_named(new_content: ContentMaker) -> None:
    content = new_content(images_per_side=60)
    found = assess_conformal(content.predictions, content.evaluation, ConformalSettings(alpha=0.2))
    assert found.sets is not None
    limits = (None, *found.sets.limits[1:])
    unlimited = dataclasses.replace(found, side="validation", sets=dataclasses.replace(found.sets, limits=limits))
    texts = [block.text for block in conformal_section(unlimited).blocks if isinstance(block, Note)]
    assert texts[0].endswith("In every set, for want of cases: benign.")
    assert texts[1].startswith("There is no test side")
    table = next(block for block in conformal_section(unlimited).blocks if isinstance(block, Table))
    cell = table.rows[1][2]
    assert isinstance(cell, Number)
    assert (cell.text, cell.value) == ("none", None)


def test_without_sets_only_the_reason_is_there(new_content: ContentMaker) -> None:
    content = new_content()
    found = assess_conformal(content.predictions, content.evaluation, ConformalSettings(alpha=0.01))
    (paragraph,) = conformal_section(found).blocks
    assert isinstance(paragraph, Paragraph)
    assert paragraph.text.startswith("There are no prediction sets. The validation side has 6 cases of a class;")
