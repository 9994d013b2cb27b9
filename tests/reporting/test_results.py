import dataclasses
from collections.abc import Callable
from xml.etree import ElementTree as ET

import pytest

from radpath.evaluation.evaluate import EvaluationSettings, evaluate
from radpath.reporting.content import ReportContent
from radpath.reporting.results import (
    confusion_figure,
    intervals_figure,
    lowest_end,
    operating_point,
    overall_estimates,
    pr_figure,
    roc_figure,
)

ContentMaker = Callable[..., ReportContent]


def words_of(svg: str) -> str:
    return " ".join(ET.fromstring(svg).itertext())  # noqa: S314 - our own text


@pytest.fixture(scope="module")
def one_sided(two_classes: ReportContent) -> ReportContent:
    """A test side without positive images, where no AUC exists."""
    made = two_classes.predictions
    truth = tuple("benign" if side == "test" else name for name, side in zip(made.truth, made.sides, strict=True))
    predictions = dataclasses.replace(made, truth=truth)
    evaluation = evaluate(predictions, EvaluationSettings(replicates=100))
    return dataclasses.replace(two_classes, predictions=predictions, evaluation=evaluation)


def test_two_classes_have_one_curve_with_its_area_and_its_threshold(two_classes: ReportContent) -> None:
    words = words_of(roc_figure(two_classes.evaluation, two_classes.predictions))
    area = two_classes.evaluation.headline("test")
    assert area is not None
    assert f"malignant: area under the curve {area.value:.3f} ({area.low:.3f} to {area.high:.3f})" in words
    assert "threshold" in words
    assert "benign" not in words


def test_the_band_of_the_curve_is_stratified_where_the_intervals_are(two_classes: ReportContent) -> None:
    plain = dataclasses.replace(two_classes.evaluation, stratified=False)
    stratified = dataclasses.replace(two_classes.evaluation, stratified=True)
    assert roc_figure(plain, two_classes.predictions) != roc_figure(stratified, two_classes.predictions)


def test_four_classes_have_a_curve_each_and_no_threshold(four_classes: ReportContent) -> None:
    for draw in (roc_figure, pr_figure):
        words = words_of(draw(four_classes.evaluation, four_classes.predictions))
        assert all(name in words for name in four_classes.evaluation.classes)
        assert "threshold" not in words


def test_an_undefined_curve_says_why(one_sided: ReportContent) -> None:
    assert "undefined: the class or the rest has no images" in words_of(
        roc_figure(one_sided.evaluation, one_sided.predictions)
    )
    assert "undefined: the class has no images" in words_of(pr_figure(one_sided.evaluation, one_sided.predictions))
    assert operating_point(one_sided.evaluation) is None


def test_the_intervals_show_undefined_metrics_as_words(one_sided: ReportContent) -> None:
    words = words_of(intervals_figure(one_sided.evaluation))
    assert "undefined" in words
    assert "nan" not in words


def test_the_intervals_start_below_0_where_a_number_does(two_classes: ReportContent) -> None:
    rows = overall_estimates(two_classes.evaluation.sides["test"].estimates, "malignant")
    positive = [dataclasses.replace(row, value=0.5, low=0.4, high=0.6) for row in rows]
    assert lowest_end(positive) == 0
    assert lowest_end([*positive, dataclasses.replace(rows[0], value=-0.1, low=-0.3, high=0.1)]) == -0.3
    assert lowest_end([dataclasses.replace(rows[0], value=-0.1, low=None, high=None)]) == -0.1


def test_the_operating_point_agrees_with_the_confusion_matrix(two_classes: ReportContent) -> None:
    (right_benign, alarms), (missed, right_malignant) = two_classes.evaluation.sides["test"].confusion
    point = operating_point(two_classes.evaluation)
    assert point == pytest.approx((alarms / (alarms + right_benign), right_malignant / (missed + right_malignant)))


def test_one_estimate_a_metric_and_the_positive_class_where_there_is_one(two_classes: ReportContent) -> None:
    side = two_classes.evaluation.sides["test"]
    chosen = overall_estimates(side.estimates, "malignant")
    assert len({one.metric for one in chosen}) == len(chosen)
    assert {one.of_class for one in chosen if one.metric in {"f1", "sensitivity"}} == {"malignant"}


def test_the_confusion_matrix_tells_the_right_decisions(four_classes: ReportContent) -> None:
    words = words_of(confusion_figure(four_classes.evaluation))
    right = four_classes.evaluation.sides["test"].confusion[2][2]
    assert f"in situ: {right} of 6 images decided rightly" in words


def test_a_class_called_like_a_formula_is_drawn_as_it_is(new_content: ContentMaker) -> None:
    content = new_content(("$x^2$", "a & <b>", "c"))
    assert "$x^2$" in words_of(confusion_figure(content.evaluation))
    assert "a & <b>" in words_of(roc_figure(content.evaluation, content.predictions))
