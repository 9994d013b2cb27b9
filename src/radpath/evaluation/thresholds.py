"""Where a probability becomes a decision.

In: probabilities and, to choose a threshold, the truth of the validation side. Out: a ``Threshold`` that is frozen,
travels as JSON beside the model and is used unchanged on every other image; and decisions. With more than two classes
there is no threshold: the highest probability decides, and of equal ones the first class.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

import numpy as np
from jaxtyping import Bool, Float64, Int64
from pydantic import Field

from radpath.errors import DataError
from radpath.evaluation.ranking import rank, tally
from radpath.settings import Settings

ThresholdRule = Literal["youden", "half", "sensitivity", "specificity", "cost", "f_beta"]
"""How a threshold is chosen; ``half`` is 0.5, the others are explained by ``evaluation.threshold_rule``."""

HALF = 0.5

_SAME: Final = 1e-12
"""Relative difference below which two cuts are equally good: they differ by rounding alone."""


class OperatingPointSettings(Settings):
    """What the rules for thresholds ask for; all are shown side by side, each fitted on validation."""

    sensitivity: float = Field(default=0.95, gt=0, le=1)
    """For the rule "sensitivity": the share of positives that must be found on validation."""
    specificity: float = Field(default=0.95, gt=0, le=1)
    """For the rule "specificity": the share of the others that must be left alone on validation."""
    false_negative_cost: float = Field(default=1.0, gt=0)
    """For the rule "cost": what it costs to miss a positive; only the ratio of the two costs matters."""
    false_positive_cost: float = Field(default=1.0, gt=0)
    """For the rule "cost": what a false alarm costs."""
    prevalence: float | None = Field(default=None, gt=0, lt=1)
    """For the rule "cost": the share of positives where the model shall be used; not set: that of validation."""
    beta: float = Field(default=1.0, gt=0)
    """For the rule "f_beta": how many times recall counts as much as precision."""


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """A binary decision, fixed: an image is positive when its score is at least ``value``."""

    positive_class: str
    value: float
    """In [0, 1], or the next number above 1 where nothing may be called positive."""
    rule: ThresholdRule | Literal["given"]
    """The rule that gave ``value``; ``given`` for one that was set by hand."""
    fitted_on: Literal["validation"] | None
    """The side whose truth ``value`` depends on; ``None`` for 0.5 and for one set by hand, which depend on nothing."""
    num_images: int
    """Images that the threshold was chosen from, or on which the next two numbers were found."""
    num_positive: int
    sensitivity: float | None
    """On those images; ``None`` without positive ones."""
    specificity: float | None
    asked: dict[str, float] = field(default_factory=dict)
    """What the rule was asked for, by the names of ``OperatingPointSettings``; empty where it asks for nothing."""

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
    asked: OperatingPointSettings | None = None,
) -> Threshold:
    """Choose a threshold on the images of the validation side.

    It lies half way between the lowest score it calls positive and the next lower one (0 below the lowest), since every
    value between the two decides these images alike. Of equally good cuts the most sensitive is taken. Where a class is
    absent, or no cut is better than chance for Youden's rule, there is no answer and 0.5 is used; ``rule`` then says
    ``half``.

    Args:
        scores: probabilities of the positive class.
        is_positive: the truth.
        positive_class: its name.
        rule: youden: the highest sensitivity + specificity - 1 (Youden 1950). sensitivity: of the cuts that reach the
            sensitivity asked for, the most specific. specificity: the reverse. cost: the lowest expected cost of a
            decision. f_beta: the highest F-beta (van Rijsbergen 1979). half: 0.5.
        asked: what the rule asks for; without it, the defaults.

    >>> chosen = choose_threshold(
    ...     np.array([0.1, 0.2, 0.6, 0.9]), np.array([False, False, True, True]), positive_class="malignant"
    ... )
    >>> chosen.value, chosen.sensitivity, chosen.specificity
    (0.4, 1.0, 1.0)
    """
    asked = asked or OperatingPointSettings()
    found = None if rule == "half" else _best_cut(scores, is_positive, rule, asked)
    return _threshold(
        scores,
        is_positive,
        positive_class=positive_class,
        value=HALF if found is None else found,
        rule="half" if found is None else rule,
        fitted_on=None if found is None else "validation",
        asked={} if found is None else _asked_by(rule, asked, float(is_positive.mean())),
    )


def given_threshold(
    value: float,
    scores: Float64[np.ndarray, " images"],
    is_positive: Bool[np.ndarray, " images"],
    *,
    positive_class: str,
) -> Threshold:
    """Return a threshold that was set by hand, with what it does on these images, which it does not depend on."""
    return _threshold(
        scores, is_positive, positive_class=positive_class, value=value, rule="given", fitted_on=None, asked={}
    )


def _threshold(
    scores: Float64[np.ndarray, " images"],
    is_positive: Bool[np.ndarray, " images"],
    *,
    positive_class: str,
    value: float,
    rule: ThresholdRule | Literal["given"],
    fitted_on: Literal["validation"] | None,
    asked: dict[str, float],
) -> Threshold:
    """Return a threshold with what it does on these images."""
    num_positive, num_negative = int(is_positive.sum()), int((~is_positive).sum())
    called = scores >= value
    return Threshold(
        positive_class=positive_class,
        value=value,
        rule=rule,
        fitted_on=fitted_on,
        num_images=len(scores),
        num_positive=num_positive,
        sensitivity=int((called & is_positive).sum()) / num_positive if num_positive else None,
        specificity=int((~called & ~is_positive).sum()) / num_negative if num_negative else None,
        asked=asked,
    )


def _asked_by(rule: ThresholdRule, asked: OperatingPointSettings, prevalence: float) -> dict[str, float]:
    """Return what one rule looks at."""
    if rule == "cost":
        share = prevalence if asked.prevalence is None else asked.prevalence
        costs = {"false_negative_cost": asked.false_negative_cost, "false_positive_cost": asked.false_positive_cost}
        return {**costs, "prevalence": share}
    values: dict[ThresholdRule, dict[str, float]] = {
        "sensitivity": {"sensitivity": asked.sensitivity},
        "specificity": {"specificity": asked.specificity},
        "f_beta": {"beta": asked.beta},
    }
    return values.get(rule, {})


def _best_cut(
    scores: Float64[np.ndarray, " images"],
    is_positive: Bool[np.ndarray, " images"],
    rule: ThresholdRule,
    asked: OperatingPointSettings,
) -> float | None:
    """Return the rule's threshold, or ``None`` where it has no answer."""
    if is_positive.all() or not is_positive.any():
        return None
    ranking = rank(scores, is_positive)
    counts = tally(ranking, np.ones((len(scores), 1)))
    # Cut k calls the k highest places positive: from nothing to everything.
    hits = np.append(0.0, counts.true_positives[:, 0])
    alarms = np.append(0.0, counts.false_positives[:, 0])
    merits = _merits(hits, alarms, rule, asked)
    if rule == "youden" and merits.max() <= 0:
        return None
    best = merits.max()
    cut = int(np.flatnonzero(merits >= best - _SAME * abs(best))[-1])
    return _value_at(ranking.thresholds, cut)


def _merits(
    hits: Float64[np.ndarray, " cuts"],
    alarms: Float64[np.ndarray, " cuts"],
    rule: ThresholdRule,
    asked: OperatingPointSettings,
) -> Float64[np.ndarray, " cuts"]:
    """Return how good each cut is by the rule; the last entries are those of all images."""
    num_positive, num_negative = hits[-1], alarms[-1]
    if rule == "youden":
        # J times both group sizes: whole numbers, so that equally good cuts are seen to be equal.
        return np.asarray(hits * num_negative - alarms * num_positive)
    if rule == "sensitivity":
        enough = hits >= asked.sensitivity * num_positive * (1 - _SAME)
        return np.where(enough, num_negative - alarms, -1.0)
    if rule == "specificity":
        enough = num_negative - alarms >= asked.specificity * num_negative * (1 - _SAME)
        # Of cuts that find as many, the most specific: a false alarm more for nothing is no use.
        return np.where(enough, hits - alarms / (2 * num_negative), -1.0)
    if rule == "f_beta":
        square = asked.beta**2
        return np.asarray((1 + square) * hits / (square * num_positive + hits + alarms))
    share = num_positive / (num_positive + num_negative) if asked.prevalence is None else asked.prevalence
    missed = asked.false_negative_cost * share * (num_positive - hits) / num_positive
    return np.asarray(-missed - asked.false_positive_cost * (1 - share) * alarms / num_negative)


def _value_at(thresholds: Float64[np.ndarray, " places"], cut: int) -> float:
    """Return a value that calls the ``cut`` highest of the falling scores positive, and no other."""
    upper = float(thresholds[cut - 1]) if cut else 1.0
    lower = float(thresholds[cut]) if cut < len(thresholds) else 0.0
    if cut == 0 and lower == 1:
        return float(np.nextafter(1.0, 2))
    middle = (upper + lower) / 2
    return middle if middle > lower or upper == lower else upper  # neighbouring floats have nothing between them


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
