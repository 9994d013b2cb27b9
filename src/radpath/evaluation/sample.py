"""The labelled images of one side as arrays, and sums over them under many sets of case weights.

In: ``Predictions`` and decisions. Out: a ``Sample``, in an order that does not depend on the order of the rows, so that
shuffled predictions give the same bits. What the sums mean is left to the metrics.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import permutations

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy import sparse

from radpath.evaluation.predictions import Predictions
from radpath.evaluation.ranking import Ranking, rank
from radpath.evaluation.thresholds import Threshold, decide
from radpath.evaluation.undefined import ratio
from radpath.records import Side


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """Images with known truth, ordered by record id; classes and cases are numbers."""

    classes: tuple[str, ...]
    positive: int | None
    """Column of the positive class where there are two classes, else ``None``."""
    truth: Int64[np.ndarray, " images"]
    decisions: Int64[np.ndarray, " images"]
    probabilities: Float64[np.ndarray, "images classes"]
    case_of: Int64[np.ndarray, " images"]
    """Number of each image's case, in order of the cases' names."""
    num_cases: int

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def ranked_classes(self) -> tuple[int, ...]:
        """Classes that are ranked against the rest: the positive one, or all of more than two."""
        return tuple(range(len(self.classes))) if self.positive is None else (self.positive,)

    @cached_property
    def rankings(self) -> tuple[Ranking, ...]:
        """One ranking for each of ``ranked_classes``, whose units are the cases."""
        everything = np.ones(len(self), dtype=bool)
        return tuple(self._rank(place, everything) for place in self.ranked_classes)

    @cached_property
    def pair_rankings(self) -> tuple[Ranking, ...]:
        """For each class and each other one, the images of the two ranked by the probability of the first."""
        pairs = permutations(range(len(self.classes)), 2)
        return tuple(self._rank(first, np.isin(self.truth, (first, second))) for first, second in pairs)

    @cached_property
    def confidence_ranking(self) -> Ranking:
        """Of two classes the ranking of the positive one; of more, the highest probability, and whether it is right."""
        if self.positive is not None:
            return self.rankings[0]
        likeliest = self.probabilities.argmax(axis=1)
        return rank(
            self.probabilities.max(axis=1), self.truth == likeliest, unit_of=self.case_of, num_units=self.num_cases
        )

    def _rank(self, place: int, chosen: Bool[np.ndarray, " images"]) -> Ranking:
        return rank(
            self.probabilities[chosen, place],
            self.truth[chosen] == place,
            unit_of=self.case_of[chosen],
            num_units=self.num_cases,
        )

    @cached_property
    def _confusion_by_case(self) -> sparse.csr_matrix:
        """Number of images in each cell of the confusion matrix (row) of each case (column)."""
        cells = self.truth * len(self.classes) + self.decisions
        shape = (len(self.classes) ** 2, self.num_cases)
        return sparse.csr_matrix((np.ones(len(self)), (cells, self.case_of)), shape=shape)

    def confusion_under(
        self, weights: Float64[np.ndarray, "cases replicates"]
    ) -> Float64[np.ndarray, "replicates classes classes"]:
        """Return the confusion matrix (rows truth, columns decision) under each set of case weights."""
        cells: np.ndarray = self._confusion_by_case @ weights
        return cells.T.reshape(weights.shape[1], len(self.classes), len(self.classes))

    def mean_under(
        self, losses: Float64[np.ndarray, " images"], weights: Float64[np.ndarray, "cases replicates"]
    ) -> Float64[np.ndarray, " replicates"]:
        """Return the weighted mean of a number that each image has."""
        num_images = np.bincount(self.case_of, minlength=self.num_cases).astype(np.float64)
        sums = np.bincount(self.case_of, weights=losses, minlength=self.num_cases)
        return ratio(sums @ weights, num_images @ weights)

    @cached_property
    def stratum_of_case(self) -> Int64[np.ndarray, " cases"]:
        """The class of each case; one with images of several classes counts for the rarest of them among cases."""
        has = np.zeros((self.num_cases, len(self.classes)), dtype=bool)
        has[self.case_of, self.truth] = True
        from_rarest = np.argsort(has.sum(axis=0), kind="stable")
        stratum: np.ndarray = from_rarest[has[:, from_rarest].argmax(axis=1)]
        return stratum

    def images_per_class(self) -> dict[str, int]:
        """Return the number of images of each class."""
        counts = np.bincount(self.truth, minlength=len(self.classes))
        return {name: int(count) for name, count in zip(self.classes, counts, strict=True)}

    def cases_per_class(self) -> dict[str, int]:
        """Return the number of cases with an image of each class; a case of several classes counts in each."""
        return {name: len(np.unique(self.case_of[self.truth == place])) for place, name in enumerate(self.classes)}


def take_sample(
    predictions: Predictions, side: Side, *, positive_class: str | None, threshold: Threshold | None
) -> Sample:
    """Return the labelled images of one side; the sample is empty where there are none."""
    rows = [
        row
        for row, (known, there) in enumerate(zip(predictions.truth, predictions.sides, strict=True))
        if known is not None and there == side
    ]
    rows.sort(key=lambda row: predictions.record_ids[row])
    names = sorted({predictions.cases[row] for row in rows})
    number_of = {name: number for number, name in enumerate(names)}
    column_of = {name: column for column, name in enumerate(predictions.classes)}
    probabilities = predictions.probabilities[rows]
    # First, since it refuses a threshold that is for other classes.
    decisions = decide(probabilities, classes=predictions.classes, threshold=threshold)
    return Sample(
        classes=predictions.classes,
        positive=None if positive_class is None else column_of[positive_class],
        truth=np.array([column_of[predictions.truth[row] or ""] for row in rows], dtype=np.int64),
        decisions=decisions,
        probabilities=probabilities,
        case_of=np.array([number_of[predictions.cases[row]] for row in rows], dtype=np.int64),
        num_cases=len(names),
    )
