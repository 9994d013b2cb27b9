import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from radpath.evaluation.wilson import design_effect, wilson_interval


@given(st.integers(2, 200), st.data())
@settings(max_examples=50, deadline=None)
def test_independent_trials_have_scipys_wilson_interval(num_trials: int, data: st.DataObject) -> None:
    num_right = data.draw(st.integers(0, num_trials))
    successes = (np.arange(num_trials) < num_right).astype(np.float64)
    found = wilson_interval(successes, np.ones(num_trials), confidence=0.95)
    expected = stats.binomtest(num_right, num_trials).proportion_ci(0.95, method="wilson")
    assert found == pytest.approx((expected.low, expected.high), abs=1e-12)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=20))
@settings(max_examples=50, deadline=None)
def test_the_interval_lies_in_0_to_1_and_holds_the_share(cases: list[tuple[int, int]]) -> None:
    right, wrong = (np.array(column, dtype=np.float64) for column in zip(*cases, strict=True))
    found = wilson_interval(right, right + wrong, confidence=0.95)
    if (right + wrong > 0).sum() < 2:
        assert found is None
        return
    assert found is not None
    share = right.sum() / (right + wrong).sum()
    assert 0 <= found[0] <= share <= found[1] <= 1
    assert found[0] < found[1]


def test_copies_of_an_image_in_its_case_say_nothing_new() -> None:
    successes = np.array([1.0] * 14 + [0.0] * 6)
    once = wilson_interval(successes, np.ones(20), confidence=0.9)
    # The variance between cases is estimated with n - 1, that of independent trials with n.
    assert wilson_interval(5 * successes, np.full(20, 5.0), confidence=0.9) == pytest.approx(once, abs=0.01)
    perfect = wilson_interval(np.full(20, 5.0), np.full(20, 5.0), confidence=0.9)
    assert perfect == pytest.approx(wilson_interval(np.ones(20), np.ones(20), confidence=0.9))


def test_the_design_effect_is_that_of_the_correlation_within_cases() -> None:
    """With cases of m trials and a correlation r, the variance grows by 1 + (m - 1) r."""
    generator = np.random.default_rng(0)
    chances = generator.beta(3.5, 1.5, size=20_000)  # correlation 1 / (1 + 3.5 + 1.5)
    successes = generator.binomial(5, chances).astype(np.float64)
    assert design_effect(successes, np.full(20_000, 5.0)) == pytest.approx(1 + 4 / 6, rel=0.03)


def test_trials_that_differ_more_than_chance_within_cases_do_not_narrow_the_interval() -> None:
    assert design_effect(np.ones(10), np.full(10, 2.0)) == 1
