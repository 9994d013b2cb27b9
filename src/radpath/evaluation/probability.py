"""How far the probabilities themselves were from the truth: Brier score and log loss, image by image.

In: probabilities and the true class of each image. Out: one loss an image; a metric is their (weighted) mean.
"""

import numpy as np
from jaxtyping import Float64, Int64

SMALLEST_PROBABILITY = float(np.finfo(np.float64).eps)
"""A true class given probability 0 would cost infinity; it costs as much as this instead (36.04 in log loss)."""


def brier_losses(
    probabilities: Float64[np.ndarray, "images classes"],
    truth: Int64[np.ndarray, " images"],
    *,
    positive: int | None = None,
) -> Float64[np.ndarray, " images"]:
    """Return the squared error of the probabilities (Brier 1950).

    Args:
        probabilities: one column a class.
        truth: the column of the true class of each image.
        positive: with two classes, the column of the positive one: the error is (p - y)^2 of that class, in [0, 1].
            Without it the errors of all classes are added, in [0, 2], as is usual for more than two.

    >>> brier_losses(np.array([[0.25, 0.75]]), np.array([1]), positive=1)
    array([0.0625])
    """
    wanted = np.eye(probabilities.shape[1])[truth]
    squares = (probabilities - wanted) ** 2
    losses: np.ndarray = squares.sum(axis=1) if positive is None else squares[:, positive]
    return losses


def log_losses(
    probabilities: Float64[np.ndarray, "images classes"], truth: Int64[np.ndarray, " images"]
) -> Float64[np.ndarray, " images"]:
    """Return -log(probability of the true class), natural logarithm, at least 0 and at most 36.04.

    >>> log_losses(np.array([[0.5, 0.5]]), np.array([1]))
    array([0.69314718])
    """
    given = probabilities[np.arange(len(truth)), truth]
    losses: np.ndarray = -np.log(np.clip(given, SMALLEST_PROBABILITY, 1))
    return losses
