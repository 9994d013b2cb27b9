from collections.abc import Callable

import numpy as np
import pytest
from sklearn import metrics

from radpath.evaluation.metrics import METRICS, columns_of, values_under
from radpath.evaluation.predictions import Predictions
from radpath.evaluation.sample import Sample, take_sample

MakePredictions = Callable[..., Predictions]


def point_values(sample: Sample) -> dict[tuple[str, str | None], float]:
    values = values_under(sample, np.ones((sample.num_cases, 1)), METRICS)[0]
    columns = columns_of(sample, METRICS)
    return {(column.metric, column.of_class): value for column, value in zip(columns, values, strict=True)}


def test_every_metric_has_words_for_the_report() -> None:
    for name, metric in METRICS.items():
        assert name.isidentifier()
        assert metric.title
        assert metric.formula
        assert metric.undefined_when


def test_two_classes_are_ranked_by_the_positive_one(make_predictions: MakePredictions) -> None:
    predictions = make_predictions(1)
    sample = take_sample(predictions, "test", positive_class="benign", threshold=None)
    found = point_values(sample)
    assert [key for key in found if key[0] == "roc_auc"] == [("roc_auc", "benign")]
    expected = metrics.roc_auc_score(sample.truth == 0, sample.probabilities[:, 0])
    assert found["roc_auc", "benign"] == pytest.approx(expected, abs=1e-12)
    expected = metrics.brier_score_loss(sample.truth == 0, sample.probabilities[:, 0])
    assert found["brier", None] == pytest.approx(expected, abs=1e-12)


def test_every_number_of_several_classes_agrees_with_scikit_learn(make_predictions: MakePredictions) -> None:
    classes = ("normal", "in situ", "invasive")
    sample = take_sample(make_predictions(2, classes=classes), "test", positive_class=None, threshold=None)
    truth, decided, given = sample.truth, sample.decisions, sample.probabilities
    truths = np.eye(3, dtype=int)[truth]
    by_class = {
        "roc_auc": metrics.roc_auc_score(truths, given, average=None),
        "average_precision": metrics.average_precision_score(truths, given, average=None),
        "specificity": [metrics.recall_score(truth != k, decided != k) for k in range(3)],
        "precision": metrics.precision_score(truth, decided, average=None),
        "f1": metrics.f1_score(truth, decided, average=None),
    }
    expected: dict[tuple[str, str | None], float] = {
        (name, None): float(np.mean(values)) for name, values in by_class.items()
    }
    by_class["sensitivity"] = metrics.recall_score(truth, decided, average=None)
    for name, values in by_class.items():
        expected |= {(name, of_class): value for of_class, value in zip(classes, values, strict=True)}
    expected["accuracy", None] = metrics.accuracy_score(truth, decided)
    expected["balanced_accuracy", None] = metrics.balanced_accuracy_score(truth, decided)
    expected["log_loss", None] = metrics.log_loss(truth, given)
    expected["brier", None] = float(((given - truths) ** 2).sum(axis=1).mean())
    assert point_values(sample) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("classes", [("a", "b"), ("a", "b", "c")])
def test_a_resample_is_its_images_repeated(make_predictions: MakePredictions, classes: tuple[str, ...]) -> None:
    positive = "b" if len(classes) == 2 else None
    sample = take_sample(make_predictions(3, classes=classes), "train", positive_class=positive, threshold=None)
    weights = np.random.default_rng(0).integers(0, 3, size=(sample.num_cases, 5)).astype(np.float64)
    together = values_under(sample, weights, METRICS)
    for row, weight in zip(together, weights.T, strict=True):
        images = np.repeat(np.arange(len(sample)), weight[sample.case_of].astype(int))
        repeated = Sample(
            classes=classes,
            positive=sample.positive,
            truth=sample.truth[images],
            decisions=sample.decisions[images],
            probabilities=sample.probabilities[images],
            case_of=np.arange(len(images)),
            num_cases=len(images),
        )
        np.testing.assert_allclose(row, list(point_values(repeated).values()), rtol=1e-12)


def test_a_few_metrics_can_be_asked_for_alone(make_predictions: MakePredictions) -> None:
    sample = take_sample(make_predictions(4), "test", positive_class="malignant", threshold=None)
    everything = point_values(sample)
    values = values_under(sample, np.ones((sample.num_cases, 1)), ["brier", "accuracy"])
    assert values.tolist() == [[everything["brier", None], everything["accuracy", None]]]
