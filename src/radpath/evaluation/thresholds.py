"""Where a probability becomes a decision.

In: probabilities and, to choose a threshold, the truth of the validation side. Out: a ``Threshold`` that is frozen,
travels as JSON beside the model and is used unchanged on every other image; and decisions. With more than two classes
there is no threshold: the highest probability decides, and of equal ones the first class.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float64, Int64

from radpath.errors import DataError
from radpath.evaluation.ranking import rank, tally

ThresholdRule = Literal["youden", "half"]
"""``youden`` maximises sensitivity + specificity - 1 (Youden 1950); ``half`` is 0.5."""

HALF = 0.5


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """A binary decision, fixed: an image is positive when its score is at least ``value``."""

    positive_class: str
    value: float
    """In [0, 1]."""
    rule: ThresholdRule
    """The rule that gave ``value``."""
    fitted_on: Literal["validation"] | None
    """The side whose truth ``value`` depends on; ``None`` for 0.5, which depends on nothing."""
    num_images: int
    """Images that the threshold was chosen from."""
    num_positive: int
    sensitivity: float | None
    """On those images; ``None`` without positive ones."""
    specificity: float | None

    def apply(self, scores: Float64[np.ndarray, " images"]) -> Bool[np.ndarray, " images"]:
        """Return which images are called positive."""
        return scores >= self.value

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Threshold":
        """Rebuild a threshold from ``to_dict``.

        Raises:
            DataError: a field is missing or unknown.
        """
        try:
            return cls(**values)
        except TypeError as error:
            raise DataError(f"this is no threshold that radpath wrote ({error}); evaluate the run again") from None


def choose_threshold(
    scores: Float64[np.ndarray, " images"],
    is_positive: Bool[np.ndarray, " images"],
    *,
    positive_class: str,
    rule: ThresholdRule = "youden",
) -> Threshold:
    """Choose a threshold on the images of the validation side.

    Youden's threshold lies half way between the lowest score it calls positive and the next lower one, since every
    value between the two decides these images alike. Of equally good cuts the most sensitive is taken. Where no cut is
    better than chance, or a class is absent, the rule has no answer and 0.5 is used; ``rule`` then says ``half``.

    >>> chosen = choose_threshold(
    ...     np.array([0.1, 0.2, 0.6, 0.9]), np.array([False, False, True, True]), positive_class="malignant"
    ... )
    >>> chosen.value, chosen.sensitivity, chosen.specificity
    (0.4, 1.0, 1.0)
    """
    youden = _youden(scores, is_positive) if rule == "youden" else None
    value = HALF if youden is None else youden
    num_positive, num_negative = int(is_positive.sum()), int((~is_positive).sum())
    called = scores >= value
    return Threshold(
        positive_class=positive_class,
        value=value,
        rule="half" if youden is None else "youden",
        fitted_on=None if youden is None else "validation",
        num_images=len(scores),
        num_positive=num_positive,
        sensitivity=int((called & is_positive).sum()) / num_positive if num_positive else None,
        specificity=int((~called & ~is_positive).sum()) / num_negative if num_negative else None,
    )


def _youden(scores: Float64[np.ndarray, " images"], is_positive: Bool[np.ndarray, " images"]) -> float | None:
    """Return Youden's threshold, or ``None`` where no cut is better than chance."""
    ranking = rank(scores, is_positive)
    counts = tally(ranking, np.ones((len(scores), 1)))
    hits, alarms = counts.true_positives[:, 0], counts.false_positives[:, 0]
    if len(hits) == 0:
        return None
    # J times both group sizes: whole numbers, so that equally good cuts are seen to be equal.
    gains = hits * alarms[-1] - alarms * hits[-1]
    if gains.max() <= 0:
        return None
    # The last place calls everything positive, which gains nothing, so a lower place always exists.
    place = int(np.flatnonzero(gains == gains.max())[-1])
    upper, lower = float(ranking.thresholds[place]), float(ranking.thresholds[place + 1])
    middle = (upper + lower) / 2
    return middle if middle > lower else upper  # neighbouring floats have nothing between them


def decide(
    probabilities: Float64[np.ndarray, "images classes"],
    *,
    classes: tuple[str, ...],
    threshold: Threshold | None,
) -> Int64[np.ndarray, " images"]:
    """Return the column of the class that each image is decided for.

    Args:
        probabilities: one column a class.
        classes: names of the columns.
        threshold: for two classes; without it the highest probability decides, and of equal ones the first class.

    Raises:
        DataError: the threshold is for a class that is not there, or there are more than two classes.
    """
    if threshold is None:
        highest: np.ndarray = probabilities.argmax(axis=1)
        return highest
    if threshold.positive_class not in classes or len(classes) != 2:
        raise DataError(
            f"a threshold for '{threshold.positive_class}' cannot decide between {', '.join(classes)}; "
            "use predictions of the model that it was chosen for"
        )
    positive = classes.index(threshold.positive_class)
    return np.where(threshold.apply(probabilities[:, positive].copy()), positive, 1 - positive)
