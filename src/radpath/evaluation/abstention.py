"""What is gained when the least certain images are left to a person: risk against the share that the model decides.

In: predictions and the frozen decision. Out: ``Abstention``: the share of wrong decisions, and with two classes
sensitivity and specificity, among the images that are kept, for every share; and the area below the risk (AURC,
Geifman and El-Yaniv 2017). Images that are equally certain are kept or left out together.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float64

from radpath.evaluation.estimates import Evaluation
from radpath.evaluation.estimating import Compute
from radpath.evaluation.measured import Measured, judged_side, measure
from radpath.evaluation.predictions import Predictions
from radpath.evaluation.ranking import Ranking, rank, tally
from radpath.evaluation.reliability import log_odds
from radpath.evaluation.sample import Sample, take_sample
from radpath.evaluation.thresholds import Threshold
from radpath.evaluation.undefined import ratio
from radpath.records import Side

SHARES: Final = tuple(round(number / 20, 2) for number in range(20, 0, -1))
"""Shares of the images that are kept, from all of them down to a twentieth."""


@dataclass(frozen=True, kw_only=True)
class KeptShare:
    """What is true of the most certain images."""

    share: float
    """Wanted; the share that is kept is the smallest one not below it that ties allow."""
    risk: Measured
    """Share of wrong decisions."""
    sensitivity: Measured | None
    """``None`` with more than two classes."""
    specificity: Measured | None


@dataclass(frozen=True, kw_only=True)
class Abstention:
    """The whole curve."""

    side: Side
    num_images: int
    num_cases: int
    confidence: float
    """Of every interval."""
    positive_class: str | None
    area: Measured
    """Below the risk over all shares (AURC), 0 to 1; an order by chance gives the risk of all images."""
    best_area: float
    """What an order would give that puts every wrong decision last."""
    kept: tuple[KeptShare, ...]
    """One for each of ``SHARES``."""


def assess_abstention(predictions: Predictions, evaluation: Evaluation) -> Abstention:
    """Return how good the decisions are that are left when the least certain ones are not made."""
    side, positive_class = judged_side(evaluation), evaluation.positive_class
    sample = take_sample(predictions, side, positive_class=positive_class, threshold=evaluation.threshold)
    wrong = sample.decisions != sample.truth
    certain = certainty(sample.probabilities, positive=sample.positive, threshold=evaluation.threshold)
    area, *numbers = measure(
        _curve(sample, certain),
        sample,
        side=side,
        evaluation=evaluation,
        undefined_when="none of the kept images is of the kind that it divides by",
    )
    columns = [numbers[start : start + len(SHARES)] for start in range(0, len(numbers), len(SHARES))]
    binary = sample.positive is not None
    return Abstention(
        side=side,
        num_images=len(sample),
        num_cases=sample.num_cases,
        confidence=evaluation.confidence,
        positive_class=positive_class,
        area=area,
        best_area=float((np.cumsum(np.sort(wrong)) / np.arange(1, len(sample) + 1)).mean()),
        kept=tuple(
            KeptShare(
                share=share,
                risk=columns[0][place],
                sensitivity=columns[1][place] if binary else None,
                specificity=columns[2][place] if binary else None,
            )
            for place, share in enumerate(SHARES)
        ),
    )


def certainty(
    probabilities: Float64[np.ndarray, "images classes"], *, positive: int | None, threshold: Threshold | None
) -> Float64[np.ndarray, " images"]:
    """Return how certain each decision is: at least 0, and higher is more certain.

    With two classes it is the distance of the log-odds from those of the threshold, so that at a threshold of 0.5 it
    ranks as the highest probability does, and elsewhere an image at the threshold is the least certain. With more
    classes it is the highest probability (Hendrycks and Gimpel 2017).

    >>> certainty(np.array([[0.8, 0.2], [0.4, 0.6]]), positive=1, threshold=None).round(2)
    array([1.39, 0.41])
    """
    if positive is None:
        highest: np.ndarray = probabilities.max(axis=1)
        return highest
    cut = 0.5 if threshold is None else threshold.value
    distances: np.ndarray = np.abs(log_odds(probabilities[:, positive].copy()) - log_odds(np.array([cut])))
    return distances


def _curve(sample: Sample, certain: Float64[np.ndarray, " images"]) -> Compute:
    """Return what computes the area, then the risks, then sensitivities and specificities at ``SHARES``."""
    wrong = sample.decisions != sample.truth
    positive = np.zeros(len(sample), dtype=bool) if sample.positive is None else sample.truth == sample.positive

    def ranking(flag: Bool[np.ndarray, " images"]) -> Ranking:
        return rank(certain, flag, unit_of=sample.case_of, num_units=sample.num_cases)

    by_error, by_truth, by_miss = ranking(wrong), ranking(positive), ranking(wrong & positive)

    def compute(weights: Float64[np.ndarray, "cases replicates"]) -> Float64[np.ndarray, "replicates numbers"]:
        errors = tally(by_error, weights)
        kept = errors.true_positives + errors.false_positives
        risk = ratio(errors.true_positives, kept)
        here = errors.positives + errors.negatives
        # Before the first image with any weight nothing is kept, and no image is there to count.
        area = ratio((here * np.where(kept > 0, risk, 0)).sum(axis=0), kept[-1])
        place = _first_places(kept)
        numbers = [area, *np.take_along_axis(risk, place, axis=0)]
        if sample.positive is not None:
            truth, missed = tally(by_truth, weights), tally(by_miss, weights).true_positives
            alarms = errors.true_positives - missed
            rates = (1 - ratio(missed, truth.true_positives), 1 - ratio(alarms, truth.false_positives))
            numbers += [row for rate in rates for row in np.take_along_axis(rate, place, axis=0)]
        return np.column_stack(numbers)

    return compute


def _first_places(kept: Float64[np.ndarray, "places replicates"]) -> np.ndarray:
    """Return, for each wanted share and replicate, the first place at which at least this share is kept."""
    wanted = np.array(SHARES)
    return np.stack([np.searchsorted(column, wanted * column[-1] - 1e-9) for column in kept.T], axis=1)
