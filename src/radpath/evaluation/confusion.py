"""What decisions got right and wrong: the confusion matrix and every metric that follows from it.

In: confusion matrices (weighted counts; rows are the truth, columns the decision), many at once. Out: values, one a
matrix or one a matrix and class. How decisions are made is left to ``thresholds``.
"""

import numpy as np
from jaxtyping import Float64, Int64

from radpath.evaluation.undefined import ratio


def confusion_matrix(
    truth: Int64[np.ndarray, " images"], decisions: Int64[np.ndarray, " images"], *, num_classes: int
) -> Int64[np.ndarray, "num_classes num_classes"]:
    """Count images by true class (row) and decided class (column).

    >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), num_classes=2)
    array([[1, 1],
           [0, 1]])
    """
    cells = np.bincount(truth * num_classes + decisions, minlength=num_classes**2)
    return cells.reshape(num_classes, num_classes)


def accuracy_of(
    confusion: Float64[np.ndarray, "replicates classes classes"],
) -> Float64[np.ndarray, "replicates 1"]:
    """Return the share of images decided rightly."""
    return ratio(_right(confusion).sum(axis=1), confusion.sum(axis=(1, 2)))[:, None]


def balanced_accuracy_of(
    confusion: Float64[np.ndarray, "replicates classes classes"],
) -> Float64[np.ndarray, "replicates 1"]:
    """Return the mean of the classes' sensitivities; NaN where a class has no images."""
    mean: np.ndarray = sensitivity_of(confusion).mean(axis=1, keepdims=True)
    return mean


def sensitivity_of(
    confusion: Float64[np.ndarray, "replicates classes classes"],
) -> Float64[np.ndarray, "replicates classes"]:
    """Return the share of each class's images that were decided for it (recall); NaN for a class without images."""
    return ratio(_right(confusion), confusion.sum(axis=2))


def specificity_of(
    confusion: Float64[np.ndarray, "replicates classes classes"],
) -> Float64[np.ndarray, "replicates classes"]:
    """Return the share of the other classes' images that were not decided for a class; NaN where there are none."""
    others = confusion.sum(axis=(1, 2))[:, None] - confusion.sum(axis=2)
    false_alarms = confusion.sum(axis=1) - _right(confusion)
    return ratio(others - false_alarms, others)


def precision_of(
    confusion: Float64[np.ndarray, "replicates classes classes"],
) -> Float64[np.ndarray, "replicates classes"]:
    """Return the share of the images decided for a class that belong to it; NaN for a class never decided for."""
    return ratio(_right(confusion), confusion.sum(axis=1))


def f1_of(
    confusion: Float64[np.ndarray, "replicates classes classes"],
) -> Float64[np.ndarray, "replicates classes"]:
    """Return the harmonic mean of precision and sensitivity; NaN for a class neither present nor decided for."""
    return ratio(2 * _right(confusion), confusion.sum(axis=1) + confusion.sum(axis=2))


def _right(
    confusion: Float64[np.ndarray, "replicates classes classes"],
) -> Float64[np.ndarray, "replicates classes"]:
    return np.diagonal(confusion, axis1=1, axis2=2)
