"""Every link of a checklist leads somewhere, every item is there once, and what is not there is for the authors."""

import re
from pathlib import Path

import pytest

import radpath.reporting
from radpath.reporting.blocks import Folded, Link, Paragraph, Section, Table
from radpath.reporting.checklist_items import CHECKLISTS, Checklist
from radpath.reporting.checklists import FOR_AUTHORS, checklists_section
from radpath.reporting.content import ReportContent
from radpath.reporting.page import render_report
from radpath.reporting.sections import report_sections

# How many numbered items each guideline has, and how many of them with a letter.
NUMBERED = {"CLAIM 2024": (44, 44), "TRIPOD+AI": (27, 52), "STARD-AI": (40, 48)}


def tables_of(section: Section) -> list[Table]:
    folded = [block for block in section.blocks if isinstance(block, Folded)]
    return [table for one in folded for table in one.blocks if isinstance(table, Table)]


def checklists_of(content: ReportContent) -> Section:
    return next(section for section in report_sections(content) if section.anchor == "checklists")


@pytest.mark.parametrize("checklist", CHECKLISTS, ids=lambda one: one.title)
def test_every_number_is_there_once_and_in_order(checklist: Checklist) -> None:
    numbers = [item.number for item in checklist.items]
    whole = list(dict.fromkeys(int(number.rstrip("abcdefg")) for number in numbers))
    count, with_letters = NUMBERED[checklist.title]
    assert whole == list(range(1, count + 1))
    assert len(numbers) == len(set(numbers)) == with_letters


def test_every_link_leads_to_an_anchor_of_the_page(two_classes: ReportContent) -> None:
    page = render_report(two_classes)
    links = [
        cell for table in tables_of(checklists_of(two_classes)) for row in table.rows for cell in row
        if isinstance(cell, Link)
    ]  # fmt: skip
    assert len(links) > 60
    for link in links:
        assert f'id="{link.anchor}"' in page
        assert f'<a href="#{link.anchor}">' in page


def test_every_place_that_an_item_may_lead_to_is_the_anchor_of_some_section() -> None:
    folder = Path(radpath.reporting.__file__).parent
    known = {
        anchor for path in folder.glob("*.py") for anchor in re.findall(r'anchor="([a-z-]+)"', path.read_text("utf-8"))
    }
    wanted = {place for checklist in CHECKLISTS for item in checklist.items for place in item.places}
    # Sections of analyses that may not be written yet lead nowhere, which the page leaves to the authors.
    assert wanted - known - {"robustness", "drift"} == set()


def test_what_this_report_lacks_is_for_the_authors(two_classes: ReportContent) -> None:
    alone = ReportContent(
        title="Foreign", question="Which?", evaluation=two_classes.evaluation, predictions=two_classes.predictions
    )
    claim = {row[0]: row for row in tables_of(checklists_of(alone))[0].rows}
    assert claim["22"][3] == FOR_AUTHORS
    assert claim["44"][3] == FOR_AUTHORS
    assert isinstance(claim["37"][2], Link)


def test_a_place_that_only_tells_what_to_fill_in_is_no_answer(two_classes: ReportContent) -> None:
    section = checklists_of(two_classes)
    paragraph = section.blocks[0]
    assert isinstance(paragraph, Paragraph)
    for checklist, table in zip(CHECKLISTS, tables_of(section), strict=True):
        gaps = [row for row in table.rows if isinstance(row[2], Link) and row[2].anchor == "fill-in"]
        assert gaps
        assert {row[3] for row in gaps} == {FOR_AUTHORS}
        answered = sum(row[3] != FOR_AUTHORS for row in table.rows)
        assert f"{checklist.title} {answered} of {len(table.rows)}" in paragraph.text


def test_an_empty_report_answers_nothing() -> None:
    for table in tables_of(checklists_section([])):
        assert {row[3] for row in table.rows} == {FOR_AUTHORS}
