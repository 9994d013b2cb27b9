"""Intervals that a formula gives: DeLong's and Newcombe's of ROC areas, Wilson's of shares.

In: scores and truth, successes and trials of each case, or a sample and one of its metrics. Out: an interval, or
``None`` where no formula is known; whoever asks then resamples. Every report takes them from here, so that the same
number of the same images has the same interval wherever it stands.
"""

import numpy as np
from jaxtyping import Bool, Float64, Int64

from radpath.evaluation.delong import delong_covariance, delong_interval, perfect_area_bound
from radpath.evaluation.intervals import Interval, IntervalName
from radpath.evaluation.metrics import Column
from radpath.evaluation.sample import Sample
from radpath.evaluation.wilson import wilson_interval


def metric_interval(sample: Sample, column: Column, *, confidence: float) -> Interval | None:
    """Return the interval of one metric, or ``None`` where no formula gives it."""
    if column.metric == "roc_auc" and column.of_class is not None:
        place = sample.classes.index(column.of_class)
        scores = sample.probabilities[:, place].copy()
        return area_interval(scores, sample.truth == place, sample.case_of, confidence=confidence)
    trials = _trials(sample, column)
    if trials is None:
        return None
    chosen, succeeded = trials
    counts = [
        np.bincount(sample.case_of[images], minlength=sample.num_cases).astype(np.float64)
        for images in (chosen & succeeded, chosen)
    ]
    return share_interval(counts[0], counts[1], confidence=confidence)


def area_interval(
    scores: Float64[np.ndarray, " images"],
    is_positive: Bool[np.ndarray, " images"],
    case_of: Int64[np.ndarray, " images"],
    *,
    confidence: float,
) -> Interval | None:
    """Return DeLong's interval of a ROC AUC, or Newcombe's where it is exactly 0 or 1, which DeLong's is not for.

    Newcombe's counts the cases that have images of each group, as if the images of a case said the same. ``None``
    where fewer than two cases have images of a group, and where every score is the same.
    """
    areas, covariance = delong_covariance(scores[None], is_positive, case_of)
    area, variance = float(areas[0]), float(covariance[0, 0])
    found = delong_interval(area, variance, confidence=confidence)
    if found is not None:
        return _interval(found, "delong")
    num_positive, num_negative = (len(np.unique(case_of[group])) for group in (is_positive, ~is_positive))
    if min(num_positive, num_negative) < 2 or area not in {0.0, 1.0}:
        return None
    bound = perfect_area_bound(num_positive, num_negative, confidence=confidence)
    return _interval((bound, 1.0) if area == 1 else (0.0, 1 - bound), "newcombe")


def share_interval(
    successes: Float64[np.ndarray, " cases"], trials: Float64[np.ndarray, " cases"], *, confidence: float
) -> Interval | None:
    """Return Wilson's interval of a share, or ``None`` without trials in two cases."""
    found = wilson_interval(successes, trials, confidence=confidence)
    return None if found is None else _interval(found, "wilson")


def _interval(edges: tuple[float, float], method: IntervalName) -> Interval:
    return Interval(low=edges[0], high=edges[1], num_undefined=0, note=None, method=method)


def _trials(sample: Sample, column: Column) -> tuple[Bool[np.ndarray, " images"], Bool[np.ndarray, " images"]] | None:
    """Return which images a share is of and which of all images count as right, or ``None`` for what is no share."""
    right = sample.truth == sample.decisions
    if column.metric == "accuracy":
        return np.ones(len(sample), dtype=bool), right
    if column.of_class is None:
        return None
    place = sample.classes.index(column.of_class)
    shares = {
        "sensitivity": (sample.truth == place, right),
        "specificity": (sample.truth != place, sample.decisions != place),
        "precision": (sample.decisions == place, right),
    }
    return shares.get(column.metric)
