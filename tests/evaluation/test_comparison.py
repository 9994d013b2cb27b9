"""Several models on the same images: numbers against scikit-learn, and properties that hold for any models."""

import dataclasses
import json
from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from radpath.errors import DataError, LeakError, SettingsError
from radpath.evaluation.comparison import Contender, compare
from radpath.evaluation.evaluate import EvaluationSettings, evaluate
from radpath.evaluation.intervals import IntervalMethod, resample_cases
from radpath.evaluation.metrics import MetricSettings
from radpath.evaluation.predictions import Predictions
from radpath.evaluation.thresholds import Threshold
from radpath.seeding import generator_for

MakePredictions = Callable[..., Predictions]
FEW = 199


def retold(predictions: Predictions, seed: int, *, skill: float = 1.0) -> Predictions:
    """Return what another model says about the same images, in another order of rows and of classes."""
    rng = np.random.default_rng(seed)
    columns = [predictions.classes.index(str(truth)) for truth in predictions.truth]
    logits = rng.normal(size=predictions.probabilities.shape)
    logits[np.arange(len(columns)), columns] += skill
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    rows = rng.permutation(len(predictions))
    names = ("record_ids", "cases", "sides", "truth")
    texts = {name: tuple(getattr(predictions, name)[row] for row in rows) for name in names}
    return dataclasses.replace(
        predictions, **texts, probabilities=probabilities[rows, ::-1], classes=predictions.classes[::-1]
    )


def half(positive_class: str) -> Threshold:
    return Threshold(
        positive_class=positive_class, value=0.5, rule="half", fitted_on=None, num_images=0, num_positive=0,
        sensitivity=None, specificity=None,
    )  # fmt: skip


def contenders(first: Predictions, *others: Predictions) -> list[Contender]:
    threshold = half("malignant") if len(first.classes) == 2 else None
    return [
        Contender(name=name, predictions=one, threshold=threshold)
        for name, one in zip("ABCDE", (first, *others), strict=False)
    ]


def on_test(predictions: Predictions) -> list[int]:
    rows = [row for row, side in enumerate(predictions.sides) if side == "test"]
    return sorted(rows, key=lambda row: predictions.record_ids[row])


def test_differences_come_from_the_same_resamples_of_cases(make_predictions: MakePredictions) -> None:
    first = make_predictions(0)
    second = retold(first, 1)
    found = compare(contenders(first, second), metrics=["roc_auc"], positive_class="malignant", replicates=FEW)
    (difference,) = found.differences

    rows, columns = [on_test(one) for one in (first, second)], [1, 0]
    truth = np.array([first.truth[row] == "malignant" for row in rows[0]])
    names = sorted({first.cases[row] for row in rows[0]})
    case_of = np.array([names.index(first.cases[row]) for row in rows[0]])
    scores = [one.probabilities[r, c] for one, r, c in zip((first, second), rows, columns, strict=True)]
    draws = np.concatenate(
        list(
            resample_cases(
                len(names),
                num_images=len(truth),
                replicates=found.replicates,
                generator=generator_for(0, "bootstrap", "test"),
            )
        ),
        axis=1,
    )
    areas = np.array(
        [[roc_auc_score(truth, one, sample_weight=weights[case_of]) for one in scores] for weights in draws.T]
    )
    resampled = np.sort(areas[:, 0] - areas[:, 1])
    place = int((found.replicates + 1) * 0.025)
    assert difference.value == pytest.approx(roc_auc_score(truth, scores[0]) - roc_auc_score(truth, scores[1]))
    assert (difference.low, difference.high) == pytest.approx((resampled[place - 1], resampled[-place]))
    smaller = min((resampled <= 1e-12).sum(), (resampled >= -1e-12).sum())
    assert difference.p_value == pytest.approx(min(1, 2 * (smaller + 1) / (found.replicates + 1)))
    assert found.models[1].estimates[0].value == pytest.approx(roc_auc_score(truth, scores[1]))
    assert (found.num_images, found.num_cases) == (len(truth), len(names))


@pytest.mark.parametrize("method", ["percentile", "bca", "analytic"])
def test_a_model_has_the_intervals_of_its_own_report(make_predictions: MakePredictions, method: IntervalMethod) -> None:
    first = make_predictions(0)
    settings = EvaluationSettings(threshold_rule="half", positive_class="malignant", interval=method)
    own = evaluate(first, settings).sides["test"]
    metrics = ["roc_auc", "sensitivity", "brier"]
    pair = contenders(first, retold(first, 1))
    found = compare(pair, metrics=metrics, positive_class="malignant", interval=method).models[0].estimates
    assert [one.metric for one in found] == metrics
    for one in found:
        told = own.find(one.metric, one.of_class)
        assert told is not None
        assert dataclasses.astuple(one) == pytest.approx(dataclasses.astuple(told))


def test_a_model_is_not_told_from_itself(make_predictions: MakePredictions) -> None:
    first = make_predictions(0)
    found = compare(contenders(first, first), positive_class="malignant", replicates=FEW)
    for one in found.differences:
        assert (one.value, one.low, one.high, one.p_value, one.adjusted_p_value) == (0, 0, 0, 1, 1)
        assert not one.is_clear
    assert found.area_differences[0].test.note == "no test: the two rank these images alike"
    assert found.decision_differences[0].adjusted_p_value == 1


def test_a_much_better_model_is_told_from_a_useless_one(make_predictions: MakePredictions) -> None:
    first = make_predictions(0, skill=3.0)
    found = compare(contenders(first, retold(first, 1, skill=0.0)), positive_class="malignant", replicates=FEW)
    assert [one.metric for one in found.differences] == ["roc_auc", "balanced_accuracy", "brier"]
    assert all(one.is_clear for one in found.differences)
    area, decision = found.area_differences[0], found.decision_differences[0]
    assert area.adjusted_p_value is not None
    assert max(area.adjusted_p_value, decision.adjusted_p_value or 0) < 0.01
    by_auc = found.difference("roc_auc", "B", "A")
    assert by_auc.value is not None
    assert by_auc.value < 0
    assert by_auc.low == -(found.difference("roc_auc", "A", "B").high or 0)


def test_the_correction_is_over_all_pairs_and_metrics(make_predictions: MakePredictions) -> None:
    first = make_predictions(0)
    models = contenders(first, retold(first, 1), retold(first, 2, skill=0.2))
    found = compare(models, metrics=["accuracy", "brier"], positive_class="malignant")
    assert len(found.differences) == 6
    for one in found.differences:
        assert one.p_value is not None
        assert one.adjusted_p_value is not None
        assert one.p_value <= one.adjusted_p_value <= min(1, 6 * one.p_value + 1e-12)
        assert one.adjusted_low is not None
        assert one.adjusted_high is not None
        assert one.low is not None
        assert one.adjusted_low <= one.low
        assert one.is_clear != (one.adjusted_low <= 0 <= one.adjusted_high)
    alone = compare(models[:2], metrics=["brier"], positive_class="malignant")
    assert alone.differences[0].p_value == alone.differences[0].adjusted_p_value


def test_many_tests_get_as_many_resamples_as_they_need(make_predictions: MakePredictions) -> None:
    first = make_predictions(0)
    models = contenders(first, retold(first, 1), retold(first, 2), retold(first, 3), retold(first, 4))
    found = compare(models, metrics=["brier"], positive_class="malignant", replicates=100, confidence=0.9)
    assert found.replicates == 400
    assert compare(models[:2], metrics=["brier"], positive_class="malignant", replicates=500).replicates == 500


def test_several_classes_are_compared_by_their_means(make_predictions: MakePredictions) -> None:
    first = make_predictions(0, classes=("x", "y", "z"))
    found = compare(contenders(first, retold(first, 1)), replicates=FEW)
    assert [one.of_class for one in found.differences] == [None, None, None]
    assert found.area_differences == ()
    assert len(found.decision_differences) == 1
    with pytest.raises(SettingsError, match=r"^sensitivity is a number of each class, and of 3 classes none is"):
        compare(contenders(first, first), metrics=["sensitivity"])


def test_a_metric_takes_its_settings(make_predictions: MakePredictions) -> None:
    first = make_predictions(0)
    two = contenders(first, retold(first, 1))
    values = [
        compare(
            two, metrics=["f_beta"], positive_class="malignant", replicates=FEW, metric_settings=MetricSettings(beta=b)
        )
        .models[0]
        .estimates[0]
        .value
        for b in (0.5, 2.0)
    ]
    assert values[0] != values[1]


def test_stratified_resamples_have_every_class(make_predictions: MakePredictions) -> None:
    first = make_predictions(0)
    rare = next(case for case, side in zip(first.cases, first.sides, strict=True) if side == "test")
    truth = tuple("malignant" if case in {rare, "case 45", "case 50"} else "benign" for case in first.cases)
    few = dataclasses.replace(first, truth=truth)
    two = contenders(few, retold(few, 1))
    notes = [
        compare(two, metrics=["roc_auc"], positive_class="malignant", replicates=FEW, stratified=stratified)
        .differences[0]
        .note
        for stratified in (False, True)
    ]
    assert "resamples left out" in (notes[0] or "")
    assert notes[1] is None


def test_a_comparison_is_plain_values(make_predictions: MakePredictions) -> None:
    first = make_predictions(0)
    found = compare(contenders(first, retold(first, 1)), positive_class="malignant", replicates=FEW)
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["names"] == ["A", "B"]


def test_what_cannot_be_compared_is_refused(make_predictions: MakePredictions) -> None:
    first = make_predictions(0)
    two = contenders(first, retold(first, 1))
    with pytest.raises(SettingsError, match=r"^there is no metric 'roc'; did you mean 'roc_auc'\?$"):
        compare(two, metrics=["roc"], positive_class="malignant")
    with pytest.raises(SettingsError, match=r"^pairwise_roc_auc needs more than two classes; here are benign and mal"):
        compare(two, metrics=["pairwise_roc_auc"], positive_class="malignant")
    with pytest.raises(SettingsError, match=r"^two or more models with different names can be compared, not A$"):
        compare(two[:1], positive_class="malignant")
    with pytest.raises(SettingsError, match=r"^two or more models with different names can be compared, not A, A$"):
        compare([two[0], two[0]], positive_class="malignant")
    unlabelled = dataclasses.replace(first, truth=(None,) * len(first))
    with pytest.raises(DataError, match=r"^the test side has no labelled image, so no difference can be tested"):
        compare(contenders(unlabelled, unlabelled), positive_class="malignant")
    moved = dataclasses.replace(first, sides=tuple("train" if s == "test" else "test" for s in first.sides))
    with pytest.raises(LeakError, match=r"test cases of A are training or validation cases of B"):
        compare(contenders(first, moved), positive_class="malignant")


def test_what_is_undefined_is_none_with_a_reason(make_predictions: MakePredictions) -> None:
    first = make_predictions(0)
    one_class = dataclasses.replace(first, truth=("benign",) * len(first))
    found = compare(contenders(one_class, one_class), positive_class="malignant", replicates=FEW)
    by_metric = {one.metric: one for one in found.differences}
    assert by_metric["roc_auc"].value is None
    assert by_metric["roc_auc"].note == "undefined: the class or the rest has no images"
    assert by_metric["roc_auc"].p_value is None
    assert by_metric["brier"].p_value == 1
    assert found.area_differences == ()
    # One positive image is missing from about a third of the resamples, which is too many.
    row = on_test(first)[0]
    rare = dataclasses.replace(first, truth=tuple("malignant" if r == row else "benign" for r in range(len(first))))
    found = compare(contenders(rare, retold(rare, 1)), metrics=["roc_auc"], positive_class="malignant")
    assert found.differences[0].value is not None
    assert found.differences[0].p_value is None
    assert (found.differences[0].note or "").startswith("no test: undefined in ")
