"""Intervals of shares, such as the sensitivity, that hold for few cases and for shares of exactly 0 or 1.

In: successes and trials of each case. Out: Wilson's interval, widened by as much as images of one case are alike. What
a success is, is left to the caller.
"""

import math

import numpy as np
from jaxtyping import Float64
from scipy import stats


def wilson_interval(
    successes: Float64[np.ndarray, " cases"], trials: Float64[np.ndarray, " cases"], *, confidence: float
) -> tuple[float, float] | None:
    """Return Wilson's (1927) interval of successes / trials, with the trials that clustered data are worth.

    Trials are divided by the design effect of Rao and Scott (1992): how many times larger the variance of the share is,
    as the cases show it, than it would be were all trials independent. Less than 1 counts as 1. A share of exactly 0 or
    1 shows no variance; then only the cases count, as if the images of each said the same. ``None`` without two cases.

    >>> low, high = wilson_interval(np.ones(20), np.ones(20), confidence=0.95) or (0.0, 0.0)
    >>> round(low, 3), round(high, 3)
    (0.839, 1.0)
    """
    counted = trials > 0
    num_cases, num_trials = int(counted.sum()), float(trials.sum())
    if num_cases < 2:
        return None
    share = float(successes.sum()) / num_trials
    return wilson_edges(share, num_trials / design_effect(successes[counted], trials[counted]), confidence=confidence)


def wilson_edges(share: float, num_trials: float, *, confidence: float) -> tuple[float, float]:
    """Return the ends of Wilson's interval of a share of so many independent trials, which may be no whole number."""
    squared = float(stats.norm.ppf((1 + confidence) / 2)) ** 2
    middle = (share + squared / (2 * num_trials)) / (1 + squared / num_trials)
    spread = squared * (share * (1 - share) / num_trials + squared / (4 * num_trials**2))
    half_width = math.sqrt(spread) / (1 + squared / num_trials)
    # At 0 and 1 the interval ends there; rounding must not leave the share outside.
    return max(0.0, min(share, middle - half_width)), min(1.0, max(share, middle + half_width))


def design_effect(successes: Float64[np.ndarray, " cases"], trials: Float64[np.ndarray, " cases"]) -> float:
    """Return how many trials of these cases say as much as one independent trial, at least 1 (Rao and Scott 1992).

    Where every case has one trial it is 1, and the interval is Wilson's own.

    Args:
        successes: of each case.
        trials: of each case, all above 0; at least two cases.

    >>> design_effect(np.array([4.0, 0.0, 4.0, 0.0]), np.full(4, 4.0))
    5.333333333333333
    """
    num_cases, num_trials = len(trials), float(trials.sum())
    share = float(successes.sum()) / num_trials
    if share in {0.0, 1.0} or num_trials == num_cases:
        return num_trials / num_cases
    deviations = successes - trials * share
    variance = num_cases / (num_cases - 1) * float((deviations**2).sum()) / num_trials**2
    return max(1.0, variance * num_trials / (share * (1 - share)))
