"""Several models' predictions become those of one: a weighted mean of probabilities.

In: ``Predictions`` of models that judge the same test images. Out: weights chosen on validation, and ``Predictions`` of
the ensemble. Images find each other by record id. Nothing here reads the truth of the test side.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from jaxtyping import Float64, Int64

from radpath.errors import DataError
from radpath.evaluation.comparison_joining import truth_by_record, with_classes_in_order
from radpath.evaluation.predictions import Predictions
from radpath.evaluation.probability import log_losses
from radpath.records import Side

WeightRule = Literal["equal", "validation", "greedy"]

_ROUNDS: Final = 50
_MOST_STEPS: Final = 5000
_STILL: Final = 1e-10  # a step that moves no weight by more is the last


@dataclass(frozen=True, kw_only=True, eq=False)
class CommonValidation:
    """What all models say about the labelled images that none of them learned from and all validated on."""

    probabilities: Float64[np.ndarray, "members images classes"]
    truth: Int64[np.ndarray, " images"]


def common_validation(members: Sequence[Predictions]) -> CommonValidation:
    """Return the validation images that all members share.

    Raises:
        DataError: there are none, as with the folds of a cross-validation.
    """
    first = members[0]
    truths = [truth_by_record(member, "validation") for member in members]
    shared = sorted(set.intersection(*(set(truth) for truth in truths)))
    shared = [record_id for record_id in shared if truths[0][record_id] is not None]
    if not shared:
        raise DataError(
            "the runs have no labelled validation image in common, so nothing can choose their weights; "
            "use --weights equal"
        )
    place = {name: column for column, name in enumerate(first.classes)}
    looks = [_Lookup(member, first.classes) for member in members]
    return CommonValidation(
        probabilities=np.stack([look.probabilities[[look.row[record] for record in shared]] for look in looks]),
        truth=np.array([place[truths[0][record] or ""] for record in shared], dtype=np.int64),
    )


def choose_weights(rule: WeightRule, members: Sequence[Predictions]) -> Float64[np.ndarray, " members"]:
    """Return one weight a member, none negative, summing to 1.

    Raises:
        DataError: the rule needs validation images that all members share, and there are none.
    """
    if rule == "equal":
        return np.full(len(members), 1 / len(members))
    common = common_validation(members)
    return likeliest_weights(common) if rule == "validation" else greedy_weights(common)


def likeliest_weights(common: CommonValidation) -> Float64[np.ndarray, " members"]:
    """Return the weights that minimise the log loss of the mean on validation.

    The loss is convex in the weights; the steps are those of expectation maximisation for the shares of a mixture
    (Dempster, Laird and Rubin 1977), which keep weights positive and summing to 1, and never raise the loss.

    >>> good, bad = [[0.1, 0.9], [0.8, 0.2]], [[0.9, 0.1], [0.2, 0.8]]
    >>> likeliest_weights(CommonValidation(probabilities=np.array([good, bad]), truth=np.array([1, 0]))).round(6) + 0
    array([1., 0.])
    """
    likelihoods = common.probabilities[:, np.arange(len(common.truth)), common.truth].clip(np.finfo(np.float64).tiny)
    weights = np.full(len(likelihoods), 1 / len(likelihoods))
    for _ in range(_MOST_STEPS):
        better = weights * (likelihoods / (weights @ likelihoods)).mean(axis=1)
        better /= better.sum()
        moved = float(np.abs(better - weights).max())
        weights = better
        if moved < _STILL:
            break
    return weights


def greedy_weights(common: CommonValidation) -> Float64[np.ndarray, " members"]:
    """Return how often each member is taken when the best next one is added again and again, with replacement.

    Caruana et al. 2004, "Ensemble selection from libraries of models", by log loss, without bagging: of 50 rounds, the
    ones up to the lowest loss count. Of equally good members the first is taken.
    """
    total, counts = np.zeros(common.probabilities.shape[1:]), np.zeros(len(common.probabilities))
    best_loss, best = np.inf, counts
    for size in range(1, _ROUNDS + 1):
        losses = [log_losses((total + member) / size, common.truth).mean() for member in common.probabilities]
        chosen = int(np.argmin(losses))
        total = total + common.probabilities[chosen]
        counts[chosen] += 1
        if losses[chosen] < best_loss:
            best_loss, best = losses[chosen], counts.copy()
    weights: np.ndarray = best / best.sum()
    return weights


def combine(members: Sequence[Predictions], weights: Float64[np.ndarray, " members"]) -> Predictions:
    """Return the weighted mean of the probabilities.

    A test image gets the mean of all members. A case that some members held out on their validation side gets the mean
    of those alone, with their weights in proportion, so that folds of a cross-validation have a validation side without
    images that a member learned from; a case that all members learned from stays on the training side. Images that a
    member lacks get the mean of the others; those that no member with a weight can speak for are left out.
    """
    first = members[0]
    looks = [_Lookup(member, first.classes) for member in members]
    everything = dict.fromkeys(record_id for member in members for record_id in member.record_ids)
    chosen = [
        (record_id, *found) for record_id in everything if (found := _place(record_id, looks, weights)) is not None
    ]
    described = [looks[speakers[0]].described(record_id) for record_id, _, speakers in chosen]
    probabilities = np.stack([_mean(record_id, looks, weights, speakers) for record_id, _, speakers in chosen])
    stains = tuple(stain for _, _, stain in described)
    return Predictions(
        record_ids=tuple(record_id for record_id, _, _ in chosen),
        cases=tuple(case for case, _, _ in described),
        sides=tuple(side for _, side, _ in chosen),
        truth=tuple(truth for _, truth, _ in described),
        probabilities=probabilities,
        classes=first.classes,
        stains=stains if any(stains) else None,
    )


class _Lookup:
    """One member's predictions by record id and by case."""

    def __init__(self, predictions: Predictions, classes: tuple[str, ...]) -> None:
        """Bring the columns into the order of ``classes``."""
        self._predictions = predictions
        self.row = {record_id: row for row, record_id in enumerate(predictions.record_ids)}
        self.side_of_case: dict[str, Side] = dict(zip(predictions.cases, predictions.sides, strict=True))
        self.probabilities = with_classes_in_order(predictions, classes).probabilities

    def described(self, record_id: str) -> tuple[str, str | None, str | None]:
        """Return an image's case, truth and stain."""
        known, row = self._predictions, self.row[record_id]
        return known.cases[row], known.truth[row], known.stains[row] if known.stains else None


def _place(
    record_id: str, looks: Sequence[_Lookup], weights: Float64[np.ndarray, " members"]
) -> tuple[Side, list[int]] | None:
    """Return an image's side in the ensemble and the members that speak for it."""
    having = [number for number, look in enumerate(looks) if record_id in look.row]
    case = looks[having[0]].described(record_id)[0]
    sides = {number: look.side_of_case[case] for number, look in enumerate(looks) if case in look.side_of_case}
    side: Side = next((side for side in ("test", "validation") if side in sides.values()), "train")
    speakers = [number for number in having if sides.get(number) == side and weights[number] > 0]
    return (side, speakers) if speakers else None


def _mean(
    record_id: str, looks: Sequence[_Lookup], weights: Float64[np.ndarray, " members"], speakers: list[int]
) -> Float64[np.ndarray, " classes"]:
    total = sum(weights[number] for number in speakers)
    rows = [weights[number] / total * looks[number].probabilities[looks[number].row[record_id]] for number in speakers]
    mean: np.ndarray = np.sum(rows, axis=0)
    return mean.clip(0, 1)
