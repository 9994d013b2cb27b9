"""Failures: false positives and false negatives apart, each with what is needed to find it again."""

import dataclasses

from radpath.reporting.blocks import Gallery, Paragraph
from radpath.reporting.content import Mistake, ReportContent
from radpath.reporting.mistakes_section import mistakes_section

MISSED = Mistake(
    picture=b"\xff1", record_id="a.png", case="7", truth="malignant", decision="benign", probability_of_truth=0.1
)
ALARM = Mistake(
    picture=b"\xff2", record_id="b.png", case="b.png", truth="benign", decision="malignant", probability_of_truth=0.2
)


def with_mistakes(content: ReportContent, *mistakes: Mistake) -> ReportContent:
    return dataclasses.replace(content, mistakes=mistakes)


def galleries(content: ReportContent) -> dict[str, Gallery]:
    return {one.caption: one for one in mistakes_section(content).blocks if isinstance(one, Gallery)}


def test_the_two_kinds_of_mistakes_stand_apart(two_classes: ReportContent) -> None:
    found = galleries(with_mistakes(two_classes, MISSED, ALARM))
    assert [caption.split(":")[0] for caption in found] == ["False negatives", "False positives"]
    missed, alarms = found.values()
    assert [one.picture for one in missed.pictures] == [MISSED.picture]
    assert missed.pictures[0].lines == ("malignant, decided benign", "probability of truth 0.100", "a.png, case 7")
    assert alarms.pictures[0].lines[-1] == "b.png"


def test_a_kind_without_mistakes_says_none(two_classes: ReportContent) -> None:
    texts = [b.text for b in mistakes_section(with_mistakes(two_classes, MISSED)).blocks if isinstance(b, Paragraph)]
    assert texts[-1] == "False positives: benign, decided malignant: none."


def test_where_the_model_looked_stands_beside_the_image(two_classes: ReportContent) -> None:
    (missed,) = galleries(with_mistakes(two_classes, dataclasses.replace(MISSED, overlay=b"\xffmap"))).values()
    assert [one.picture for one in missed.pictures] == [MISSED.picture, b"\xffmap"]
    assert missed.pictures[1].alternative == "Where the model looked in image a.png"


def test_more_classes_have_one_gallery(four_classes: ReportContent) -> None:
    assert list(galleries(four_classes)) == ["Most wrong"]
