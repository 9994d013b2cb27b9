import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from radpath.evaluation.delong import delong_covariance, delong_interval, perfect_area_bound
from radpath.evaluation.estimates import Estimate, find
from radpath.evaluation.estimating import IntervalPlan, estimate_all
from radpath.evaluation.intervals import IntervalMethod
from radpath.evaluation.metrics import METRICS, MetricSettings
from radpath.evaluation.predictions import Predictions
from radpath.evaluation.sample import Sample, take_sample
from radpath.seeding import generator_for

MakePredictions = Callable[..., Predictions]


def estimates_of(
    sample: Sample, *, method: IntervalMethod = "percentile", stratified: bool = False, replicates: int = 100
) -> tuple[Estimate, ...]:
    plan = IntervalPlan(method=method, confidence=0.95, replicates=replicates, stratified=stratified)
    generator = generator_for(0, "bootstrap", "test")
    return tuple(estimate_all(sample, tuple(METRICS), MetricSettings(), plan, generator=generator))


def two_classes(truth: list[int], scores: list[float], cases: list[int] | None = None) -> Sample:
    positive = np.array(scores)
    case_of = np.arange(len(truth)) if cases is None else np.array(cases)
    return Sample(
        classes=("benign", "malignant"),
        positive=1,
        truth=np.array(truth),
        decisions=(positive >= 0.5).astype(np.int64),
        probabilities=np.column_stack([1 - positive, positive]),
        case_of=case_of,
        num_cases=int(case_of.max()) + 1,
    )


def three_classes(truth: list[int], decided: list[int]) -> Sample:
    probabilities = np.full((len(truth), 3), 0.2)
    probabilities[np.arange(len(truth)), decided] = 0.6
    return Sample(
        classes=("low", "middle", "high"),
        positive=None,
        truth=np.array(truth),
        decisions=np.array(decided),
        probabilities=probabilities,
        case_of=np.arange(len(truth)),
        num_cases=len(truth),
    )


DIFFICULT = {
    "no image of the positive class": two_classes([0] * 6, [0.1, 0.2, 0.3, 0.6, 0.7, 0.9]),
    "no image of the other class": two_classes([1] * 6, [0.1, 0.2, 0.3, 0.6, 0.7, 0.9]),
    "one positive image": two_classes([0] * 7 + [1], [0.1, 0.2, 0.3, 0.6, 0.7, 0.9, 0.2, 0.3]),
    "constant scores": two_classes([0, 1] * 4, [0.5] * 8),
    "constant scores below the threshold": two_classes([0, 1] * 4, [0.25] * 8),
    "everything decided for one class": two_classes([0, 1] * 4, [0.1, 0.2, 0.3, 0.4, 0.1, 0.2, 0.3, 0.4]),
    "everything right and certain": two_classes([0, 1] * 4, [0.0, 1.0] * 4),
    "one case": two_classes([0, 1, 0, 1], [0.2, 0.6, 0.4, 0.3], [0, 0, 0, 0]),
    "one image": two_classes([1], [0.7]),
    "several classes, one alone": three_classes([1] * 6, [1, 1, 0, 2, 1, 1]),
    "several classes, one absent": three_classes([0, 1, 0, 1, 0, 1], [0, 1, 1, 1, 2, 0]),
    "several classes, one decision": three_classes([0, 1, 2, 0, 1, 2], [1] * 6),
}


@pytest.mark.parametrize("method", ["percentile", "bca", "analytic"])
@pytest.mark.parametrize("name", DIFFICULT)
def test_every_metric_follows_the_one_policy_for_undefined_numbers(name: str, method: IntervalMethod) -> None:
    sample = DIFFICULT[name]
    found = estimates_of(sample, method=method)
    assert {one.metric for one in found} == {
        key for key, metric in METRICS.items() if metric.needs != "several classes" or len(sample.classes) > 2
    }
    for one in found:
        numbers = [number for number in (one.value, one.low, one.high) if number is not None]
        assert all(math.isfinite(number) for number in numbers), one
        assert (one.low is None) == (one.high is None) == (one.interval is None), one
        if one.value is None:
            assert one.low is None, one
            assert one.note == f"undefined: {METRICS[one.metric].undefined_when}"
        elif one.low is None:
            assert (one.note or "").startswith("no interval: "), one
        elif one.low == one.high:
            assert "does not mean certainty" in (one.note or ""), one


def test_what_is_undefined_is_what_the_catalogue_says() -> None:
    undefined = {
        name: {one.metric for one in estimates_of(sample) if one.value is None} for name, sample in DIFFICULT.items()
    }
    ranking = {"roc_auc", "partial_roc_auc", "sensitivity_at_specificity", "specificity_at_sensitivity"}
    # Specificity and sensitivity are of each class, so that each group's absence shows in one of them.
    both = {"sensitivity", "specificity", "balanced_accuracy", "mcc"}
    assert undefined["no image of the positive class"] == {*ranking, *both, "average_precision"}
    assert undefined["no image of the other class"] == {*ranking, *both}
    assert undefined["constant scores"] == {"precision", "mcc"}
    assert undefined["everything right and certain"] == set()
    assert undefined["several classes, one decision"] == {"precision", "mcc"}
    assert undefined["several classes, one absent"] >= {"pairwise_roc_auc", "weighted_roc_auc", "roc_auc"}


def test_analytic_intervals_are_delongs_and_wilsons(make_predictions: MakePredictions) -> None:
    predictions = make_predictions(1)
    alone = dataclasses.replace(predictions, cases=predictions.record_ids)
    sample = take_sample(alone, "test", positive_class="malignant", threshold=None)
    found = estimates_of(sample, method="analytic")
    area = find(found, "roc_auc", "malignant")
    scores, is_positive = sample.probabilities[:, 1].copy(), sample.truth == 1
    _, variance = delong_covariance(scores[None], is_positive, np.arange(len(sample)))
    expected = delong_interval(metrics.roc_auc_score(is_positive, scores), variance.item(), confidence=0.95)
    assert area is not None
    assert (area.low, area.high) == pytest.approx(expected)
    assert area.interval == "delong"
    shares = {
        ("accuracy", None): (sample.truth == sample.decisions, np.ones(len(sample), dtype=bool)),
        ("sensitivity", "malignant"): (sample.decisions == 1, is_positive),
        ("specificity", "malignant"): (sample.decisions == 0, ~is_positive),
        ("precision", "malignant"): (is_positive, sample.decisions == 1),
        ("sensitivity", "benign"): (sample.decisions == 0, ~is_positive),
    }
    for key, (succeeded, chosen) in shares.items():
        one = find(found, *key)
        test = stats.binomtest(int((succeeded & chosen).sum()), int(chosen.sum()))
        expected = tuple(test.proportion_ci(0.95, method="wilson"))
        assert one is not None
        assert one.value == pytest.approx(test.statistic)
        assert (one.low, one.high) == pytest.approx(expected)
        assert one.interval == "wilson"
    others = {one.interval for one in found if one.metric not in {"roc_auc", *(metric for metric, _ in shares)}}
    assert others == {"percentile"}


def test_a_perfect_area_is_not_told_as_certain() -> None:
    sample = DIFFICULT["everything right and certain"]
    area = find(estimates_of(sample, method="analytic"), "roc_auc", "malignant")
    assert area is not None
    assert area.interval == "newcombe"
    assert (area.low, area.high) == (perfect_area_bound(4, 4, confidence=0.95), 1)
    resampled = find(estimates_of(sample), "roc_auc", "malignant")
    assert resampled is not None
    assert (resampled.low, resampled.high, resampled.interval) == (1, 1, "percentile")
    assert "does not mean certainty" in (resampled.note or "")


def test_bca_moves_the_interval_of_a_high_area_away_from_1(make_predictions: MakePredictions) -> None:
    predictions = make_predictions(2, skill=3.0, cases_per_side=40)
    sample = take_sample(predictions, "test", positive_class="malignant", threshold=None)
    plain, corrected = (
        find(estimates_of(sample, method=method, replicates=1000), "roc_auc", "malignant")
        for method in ("percentile", "bca")
    )
    assert plain is not None
    assert corrected is not None
    assert corrected.interval == "bca"
    assert corrected.value == plain.value
    assert plain.low is not None
    assert corrected.low is not None
    assert corrected.low < plain.low


def test_stratified_resamples_keep_the_shares_of_the_classes() -> None:
    """Scores that say nothing have a Brier score that depends on the share of positives alone."""
    truth = [0] * 20 + [1] * 10
    sample = two_classes(truth, [0.3] * 30)
    plain, stratified = (find(estimates_of(sample, stratified=choice), "brier", None) for choice in (False, True))
    assert plain is not None
    assert stratified is not None
    assert plain.low is not None
    assert plain.high is not None
    assert plain.high - plain.low > 0.05
    assert stratified.low == pytest.approx(stratified.high, abs=1e-12)


def test_estimates_carry_what_their_metric_is_set_to() -> None:
    found = estimates_of(DIFFICULT["one positive image"])
    assert {one.metric: one.at for one in found if one.at is not None} == {
        "partial_roc_auc": 0.2,
        "sensitivity_at_specificity": 0.9,
        "specificity_at_sensitivity": 0.95,
        "net_benefit": 0.1,
        "f_beta": 2.0,
        "calibration_error": 10,
        "chance_calibration_error": 10,
    }
