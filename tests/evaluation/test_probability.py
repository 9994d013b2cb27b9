import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from radpath.evaluation.probability import (
    SMALLEST_PROBABILITY,
    brier_losses,
    calibration_error_of,
    chance_calibration_error_of,
    log_losses,
)
from radpath.evaluation.ranking import RankedCounts, rank, tally

cheap = settings(max_examples=50, deadline=None)


def draw(seed: int, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.full(num_classes, 0.3), size=25)
    return probabilities, np.append(np.arange(num_classes), generator.integers(num_classes, size=25 - num_classes))


@given(st.integers(0, 10_000), st.integers(2, 5))
@cheap
def test_log_loss_agrees_with_scikit_learn(seed: int, num_classes: int) -> None:
    probabilities, truth = draw(seed, num_classes)
    assert log_losses(probabilities, truth).mean() == pytest.approx(metrics.log_loss(truth, probabilities), rel=1e-12)


@given(st.integers(0, 10_000))
@cheap
def test_the_binary_brier_score_agrees_with_scikit_learn(seed: int) -> None:
    probabilities, truth = draw(seed, 2)
    for positive in (0, 1):
        expected = metrics.brier_score_loss(truth == positive, probabilities[:, positive])
        assert brier_losses(probabilities, truth, positive=positive).mean() == pytest.approx(expected, abs=1e-12)


@given(st.integers(0, 10_000), st.integers(3, 5))
@cheap
def test_the_brier_score_of_several_classes_is_their_sum(seed: int, num_classes: int) -> None:
    probabilities, truth = draw(seed, num_classes)
    expected = sum(metrics.brier_score_loss(truth == k, probabilities[:, k]) for k in range(num_classes))
    assert brier_losses(probabilities, truth).mean() == pytest.approx(expected, abs=1e-12)


def test_certainty_in_the_wrong_class_costs_much_but_not_infinity() -> None:
    certain = np.array([[1.0, 0.0], [1.0, 0.0]])
    losses = log_losses(certain, np.array([1, 0]))
    assert losses.tolist() == [-np.log(SMALLEST_PROBABILITY), 0.0]
    assert losses[0] == pytest.approx(36.04, abs=0.01)
    assert brier_losses(certain, np.array([1, 0])).tolist() == [2.0, 0.0]


def counted(scores: np.ndarray, truth: np.ndarray, weights: np.ndarray | None = None) -> RankedCounts:
    return tally(rank(scores, truth), np.ones((len(scores), 1)) if weights is None else weights)


@given(st.lists(st.tuples(st.integers(0, 8), st.booleans(), st.integers(0, 3)), min_size=1), st.integers(2, 12))
@cheap
def test_the_calibration_error_is_that_of_bins_of_equal_size(rows: list[tuple[int, bool, int]], num_bins: int) -> None:
    repeated = sorted((score / 8, truth) for score, truth, weight in rows for _ in range(weight))
    if not repeated:
        return
    gaps = dict.fromkeys(range(num_bins), 0.0)
    for score in {score for score, _ in repeated}:
        above = sum(other > score for other, _ in repeated)
        tied = [truth for other, truth in repeated if other == score]
        # Of images with one score the middle decides; in whole numbers: (above + tied / 2) / images of num_bins.
        place = num_bins * (2 * above + len(tied)) // (2 * len(repeated))
        gaps[place] += sum(score - truth for truth in tied)
    scores, truths, weights = (np.array(column) for column in zip(*rows, strict=True))
    counts = counted(scores / 8, truths, weights[:, None].astype(np.float64))
    expected = sum(abs(gap) for gap in gaps.values()) / len(repeated)
    assert calibration_error_of(counts, num_bins)[0] == pytest.approx(expected, abs=1e-12)


def test_bins_of_equal_size_hold_what_quantiles_separate() -> None:
    generator = np.random.default_rng(0)
    scores = generator.random(120)
    truth = generator.random(120) < scores**2
    order = np.argsort(-scores)
    expected = sum(abs(scores[part].sum() - truth[part].sum()) for part in np.split(order, 10)) / 120
    assert calibration_error_of(counted(scores, truth), 10)[0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("shape", "num_images"), [((1.0, 1.0), 300), ((0.2, 2.0), 300), ((5.0, 1.0), 60)])
def test_the_error_by_chance_is_what_calibrated_models_show(shape: tuple[float, float], num_images: int) -> None:
    generator = np.random.default_rng(0)
    scores = generator.beta(*shape, num_images)
    shown = [calibration_error_of(counted(scores, generator.random(num_images) < scores), 10)[0] for _ in range(400)]
    found = chance_calibration_error_of(counted(scores, scores > 0.5), 10)[0]
    assert found == pytest.approx(np.mean(shown), rel=0.08)
    assert found > 0


def test_certain_and_right_probabilities_have_no_calibration_error_even_by_chance() -> None:
    truth = np.arange(20) < 7
    counts = counted(truth.astype(np.float64), truth)
    assert calibration_error_of(counts, 5)[0] == 0
    assert chance_calibration_error_of(counts, 5)[0] == 0


def test_without_images_there_is_no_calibration_error() -> None:
    counts = counted(np.array([0.3, 0.6]), np.array([True, False]), np.array([[0.0, 1.0], [0.0, 1.0]]))
    assert np.isnan(calibration_error_of(counts, 5)).tolist() == [True, False]
    assert np.isnan(chance_calibration_error_of(counts, 5)).tolist() == [True, False]
