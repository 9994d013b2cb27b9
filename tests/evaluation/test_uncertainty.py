import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from radpath.evaluation.uncertainty import entropy, spread


def drawn(seed: int, *shape: int) -> np.ndarray:
    values = np.random.default_rng(seed).gamma(0.5, size=shape)
    probabilities: np.ndarray = values / values.sum(axis=-1, keepdims=True)
    return probabilities


def test_entropy_agrees_with_scipy_to_the_base_of_the_number_of_classes() -> None:
    probabilities = drawn(0, 30, 4)
    assert entropy(probabilities) == pytest.approx(stats.entropy(probabilities, base=4, axis=1))


def test_certain_images_have_no_entropy_and_equal_chances_all_of_it() -> None:
    assert entropy(np.array([[1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3]])).tolist() == pytest.approx([0, 1])


def test_mutual_information_is_the_mean_divergence_from_the_mean() -> None:
    opinions = drawn(1, 5, 20, 3)
    mean = opinions.mean(axis=0)
    divergence = np.mean([stats.entropy(one, mean, base=3, axis=1) for one in opinions], axis=0)
    assert spread(opinions).mutual_information == pytest.approx(divergence)


def test_the_deviation_of_two_classes_is_that_of_either() -> None:
    opinions = drawn(2, 6, 20, 2)
    assert spread(opinions).deviation == pytest.approx(opinions[:, :, 0].std(axis=0))
    assert spread(opinions).deviation == pytest.approx(opinions[:, :, 1].std(axis=0))


def test_a_whole_weight_counts_as_so_many_equal_opinions() -> None:
    opinions = drawn(3, 2, 20, 3)
    weighted, repeated = spread(opinions, [3.0, 1.0]), spread(opinions[[0, 0, 0, 1]])
    assert weighted.deviation == pytest.approx(repeated.deviation)
    assert weighted.mutual_information == pytest.approx(repeated.mutual_information)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), opinions=st.integers(1, 5), classes=st.integers(2, 6))
def test_all_numbers_stay_in_their_range_and_agreement_has_no_spread(seed: int, opinions: int, classes: int) -> None:
    found = spread(drawn(seed, opinions, 8, classes))
    assert ((found.deviation >= 0) & (found.deviation <= 0.5)).all()
    assert ((found.mutual_information >= 0) & (found.mutual_information <= 1)).all()
    alike = spread(np.repeat(drawn(seed, 1, 8, classes), opinions, axis=0))
    assert np.allclose(alike.deviation, 0)
    assert np.allclose(alike.mutual_information, 0)
