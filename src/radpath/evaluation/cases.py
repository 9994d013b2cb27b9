"""Predictions of images become predictions of cases: one row a patient, specimen or exam.

In: ``Predictions`` of images, in any order, and the rule. Out: ``CasePredictions``, whose rows are cases and which are
evaluated exactly as images are. Images find their case by its name and stand in the order of their record ids, so that
shuffled rows give the same bits. The trained rule is in ``case_svm``; thresholds and metrics are left to ``evaluate``.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import polars as pl
from jaxtyping import Float64, Int64
from pydantic import Field

from radpath import files
from radpath.evaluation.case_svm import SvmFit, fit_svm
from radpath.evaluation.predictions import Predictions, predictions_table
from radpath.evaluation.thresholds import Threshold, decide
from radpath.records import Side
from radpath.settings import Settings

CaseRule = Literal["mean", "maximum", "top_k_mean", "majority", "noisy_or", "svm", "none"]

Values = Float64[np.ndarray, " images"]

NUM_IMAGES_COLUMN: Final = "num_images"
"""Column of ``case_predictions.csv``: how many images a case's row was made from."""


class CaseSettings(Settings):
    """How the images of a case become one prediction; used only where some case has several images."""

    rule: CaseRule = "mean"
    """mean: of the probabilities; maximum: the highest one; top_k_mean: the mean of the k highest; majority: the share
    of images decided for a class, and the larger share wins; noisy_or: the chance that at least one image is positive,
    were they independent; svm: a support vector machine on the k highest, trained on validation cases (with few, on
    training cases too); none: no numbers by case. With two classes the probabilities are those of the positive class;
    with more, each class is pooled by itself, and the results are scaled to sum to 1."""
    k: int = Field(default=25, ge=1)
    """How many of a case's highest probabilities top_k_mean and svm look at. A case with fewer images is not dropped:
    top_k_mean takes those that there are, svm repeats the lowest of them."""
    stains: Literal["together", "apart"] = "together"
    """together: all images of a case count alike; apart: the images of each stain are pooled by themselves, and the
    stains' results are averaged (the SVM instead gets k probabilities of each stain)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CasePredictions:
    """One row a case, in the order of the cases' names."""

    predictions: Predictions
    """The record ids are the names of the cases."""
    num_images: tuple[int, ...]
    """Images behind each row."""
    num_ambiguous: int
    """Cases left out because their images have labels of several classes."""
    svm: SvmFit | None
    """What the SVM was trained on; ``None`` for the other rules."""


def pool_cases(
    predictions: Predictions, settings: CaseSettings, *, threshold: Threshold | None, seed: int = 0
) -> CasePredictions | None:
    """Return one prediction a case, or ``None`` where no case has several images and one label, or none is wanted.

    Args:
        predictions: of images; a case's label is that of its images, those without a label included in the pooling.
        settings: the rule.
        threshold: that of the images, for two classes: it names the positive class, and decides images for "majority".
        seed: of the SVM's cross-validation.

    Raises:
        DataError: the SVM has too few cases to be trained on.
    """
    labels, num_images = _labels_of_cases(predictions), Counter(predictions.cases)
    if settings.rule == "none" or not any(num_images[case] > 1 and len(found) == 1 for case, found in labels.items()):
        return None
    bags = _Bags.of(predictions, [case for case, found in labels.items() if len(found) < 2], settings)
    truth = tuple(next(iter(labels[case]), None) for case in bags.cases)
    looks, svm = _looks(predictions, settings, threshold), None
    if settings.rule == "svm":
        features = np.stack([bags.features(values, k=settings.k) for values in looks])
        of_classes = [predictions.classes[place] for place in _pooled_classes(predictions.classes, threshold)]
        svm = fit_svm(features, truth, bags.sides, of_classes=of_classes, seed=seed)
    scores = np.stack([bags.pool(values, settings) for values in looks], axis=1) if svm is None else svm.scores
    return CasePredictions(
        predictions=Predictions(
            record_ids=bags.cases,
            cases=bags.cases,
            sides=bags.sides,
            truth=truth,
            probabilities=_probabilities(scores, predictions.classes, threshold),
            classes=predictions.classes,
        ),
        num_images=bags.num_images,
        num_ambiguous=len(labels) - len(bags.cases),
        svm=svm,
    )


def write_case_predictions(cases: CasePredictions, path: Path) -> None:
    """Write ``case_predictions.csv``, whole or not at all; ``read_predictions`` reads it as it reads that of images."""
    table = predictions_table(cases.predictions)
    counts = pl.Series(NUM_IMAGES_COLUMN, cases.num_images, dtype=pl.Int64)
    with files.whole_file(path) as unfinished:
        table.insert_column(4, counts).write_csv(unfinished)


def _labels_of_cases(predictions: Predictions) -> dict[str, set[str]]:
    """Return the classes that each case's images are labelled with."""
    labels: dict[str, set[str]] = {case: set() for case in predictions.cases}
    for case, truth in zip(predictions.cases, predictions.truth, strict=True):
        if truth is not None:
            labels[case].add(truth)
    return labels


def _pooled_classes(classes: tuple[str, ...], threshold: Threshold | None) -> list[int]:
    """Return the places of the classes that are pooled: the positive one, or each of more than two."""
    return list(range(len(classes))) if threshold is None else [classes.index(threshold.positive_class)]


def _looks(predictions: Predictions, settings: CaseSettings, threshold: Threshold | None) -> list[Values]:
    """Return what is pooled: probabilities, or 1 for the images that are decided for a class and 0 for the others."""
    places = _pooled_classes(predictions.classes, threshold)
    if settings.rule != "majority":
        return [predictions.probabilities[:, place].copy() for place in places]
    decisions = decide(predictions.probabilities, classes=predictions.classes, threshold=threshold)
    return [(decisions == place).astype(np.float64) for place in places]


def _probabilities(
    scores: Float64[np.ndarray, "cases scores"], classes: tuple[str, ...], threshold: Threshold | None
) -> Float64[np.ndarray, "cases classes"]:
    """Return rows that sum to 1: from the positive class's score, or from one score a class."""
    if threshold is None:
        total = scores.sum(axis=1, keepdims=True)
        even = np.full_like(scores, 1 / len(classes))  # where an SVM finds no class probable
        return np.asarray(np.divide(scores, total, out=even, where=total > 0))
    positive = scores[:, 0]
    columns = [positive if name == threshold.positive_class else 1 - positive for name in classes]
    return np.stack(columns, axis=1)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Bags:
    """Images in bags: those of one case, or of one case and one stain."""

    cases: tuple[str, ...]
    sides: tuple[Side, ...]
    num_images: tuple[int, ...]
    rows: Int64[np.ndarray, " taken"]
    """Rows of the predictions, bag after bag, by record id inside each."""
    starts: Int64[np.ndarray, " bags"]
    """Where each bag begins in ``rows``."""
    sizes: Int64[np.ndarray, " bags"]
    case_of: Int64[np.ndarray, " bags"]
    stain_of: Int64[np.ndarray, " bags"]
    """Number of each bag's stain among those that there are; 0 where stains are together."""

    @classmethod
    def of(cls, predictions: Predictions, cases: list[str], settings: CaseSettings) -> "_Bags":
        """Put the images of ``cases`` into bags."""
        names = sorted(cases)
        number_of = {name: number for number, name in enumerate(names)}
        apart = settings.stains == "apart" and predictions.stains is not None
        stains = (predictions.stains or ()) if apart else ("",) * len(predictions)
        stain_number = {name: number for number, name in enumerate(sorted({stain or "" for stain in stains}))}
        keys = [
            (number_of[case], stain_number[stain or ""], record_id, row)
            for row, (case, stain, record_id) in enumerate(
                zip(predictions.cases, stains, predictions.record_ids, strict=True)
            )
            if case in number_of
        ]
        keys.sort()
        places = np.array([key[:2] for key in keys], dtype=np.int64)
        found, starts, sizes = np.unique(places, axis=0, return_index=True, return_counts=True)
        side_of = dict(zip(predictions.cases, predictions.sides, strict=True))
        counts = np.bincount(places[:, 0], minlength=len(names))
        return cls(
            cases=tuple(names),
            sides=tuple(side_of[name] for name in names),
            num_images=tuple(int(count) for count in counts),
            rows=np.array([key[3] for key in keys], dtype=np.int64),
            starts=starts.astype(np.int64),
            sizes=sizes.astype(np.int64),
            case_of=found[:, 0],
            stain_of=found[:, 1],
        )

    def pool(self, values: Values, settings: CaseSettings) -> Float64[np.ndarray, " cases"]:
        """Return one number a case, in [0, 1]: the mean over its bags of what the rule makes of each."""
        pooled = self._pool_bags(values[self.rows], settings)
        sums = np.bincount(self.case_of, weights=pooled, minlength=len(self.cases))
        means: np.ndarray = sums / np.bincount(self.case_of, minlength=len(self.cases))
        return means.clip(0, 1)  # a mean of ones may be a rounding above 1

    def _pool_bags(self, values: Values, settings: CaseSettings) -> Float64[np.ndarray, " bags"]:
        if settings.rule == "maximum":
            return np.maximum.reduceat(values, self.starts)
        if settings.rule == "noisy_or":
            return np.asarray(1 - np.multiply.reduceat(1 - values, self.starts))
        if settings.rule == "top_k_mean":
            ranked, rank = self._falling(values), np.arange(len(values)) - np.repeat(self.starts, self.sizes)
            sums = np.add.reduceat(np.where(rank < settings.k, ranked, 0.0), self.starts)
            return np.asarray(sums / np.minimum(self.sizes, settings.k))
        return np.asarray(np.add.reduceat(values, self.starts) / self.sizes)  # "mean", and "majority" of votes

    def features(self, values: Values, *, k: int) -> Float64[np.ndarray, "cases features"]:
        """Return the k largest values of every case (and stain), largest first; NaN for a stain that a case lacks.

        A bag with fewer values repeats its smallest.
        """
        chosen = self.starts[:, None] + np.minimum(np.arange(k), self.sizes[:, None] - 1)
        num_stains = int(self.stain_of.max()) + 1
        features = np.full((len(self.cases), num_stains, k), np.nan)
        features[self.case_of, self.stain_of] = self._falling(values[self.rows])[chosen]
        return features.reshape(len(self.cases), num_stains * k)

    def _falling(self, values: Values) -> Values:
        """Return the values of each bag from the largest to the smallest."""
        bag_of = np.repeat(np.arange(len(self.starts)), self.sizes)
        return values[np.lexsort((-values, bag_of))]
