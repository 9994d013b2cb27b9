"""Tests of the pages about a study."""

import html.parser
from pathlib import Path

import numpy as np
import pytest

from radpath.data.audit.confounders import Area, Confounder, ConfounderCheck
from radpath.data.audit.duplicates import NearPair
from radpath.data.manifest import Finding
from radpath.reporting.content import Exclusion, Sample
from radpath.reporting.study import render_study_page, write_study_page
from radpath.reporting.study_content import Balance, PicturedPair, Question, StudyContent
from radpath.reporting.study_figures import areas_figure, study_figures
from radpath.reporting.thumbnails import thumbnail

EVIL = "<script>alert(1)</script>"
PICTURE = thumbnail(np.arange(400, dtype=np.uint8).reshape(20, 20))


def confounder(column: str, value: float, chance: float) -> Confounder:
    area = Area(value=value, low=value - 0.05, high=min(1, value + 0.05))
    return Confounder(column=column, origin="acquisition", area=area, chance=chance)


CHECK = ConfounderCheck(
    columns=(confounder("scanner", 0.93, 0.005), confounder("contrast", 0.52, 0.6)),
    together=Area(value=0.94, low=0.9, high=0.97),
)
PAIR = NearPair(
    record_ids=("a.png", EVIL),
    cases=("1", "2"),
    labels=("benign", "malignant"),
    sides=("train", "test"),
    similarity=0.987,
)
FINDINGS = (
    Finding(
        kind="label-told-by-acquisition", severity="warning", count=1, message="the label can be told from scanner"
    ),
    Finding(kind="near-duplicates", severity="note", count=2, message="2 pairs", examples=(EVIL,)),
)


def content(kind: str) -> StudyContent:
    return StudyContent(
        kind="audit" if kind == "audit" else "description",
        title=EVIL,
        command="radpath audit images",
        created="2026-11-21 10:00 UTC",
        images="images",
        labels="folder names",
        facts=(("images", "40, none excluded"), ("size, px", "20 x 20")),
        sizes_px={"benign": np.array([[20, 30], [40, 50]]), "malignant": np.array([[25, 25]])},
        balances=(Balance(of="site", counts={"north": {"benign": 3, EVIL: 1}, "south": {"benign": 2, EVIL: 4}}),),
        samples={"benign": (Sample(picture=PICTURE, caption="a.png, 20 x 30 px"),), "malignant": ()},
        exclusions=(Exclusion(reason="too small", num_images=2, num_cases=1, examples=("x: 1 x 1 px",)),),
        findings=FINDINGS,
        pairs=(PicturedPair(pair=PAIR, pictures=(PICTURE, PICTURE)),) if kind == "audit" else (),
        num_pairs=2 if kind == "audit" else 0,
        threshold=0.9 if kind == "audit" else None,
        questions=(Question(what="the label", check=CHECK),) if kind == "audit" else (),
    )


class Tags(html.parser.HTMLParser):
    """Collects headings and tags, and checks that every element is closed in order."""

    VOID = ("meta", "img", "br", "path", "use", "rect")

    def __init__(self) -> None:
        super().__init__()
        self.anchors: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "h2":
            self.anchors.append(dict(attrs)["id"] or "")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


@pytest.mark.parametrize("kind", ["audit", "description"])
def test_a_page_is_sound_and_runs_no_script(kind: str) -> None:
    page = render_study_page(content(kind))
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert "script" not in tags.tags
    assert EVIL not in page
    assert "default-src 'none'" in page
    assert page == render_study_page(content(kind))


def test_an_audit_begins_with_its_findings_and_a_description_ends_with_them() -> None:
    anchors = {}
    for kind in ("audit", "description"):
        tags = Tags()
        tags.feed(render_study_page(content(kind)))
        anchors[kind] = tags.anchors
    data = ["images", "balance", "samples", "excluded"]
    assert anchors["audit"] == ["findings", "copies", "confounders", *data]
    assert anchors["description"] == [*data, "findings"]


def test_a_pair_shows_both_images_with_what_is_wrong() -> None:
    page = render_study_page(content("audit"))
    shown = page[page.index('<figure class="near-pair serious">') :]
    shown = shown[: shown.index("</figure>")]
    assert shown.count("<img") == 2
    for words in (
        "0.987",
        "two sides",
        "different labels",
        "<b>benign</b>, train, case 1",
        "<b>malignant</b>, test, case 2",
    ):
        assert words in shown


def test_the_answer_to_a_question_names_the_columns() -> None:
    page = render_study_page(content("audit"))
    assert "Yes, from scanner. All columns together: 0.94 (0.90 to 0.97)." in page
    assert '<strong class="warning-word">scanner</strong>' in page


def test_a_table_of_balance_adds_up() -> None:
    page = render_study_page(content("description"))
    table = page[page.index("Classes by site") :]
    assert (
        '<th scope="row">All</th><td class="number">4</td><td class="number">6</td><td class="number">10</td>' in table
    )


def test_figures_that_would_show_nothing_are_left_out() -> None:
    assert set(study_figures(content("audit"))) == {"sizes", "balance_site", "areas_label"}
    empty = ConfounderCheck(columns=(), together=None)
    assert areas_figure(empty, name="x", what="the label") is None


def test_the_headline_says_how_many_warnings_there_are() -> None:
    assert "1 warning: what would make a score too good" in render_study_page(content("audit"))
    assert "3 images; 1 warning." in render_study_page(content("description"))


def test_a_page_is_written_whole(tmp_path: Path) -> None:
    write_study_page(content("audit"), tmp_path / "deep" / "audit.html")
    assert (tmp_path / "deep" / "audit.html").read_text(encoding="utf-8") == render_study_page(content("audit"))
