"""The source of the PDF: every word of a user is a quoted string, and blocks become what Typst knows."""

import re

import pytest

from radpath.reporting.blocks import (
    Block,
    Bullets,
    Drawing,
    Flow,
    Folded,
    Gallery,
    Heading,
    Link,
    Note,
    Number,
    Paragraph,
    Picture,
    Section,
    Stage,
    Table,
    Widget,
)
from radpath.reporting.content import ReportContent
from radpath.reporting.sections import report_sections
from radpath.reporting.svg import house_style, new_figure, to_svg
from radpath.reporting.typst_source import document, quoted

HOSTILE = '#sys.exit() "$x$" \\ `code` <label> @ref [*bold*]'


def outside_of_strings(text: str) -> str:
    return re.sub(r'"(?:[^"\\]|\\.)*"', '""', text)


def hostile_blocks() -> tuple[Block, ...]:
    with house_style():
        svg = to_svg(new_figure(50)[0], name="figure-a", title=HOSTILE, description="nothing")
    number = Number(text=HOSTILE, value=0.9, low=0.8, high=0.95, note=HOSTILE)
    table = Table(
        name="t",
        caption=HOSTILE,
        columns=(HOSTILE, "n", "to"),
        rows=((HOSTILE, number, Link(text=HOSTILE, anchor="all")),),
        total=(HOSTILE, "1", Link(text="gone", anchor="nowhere")),
    )
    return (
        Paragraph(text=HOSTILE),
        Note(text=HOSTILE, kind="warning"),
        Heading(text=HOSTILE, anchor="part"),
        Bullets(items=(HOSTILE,)),
        Drawing(name="a", svg=svg, caption=HOSTILE),
        Gallery(caption=HOSTILE, pictures=(Picture(picture=b"\xff\xd8", alternative=HOSTILE, lines=(HOSTILE,)),)),
        Flow(caption=HOSTILE, stages=(Stage(boxes=((HOSTILE, HOSTILE),), leaves=HOSTILE, items=(HOSTILE,)),)),
        Folded(summary=HOSTILE, blocks=(table,)),
        Widget(kind="threshold", label=HOSTILE, data="{}"),
    )


def test_no_word_of_a_user_is_outside_of_a_string() -> None:
    section = Section(anchor="all", title=HOSTILE, blocks=hostile_blocks())
    source = document([section], title=HOSTILE, lead=HOSTILE, created=HOSTILE, top=hostile_blocks()[:2])
    outside = outside_of_strings(source.text)
    assert "sys" not in outside
    assert "code" not in outside
    assert set(source.pictures) == {"a.svg", "picture-1.jpg"}


def test_a_link_leads_to_a_label_and_one_to_nowhere_is_words() -> None:
    source = document([Section(anchor="all", title="A", blocks=hostile_blocks())], title="T")
    assert 'link(label("all")' in source.text
    assert "<all>" in source.text
    assert "<part>" in source.text
    assert 'label("nowhere")' not in source.text


def test_a_drawing_on_paper_knows_no_theme_and_no_font_of_a_system(two_classes: ReportContent) -> None:
    source = document(report_sections(two_classes), title="T")
    drawings = [picture.decode() for name, picture in source.pictures.items() if name.endswith(".svg")]
    assert len(drawings) == 7
    for drawing in drawings:
        assert not re.search(r"currentColor|var\(|system-ui|CanvasText", drawing)


@pytest.mark.parametrize("text", ['"', "\\", '\\"', "a\nb", "ends with \\"])
def test_a_quoted_text_is_one_string(text: str) -> None:
    assert outside_of_strings(quoted(text)) == '""'
