"""How well a score puts positive images above the others: areas, operating points, and the curves behind them.

In: a score and a yes or no for each image, and weights. Out: values for many sets of weights at once, which is what
makes the bootstrap fast: images are sorted once, and everything else is sums over sorted places. Equal scores share a
place, so ties are exact. Which class is positive, and what weights mean, is left to the caller.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy import sparse

from radpath.errors import DataError
from radpath.evaluation.undefined import number_or_none, ratio


@dataclass(frozen=True, kw_only=True, eq=False)
class Ranking:
    """Images in order of one score, the highest first; places are distinct scores, units share one weight."""

    thresholds: Float64[np.ndarray, " places"]
    """The distinct scores, falling."""
    positives: sparse.csr_matrix
    """Number of positive images at each place (row) of each unit (column)."""
    negatives: sparse.csr_matrix
    """As ``positives``, for the other images."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RankedCounts:
    """Weighted numbers of images at each place and from the top down to it, one column a set of weights."""

    thresholds: Float64[np.ndarray, " places"]
    """The score of each place, falling."""
    positives: Float64[np.ndarray, "places replicates"]
    negatives: Float64[np.ndarray, "places replicates"]
    true_positives: Float64[np.ndarray, "places replicates"]
    """Positive images at this place or above it."""
    false_positives: Float64[np.ndarray, "places replicates"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """Points to draw, from the strictest threshold to the most lenient."""

    x: Float64[np.ndarray, " points"]
    y: Float64[np.ndarray, " points"]


def rank(
    scores: Float64[np.ndarray, " images"],
    is_positive: Bool[np.ndarray, " images"],
    *,
    unit_of: Int64[np.ndarray, " images"] | None = None,
    num_units: int | None = None,
) -> Ranking:
    """Sort images by score.

    Args:
        scores: higher means more likely positive; finite.
        is_positive: the truth.
        unit_of: the unit (for example the case) whose weight each image has; without it, every image is its own.
        num_units: how many units there are.

    Raises:
        DataError: a score is not finite.
    """
    if not np.isfinite(scores).all():
        raise DataError(f"score {int((~np.isfinite(scores)).argmax())} is not a finite number; it cannot be ranked")
    units = np.arange(len(scores)) if unit_of is None else unit_of
    width = len(scores) if num_units is None else num_units
    negated, place = np.unique(-scores, return_inverse=True)
    shape = (len(negated), width)
    ones = np.ones(len(scores))
    chosen = (np.flatnonzero(is_positive), np.flatnonzero(~is_positive))
    positives, negatives = (sparse.csr_matrix((ones[i], (place[i], units[i])), shape=shape) for i in chosen)
    return Ranking(thresholds=-negated, positives=positives, negatives=negatives)


def tally(ranking: Ranking, weights: Float64[np.ndarray, "units replicates"]) -> RankedCounts:
    """Count the images at each place and above under each set of weights."""
    positives: np.ndarray = ranking.positives @ weights
    negatives: np.ndarray = ranking.negatives @ weights
    return RankedCounts(
        thresholds=ranking.thresholds,
        positives=positives,
        negatives=negatives,
        true_positives=positives.cumsum(axis=0),
        false_positives=negatives.cumsum(axis=0),
    )


def roc_auc_of(counts: RankedCounts) -> Float64[np.ndarray, " replicates"]:
    """Return the area under the ROC curve of each set of weights; NaN without positive or without other images.

    This is Mann and Whitney's (1947) share of pairs in which the positive image scores higher, ties counting a half.
    """
    won_pairs = np.einsum("pr,pr->r", counts.negatives, counts.true_positives - counts.positives / 2)
    return ratio(won_pairs, counts.positives.sum(axis=0) * counts.negatives.sum(axis=0))


def average_precision_of(counts: RankedCounts) -> Float64[np.ndarray, " replicates"]:
    """Return the sum over thresholds of the gain in recall times the precision there; NaN without positive images.

    No interpolation between thresholds, which would be optimistic (Davis and Goadrich 2006).
    """
    called_positive = counts.true_positives + counts.false_positives
    precision = ratio(counts.true_positives, called_positive)
    # Before the first image with any weight nothing is called positive, and recall gains nothing either.
    gained = np.einsum("pr,pr->r", counts.positives, np.where(called_positive > 0, precision, 0))
    return ratio(gained, counts.positives.sum(axis=0))


def partial_roc_auc_of(counts: RankedCounts, largest_rate: float) -> Float64[np.ndarray, " replicates"]:
    """Return the area below the ROC curve up to a false-positive rate, standardised: 0.5 is chance, 1 is perfect.

    This is McClish's (1989) standardisation. The curve between two places is straight, as ties are drawn.

    Args:
        counts: of positive and other images.
        largest_rate: in (0, 1]; with 1 this is the ROC AUC.
    """
    num_positive, num_negative = counts.positives.sum(axis=0), counts.negatives.sum(axis=0)
    alarms_before = counts.false_positives - counts.negatives
    inside = np.clip(largest_rate * num_negative - alarms_before, 0, counts.negatives)
    share_inside = inside / np.where(counts.negatives > 0, counts.negatives, 1)
    heights = counts.true_positives - counts.positives * (1 - share_inside / 2)
    area = ratio(np.einsum("pr,pr->r", inside, heights), num_positive * num_negative)
    by_chance = largest_rate**2 / 2
    standardised: np.ndarray = (1 + (area - by_chance) / (largest_rate - by_chance)) / 2
    return standardised


def sensitivity_at_specificity_of(counts: RankedCounts, specificity: float) -> Float64[np.ndarray, " replicates"]:
    """Return the highest sensitivity of any threshold whose specificity is at least this high.

    Thresholds are the scores that there are, and one above all; tied images move together, nothing is interpolated.
    """
    num_negative = counts.negatives.sum(axis=0)
    allowed = num_negative - counts.false_positives >= _at_least(specificity, num_negative)
    best = np.where(allowed, counts.true_positives, 0).max(axis=0, initial=0)
    return ratio(best, np.where(num_negative > 0, counts.positives.sum(axis=0), 0))


def specificity_at_sensitivity_of(counts: RankedCounts, sensitivity: float) -> Float64[np.ndarray, " replicates"]:
    """Return the highest specificity of any threshold whose sensitivity is at least this high.

    Thresholds are the scores that there are; tied images move together, nothing is interpolated.
    """
    num_positive, num_negative = counts.positives.sum(axis=0), counts.negatives.sum(axis=0)
    allowed = counts.true_positives >= _at_least(sensitivity, num_positive)
    best = np.where(allowed, num_negative - counts.false_positives, 0).max(axis=0, initial=0)
    return ratio(best, np.where(num_positive > 0, num_negative, 0))


def net_benefit_of(counts: RankedCounts, threshold: float) -> Float64[np.ndarray, " replicates"]:
    """Return the net benefit of acting on every image whose probability is at least ``threshold``.

    This is the share of true positives less that of false positives, each of which costs threshold / (1 - threshold) of
    what a true positive is worth (Vickers and Elkin 2006). NaN without images.
    """
    num_called = int((counts.thresholds >= threshold).sum())
    if num_called == 0:
        gained = np.zeros(counts.positives.shape[1])
    else:
        odds = threshold / (1 - threshold)
        gained = counts.true_positives[num_called - 1] - odds * counts.false_positives[num_called - 1]
    return ratio(gained, (counts.positives + counts.negatives).sum(axis=0))


def _at_least(share: float, numbers: Float64[np.ndarray, " replicates"]) -> Float64[np.ndarray, " replicates"]:
    """Return the smallest number of images that is this share, however the product of the two was rounded."""
    return share * numbers * (1 - 1e-12)


def roc_auc(
    scores: Float64[np.ndarray, " images"],
    is_positive: Bool[np.ndarray, " images"],
    *,
    weights: Float64[np.ndarray, " images"] | None = None,
) -> float | None:
    """Return the area under the ROC curve in [0, 1], or ``None`` where one of the two groups is empty.

    >>> roc_auc(np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, False, True, True]))
    0.875
    """
    return number_or_none(roc_auc_of(_tally_once(scores, is_positive, weights))[0])


def average_precision(
    scores: Float64[np.ndarray, " images"],
    is_positive: Bool[np.ndarray, " images"],
    *,
    weights: Float64[np.ndarray, " images"] | None = None,
) -> float | None:
    """Return the average precision in (0, 1], or ``None`` without positive images.

    >>> average_precision(np.array([0.1, 0.4, 0.6, 0.8]), np.array([False, True, False, True]))
    0.8333333333333333
    """
    return number_or_none(average_precision_of(_tally_once(scores, is_positive, weights))[0])


def macro_roc_auc(
    probabilities: Float64[np.ndarray, "images classes"], truth: Int64[np.ndarray, " images"]
) -> float | None:
    """Return the mean of the classes' one-versus-rest AUCs, or ``None`` where one class is absent or alone.

    Args:
        probabilities: one column a class.
        truth: the column of the true class of each image.

    >>> macro_roc_auc(np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), np.array([0, 1, 1]))
    1.0
    """
    areas = [roc_auc(scores, truth == place) for place, scores in enumerate(probabilities.T.copy())]
    defined = [area for area in areas if area is not None]
    return sum(defined) / len(areas) if len(defined) == len(areas) else None


def roc_curve(scores: Float64[np.ndarray, " images"], is_positive: Bool[np.ndarray, " images"]) -> Curve | None:
    """Return 1 - specificity (x) and sensitivity (y) from (0, 0) to (1, 1), or ``None`` where a group is empty.

    Points in the middle of a straight line are left out, so that the figure of a large side stays small.
    """
    counts = _tally_once(scores, is_positive, None)
    hits = np.append(0.0, counts.true_positives[:, 0])
    alarms = np.append(0.0, counts.false_positives[:, 0])
    if hits[-1] == 0 or alarms[-1] == 0:
        return None
    is_corner = np.ones(len(hits), dtype=bool)
    is_corner[1:-1] = np.diff(hits)[1:] * np.diff(alarms)[:-1] != np.diff(hits)[:-1] * np.diff(alarms)[1:]
    return Curve(x=alarms[is_corner] / alarms[-1], y=hits[is_corner] / hits[-1])


def precision_recall_curve(
    scores: Float64[np.ndarray, " images"], is_positive: Bool[np.ndarray, " images"]
) -> Curve | None:
    """Return recall (x, rising) and precision (y) at every threshold, or ``None`` without positive images.

    To be drawn as steps: the average precision is the area below ``y[i]`` from ``x[i - 1]`` to ``x[i]``.
    """
    counts = _tally_once(scores, is_positive, None)
    hits, alarms = counts.true_positives[:, 0], counts.false_positives[:, 0]
    if len(hits) == 0 or hits[-1] == 0:
        return None
    return Curve(x=hits / hits[-1], y=hits / (hits + alarms))


def _tally_once(
    scores: Float64[np.ndarray, " images"],
    is_positive: Bool[np.ndarray, " images"],
    weights: Float64[np.ndarray, " images"] | None,
) -> RankedCounts:
    one_set = np.ones(len(scores)) if weights is None else weights
    return tally(rank(scores, is_positive), one_set[:, None])
