import dataclasses
import re
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from radpath.evaluation.evaluate import EvaluationSettings, evaluate
from radpath.reporting.content import ReportContent
from radpath.reporting.page import render_report, write_report

ContentMaker = Callable[..., ReportContent]
NEVER_CLOSED = {"meta", "img", "br", "link", "hr", "input"}
HOSTILE = '<script>alert("x")</script>&\'" onerror='


class Outline(HTMLParser):
    """Checks that every element is closed in order, and collects what a test asks for."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.tags: Counter[str] = Counter()
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        for name, value in attrs:
            assert not name.startswith("on"), f"{tag} has a handler {name}"
            if name == "id":
                self.ids.append(value or "")
            if name in {"src", "href", "xlink:href", "action", "data"}:
                self.addresses.append(value or "")
        if tag not in NEVER_CLOSED:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in NEVER_CLOSED:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


@pytest.fixture(scope="module")
def page(two_classes: ReportContent) -> str:
    return render_report(two_classes)


@pytest.mark.parametrize(
    "heading", ["Data", "Split", "Plan and training", "Results", "Most wrong", "Limits", "Settings and versions"]
)
def test_the_page_has_every_section_and_a_way_to_it(page: str, heading: str) -> None:
    found = re.search(rf'<h2 id="([a-z]+)"><a href="#\1">{heading}</a></h2>', page)
    assert found
    assert f'<li><a href="#{found.group(1)}">{heading}</a></li>' in page


def test_every_element_is_closed_and_no_id_stands_twice(page: str) -> None:
    outline = Outline(page)
    assert outline.open == []
    assert len(outline.ids) == len(set(outline.ids))
    assert outline.tags["svg"] == outline.tags["desc"] == 7
    assert all(anchor in outline.ids for anchor in ("disjointness", "by-case", "fill-in", "table-results"))


def test_every_link_leads_into_the_page_itself(page: str) -> None:
    outline = Outline(page)
    targets = {f"#{name}" for name in outline.ids}
    assert outline.addresses
    assert all(one in targets or one.startswith("data:image/") for one in outline.addresses)
    assert outline.tags["link"] == outline.tags["iframe"] == 0
    assert "@import" not in page
    assert "url(http" not in page


def test_every_column_and_row_of_a_table_is_named(page: str) -> None:
    assert re.findall(r"<th(?![^>]*scope=)[ >]", page) == []
    assert re.findall(r"<img(?![^>]*alt=\"[^\"]+\")", page) == []


def test_names_that_are_markup_stay_text(new_content: ContentMaker) -> None:
    content = new_content((HOSTILE, "</title></style>", "{{ 7 * 7 }}"))
    content = dataclasses.replace(
        content, title=HOSTILE, question=HOSTILE, command=HOSTILE, settings={HOSTILE: HOSTILE}, limits=(HOSTILE,)
    )
    page = render_report(content)
    outline = Outline(page)
    assert outline.open == []
    assert outline.tags["script"] == 1  # our own
    assert "{{ 7 * 7 }}" in page


def test_an_undefined_metric_is_its_reason_and_never_nan(two_classes: ReportContent) -> None:
    made = two_classes.predictions
    truth = tuple("benign" if side == "test" else name for name, side in zip(made.truth, made.sides, strict=True))
    predictions = dataclasses.replace(made, truth=truth)
    evaluation = evaluate(predictions, EvaluationSettings(replicates=100))
    page = render_report(dataclasses.replace(two_classes, evaluation=evaluation))
    assert "No ROC AUC can be given for the test side" in page
    assert "<li>the class or the rest has no images</li>" in page
    assert not re.search(r"\bnan\b", text_of(page), re.IGNORECASE)


def test_a_leak_that_was_allowed_is_red_and_stands_above_the_contents(new_content: ContentMaker, page: str) -> None:
    leaking = render_report(new_content(leaks="failed"))
    alert = leaking.index('<div class="alert" role="note">')
    assert alert < leaking.index("<nav")
    assert "Not guaranteed: No identical image on two sides." in leaking
    assert '<div class="alert" role="note">' not in page


def test_a_case_that_was_assumed_is_said(new_content: ContentMaker, page: str) -> None:
    assert "which patient or specimen 1 image belongs to" in render_report(new_content(num_cases_assumed=1))
    assert "Case assumed" not in page


def test_the_page_shows_what_was_asked_and_what_came_out(page: str, two_classes: ReportContent) -> None:
    area = two_classes.evaluation.headline("test")
    assert area is not None
    assert two_classes.command in page
    assert page.index(two_classes.question) < page.index(f"Test ROC AUC {area.value:.3f}") < page.index('id="data"')
    assert "Nothing" not in text_of(page[page.index('id="training"') : page.index('id="results"')])
    assert "training 12.5\N{NO-BREAK SPACE}%" in page


def test_a_run_without_validation_training_exclusions_and_pictures_has_a_page(new_content: ContentMaker) -> None:
    content = new_content(sides=("train", "test"), num_epochs=0, num_exclusions=0, num_samples=0, one_size=True)
    assert content.data is not None
    assert content.training is not None
    data = dataclasses.replace(content.data, findings=(), sizes_px={})
    training = dataclasses.replace(content.training, padded_share={})
    page = render_report(dataclasses.replace(content, data=data, training=training, mistakes=(), plan=()))
    assert Outline(page).open == []
    assert "Nothing was excluded." in page
    assert "Nothing was trained in this run." in page
    assert "There are no images to show: no image of the test side" in page


def test_images_of_one_size_are_told_in_words(new_content: ContentMaker) -> None:
    assert "All images are 28 \N{MULTIPLICATION SIGN} 28 px." in render_report(new_content(one_size=True))


def test_the_same_content_gives_the_same_bytes(tmp_path: Path, two_classes: ReportContent, page: str) -> None:
    write_report(two_classes, tmp_path / "report.html")
    assert (tmp_path / "report.html").read_bytes() == page.encode()


def test_nine_classes_with_many_pictures_stay_small(new_content: ContentMaker) -> None:
    content = new_content([f"class number {n}" for n in range(9)], images_per_side=90, num_epochs=40, num_samples=6)
    assert len(render_report(content).encode()) < 1_500_000


def test_numbers_by_case_stand_below_those_by_image(page: str, two_classes: ReportContent) -> None:
    by_case = two_classes.evaluation.by_case
    assert by_case is not None
    area = by_case.numbers.headline("test")
    assert area is not None
    assert area != two_classes.evaluation.headline("test")
    _, below = page.split('<h3 id="by-case">By case</h3>')
    assert f"{area.low:.3f} to {area.high:.3f}" in below
    assert "A case is called malignant" in below
    assert "Test side, cases: true class in rows" in below


def test_without_several_images_a_case_there_is_no_part_by_case(two_classes: ReportContent) -> None:
    alone = dataclasses.replace(two_classes, evaluation=dataclasses.replace(two_classes.evaluation, by_case=None))
    assert "By case</h3>" not in render_report(alone)


def test_predictions_alone_have_a_page_with_the_parts_that_exist(two_classes: ReportContent) -> None:
    alone = ReportContent(
        title="Foreign", question="Which?", evaluation=two_classes.evaluation, predictions=two_classes.predictions
    )
    page = render_report(alone)
    outline = Outline(page)
    assert outline.open == []
    assert "training" not in outline.ids
    assert "made from a table of predictions alone" in page
    assert "not checked" in page
    assert "Nothing here could check that no image is on two sides" in page
    assert page.count("<svg") == 5
