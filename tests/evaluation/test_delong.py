import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as reference

from radpath.evaluation.delong import delong_covariance, delong_interval, perfect_area_bound, placements
from radpath.evaluation.intervals import roc_auc_standard_error


def wins(left: float, right: float) -> float:
    return float(left > right) + (left == right) / 2


def obuchowski_by_hand(scores: np.ndarray, is_positive: np.ndarray, case_of: np.ndarray) -> np.ndarray:
    """Obuchowski 1997, Biometrics 53, written out pair by pair and case by case."""
    cases = np.unique(case_of)
    num_positive, num_negative = int(is_positive.sum()), int((~is_positive).sum())
    above, below, areas = [], [], []
    for one in scores:
        pair = np.array([[wins(p, n) for n in one[~is_positive]] for p in one[is_positive]])
        area = pair.mean()
        areas.append(area)
        v10, v01 = pair.mean(axis=1), pair.mean(axis=0)
        above.append([(v10[case_of[is_positive] == case] - area).sum() for case in cases])
        below.append([(v01[case_of[~is_positive] == case] - area).sum() for case in cases])
    with_positive = sum(is_positive[case_of == case].any() for case in cases)
    with_negative = sum((~is_positive[case_of == case]).any() for case in cases)
    result = np.zeros((len(scores), len(scores)))
    for r in range(len(scores)):
        for s in range(len(scores)):
            s10 = with_positive / ((with_positive - 1) * num_positive) * np.dot(above[r], above[s])
            s01 = with_negative / ((with_negative - 1) * num_negative) * np.dot(below[r], below[s])
            s11 = len(cases) / (len(cases) - 1) * (np.dot(above[r], below[s]) + np.dot(above[s], below[r]))
            result[r, s] = s10 / num_positive + s01 / num_negative + s11 / (num_positive * num_negative)
    return result


def study(seed: int, *, images: int, cases: int, models: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    is_positive = np.arange(images) % 3 == 0
    scores = np.round(generator.random((models, images)) + 0.3 * is_positive, 1)
    return scores, is_positive, generator.integers(0, cases, images)


@pytest.mark.parametrize("cases", [5, 12, 40])
def test_the_covariance_is_obuchowskis_written_out(cases: int) -> None:
    scores, is_positive, case_of = study(cases, images=30, cases=cases)
    case_of = np.unique(case_of, return_inverse=True)[1]
    covariance = delong_covariance(scores, is_positive, case_of)[1]
    np.testing.assert_allclose(covariance, obuchowski_by_hand(scores, is_positive, case_of), atol=1e-14)


def test_single_images_give_the_covariance_of_placements_of_delong() -> None:
    scores, is_positive, _ = study(1, images=40, cases=40)
    covariance = delong_covariance(scores, is_positive, np.arange(40))[1]
    above = np.array([placements(one, is_positive)[0] for one in scores])
    below = np.array([placements(one, is_positive)[1] for one in scores])
    expected = np.cov(above) / above.shape[1] + np.cov(below) / below.shape[1]
    np.testing.assert_allclose(covariance, expected, atol=1e-14)


def test_numbers_of_cases_that_have_no_image_change_nothing() -> None:
    scores, is_positive, case_of = study(2, images=30, cases=8)
    case_of = np.unique(case_of, return_inverse=True)[1]
    dense = delong_covariance(scores, is_positive, case_of)[1]
    np.testing.assert_allclose(delong_covariance(scores, is_positive, case_of * 7 + 3)[1], dense, rtol=1e-12)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=30))
@settings(max_examples=50, deadline=None)
def test_both_means_of_the_placements_are_the_auc(rows: list[tuple[int, bool]]) -> None:
    scores = np.array([float(score) for score, _ in rows])
    is_positive = np.array([flag for _, flag in rows])
    above, below = placements(scores, is_positive)
    areas, covariance = delong_covariance(scores[None], is_positive, np.arange(len(rows)))
    if is_positive.all() or not is_positive.any():
        assert np.isnan(areas).all()
        assert np.isnan(covariance).all()
        return
    area = reference.roc_auc_score(is_positive, scores)
    assert [above.mean(), below.mean(), areas[0]] == pytest.approx([area] * 3)
    assert np.isnan(covariance[0, 0]) == (min(is_positive.sum(), (~is_positive).sum()) < 2)


def test_copies_of_every_image_in_its_case_do_not_make_the_area_surer() -> None:
    scores, is_positive, _ = study(3, images=60, cases=60)
    once = delong_covariance(scores, is_positive, np.arange(60))[1]
    twice = delong_covariance(np.tile(scores, 2), np.tile(is_positive, 2), np.tile(np.arange(60), 2))[1]
    np.testing.assert_allclose(twice, once, rtol=1e-12)


def test_the_interval_stays_inside_and_holds_the_area() -> None:
    low, high = delong_interval(0.98, 0.02**2, confidence=0.95) or (0.0, 0.0)
    assert 0 < low < 0.98 < high < 1
    assert 0.98 - low > high - 0.98


@pytest.mark.parametrize(("area", "variance"), [(1.0, 0.0), (0.5, 0.0), (float("nan"), float("nan")), (0.0, 0.1)])
def test_an_area_without_a_variance_has_no_interval(area: float, variance: float) -> None:
    assert delong_interval(area, variance, confidence=0.95) is None


@pytest.mark.parametrize(("num_positive", "num_negative"), [(5, 5), (10, 10), (10, 40), (40, 40), (20, 200)])
def test_the_bound_of_a_perfect_area_lies_where_perfect_samples_are_rare(num_positive: int, num_negative: int) -> None:
    """Of samples whose true area is the bound, at most about one in forty may be perfect: the tail that it leaves."""
    bound = perfect_area_bound(num_positive, num_negative, confidence=0.95)
    generator = np.random.default_rng(0)
    lowest = generator.normal(np.sqrt(2) * stats.norm.ppf(bound), size=(4000, num_positive)).min(axis=1)
    highest = generator.normal(size=(4000, num_negative)).max(axis=1)
    assert (lowest > highest).mean() < 0.03


def test_the_bound_of_a_perfect_area_is_as_many_of_its_own_errors_away_as_the_confidence_says() -> None:
    bound = perfect_area_bound(12, 12, confidence=0.9)
    error = roc_auc_standard_error(bound, num_positive=12, num_negative=12)
    assert (1 - bound) / error == pytest.approx(stats.norm.ppf(0.95))
