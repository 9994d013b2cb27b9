"""Sections of blocks become HTML that holds every word as text, and a page with its tables and figures beside it."""

import base64
import hashlib
import re
from pathlib import Path

import pytest

from radpath.reporting.blocks import (
    Block,
    Bullets,
    Drawing,
    Flow,
    Folded,
    Gallery,
    Heading,
    Note,
    Number,
    Paragraph,
    Picture,
    Section,
    Stage,
    Table,
)
from radpath.reporting.rendering import in_rows, render_sections_page, write_sections_page
from radpath.reporting.svg import house_style, new_figure, to_svg

HOSTILE = '<script>alert("x")</script>&\''


def drawing(name: str) -> Drawing:
    with house_style():
        figure, _ = new_figure(100)
        svg = to_svg(figure, name=f"figure-{name}", title=HOSTILE, description="nothing")
    return Drawing(name=name, svg=svg, caption=HOSTILE)


def every_block() -> tuple[Block, ...]:
    number = Number(text="0.912", value=0.9123, low=0.8, high=0.95)
    table = Table(name="one", caption=HOSTILE, columns=("Group", HOSTILE), rows=((HOSTILE, number),))
    picture = Picture(picture=b"\xff\xd8", alternative=HOSTILE, lines=(HOSTILE, "below"))
    return (
        Paragraph(text=HOSTILE),
        Note(text=HOSTILE, kind="warning"),
        Heading(text=HOSTILE),
        Bullets(items=(HOSTILE,)),
        drawing("a"),
        drawing("b"),
        Gallery(caption=HOSTILE, pictures=(picture,)),
        Flow(caption=HOSTILE, stages=(Stage(boxes=((HOSTILE, "3"),), leaves=HOSTILE, items=(HOSTILE,)),)),
        Folded(summary=HOSTILE, blocks=(table, Paragraph(text="inside"))),
    )


@pytest.fixture(scope="module")
def page() -> str:
    sections = (Section(anchor="all", title=HOSTILE, blocks=every_block()),)
    return render_sections_page(sections, title=HOSTILE, lead=HOSTILE, note=HOSTILE)


def test_every_word_of_a_user_stays_text(page: str) -> None:
    assert page.count("<script") == 1
    assert page.count("alert(&#34;x&#34;)") + page.count("alert(&quot;x&quot;)") > 15


def test_drawings_that_follow_each_other_share_a_row(page: str) -> None:
    assert page.count('<div class="figure-row">') == 1
    rows = list(in_rows([drawing("a"), drawing("b"), Paragraph(text="x"), drawing("c")]))
    assert [len(drawings) for drawings, _ in rows] == [2, 0, 1]


def test_the_policy_of_the_page_allows_its_own_script_and_no_other(page: str) -> None:
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'\"" in page
    assert "default-src 'none'" in page


def test_a_number_keeps_its_full_value_for_sorting_and_its_interval_for_reading(page: str) -> None:
    assert 'data-value="0.9123">0.912 <span class="range">(0.800 to 0.950)</span>' in page


def test_what_is_folded_is_there(page: str) -> None:
    folded = page[page.index("<details>") : page.index("</details>")]
    assert "<table" in folded
    assert "<p>inside</p>" in folded


def test_a_page_is_written_with_its_tables_and_figures_and_again_the_same(tmp_path: Path) -> None:
    sections = (Section(anchor="all", title="All", blocks=every_block()),)
    write_sections_page(sections, tmp_path / "compare.html", title="T", lead="L")
    written = {path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in tmp_path.rglob("*.*")}
    assert set(written) == {"compare.html", "tables/one.csv", "tables/one.tex", "figures/a.svg", "figures/b.svg"}
    write_sections_page(sections, tmp_path / "compare.html", title="T", lead="L")
    assert (tmp_path / "compare.html").read_bytes() == written["compare.html"]
