"""Where images come from and go, and what was checked on the sides."""

import dataclasses

import pytest

from radpath.reporting.blocks import Flow, Number, Paragraph, Table
from radpath.reporting.content import Check, Exclusion, ReportContent, SplitSummary
from radpath.reporting.data_section import data_section, split_section


def flow_of(content: ReportContent) -> Flow:
    return next(block for block in data_section(content, {}).blocks if isinstance(block, Flow))


def test_the_flow_goes_from_what_was_found_to_the_sides(two_classes: ReportContent) -> None:
    found, kept, sides = flow_of(two_classes).stages
    assert found.boxes == (("Found", "73 images, 37 cases"),)
    assert found.items == ("reason 0: 1",)
    assert kept.boxes == (("Taking part", "72 images, 36 cases"),)
    assert [name for name, _ in sides.boxes] == ["Training", "Validation", "Test"]


def test_many_reasons_are_counted_and_stand_in_the_table(two_classes: ReportContent) -> None:
    assert two_classes.data is not None
    exclusions = tuple(Exclusion(reason=f"reason {n}", num_images=2, num_cases=1) for n in range(9))
    many = dataclasses.replace(two_classes, data=dataclasses.replace(two_classes.data, exclusions=exclusions))
    assert flow_of(many).stages[0].items[-1] == "and 3 more reasons, in the table below"
    tables = [block for block in data_section(many, {}).blocks if isinstance(block, Table)]
    assert len(next(table for table in tables if table.name == "exclusions").rows) == 9


@pytest.mark.parametrize(
    ("outcome", "words"),
    [("passed", "disjoint at the level of the case"), ("failed", "not disjoint"), ("handled", "disjoint at the level")],
)
def test_the_statement_on_disjointness_follows_the_checks(two_classes: ReportContent, outcome: str, words: str) -> None:
    assert two_classes.split is not None
    check = Check(what="No case is on two sides", outcome=outcome)  # type: ignore[arg-type]  # one of the words
    split = SplitSummary(method="", sides=two_classes.split.sides, checks=(check,))
    texts = [
        block.text
        for block in split_section(dataclasses.replace(two_classes, split=split)).blocks
        if isinstance(block, Paragraph)
    ]
    assert words in texts[-1]


def test_predictions_alone_have_counts_and_say_what_nobody_could_check(two_classes: ReportContent) -> None:
    alone = ReportContent(
        title="Foreign", question="Which?", evaluation=two_classes.evaluation, predictions=two_classes.predictions
    )
    tables = {block.name: block for block in split_section(alone).blocks if isinstance(block, Table)}
    assert tables["split"].total is not None
    assert tables["split"].total[-1] == Number(text="72", value=72.0)
    assert [row[1] for row in tables["checks"].rows] == ["✓ checked", "○ not checked"]
    assert len(flow_of(alone).stages) == 1
