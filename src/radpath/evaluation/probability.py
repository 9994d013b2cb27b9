"""How far the probabilities themselves were from the truth: Brier score, log loss, and the calibration error.

In: probabilities and the true class of each image. Out: one loss an image, of which a metric is the weighted mean; and
calibration errors, under many sets of weights at once. Diagrams and repairs of calibration are left to others.
"""

import numpy as np
from jaxtyping import Float64, Int64

from radpath.evaluation.ranking import RankedCounts
from radpath.evaluation.undefined import ratio

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


def calibration_error_of(counts: RankedCounts, num_bins: int) -> Float64[np.ndarray, " replicates"]:
    """Return how far probabilities and frequencies differ on average, the expected calibration error in [0, 1].

    Images in order of their probability are cut into bins of equal weight (Nguyen and O'Connor 2015); an image, or
    several with the same probability, belongs to the bin that its middle lies in. In each bin the mean probability is
    set against the share of positive images, and the absolute differences are averaged by weight (Naeini and others
    2015). Even a perfectly calibrated model has an error above 0 (``chance_calibration_error_of``); NaN without images.

    Args:
        counts: positive and other images by probability.
        num_bins: bins; those that no image falls into count nothing.
    """
    images, expected, _ = _bin_sums(counts, num_bins)
    positives = _in_bins(counts, counts.positives, num_bins)
    return ratio(np.abs(expected - positives).sum(axis=0), images.sum(axis=0))


def chance_calibration_error_of(counts: RankedCounts, num_bins: int) -> Float64[np.ndarray, " replicates"]:
    """Return the calibration error that these probabilities would show on average if every one of them were true.

    In a bin the number of positive images would then vary by chance: its mean absolute deviation is that of a normal
    distribution, and never more than twice the number of positive, or of other, images that are expected there. Images
    count as independent; where those of a case are alike, the error by chance is larger than this. NaN without images.
    """
    images, expected, variances = _bin_sums(counts, num_bins)
    deviations = np.minimum(np.sqrt(2 / np.pi * variances), 2 * np.minimum(expected, images - expected).clip(0))
    return ratio(deviations.sum(axis=0), images.sum(axis=0))


def _bin_sums(
    counts: RankedCounts, num_bins: int
) -> tuple[
    Float64[np.ndarray, "bins replicates"],
    Float64[np.ndarray, "bins replicates"],
    Float64[np.ndarray, "bins replicates"],
]:
    """Return each bin's images, the positive ones expected among them, and the variance of that number."""
    images = counts.positives + counts.negatives
    expected = images * counts.thresholds[:, None]
    variances = expected * (1 - counts.thresholds[:, None])
    sums = [_in_bins(counts, numbers, num_bins) for numbers in (images, expected, variances)]
    return sums[0], sums[1], sums[2]


def _in_bins(
    counts: RankedCounts, numbers: Float64[np.ndarray, "places replicates"], num_bins: int
) -> Float64[np.ndarray, "bins replicates"]:
    """Add up numbers of the places of each bin."""
    images = counts.positives + counts.negatives
    num_replicates = images.shape[1]
    up_to = counts.true_positives + counts.false_positives
    total = images.sum(axis=0)
    # Whole numbers as long as weights are: no rounding moves an image into another bin.
    bins = np.minimum(num_bins * (2 * up_to - images) // np.where(total > 0, 2 * total, 1), num_bins - 1)
    cells = (bins.astype(np.int64) * num_replicates + np.arange(num_replicates)).ravel()
    sums = np.bincount(cells, weights=numbers.ravel(), minlength=num_bins * num_replicates)
    return sums.reshape(num_bins, num_replicates)
