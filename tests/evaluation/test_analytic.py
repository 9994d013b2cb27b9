import dataclasses

import numpy as np
import pytest

from radpath.evaluation.analytic import area_interval, share_interval
from radpath.evaluation.delong import delong_covariance, delong_interval, perfect_area_bound
from radpath.evaluation.wilson import wilson_interval


def test_areas_have_delongs_interval() -> None:
    scores, is_positive, alone = np.array([0.1, 0.4, 0.5, 0.3, 0.8, 0.9]), np.arange(6) >= 3, np.arange(6)
    areas, covariance = delong_covariance(scores[None], is_positive, alone)
    found = area_interval(scores, is_positive, alone, confidence=0.9)
    assert found is not None
    assert (found.low, found.high) == delong_interval(areas[0].item(), covariance[0, 0].item(), confidence=0.9)
    assert found.method == "delong"


def test_perfect_areas_count_the_cases_of_each_group() -> None:
    is_positive, case_of = np.arange(12) >= 6, np.arange(12) // 2
    perfect = area_interval(is_positive * 1.0, is_positive, case_of, confidence=0.95)
    bound = perfect_area_bound(3, 3, confidence=0.95)
    assert perfect is not None
    assert (perfect.low, perfect.high, perfect.method) == (bound, 1, "newcombe")
    assert area_interval(-1.0 * is_positive, is_positive, case_of, confidence=0.95) == dataclasses.replace(
        perfect, low=0.0, high=1 - bound
    )


@pytest.mark.parametrize("scores", [np.full(6, 0.5), np.arange(6) / 6])
def test_areas_without_variance_or_without_two_cases_of_a_group_have_none(scores: np.ndarray) -> None:
    last = np.arange(6) == 5
    assert area_interval(scores, last, np.arange(6), confidence=0.95) is None


def test_shares_have_wilsons_interval() -> None:
    right, trials = np.array([2.0, 1.0, 0.0, 2.0]), np.full(4, 2.0)
    found = share_interval(right, trials, confidence=0.95)
    assert found is not None
    assert (found.low, found.high) == wilson_interval(right, trials, confidence=0.95)
    assert found.method == "wilson"
    assert share_interval(right[:1], trials[:1], confidence=0.95) is None
