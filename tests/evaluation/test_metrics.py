from collections.abc import Callable

import numpy as np
import pytest
from sklearn import metrics

from radpath.evaluation.metrics import (
    MAIN_METRICS,
    METRICS,
    MetricSettings,
    chosen_metrics,
    columns_of,
    setting_of,
    values_under,
)
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
    expected["weighted_roc_auc", None] = metrics.roc_auc_score(truth, given, multi_class="ovr", average="weighted")
    expected["pairwise_roc_auc", None] = metrics.roc_auc_score(truth, given, multi_class="ovo", average="macro")
    expected["mcc", None] = metrics.matthews_corrcoef(truth, decided)
    for name, weighting in (("kappa", None), ("linear_kappa", "linear"), ("quadratic_kappa", "quadratic")):
        expected[name, None] = metrics.cohen_kappa_score(truth, decided, weights=weighting)
    expected["mean_absolute_error", None] = metrics.mean_absolute_error(truth, decided)
    values = metrics.fbeta_score(truth, decided, beta=2, average=None)
    expected["f_beta", None] = float(values.mean())
    expected |= {("f_beta", of_class): value for of_class, value in zip(classes, values, strict=True)}
    found = {key: value for key, value in point_values(sample).items() if key[0] not in BRUTE_FORCE}
    assert found == pytest.approx(expected, abs=1e-12)


BRUTE_FORCE = {
    "partial_roc_auc",
    "sensitivity_at_specificity",
    "specificity_at_sensitivity",
    "net_benefit",
    "calibration_error",
    "chance_calibration_error",
}
"""Metrics that have tests of their own, in test_ranking and test_probability."""


@pytest.mark.parametrize("classes", [("a", "b"), ("a", "b", "c")])
def test_metrics_that_are_set_to_something_use_the_settings(
    make_predictions: MakePredictions, classes: tuple[str, ...]
) -> None:
    positive = "b" if len(classes) == 2 else None
    sample = take_sample(make_predictions(5, classes=classes), "test", positive_class=positive, threshold=None)
    settings = MetricSettings(
        at_specificity=0.6, at_sensitivity=0.7, largest_false_positive_rate=0.5, beta=0.5, threshold_probability=0.3
    )
    names = [name for name, metric in METRICS.items() if metric.at is not None]
    found = values_under(sample, np.ones((sample.num_cases, 1)), names, settings)[0]
    for column, value in zip(columns_of(sample, names), found, strict=True):
        if column.of_class is None:
            continue
        place = classes.index(column.of_class)
        is_one, decided, scores = sample.truth == place, sample.decisions == place, sample.probabilities[:, place]
        alarms, hits, _ = metrics.roc_curve(is_one, scores, drop_intermediate=False)
        called = scores >= 0.3
        expected = {
            "partial_roc_auc": metrics.roc_auc_score(is_one, scores, max_fpr=0.5),
            "sensitivity_at_specificity": hits[alarms <= 0.4 + 1e-9].max(),
            "specificity_at_sensitivity": 1 - alarms[hits >= 0.7 - 1e-9].min(),
            "net_benefit": (called & is_one).mean() - (called & ~is_one).mean() * 3 / 7,
            "f_beta": metrics.fbeta_score(is_one, decided, beta=0.5),
        }[column.metric]
        assert value == pytest.approx(expected, abs=1e-12), column
        assert setting_of(column.metric, settings) in {0.6, 0.7, 0.5, 0.3}


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


def test_a_metric_of_several_classes_gives_no_column_for_two(make_predictions: MakePredictions) -> None:
    sample = take_sample(make_predictions(4), "test", positive_class="malignant", threshold=None)
    names = ["pairwise_roc_auc", "accuracy", "weighted_roc_auc"]
    assert [column.metric for column in columns_of(sample, names)] == ["accuracy"]
    assert values_under(sample, np.ones((sample.num_cases, 3)), names).shape == (3, 1)


def test_only_the_main_metrics_are_there_until_others_are_named() -> None:
    assert chosen_metrics(MetricSettings(), num_classes=2, ordered=True) == MAIN_METRICS
    grades = chosen_metrics(MetricSettings(), num_classes=3, ordered=True)
    assert set(grades) - set(MAIN_METRICS) == {"quadratic_kappa", "mean_absolute_error"}
    everything = MetricSettings(also=("all",))
    assert chosen_metrics(everything, num_classes=3, ordered=True) == tuple(METRICS)
    without_order = chosen_metrics(everything, num_classes=3, ordered=False)
    assert set(METRICS) - set(without_order) == {"linear_kappa", "quadratic_kappa", "mean_absolute_error"}
    assert "pairwise_roc_auc" not in chosen_metrics(everything, num_classes=2, ordered=True)


def test_a_metric_that_is_not_there_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ValueError, match=r"there is no metric 'parial_roc_auc'; did you mean 'partial_roc_auc'\?"):
        MetricSettings(also=("parial_roc_auc",))
    with pytest.raises(ValueError, match=r"there is no metric 'all'; known: roc_auc, .* or .all. alone"):
        MetricSettings(also=("all", "mcc"))


def test_settings_of_metrics_are_settings_and_titles_have_a_place_for_them() -> None:
    for metric in METRICS.values():
        assert metric.at is None or metric.at in MetricSettings.model_fields
        assert (metric.titled_at is None) == (metric.at is None)
        assert "0.25" in metric.title_at(0.25) or metric.at is None
