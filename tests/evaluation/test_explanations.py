"""Numbers of maps: evidence in a region, likeness of two maps, and what is undefined."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats
from skimage.metrics import structural_similarity as reference

from radpath.evaluation.explanations import (
    MapChange,
    Sanity,
    edges_of,
    evidence,
    mean_by_case,
    peak_is_inside,
    rank_correlation,
    share_inside,
    structural_similarity,
)

MAPS = arrays.arrays(np.float64, (6, 7), elements=st.floats(-5, 5, allow_subnormal=False))


@given(MAPS)
@settings(max_examples=50, deadline=None)
def test_strengths_lie_between_nothing_and_the_most(found: np.ndarray) -> None:
    shown = evidence(found)
    assert ((shown >= 0) & (shown <= 1)).all()
    assert (shown[found <= 0] == 0).all()
    assert (shown.max() == 1) == bool((found > 0).any())


@given(MAPS)
@settings(max_examples=50, deadline=None)
def test_shares_of_a_region_and_of_the_rest_make_one(found: np.ndarray) -> None:
    region = np.arange(42).reshape(6, 7) % 3 == 0
    inside, outside = share_inside(found, region), share_inside(found, ~region)
    if inside is None or outside is None:
        assert not (found > 0).any()
    else:
        assert inside + outside == pytest.approx(1)


def test_the_peak_is_inside_or_not_or_nowhere() -> None:
    region = np.array([[True, False]])
    assert peak_is_inside(np.array([[2.0, 1.0]]), region) is True
    assert peak_is_inside(np.array([[1.0, 2.0]]), region) is False
    assert peak_is_inside(np.array([[-1.0, 0.0]]), region) is None


def test_a_map_without_ranks_has_no_correlation() -> None:
    some = np.random.default_rng(0).random((8, 9))
    assert rank_correlation(some, np.ones((8, 9))) is None
    other = some + np.random.default_rng(1).random((8, 9))
    assert rank_correlation(some, other) == pytest.approx(stats.spearmanr(some.ravel(), other.ravel())[0], abs=1e-12)


def test_structural_similarity_agrees_with_scikit_image_away_from_the_borders() -> None:
    first = np.random.default_rng(0).random((64, 64))
    second = 0.7 * first + 0.3 * np.random.default_rng(1).random((64, 64))
    theirs = reference(first, second, data_range=1.0, gaussian_weights=True, use_sample_covariance=False)
    assert structural_similarity(first, second) == pytest.approx(theirs, abs=0.01)


def test_edges_are_where_brightness_changes() -> None:
    image = np.zeros((10, 12, 3), dtype=np.uint8)
    image[:, 6:] = 200
    strength = edges_of(image)
    assert (strength[:, 5:7] > 0).all()
    assert (strength[:, :5] == 0).all()


def test_a_mean_has_an_interval_by_case_where_there_are_several() -> None:
    def estimate(values: list[float | None], cases: list[str]) -> tuple[float | None, float | None, float | None]:
        return mean_by_case(values, cases, confidence=0.95, generator=np.random.default_rng(0))

    assert estimate([None, None], ["a", "b"]) == (None, None, None)
    assert estimate([0.25, 0.75, None], ["a", "a", "b"]) == (0.5, None, None)
    mean, low, high = estimate([0.0, 0.0, 1.0, 1.0], ["a", "a", "b", "b"])
    assert (mean, low, high) == (0.5, 0.0, 1.0)  # two cases, whatever their images


@pytest.mark.parametrize(("last", "verdict"), [(0.1, True), (-0.2, True), (0.5, False), (-0.9, False), (None, None)])
def test_maps_depend_on_weights_where_random_ones_give_others(last: float | None, verdict: object) -> None:
    changes = tuple(
        MapChange(down_to=name, rank_correlation=value, low=None, high=None, similarity=0.5, num_constant=0)
        for name, value in (("head", 0.99), ("stem", last))
    )
    assert Sanity(num_images=2, num_cases=2, confidence=0.95, changes=changes, edges=None).depends_on_weights is verdict
