"""How sure a ROC AUC is without resampling: the covariance of placements (DeLong, DeLong and Clarke-Pearson 1988).

In: the scores of one or several models on the same images, the truth, and the case of each image. Out: areas, their
covariance, and an interval. Placements come from ranks (Sun and Xu 2014), so that nothing grows with the number of
pairs; images of one case may depend on each other (Obuchowski 1997). Tests of differences are left to the caller.
"""

import math

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy import optimize, special, stats

from radpath.evaluation.undefined import ratio


def placements(
    scores: Float64[np.ndarray, " images"], is_positive: Bool[np.ndarray, " images"]
) -> tuple[Float64[np.ndarray, " positives"], Float64[np.ndarray, " negatives"]]:
    """Return where each image stands among those of the other group, in [0, 1]; ties count a half.

    A positive image has the share of negative ones below it (V10), a negative image the share of positive ones above
    it (V01). Both means are the ROC AUC. All are NaN where the other group is empty.

    >>> placements(np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, False, True, True]))
    (array([0.75, 1.  ]), array([1.  , 0.75]))
    """
    positives, negatives = scores[is_positive], scores[~is_positive]
    among_all = stats.rankdata(scores)
    below = among_all[is_positive] - stats.rankdata(positives)
    above = len(positives) - (among_all[~is_positive] - stats.rankdata(negatives))
    return (
        ratio(below, np.full(len(positives), float(len(negatives)))),
        ratio(above, np.full(len(negatives), float(len(positives)))),
    )


def delong_covariance(
    scores: Float64[np.ndarray, "models images"],
    is_positive: Bool[np.ndarray, " images"],
    case_of: Int64[np.ndarray, " images"],
) -> tuple[Float64[np.ndarray, " models"], Float64[np.ndarray, "models models"]]:
    """Return the ROC AUC of each model and the covariance of these areas, where images of a case may be alike.

    This is Obuchowski's (1997) estimate for clustered data. Where every image is a case of its own it is exactly that
    of DeLong and others (1988).

    Args:
        scores: one row a model, in the same order of images; higher means more likely positive.
        is_positive: the truth.
        case_of: number of each image's case, from 0.

    Returns:
        Areas, NaN where a group has no images; the covariance, NaN where fewer than two cases have images of a group.

    >>> alone = np.arange(4)
    >>> areas, covariance = delong_covariance(
    ...     np.array([[0.1, 0.4, 0.4, 0.8]]), np.array([False, False, True, True]), alone
    ... )
    >>> areas, covariance
    (array([0.875]), array([[0.03125]]))
    """
    num_cases = int(case_of.max(initial=-1)) + 1
    pairs = [placements(one, is_positive) for one in scores]
    above = np.array([positives for positives, _ in pairs]).reshape(len(scores), -1)
    below = np.array([negatives for _, negatives in pairs]).reshape(len(scores), -1)
    group_size = above.shape[1]
    areas = ratio(above.sum(axis=1), np.full(len(scores), float(group_size if below.shape[1] else 0)))
    of_positive, of_negative = case_of[is_positive], case_of[~is_positive]
    num_with = [len(np.unique(cases)) for cases in (of_positive, of_negative)]
    if min(num_with) < 2:
        return areas, np.full((len(scores), len(scores)), np.nan)
    # Obuchowski's equations with the sizes of the groups divided out: one mean deviation a case and group.
    of_case = [
        _sums_by_case(values - areas[:, None], cases, num_cases) / len(cases)
        for values, cases in ((above, of_positive), (below, of_negative))
    ]
    within = [number / (number - 1) * sums @ sums.T for number, sums in zip(num_with, of_case, strict=True)]
    num_all = len(np.unique(case_of))
    between: np.ndarray = num_all / (num_all - 1) * of_case[0] @ of_case[1].T
    covariance: np.ndarray = within[0] + within[1] + between + between.T
    return areas, covariance


def delong_interval(area: float, variance: float, *, confidence: float) -> tuple[float, float] | None:
    """Return the interval of a ROC AUC, symmetric on the scale of its logit so that it stays inside (0, 1).

    The plain interval, area plus or minus an error, passes 1 for good models and is too short for them (Pepe
    2003). Without a variance, which an area of exactly 0 or 1 has not, there is none; see ``perfect_area_bound``.

    >>> low, high = delong_interval(0.9, 0.03**2, confidence=0.95) or (0.0, 0.0)
    >>> round(low, 3), round(high, 3)
    (0.824, 0.945)
    """
    if not variance > 0 or not 0 < area < 1:  # not-a-number is no variance either
        return None
    error = math.sqrt(variance) / (area * (1 - area))
    half_width = float(stats.norm.ppf((1 + confidence) / 2)) * error
    middle = float(special.logit(area))
    return float(special.expit(middle - half_width)), float(special.expit(middle + half_width))


def perfect_area_bound(num_positive: int, num_negative: int, *, confidence: float) -> float:
    """Return the lower end of Newcombe's (2006, part 2, method 5) interval where the ROC AUC seen is exactly 1.

    It is the true area that is just so many of its own errors below 1. The error is Hanley and McNeil's with the mean
    of both numbers of cases; that of a true area below 1 is not 0, as that of the perfect one seen is.

    Args:
        num_positive: positive cases, at least 1.
        num_negative: other cases, at least 1.
        confidence: of the interval of two sides, for example 0.95.

    >>> round(perfect_area_bound(20, 20, confidence=0.95), 3)
    0.899
    """
    squared = float(stats.norm.ppf((1 + confidence) / 2)) ** 2
    others = (num_positive + num_negative) / 2 - 1

    def beyond(true: float) -> float:
        shape = 1 + others * (1 - true) / (2 - true) + others * true / (1 + true)
        # Both sides of (1 - true)^2 = squared x variance, divided by 1 - true.
        return 1 - true - squared * true * shape / (num_positive * num_negative)

    return float(optimize.brentq(beyond, 0.0, 1.0))


def _sums_by_case(
    values: Float64[np.ndarray, "models chosen"], cases: Int64[np.ndarray, " chosen"], num_cases: int
) -> Float64[np.ndarray, "models num_cases"]:
    return np.array([np.bincount(cases, weights=row, minlength=num_cases) for row in values])
