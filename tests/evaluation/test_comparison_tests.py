"""Tests of two models against brute force, SciPy, and numbers worked by hand."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from radpath.evaluation.comparison_tests import (
    FEW_DISCORDANT,
    delong_test,
    inverted_interval,
    mcnemar_test,
    two_sided_p,
)


def decisions(both: int, first_only: int, second_only: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    counts = (both, first_only, second_only, neither)
    return np.repeat([True, True, False, False], counts), np.repeat([True, False, True, False], counts)


@pytest.mark.parametrize("counts", [(5, 1, 9, 2), (0, 3, 3, 0), (4, 0, 0, 1), (9, 24, 0, 0)])
def test_few_discordant_images_are_judged_by_the_binomial_distribution(counts: tuple[int, int, int, int]) -> None:
    first, second = decisions(*counts)
    found = mcnemar_test(first, second, np.arange(len(first)))
    _, first_only, second_only, _ = counts
    discordant = first_only + second_only
    oracle = stats.binomtest(first_only, discordant, 0.5).pvalue if discordant else 1.0
    assert found.method == "exact binomial"
    assert found.p_value == pytest.approx(oracle)
    assert found.clustered_p_value is None
    assert (found.num_both, found.num_first_only, found.num_second_only, found.num_neither) == counts


@pytest.mark.parametrize("counts", [(50, 20, 10, 3), (50, 15, 15, 3), (0, 40, 2, 0)])
def test_more_are_judged_by_the_mid_p_value(counts: tuple[int, int, int, int]) -> None:
    first, second = decisions(*counts)
    found = mcnemar_test(first, second, np.arange(len(first)))
    number, seen = counts[1] + counts[2], counts[1]
    chances = [stats.binom.pmf(k, number, 0.5) for k in range(number + 1)]
    # By definition: outcomes less probable than the one seen, and half of those as probable as it.
    rarer = sum(chance for chance in chances if chance < chances[seen] * (1 - 1e-9))
    alike = sum(chance for chance in chances if chance == pytest.approx(chances[seen], rel=1e-9))
    assert number >= FEW_DISCORDANT
    assert found.method == "mid-p"
    assert found.p_value == pytest.approx(rarer + alike / 2)


def test_with_one_image_a_case_the_clustered_test_would_be_mcnemars_chi_square() -> None:
    first, second = decisions(40, 25, 10, 6)
    # One pair of concordant images shares a case, which changes nothing but the number of cases.
    case_of = np.arange(len(first))
    case_of[1:] -= 1
    found = mcnemar_test(first, second, case_of)
    cases = len(first) - 1
    assert found.clustered_method == "Obuchowski"
    assert found.clustered_p_value == pytest.approx(stats.chi2.sf((cases - 1) / cases * 15**2 / 35, df=1))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=1, max_size=9))
def test_few_cases_are_judged_by_all_the_signs_that_they_could_have(by_case: list[int]) -> None:
    counts = [max(1, abs(number)) for number in by_case]
    first = np.repeat([number > 0 for number in by_case], counts)
    second = np.repeat([number < 0 for number in by_case], counts)
    # Two images that nobody decides rightly make the last case one of several images.
    first, second = np.append(first, [False, False]), np.append(second, [False, False])
    case_of = np.append(np.repeat(np.arange(len(by_case)), counts), [len(by_case)] * 2)
    sums = [sum(signs) for signs in itertools.product(*[(number, -number) for number in by_case])]
    found = mcnemar_test(first, second, case_of)
    assert found.clustered_method == "exact sign flip"
    assert found.clustered_p_value == pytest.approx(np.mean([abs(one) >= abs(sum(by_case)) for one in sums]))


def test_with_one_image_a_case_the_exact_clustered_test_is_mcnemars() -> None:
    first, second = decisions(6, 9, 2, 3)
    alone = mcnemar_test(first, second, np.arange(len(first)))
    case_of = np.arange(len(first))
    case_of[1:] -= 1
    assert mcnemar_test(first, second, case_of).clustered_p_value == pytest.approx(alone.p_value)


def test_copies_of_every_image_leave_the_clustered_p_value_as_it_is() -> None:
    first, second = decisions(20, 22, 14, 3)
    once = np.arange(len(first))
    pairs = [mcnemar_test(np.repeat(first, n), np.repeat(second, n), np.repeat(once, n)) for n in (2, 6)]
    assert pairs[0].clustered_p_value == pytest.approx(pairs[1].clustered_p_value)
    assert pairs[1].p_value < pairs[0].p_value  # as if every copy were news


def test_two_that_always_agree_are_not_told_apart() -> None:
    first, _ = decisions(5, 2, 0, 0)
    assert mcnemar_test(first, first, np.zeros(7, int)).clustered_p_value == 1
    assert mcnemar_test(first, first, np.arange(7)).p_value == 1


def brute_force_delong(scores: np.ndarray, is_positive: np.ndarray) -> tuple[float, float]:
    """Return the difference and its variance from all pairs of images."""
    kernels = []
    for one in scores:
        gaps = one[is_positive][:, None] - one[~is_positive][None, :]
        kernels.append((gaps > 0) + 0.5 * (gaps == 0))
    gained = kernels[0] - kernels[1]
    over_positives, over_negatives = gained.mean(axis=1), gained.mean(axis=0)
    variance = over_positives.var(ddof=1) / len(over_positives) + over_negatives.var(ddof=1) / len(over_negatives)
    return float(gained.mean()), float(variance)


def test_delongs_test_is_the_normal_test_of_the_mean_gain_over_all_pairs() -> None:
    rng = np.random.default_rng(3)
    is_positive = np.arange(40) % 3 == 0
    scores = (rng.normal(size=(2, 40)) + is_positive * np.array([[1.5], [0.5]])).round(1)
    value, variance = brute_force_delong(scores, is_positive)
    found = delong_test(scores, is_positive, np.arange(40), confidence=0.9)
    assert found is not None
    assert found.value == pytest.approx(value)
    normal = stats.norm(loc=value, scale=np.sqrt(variance))
    assert (found.low, found.high) == pytest.approx(normal.interval(0.9))
    assert found.p_value == pytest.approx(2 * min(normal.cdf(0), normal.sf(0)))


def test_where_delongs_test_does_not_exist_the_reason_is_told() -> None:
    scores = np.array([[0.1, 0.2, 0.7, 0.9], [0.3, 0.4, 0.5, 0.6]])
    is_positive, alone = np.array([False, False, True, True]), np.arange(4)
    alike = delong_test(scores, is_positive, alone, confidence=0.95)
    assert alike is not None
    assert (alike.value, alike.p_value, alike.low) == (0, None, None)
    assert alike.note == "no test: the two rank these images alike"
    opposite = delong_test(np.stack([scores[0], -scores[0]]), is_positive, alone, confidence=0.95)
    assert opposite is not None
    assert opposite.note == "no test: the difference has no variance on these images"
    assert delong_test(scores, np.ones(4, bool), alone, confidence=0.95) is None


RESAMPLED = hnp.arrays(np.float64, st.integers(1, 60), elements=st.integers(-5, 20).map(float))


@settings(max_examples=50, deadline=None)
@given(RESAMPLED, st.floats(0.01, 0.9))
def test_the_interval_leaves_out_zero_exactly_where_the_p_value_is_at_most_the_level(
    differences: np.ndarray, level: float
) -> None:
    interval = inverted_interval(differences, level=level)
    leaves_out = interval is not None and not interval[0] <= 0 <= interval[1]
    assert leaves_out == (two_sided_p(differences) <= level)


@settings(max_examples=50, deadline=None)
@given(RESAMPLED)
def test_exchanging_the_two_models_mirrors_the_interval_and_keeps_the_p_value(differences: np.ndarray) -> None:
    assert two_sided_p(-differences) == two_sided_p(differences)
    interval, mirrored = (inverted_interval(sign * differences, level=0.2) for sign in (1, -1))
    assert (interval is None) == (mirrored is None)
    if interval is not None and mirrored is not None:
        assert (-mirrored[1], -mirrored[0]) == interval


def test_an_interval_of_a_finer_level_is_wider_and_one_that_resamples_cannot_give_is_none() -> None:
    differences = np.random.default_rng(0).normal(size=199)
    intervals = [inverted_interval(differences, level=level) for level in (0.5, 0.1, 0.05, 0.01)]
    known = [one for one in intervals if one is not None]
    assert len(known) == 4
    assert all(inner[0] >= outer[0] and inner[1] <= outer[1] for inner, outer in itertools.pairwise(known))
    assert inverted_interval(differences, level=0.009) is None
