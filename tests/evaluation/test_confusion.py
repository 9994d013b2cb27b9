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
    precision_of,
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
