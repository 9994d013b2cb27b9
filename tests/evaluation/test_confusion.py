from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from radpath.evaluation.confusion import (
    accuracy_of,
    balanced_accuracy_of,
    confusion_matrix,
    f1_of,
    f_beta_of,
    kappa_of,
    linear_kappa_of,
    mcc_of,
    mean_absolute_error_of,
    precision_of,
    quadratic_kappa_of,
    sensitivity_of,
    specificity_of,
)

IMAGES = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=40).map(
    # Each class is there and is decided for, so that nothing is undefined.
    lambda rows: np.array([(0, 0), (1, 2), (2, 1), *rows])
)


@given(IMAGES)
@settings(max_examples=50, deadline=None)
def test_everything_agrees_with_scikit_learn(images: np.ndarray) -> None:
    truth, decisions = images[:, 0].copy(), images[:, 1].copy()
    counted = confusion_matrix(truth, decisions, num_classes=3)
    np.testing.assert_array_equal(counted, metrics.confusion_matrix(truth, decisions))
    matrix = counted[None].astype(np.float64)
    assert accuracy_of(matrix).item() == pytest.approx(metrics.accuracy_score(truth, decisions), abs=1e-12)
    expected = metrics.balanced_accuracy_score(truth, decisions)
    assert balanced_accuracy_of(matrix).item() == pytest.approx(expected, abs=1e-12)
    close = partial(np.testing.assert_allclose, rtol=0, atol=1e-12)
    close(sensitivity_of(matrix)[0], metrics.recall_score(truth, decisions, average=None))
    close(precision_of(matrix)[0], metrics.precision_score(truth, decisions, average=None))
    close(f1_of(matrix)[0], metrics.f1_score(truth, decisions, average=None))
    others = [metrics.recall_score(truth != k, decisions != k) for k in range(3)]
    close(specificity_of(matrix)[0], others)
    close(f_beta_of(matrix, 0.5)[0], metrics.fbeta_score(truth, decisions, beta=0.5, average=None))
    close(mcc_of(matrix).item(), metrics.matthews_corrcoef(truth, decisions))
    close(kappa_of(matrix).item(), metrics.cohen_kappa_score(truth, decisions))
    close(linear_kappa_of(matrix).item(), metrics.cohen_kappa_score(truth, decisions, weights="linear"))
    close(quadratic_kappa_of(matrix).item(), metrics.cohen_kappa_score(truth, decisions, weights="quadratic"))
    close(mean_absolute_error_of(matrix).item(), metrics.mean_absolute_error(truth, decisions))


def test_many_matrices_are_measured_at_once() -> None:
    matrices = np.array([[[2.0, 0], [0, 2]], [[1, 1], [2, 0]]])
    np.testing.assert_array_equal(accuracy_of(matrices), [[1.0], [0.25]])
    np.testing.assert_array_equal(sensitivity_of(matrices), [[1, 1], [0.5, 0]])


def test_a_class_that_is_absent_or_never_decided_for_leaves_its_numbers_undefined() -> None:
    only_first = np.array([[[3.0, 0], [0, 0]]])
    assert np.isnan(balanced_accuracy_of(only_first)).all()
    np.testing.assert_array_equal(sensitivity_of(only_first), [[1, np.nan]])
    np.testing.assert_array_equal(specificity_of(only_first), [[np.nan, 1]])
    np.testing.assert_array_equal(precision_of(only_first), [[1, np.nan]])
    np.testing.assert_array_equal(f1_of(only_first), [[1, np.nan]])
    assert np.isnan(accuracy_of(np.zeros((1, 2, 2)))).all()


def test_correlation_and_kappa_do_not_exist_where_everything_is_one_class() -> None:
    only_first, one_decision = np.array([[[3.0, 0], [0, 0]]]), np.array([[[3.0, 0], [2, 0]]])
    assert np.isnan(mcc_of(only_first)).all()
    assert np.isnan(mcc_of(one_decision)).all()
    assert np.isnan(kappa_of(only_first)).all()
    assert np.isnan(quadratic_kappa_of(only_first)).all()
    assert kappa_of(one_decision).item() == 0  # no better than chance, which is known


def test_the_correlation_of_millions_of_images_keeps_its_digits() -> None:
    matrix = np.array([[[3_000_001.0, 2], [5, 4_000_000]]])
    present = np.repeat([0, 0, 1, 1], [3_000_001, 2, 5, 4_000_000])
    decided = np.repeat([0, 1, 0, 1], [3_000_001, 2, 5, 4_000_000])
    assert mcc_of(matrix).item() == pytest.approx(np.corrcoef(present, decided)[0, 1], abs=1e-12)
