"""Numbers of all labels together, under many sets of case weights at once.

In: ``LabelPredictions`` of one side and the thresholds of the labels. Out: one column a number, one row a set of
weights; NaN where a number is undefined, by the policy of ``undefined``. Numbers of one label are those of two classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

import numpy as np
from jaxtyping import Bool, Float64, Int64

from radpath.evaluation.label_predictions import LabelPredictions
from radpath.evaluation.ranking import Ranking, average_precision_of, rank, roc_auc_of, tally
from radpath.evaluation.thresholds import Threshold
from radpath.evaluation.undefined import ratio
from radpath.records import Side


@dataclass(frozen=True, kw_only=True)
class LabelMetric:
    """One number of all labels together; the key in ``LABEL_METRICS`` is its stable short name."""

    title: str
    formula: str
    undefined_when: str
    best: Literal["highest", "lowest"]


_SOME_LABEL: Final = "a label is there in no image, or in every one"
_NO_DECISION: Final = "no image has a label, or none was decided to have one"

LABEL_METRICS: Final[dict[str, LabelMetric]] = {
    "macro_roc_auc": LabelMetric(
        title="ROC AUC, mean of labels",
        formula="mean over labels of each label's ROC AUC; macro average",
        undefined_when=_SOME_LABEL,
        best="highest",
    ),
    "micro_roc_auc": LabelMetric(
        title="ROC AUC, all labels as one",
        formula="ROC AUC of all pairs of an image and a label that is known; micro average",
        undefined_when="no label is there in any image, or all are in every one",
        best="highest",
    ),
    "macro_average_precision": LabelMetric(
        title="Average precision, mean of labels",
        formula="mean over labels of each label's average precision; macro average",
        undefined_when="a label is there in no image",
        best="highest",
    ),
    "micro_average_precision": LabelMetric(
        title="Average precision, all labels as one",
        formula="average precision of all pairs of an image and a label that is known; micro average",
        undefined_when="no label is there in any image",
        best="highest",
    ),
    "macro_f1": LabelMetric(
        title="F1, mean of labels",
        formula="mean over labels of 2 TP / (2 TP + FP + FN)",
        undefined_when="a label is there in no image and was decided for none",
        best="highest",
    ),
    "micro_f1": LabelMetric(
        title="F1, all labels as one",
        formula="2 TP / (2 TP + FP + FN) of all pairs of an image and a label that is known",
        undefined_when=_NO_DECISION,
        best="highest",
    ),
    "hamming_loss": LabelMetric(
        title="Hamming loss",
        formula="wrong decisions / labels that are known",
        undefined_when="nothing is known",
        best="lowest",
    ),
    "exact_match": LabelMetric(
        title="Exact match",
        formula="images with all decisions right / images of which every label is known",
        undefined_when="of no image every label is known",
        best="highest",
    ),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelSample:
    """The images of one side of which any label is known, ordered by record id; cases are numbers."""

    truth: Float64[np.ndarray, "images labels"]
    probabilities: Float64[np.ndarray, "images labels"]
    decisions: Bool[np.ndarray, "images labels"]
    case_of: Int64[np.ndarray, " images"]
    num_cases: int

    def __len__(self) -> int:
        return len(self.truth)

    @cached_property
    def known(self) -> Bool[np.ndarray, "images labels"]:
        """Where the truth is known."""
        known: np.ndarray = ~np.isnan(self.truth)
        return known

    @cached_property
    def rankings(self) -> tuple[Ranking, ...]:
        """One ranking a label, and last that of all pairs of an image and a known label; the units are the cases."""
        pairs = np.argwhere(self.known)
        of_labels = [pairs[pairs[:, 1] == label] for label in range(self.truth.shape[1])]
        return tuple(self._ranking(some) for some in [*of_labels, pairs])

    def _ranking(self, pairs: Int64[np.ndarray, "pairs 2"]) -> Ranking:
        images, labels = pairs.T
        return rank(
            self.probabilities[images, labels],
            self.truth[images, labels] == 1,
            unit_of=self.case_of[images],
            num_units=self.num_cases,
        )

    def by_case(self, counted: np.ndarray) -> np.ndarray:
        """Return how often something holds in each case.

        Args:
            counted: of shape (images,) or (images, labels), whether it holds.

        Returns:
            Of shape (cases,) or (labels, cases).
        """
        columns = counted.reshape(len(self), -1).T
        sums = [np.bincount(self.case_of, weights=column, minlength=self.num_cases) for column in columns]
        return np.array(sums).reshape(*counted.shape[1:], self.num_cases)


def take_label_sample(predictions: LabelPredictions, side: Side, thresholds: Mapping[str, Threshold]) -> LabelSample:
    """Return one side's images; the sample is empty where nothing is known.

    Args:
        predictions: of all sides.
        side: which.
        thresholds: of every label.
    """
    known = ~np.isnan(predictions.truth).all(axis=1)
    rows = [row for row, there in enumerate(predictions.sides) if there == side and known[row]]
    rows.sort(key=lambda row: predictions.record_ids[row])
    cases = [predictions.cases[row] for row in rows]
    number_of = {name: number for number, name in enumerate(sorted(set(cases)))}
    limits = np.array([thresholds[name].value for name in predictions.names])
    return LabelSample(
        truth=predictions.truth[rows],
        probabilities=predictions.probabilities[rows],
        decisions=predictions.probabilities[rows] >= limits,
        case_of=np.array([number_of[name] for name in cases], dtype=np.int64),
        num_cases=len(number_of),
    )


def label_values_under(
    sample: LabelSample, weights: Float64[np.ndarray, "cases replicates"]
) -> Float64[np.ndarray, "replicates metrics"]:
    """Return each of ``LABEL_METRICS`` under each set of case weights; NaN where it is undefined."""
    counts = [tally(ranking, weights) for ranking in sample.rankings]
    areas = [roc_auc_of(one) for one in counts]
    precisions = [average_precision_of(one) for one in counts]
    there, decided, known = sample.truth == 1, sample.decisions, sample.known
    hits = sample.by_case(known & there & decided) @ weights
    misses = sample.by_case(known & there & ~decided) @ weights
    alarms = sample.by_case(known & ~there & decided) @ weights
    of_all: np.ndarray = np.logical_and.reduce(known, axis=1)
    right: np.ndarray = np.logical_and.reduce((there == decided) | ~known, axis=1)
    wrong, answers = (misses + alarms).sum(axis=0), (sample.by_case(known) @ weights).sum(axis=0)
    columns = {
        "macro_roc_auc": np.mean(areas[:-1], axis=0),
        "micro_roc_auc": areas[-1],
        "macro_average_precision": np.mean(precisions[:-1], axis=0),
        "micro_average_precision": precisions[-1],
        "macro_f1": _f1(hits, misses, alarms).mean(axis=0),
        "micro_f1": _f1(hits.sum(axis=0), misses.sum(axis=0), alarms.sum(axis=0)),
        "hamming_loss": ratio(wrong, answers),
        "exact_match": ratio(sample.by_case(of_all & right) @ weights, sample.by_case(of_all) @ weights),
    }
    return np.column_stack([columns[name] for name in LABEL_METRICS])


def _f1(hits: np.ndarray, misses: np.ndarray, alarms: np.ndarray) -> np.ndarray:
    return ratio(2 * hits, 2 * hits + misses + alarms)
