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


def f_beta_of(
    confusion: Float64[np.ndarray, "replicates classes classes"], beta: float
) -> Float64[np.ndarray, "replicates classes"]:
    """Return precision and sensitivity in one, sensitivity counting ``beta`` times as much (van Rijsbergen 1979).

    NaN for a class neither present nor decided for. With ``beta`` 1 this is F1.
    """
    weight = beta**2
    return ratio((1 + weight) * _right(confusion), confusion.sum(axis=1) + weight * confusion.sum(axis=2))


def mcc_of(
    confusion: Float64[np.ndarray, "replicates classes classes"],
) -> Float64[np.ndarray, "replicates 1"]:
    """Return Matthews' correlation of truth and decision in [-1, 1], for any number of classes (Gorodkin 2004).

    NaN where all images have one class, or all were decided for one.
    """
    images = confusion.sum(axis=(1, 2))
    present, decided = confusion.sum(axis=2), confusion.sum(axis=1)
    covariance = images * _right(confusion).sum(axis=1) - np.einsum("rk,rk->r", present, decided)
    spreads = [images**2 - np.einsum("rk,rk->r", counts, counts) for counts in (present, decided)]
    # Two roots, since the product of two counts to the fourth power could lose the last digits.
    return ratio(covariance, np.sqrt(spreads[0]) * np.sqrt(spreads[1]))[:, None]


def kappa_of(
    confusion: Float64[np.ndarray, "replicates classes classes"],
) -> Float64[np.ndarray, "replicates 1"]:
    """Return Cohen's (1960) kappa, agreement beyond chance in [-1, 1]; NaN where all is one class and decided so."""
    return _kappa(confusion, 1 - np.eye(confusion.shape[1]))


def linear_kappa_of(
    confusion: Float64[np.ndarray, "replicates classes classes"],
) -> Float64[np.ndarray, "replicates 1"]:
    """Return kappa with an error counting as many times as it is classes wide (Cohen 1968)."""
    return _kappa(confusion, _class_distances(confusion.shape[1]))


def quadratic_kappa_of(
    confusion: Float64[np.ndarray, "replicates classes classes"],
) -> Float64[np.ndarray, "replicates 1"]:
    """Return kappa with an error counting by the square of how many classes wide it is (Cohen 1968)."""
    return _kappa(confusion, _class_distances(confusion.shape[1]) ** 2)


def mean_absolute_error_of(
    confusion: Float64[np.ndarray, "replicates classes classes"],
) -> Float64[np.ndarray, "replicates 1"]:
    """Return by how many classes, in their order, decisions were wrong on average."""
    distances = np.einsum("rij,ij->r", confusion, _class_distances(confusion.shape[1]))
    return ratio(distances, confusion.sum(axis=(1, 2)))[:, None]


def _kappa(
    confusion: Float64[np.ndarray, "replicates classes classes"], costs: Float64[np.ndarray, "classes classes"]
) -> Float64[np.ndarray, "replicates 1"]:
    """Return 1 - cost / cost expected of independent truth and decision with the same totals."""
    images = confusion.sum(axis=(1, 2))
    cost = np.einsum("rij,ij->r", confusion, costs) * images
    expected = np.einsum("ri,rj,ij->r", confusion.sum(axis=2), confusion.sum(axis=1), costs)
    return 1 - ratio(cost, expected)[:, None]


def _class_distances(num_classes: int) -> Float64[np.ndarray, "num_classes num_classes"]:
    places = np.arange(num_classes, dtype=np.float64)
    return np.abs(places[:, None] - places)


def _right(
    confusion: Float64[np.ndarray, "replicates classes classes"],
) -> Float64[np.ndarray, "replicates classes"]:
    return np.diagonal(confusion, axis1=1, axis2=2)
