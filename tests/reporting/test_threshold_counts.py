import dataclasses
import json
from collections.abc import Callable

import numpy as np

from radpath.reporting.content import ReportContent
from radpath.reporting.threshold_counts import MOST_THRESHOLDS, threshold_counts

ContentMaker = Callable[..., ReportContent]


def test_the_frozen_threshold_gives_the_reported_confusion_matrix(two_classes: ReportContent) -> None:
    told = json.loads(threshold_counts(two_classes.evaluation, two_classes.predictions) or "")
    (of_class,) = told["classes"]
    place = of_class["thresholds"].index(told["frozen"])
    (_, alarms), (_, caught) = two_classes.evaluation.sides["test"].confusion
    assert (of_class["caught"][place], of_class["alarms"][place]) == (caught, alarms)
    assert (told["side"], of_class["name"]) == ("test", "malignant")


def test_counts_are_those_of_counting_one_by_one(four_classes: ReportContent) -> None:
    made = four_classes.predictions
    told = json.loads(threshold_counts(four_classes.evaluation, made) or "")
    assert [one["name"] for one in told["classes"]] == list(four_classes.evaluation.classes)
    rows = [row for row, side in enumerate(made.sides) if side == "test"]
    one = told["classes"][2]
    scores = made.probabilities[rows, 2]
    truth = np.array([made.truth[row] == one["name"] for row in rows])
    assert one["caught"] == [int((scores[truth] >= t).sum()) for t in one["thresholds"]]
    assert one["alarms"] == [int((scores[~truth] >= t).sum()) for t in one["thresholds"]]
    assert (one["caught"][0], one["alarms"][0]) == (one["positives"], one["negatives"])
    assert (one["caught"][-1], one["alarms"][-1]) == (0, 0)


def test_many_images_give_no_more_thresholds_than_a_slider_can_use(new_content: ContentMaker) -> None:
    content = new_content(images_per_side=600)
    told = json.loads(threshold_counts(content.evaluation, content.predictions) or "")
    assert 300 < len(told["classes"][0]["thresholds"]) <= MOST_THRESHOLDS


def test_one_kind_of_images_has_no_slider(two_classes: ReportContent) -> None:
    made = two_classes.predictions
    truth = tuple("benign" if side == "test" else name for name, side in zip(made.truth, made.sides, strict=True))
    assert threshold_counts(two_classes.evaluation, dataclasses.replace(made, truth=truth)) is None
