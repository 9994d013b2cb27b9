"""Whether a probability of 0.8 is right eight times in ten: bins of equal mass, and calibration intercept and slope.

In: a sample and its probabilities. Out: a ``Reliability`` of the positive class where there are two; with more, of the
highest probability of each image against whether it is right; and Cox's (1958) intercept and slope of each class.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy import stats

from radpath.evaluation.estimates import Evaluation
from radpath.evaluation.logistic import clustered_errors, fit_logistic
from radpath.evaluation.measured import Measured, measure
from radpath.evaluation.probability import (
    SMALLEST_PROBABILITY,
    brier_losses,
    calibration_error_of,
    chance_calibration_error_of,
    log_losses,
)
from radpath.evaluation.ranking import rank, tally
from radpath.evaluation.sample import Sample
from radpath.evaluation.undefined import ratio
from radpath.records import Side

NUM_BINS: Final = 10
_FEWEST_IN_A_BIN: Final = 10
_HISTOGRAM_BINS: Final = 20


@dataclass(frozen=True, kw_only=True)
class Bin:
    """Images with similar probabilities."""

    num_images: int
    mean_probability: float
    observed: Measured
    """Share of them for which the event is true."""


@dataclass(frozen=True, kw_only=True)
class CoxLine:
    """The truth of one class against the log-odds that it was given, by logistic regression."""

    of_class: str
    intercept: Measured
    """With the slope held at 1 (calibration in the large): 0 is right, above 0 the probabilities are too low."""
    slope: Measured
    """1 is right, below 1 the probabilities are too extreme."""


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """How far the probabilities can be believed."""

    brier: Measured
    log_loss: Measured
    calibration_error: Measured
    """Mean distance of the bins' probability and share, weighed by their images."""
    error_by_chance: float
    """What that would be on average, were these probabilities right and the images independent."""
    bins: tuple[Bin, ...]
    histogram: tuple[int, ...]
    """Images in twentieths of [0, 1]."""
    lines: tuple[CoxLine, ...]


def assess_reliability(sample: Sample, *, side: Side, evaluation: Evaluation) -> Reliability:
    """Return how far the probabilities of a sample agree with its truth; the sample has at least one image."""
    given, is_true = event_of(sample)
    bin_of = equal_mass_bins(given)
    images, hits = np.zeros((2, int(bin_of.max()) + 1, sample.num_cases))
    np.add.at(images, (bin_of, sample.case_of), 1)
    np.add.at(hits, (bin_of, sample.case_of), is_true)
    ranking = rank(given, is_true, unit_of=sample.case_of, num_units=sample.num_cases)
    num_bins = bins_for(len(given))
    by_chance = chance_calibration_error_of(tally(ranking, np.ones((sample.num_cases, 1))), num_bins)
    losses = (
        brier_losses(sample.probabilities, sample.truth, positive=sample.positive),
        log_losses(sample.probabilities, sample.truth),
    )

    def compute(weights: Float64[np.ndarray, "cases replicates"]) -> Float64[np.ndarray, "replicates numbers"]:
        error = calibration_error_of(tally(ranking, weights), num_bins)
        means = [sample.mean_under(loss, weights) for loss in losses]
        return np.column_stack([*means, error, ratio(hits @ weights, images @ weights).T])

    numbers = measure(compute, sample, side=side, evaluation=evaluation, undefined_when="the bin has no images")
    return Reliability(
        brier=numbers[0],
        log_loss=numbers[1],
        calibration_error=numbers[2],
        error_by_chance=float(by_chance[0]),
        bins=tuple(
            Bin(num_images=int(count), mean_probability=float(given[bin_of == place].mean()), observed=observed)
            for place, (count, observed) in enumerate(zip(images.sum(axis=1), numbers[3:], strict=True))
        ),
        histogram=tuple(int(n) for n in np.histogram(given, bins=_HISTOGRAM_BINS, range=(0, 1))[0]),
        lines=cox_lines(sample, confidence=evaluation.confidence),
    )


def event_of(sample: Sample) -> tuple[Float64[np.ndarray, " images"], Bool[np.ndarray, " images"]]:
    """Return the probability that a diagram shows, and whether what it promises is true."""
    if sample.positive is not None:
        return sample.probabilities[:, sample.positive].copy(), sample.truth == sample.positive
    highest = sample.probabilities.argmax(axis=1)
    return sample.probabilities.max(axis=1), highest == sample.truth


def equal_mass_bins(given: Float64[np.ndarray, " images"]) -> Int64[np.ndarray, " images"]:
    """Return the bin of each image: up to ten, from the lowest probability up, with about as many images in each.

    Equal probabilities share the bin that their middle lies in, as in ``calibration_error_of``. No bin is empty.

    >>> equal_mass_bins(np.repeat([0.1, 0.2, 0.9], [10, 1, 9]))
    array([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1])
    """
    rising, num_bins = np.sort(given), bins_for(len(given))
    above = len(given) - np.searchsorted(rising, given, side="right")
    same = len(given) - np.searchsorted(rising, given) - above
    from_top = num_bins * (2 * above + same) // (2 * len(given))
    return np.unique(-from_top, return_inverse=True)[1].astype(np.int64)


def bins_for(num_images: int) -> int:
    """Return how many bins so many images fill with about ten each: up to ten."""
    return min(NUM_BINS, max(1, num_images // _FEWEST_IN_A_BIN))


def log_odds(probabilities: Float64[np.ndarray, " images"]) -> Float64[np.ndarray, " images"]:
    """Return ln(p / (1 - p)); 0 and 1 are taken for 2.2e-16 from them, which is at most 36.04.

    >>> log_odds(np.array([0.5, 0.0])).round(2)
    array([  0.  , -36.04])
    """
    inside = np.clip(probabilities, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
    return np.asarray(np.log(inside) - np.log1p(-inside))


def cox_lines(sample: Sample, *, confidence: float) -> tuple[CoxLine, ...]:
    """Return intercept and slope of the positive class where there are two, else of each against the rest."""
    return tuple(
        cox_line(
            sample.probabilities[:, place].copy(),
            sample.truth == place,
            sample.case_of,
            of_class=sample.classes[place],
            confidence=confidence,
        )
        for place in sample.ranked_classes
    )


def cox_line(
    probabilities: Float64[np.ndarray, " images"],
    is_class: Bool[np.ndarray, " images"],
    case_of: Int64[np.ndarray, " images"],
    *,
    of_class: str,
    confidence: float,
) -> CoxLine:
    """Return calibration intercept and slope of one class (Cox 1958; Van Calster et al. 2016).

    Intervals are those of the normal distribution with the sandwich error clustered by case (Liang and Zeger 1986),
    times G / (G - 1) for G cases.
    """
    odds, truth = log_odds(probabilities), is_class.astype(np.float64)
    ones, nothing = np.ones((len(odds), 1)), np.zeros(len(odds))
    quantile = float(stats.norm.ppf((1 + confidence) / 2))

    def last(columns: Float64[np.ndarray, "images coefficients"], offset: Float64[np.ndarray, " images"]) -> Measured:
        found = None if truth.min() == truth.max() else fit_logistic(columns, truth, offset=offset)
        if found is None:
            reason = "a class is absent, is told apart without a mistake, or has one probability everywhere"
            return Measured(value=None, note=f"undefined: {reason}")
        value = float(found[-1])
        if case_of.max() == 0:
            return Measured(value=value, note="no interval: there is only one case")
        half = quantile * float(clustered_errors(columns, truth, found, offset=offset, case_of=case_of)[-1])
        return Measured(value=value, low=value - half, high=value + half)

    intercept, slope = last(ones, odds), last(np.column_stack([ones, odds]), nothing)
    return CoxLine(of_class=of_class, intercept=intercept, slope=slope)
