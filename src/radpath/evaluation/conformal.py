"""Sets of classes that hold the truth as often as was asked for: split conformal prediction.

In: predictions, and the share of sets that may miss the truth. Out: ``ConformalSets``, fixed on validation and used
unchanged on new images, and how often they held the truth on the judged side. The promise is about images of new cases
that are drawn like those of validation (exchangeable); another hospital's need not be. Where a case has several images,
one of them, drawn by the seed, stands for the case, so that what is ranked is one score a case (Dunn et al. 2023).
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float64
from pydantic import Field

from radpath.errors import DataError
from radpath.evaluation.estimates import Evaluation
from radpath.evaluation.measured import Measured, judged_side, measure
from radpath.evaluation.predictions import Predictions
from radpath.evaluation.sample import Sample, take_sample
from radpath.evaluation.undefined import ratio
from radpath.records import Side
from radpath.seeding import generator_for
from radpath.settings import Settings

ConformalMethod = Literal["class_conditional", "lac", "aps"]

Table = Float64[np.ndarray, "images classes"]
Sets = Bool[np.ndarray, "images classes"]


class ConformalSettings(Settings):
    """Sets of classes for each image that hold the truth with a stated chance."""

    method: Literal["class_conditional", "lac", "aps", "none"] = "class_conditional"
    """class_conditional: every class is held by its own limit, so that the promise is kept for each class by itself
    (Mondrian; Vovk et al. 2005); lac: one limit for all, the smallest sets (Sadinle et al. 2019); aps: classes are
    added from the most probable on (Romano et al. 2020, without its random part, so that it promises at least as much);
    none. All limits are found on validation cases."""
    alpha: float = Field(default=0.1, gt=0, lt=1)
    """Share of the sets that may miss the truth, at most: 0.1 promises 90 %."""


@dataclass(frozen=True, kw_only=True)
class ConformalSets:
    """Limits of the scores, fixed; a class is in an image's set where its score is at most its limit."""

    method: ConformalMethod
    alpha: float
    classes: tuple[str, ...]
    fitted_on: Literal["validation"]
    num_cases: tuple[int, ...]
    """Cases that each class's limit was found on; of all classes together where they share one."""
    limits: tuple[float | None, ...]
    """One a class; ``None`` where so few cases cannot promise anything, and the class is in every set."""

    def sets(self, probabilities: Table) -> Sets:
        """Return which classes are in the set of each image."""
        limits = np.array([np.inf if limit is None else limit for limit in self.limits])
        return np.asarray(_scores(probabilities, self.method) <= limits)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ConformalSets":
        """Rebuild from ``to_dict``, also after a journey through JSON.

        Raises:
            DataError: a field is missing or unknown.
        """
        try:
            return cls(**{**values, **{name: tuple(values[name]) for name in ("classes", "num_cases", "limits")}})
        except (KeyError, TypeError) as error:
            raise DataError(
                f"these are no prediction sets that radpath wrote ({error}); evaluate the run again"
            ) from None


@dataclass(frozen=True, kw_only=True)
class Conformal:
    """What the sets are worth on the judged side."""

    sets: ConformalSets | None
    reason: str
    """Why there are none; empty where there are."""
    side: Side
    num_images: int
    num_cases: int
    confidence: float
    """Of every interval."""
    coverage: Measured | None
    """Share of the images whose set holds their truth, each case counting once; this and the next are ``None`` without
    sets."""
    class_coverage: dict[str, Measured]
    mean_size: Measured | None
    sizes: tuple[Measured, ...]
    """Share of the images with a set of 0, 1, 2, ... classes, each case counting once."""


def fit_conformal(predictions: Predictions, settings: ConformalSettings, *, seed: int) -> ConformalSets | str:
    """Return the limits that the validation side gives, or in a sentence why there are none.

    The limit is the k-th smallest score of n cases, k = ceil((n + 1)(1 - alpha)): a new score is at most so large with
    a chance of 1 - alpha or more (Vovk et al. 2005; Lei et al. 2018).
    """
    if settings.method == "none":
        return 'evaluation.conformal.method is "none".'
    sample = take_sample(predictions, "validation", positive_class=None, threshold=None)
    rng = generator_for(seed, "conformal")
    scores = _scores(sample.probabilities, settings.method)[np.arange(len(sample)), sample.truth]
    everyone = np.ones(len(sample), dtype=bool)
    apart = settings.method == "class_conditional"
    groups = [sample.truth == place for place in range(len(sample.classes))] if apart else [everyone]
    found = [scores[_one_a_case(sample, group, rng)] for group in groups]
    limits = tuple(_limit(of_group, settings.alpha) for of_group in found)
    if not any(limit is not None for limit in limits):
        needed = ceil((1 - _exact(settings.alpha)) / _exact(settings.alpha))
        most = max(len(of_group) for of_group in found)
        return (
            f"The validation side has {most:,} cases{' of a class' * apart}; to promise {1 - settings.alpha:.4g}, "
            f"{needed:,} are needed."
        )
    width = len(sample.classes)
    return ConformalSets(
        method=settings.method,
        alpha=settings.alpha,
        classes=predictions.classes,
        fitted_on="validation",
        num_cases=tuple(len(of_group) for of_group in found) if apart else (len(found[0]),) * width,
        limits=limits if apart else limits * width,
    )


def _scores(probabilities: Table, method: ConformalMethod) -> Table:
    """Return how badly each class fits each image, 0 to 1."""
    if method != "aps":
        return np.asarray(1 - probabilities)
    order = np.argsort(-probabilities, axis=1, kind="stable")
    rising = np.take_along_axis(probabilities, order, axis=1).cumsum(axis=1)
    scores = np.empty_like(probabilities)
    np.put_along_axis(scores, order, rising, axis=1)
    return scores


def _one_a_case(sample: Sample, group: Bool[np.ndarray, " images"], rng: np.random.Generator) -> np.ndarray:
    """Return one row of each case that has any in the group, each with the same chance."""
    shuffled = rng.permutation(np.flatnonzero(group))
    return np.asarray(shuffled[np.unique(sample.case_of[shuffled], return_index=True)[1]])


def _limit(scores: Float64[np.ndarray, " cases"], alpha: float) -> float | None:
    """Return the conformal quantile, or ``None`` where it lies beyond the largest score."""
    place = ceil((len(scores) + 1) * (1 - _exact(alpha)))
    return None if place > len(scores) else float(np.sort(scores)[place - 1])


def _exact(alpha: float) -> Fraction:
    """Return the decimal number that the user wrote: in floating point 20 x (1 - 0.1) may be more than 18.

    >>> _exact(0.1)
    Fraction(1, 10)
    """
    return Fraction(repr(alpha))


def assess_conformal(
    predictions: Predictions,
    evaluation: Evaluation,
    settings: ConformalSettings,
    *,
    frozen: ConformalSets | str | None = None,
) -> Conformal:
    """Return how often the sets hold the truth on the judged side, and how large they are.

    Args:
        predictions: of one model.
        evaluation: of them.
        settings: the method.
        frozen: limits to use unchanged, or in a sentence why there are none; without them, they are found on the
            validation side.
    """
    side = judged_side(evaluation)
    sample = take_sample(predictions, side, positive_class=evaluation.positive_class, threshold=evaluation.threshold)
    fitted = fit_conformal(predictions, settings, seed=evaluation.seed) if frozen is None else frozen
    if isinstance(fitted, str):
        return Conformal(
            sets=None, reason=fitted, side=side, num_images=len(sample), num_cases=sample.num_cases,
        confidence=evaluation.confidence,
            coverage=None, class_coverage={}, mean_size=None, sizes=(),
        )  # fmt: skip
    coverage, mean_size, *rest = _numbers(sample, fitted.sets(sample.probabilities), side, evaluation)
    width = len(sample.classes)
    return Conformal(
        sets=fitted,
        reason="",
        side=side,
        num_images=len(sample),
        num_cases=sample.num_cases,
        confidence=evaluation.confidence,
        coverage=coverage,
        class_coverage=dict(zip(sample.classes, rest[:width], strict=True)),
        mean_size=mean_size,
        sizes=tuple(rest[width:]),
    )


def _numbers(sample: Sample, sets: Sets, side: Side, evaluation: Evaluation) -> tuple[Measured, ...]:
    """Return coverage, mean size, coverage of each class, and the share of sets of each size.

    The promise is about an image drawn from a new case, so a case counts once: by the mean of its images, for coverage
    of a class by that of its images of the class.
    """
    width, sizes = len(sample.classes), sets.sum(axis=1)
    held = sets[np.arange(len(sample)), sample.truth].astype(np.float64)
    of_class, of_size = np.zeros((2, width, sample.num_cases)), np.zeros((width + 1, sample.num_cases))
    np.add.at(of_class[0], (sample.truth, sample.case_of), held)
    np.add.at(of_class[1], (sample.truth, sample.case_of), 1)
    np.add.at(of_size, (sizes, sample.case_of), 1)
    images = of_size.sum(axis=0)
    right, there = of_class[0] / np.maximum(of_class[1], 1), (of_class[1] > 0).astype(np.float64)
    whole = np.stack([of_class[0].sum(axis=0), np.arange(width + 1.0) @ of_size, *of_size]) / images

    def compute(weights: Float64[np.ndarray, "cases replicates"]) -> Float64[np.ndarray, "replicates numbers"]:
        cases = np.tile(weights.sum(axis=0), (len(whole), 1))
        coverage, mean_size, *shares = ratio(whole @ weights, cases)
        return np.column_stack([coverage, mean_size, *ratio(right @ weights, there @ weights), *shares])

    return measure(compute, sample, side=side, evaluation=evaluation, undefined_when="the class has no images")
