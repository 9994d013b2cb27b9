from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression

from radpath.evaluation.evaluate import EvaluationSettings, evaluate
from radpath.evaluation.predictions import Predictions
from radpath.evaluation.reliability import assess_reliability, cox_line, equal_mass_bins, event_of, log_odds
from radpath.evaluation.sample import take_sample

SETTINGS = EvaluationSettings(replicates=100, interval="percentile")


def drawn(seed: int, count: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, and truth that they tell too surely."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(size=count)
    return special.expit(2 * odds), rng.random(count) < special.expit(odds + 0.4)


def line(probabilities: np.ndarray, truth: np.ndarray, cases: np.ndarray | None = None) -> tuple[float, ...]:
    """Intercept and slope, each with the width of its interval."""
    own = np.arange(len(truth)) if cases is None else cases
    found = cox_line(probabilities, truth, own, of_class="a", confidence=0.95)
    numbers = []
    for one in (found.intercept, found.slope):
        assert one.value is not None
        assert one.low is not None
        assert one.high is not None
        numbers += [one.value, one.high - one.low]
    return tuple(numbers)


def test_slope_and_intercept_agree_with_scikit_learn_and_scipy() -> None:
    probabilities, truth = drawn(0)
    odds = special.logit(probabilities)
    oracle = LogisticRegression(C=1e12, tol=1e-10, max_iter=1000).fit(odds[:, None], truth)
    offset = optimize.minimize_scalar(lambda a: (np.logaddexp(0, a + odds) - truth * (a + odds)).sum(), tol=1e-12)
    intercept, _, slope, _ = line(probabilities, truth)
    assert slope == pytest.approx(oracle.coef_[0, 0], abs=1e-5)
    assert intercept == pytest.approx(offset.x, abs=1e-6)


@given(st.integers(0, 1000), st.floats(-2, 2), st.floats(0.25, 4))
@settings(max_examples=25, deadline=None)
def test_shifted_log_odds_shift_the_intercept_and_stretched_ones_shrink_the_slope(
    seed: int, shift: float, factor: float
) -> None:
    probabilities, truth = drawn(seed, 100)
    odds = log_odds(probabilities)
    intercept, _, slope, _ = line(probabilities, truth)
    assert line(special.expit(odds + shift), truth)[0] == pytest.approx(intercept - shift, abs=1e-6)
    assert line(special.expit(factor * odds), truth)[2] == pytest.approx(slope / factor, abs=1e-6)


def test_the_same_image_four_times_in_a_case_makes_nothing_surer() -> None:
    probabilities, truth = drawn(1)
    cases = np.repeat(np.arange(len(truth)), 4)
    assert line(probabilities.repeat(4), truth.repeat(4), cases) == pytest.approx(line(probabilities, truth))
    as_if_independent = line(probabilities.repeat(4), truth.repeat(4))
    assert as_if_independent[3] == pytest.approx(line(probabilities, truth)[3] / 2, rel=0.01)


def test_the_interval_of_the_slope_holds_the_truth_about_as_often_as_it_says() -> None:
    held = 0
    for seed in range(100):
        probabilities, truth = drawn(seed)
        found = cox_line(probabilities, truth, np.arange(300), of_class="a", confidence=0.95).slope
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 0.5 <= found.high
    assert 89 <= held <= 99


@pytest.mark.parametrize(
    ("probabilities", "truth"),
    [
        ([0.1, 0.2, 0.8, 0.9], [False, False, True, True]),
        ([0.3, 0.6, 0.7], [True, True, True]),
        ([0.5] * 4, [True, False] * 2),
    ],
)
def test_where_no_slope_is_best_it_says_why(probabilities: list[float], truth: list[bool]) -> None:
    found = cox_line(
        np.array(probabilities), np.array(truth), np.arange(len(truth)), of_class="a", confidence=0.95
    ).slope
    assert (found.value, found.low) == (None, None)
    assert found.note.startswith("undefined: a class is absent, is told apart without a mistake, or has one")


def test_one_case_has_a_slope_without_an_interval() -> None:
    probabilities, truth = drawn(2)
    found = cox_line(probabilities, truth, np.zeros(300, dtype=np.int64), of_class="a", confidence=0.95).slope
    assert found.value is not None
    assert (found.low, found.note) == (None, "no interval: there is only one case")


@given(st.lists(st.integers(0, 20), min_size=1, max_size=200))
@settings(max_examples=50, deadline=None)
def test_bins_rise_with_the_probability_and_equal_ones_share_one(values: list[int]) -> None:
    given_probabilities = np.array(values) / 20
    bins = equal_mass_bins(given_probabilities)
    order = np.argsort(given_probabilities, kind="stable")
    assert (np.diff(bins[order]) >= 0).all()
    assert set(bins) == set(range(bins.max() + 1))
    assert len({(a, b) for a, b in zip(values, bins.tolist(), strict=True)}) == len(set(values))
    assert len(set(bins)) <= max(1, min(10, len(values) // 10))


def test_bins_agree_with_scikit_learn() -> None:
    probabilities, truth = drawn(4, 200)
    bins = equal_mass_bins(probabilities)
    shares, means = calibration_curve(truth, probabilities, n_bins=10, strategy="quantile")
    assert [truth[bins == place].mean() for place in range(10)] == pytest.approx(shares)
    assert [probabilities[bins == place].mean() for place in range(10)] == pytest.approx(means)


def test_the_numbers_are_those_of_their_bins_and_of_the_metrics(make_predictions: Callable[..., Predictions]) -> None:
    predictions = make_predictions(3, cases_per_side=60)
    evaluation = evaluate(predictions, SETTINGS)
    sample = take_sample(predictions, "test", positive_class="malignant", threshold=None)
    found = assess_reliability(sample, side="test", evaluation=evaluation)
    probabilities, truth = event_of(sample)
    place = equal_mass_bins(probabilities)
    counts = np.bincount(place)
    shares = [truth[place == k].mean() for k in range(len(counts))]
    means = [probabilities[place == k].mean() for k in range(len(counts))]
    assert [one.num_images for one in found.bins] == counts.tolist()
    assert [one.observed.value for one in found.bins] == pytest.approx(shares)
    assert [one.mean_probability for one in found.bins] == pytest.approx(means)
    distances = np.abs(np.subtract(shares, means))
    assert found.calibration_error.value == pytest.approx(np.average(distances, weights=counts))
    assert 0 < found.error_by_chance < 0.2
    assert sum(found.histogram) == len(truth)
    for name, one in (("brier", found.brier), ("log_loss", found.log_loss)):
        same = evaluation.sides["test"].find(name)
        assert same is not None
        assert (one.value, one.low, one.high) == pytest.approx((same.value, same.low, same.high))


def test_of_several_classes_the_highest_probability_is_judged(make_predictions: Callable[..., Predictions]) -> None:
    predictions = make_predictions(1, classes=("a", "b", "c"))
    sample = take_sample(predictions, "test", positive_class=None, threshold=None)
    probabilities, right = event_of(sample)
    assert probabilities.tolist() == sample.probabilities.max(axis=1).tolist()
    assert right.tolist() == (sample.decisions == sample.truth).tolist()
    found = assess_reliability(sample, side="test", evaluation=evaluate(predictions, SETTINGS))
    assert [one.of_class for one in found.lines] == ["a", "b", "c"]
