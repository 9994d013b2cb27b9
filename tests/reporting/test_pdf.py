"""The report on paper: the same content gives the same bytes, and nothing that Typst cannot read."""

import importlib.util

import pytest

from radpath.errors import MissingExtraError
from radpath.reporting.blocks import Folded, Paragraph, Section, Table
from radpath.reporting.content import ReportContent
from radpath.reporting.page import top_blocks
from radpath.reporting.pdf import can_write_pdf, render_pdf
from radpath.reporting.sections import report_sections

HOSTILE = '#sys.exit() "$x$" \\ `code` <label> @ref [*bold*] \N{NO-BREAK SPACE}% äß'


def test_a_whole_report_becomes_a_pdf_and_again_the_same(two_classes: ReportContent) -> None:
    sections = report_sections(two_classes)
    first = render_pdf(sections, title="Lesions", lead="Which?", created="2024", top=top_blocks(two_classes))
    again = render_pdf(sections, title="Lesions", lead="Which?", created="2024", top=top_blocks(two_classes))
    assert first.startswith(b"%PDF-")
    assert first == again


def test_words_that_look_like_markup_are_set_as_they_are() -> None:
    table = Table(name="t", caption=HOSTILE, columns=(HOSTILE,), rows=((HOSTILE,),))
    blocks = (Paragraph(text=HOSTILE), Folded(summary="x", blocks=(table,)))
    assert render_pdf([Section(anchor="a", title=HOSTILE, blocks=blocks)], title=HOSTILE).startswith(b"%PDF-")


def test_without_typst_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert not can_write_pdf()
    with pytest.raises(MissingExtraError, match=r"^a PDF needs Typst: pip install 'radpath\[pdf\]'; report.html"):
        render_pdf([], title="x")
