import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from radpath.evaluation.probability import SMALLEST_PROBABILITY, brier_losses, log_losses

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
