"""Differences of groups: published intervals, SciPy's exact test, DeLong's variances, no test where nothing varies."""

import dataclasses
import math

import numpy as np
import pytest
from scipy import special, stats
from sklearn import metrics as sklearn_metrics

from radpath.evaluation.delong import delong_covariance
from radpath.evaluation.group_differences import Shares, difference_of_areas, difference_of_shares, shares_of
from radpath.evaluation.sample import Sample


def share(right: int, of: int, *, copies: int = 1, before: int = 0, after: int = 0) -> Shares:
    """So many cases, each with equal copies of an image, between cases that have none."""
    successes = np.zeros((1, before + of + after))
    trials = successes.copy()
    successes[0, before : before + right] = copies
    trials[0, before : before + of] = copies
    return Shares(successes=successes, trials=trials)


def sample_of(scores: np.ndarray, truth: np.ndarray, *, first_case: int, num_cases: int) -> Sample:
    return Sample(
        classes=("no", "yes"),
        positive=1,
        truth=truth.astype(np.int64),
        decisions=(scores >= 0.5).astype(np.int64),
        probabilities=np.column_stack([1 - scores, scores]),
        case_of=first_case + np.arange(len(truth)),
        num_cases=num_cases,
    )


@pytest.fixture(scope="module")
def parts() -> tuple[Sample, Sample]:
    """Forty and sixty cases of one image each."""
    generator = np.random.default_rng(0)
    truth = generator.random(100) < 0.4
    scores = special.expit(generator.normal(size=100) + 1.5 * truth - 0.5)
    return (
        sample_of(scores[:40], truth[:40], first_case=0, num_cases=100),
        sample_of(scores[40:], truth[40:], first_case=40, num_cases=100),
    )


def test_the_interval_of_two_shares_is_the_published_one() -> None:
    found = difference_of_shares(share(56, 70, after=80), share(48, 80, before=70), confidence=0.95)
    # Newcombe 1998, table II, example (a), method 10.
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert found.p_value == pytest.approx(stats.fisher_exact([[56, 14], [48, 32]]).pvalue)


def test_ten_of_ten_right_is_no_finding_beside_eighty_five_of_a_hundred() -> None:
    found = difference_of_shares(share(10, 10, after=100), share(85, 100, before=10), confidence=0.95)
    assert found.p_value == pytest.approx(stats.fisher_exact([[10, 0], [85, 15]]).pvalue)
    assert found.p_value is not None
    assert found.p_value > 0.3
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0 < found.high


def test_with_equal_true_shares_false_alarms_are_at_most_as_many_as_the_level() -> None:
    found = 0.0
    for right in range(11):
        for others in range(70, 101):
            chance = stats.binom.pmf(right, 10, 0.9) * stats.binom.pmf(others, 100, 0.9)
            if chance < 1e-7:
                continue
            pair = share(right, 10, after=100), share(others, 100, before=10)
            p_value = difference_of_shares(*pair, confidence=0.95).p_value
            assert p_value is not None
            found += chance * (p_value < 0.05)
    assert found < 0.05


def test_copies_of_an_image_in_its_case_make_no_difference_surer() -> None:
    once = difference_of_shares(share(10, 20, after=30), share(27, 30, before=20), confidence=0.95)
    often = difference_of_shares(share(10, 20, copies=5, after=30), share(27, 30, copies=5, before=20), confidence=0.95)
    assert once.p_value is not None
    assert often.p_value is not None
    # Counts that are no whole numbers are rounded towards no difference.
    assert once.p_value <= often.p_value < 4 * once.p_value
    assert (often.low, often.high) == pytest.approx((once.low, once.high), abs=0.02)


def test_cases_that_are_right_in_one_part_and_wrong_in_the_other_make_a_difference_less_sure() -> None:
    trials = np.ones((1, 40))
    one, other = np.array([[1.0] * 24 + [0.0] * 16]), np.array([[0.0] * 24 + [1.0] * 16])
    opposed = difference_of_shares(
        Shares(successes=one, trials=trials), Shares(successes=other, trials=trials), confidence=0.95
    )
    apart = difference_of_shares(share(24, 40, after=40), share(16, 40, before=40), confidence=0.95)
    assert opposed.p_value is not None
    assert apart.p_value is not None
    assert opposed.p_value > apart.p_value
    assert opposed.low is not None
    assert apart.low is not None
    assert opposed.low < apart.low


def test_a_share_of_one_case_is_not_compared() -> None:
    found = difference_of_shares(share(1, 1, after=9), share(3, 9, before=1), confidence=0.95)
    assert (found.low, found.p_value, found.note) == (None, None, "no test: only one case")


def test_shares_are_those_of_scikit_learn(parts: tuple[Sample, Sample]) -> None:
    part = parts[0]
    truth, decisions = part.truth, part.decisions
    expected = {
        "accuracy": sklearn_metrics.accuracy_score(truth, decisions),
        "sensitivity": sklearn_metrics.recall_score(truth, decisions),
        "specificity": sklearn_metrics.recall_score(truth, decisions, pos_label=0),
        "balanced_accuracy": sklearn_metrics.balanced_accuracy_score(truth, decisions),
    }
    assert {name: shares_of(part, name).values.mean() for name in expected} == pytest.approx(expected)


def test_a_mean_of_shares_has_an_interval_and_no_test(parts: tuple[Sample, Sample]) -> None:
    pair = [shares_of(part, "balanced_accuracy") for part in parts]
    found = difference_of_shares(*pair, confidence=0.95)
    value = pair[0].values.mean() - pair[1].values.mean()
    assert found.low is not None
    assert found.high is not None
    assert found.low < value < found.high
    assert found.p_value is None
    assert found.note == "no test: of a mean of shares no exact one is known"


def test_two_areas_are_compared_with_delongs_variances_on_the_scale_of_the_logit(parts: tuple[Sample, Sample]) -> None:
    found = difference_of_areas(*parts, confidence=0.95)
    logits, variance = [], 0.0
    for part in parts:
        areas, covariance = delong_covariance(part.probabilities[:, 1].copy()[None], part.truth == 1, part.case_of)
        area = float(areas[0])
        logits.append(float(special.logit(area)))
        variance += float(covariance[0, 0]) / (area * (1 - area)) ** 2
    expected = 2 * stats.norm.sf(abs(logits[0] - logits[1]) / math.sqrt(variance))
    assert found.p_value == pytest.approx(float(expected), rel=1e-9)
    assert found.low is not None
    assert found.high is not None
    difference = special.expit(logits[0]) - special.expit(logits[1])
    assert found.low < difference < found.high


def test_an_area_of_1_is_not_tested_against_another(parts: tuple[Sample, Sample]) -> None:
    perfect = dataclasses.replace(parts[0], probabilities=np.eye(2)[parts[0].truth])
    found = difference_of_areas(perfect, parts[1], confidence=0.95)
    assert (found.low, found.high, found.p_value) == (None, None, None)
    assert found.note == "no test: an area without variance, such as 0 or 1"


def test_the_same_images_in_both_parts_do_not_differ(parts: tuple[Sample, Sample]) -> None:
    assert difference_of_areas(parts[0], parts[0], confidence=0.95).note == "no test: the difference has no variance"
