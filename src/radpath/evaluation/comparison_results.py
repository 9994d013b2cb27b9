"""The nouns of a comparison of several models, and which of these cannot be told from the best.

In: numbers from ``compare``. Out: a ``Comparison`` of plain values that JSON can hold, and the marks of any table of
several models. A number that does not exist is ``None`` with a note.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

from radpath.errors import SettingsError
from radpath.evaluation.comparison_tests import AreaTest, DecisionTest
from radpath.evaluation.estimates import Estimate, Unit
from radpath.evaluation.metrics import METRICS
from radpath.records import Side


@dataclass(frozen=True, kw_only=True)
class ComparedModel:
    """One model's own numbers."""

    name: str
    threshold: float | None
    estimates: tuple[Estimate, ...]
    """One a metric, in the order of the metrics; intervals are of this model by itself."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One metric of two models on the same images."""

    metric: str
    of_class: str | None
    first: str
    second: str
    value: float | None
    """First minus second."""
    low: float | None
    high: float | None
    """At the confidence of the comparison, as if this were the only test."""
    p_value: float | None
    """Of the resamples; of right decisions, no smaller than that of exact sign flips of few cases."""
    adjusted_p_value: float | None
    """Holm's, over all pairs and metrics."""
    level: float | None
    """At which Holm's procedure judges this test."""
    adjusted_low: float | None
    adjusted_high: float | None
    """The interval at that level, which leaves out 0 exactly where the two are told apart."""
    note: str | None

    @property
    def is_clear(self) -> bool:
        """Whether the two models are told apart, with the correction for all tests."""
        return self.p_value is not None and self.level is not None and self.p_value <= self.level


@dataclass(frozen=True, kw_only=True)
class AreaDifference:
    """DeLong's test of two models, with the correction for all pairs."""

    first: str
    second: str
    test: AreaTest
    adjusted_p_value: float | None


@dataclass(frozen=True, kw_only=True)
class DecisionDifference:
    """McNemar's test of two models, with the correction for all pairs."""

    first: str
    second: str
    test: DecisionTest
    adjusted_p_value: float | None
    """Of the clustered p-value where there is one."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Everything that is told of several models on the same images."""

    side: Side
    unit: Unit
    classes: tuple[str, ...]
    positive_class: str | None
    names: tuple[str, ...]
    metrics: tuple[str, ...]
    num_images: int
    num_cases: int
    images_per_class: dict[str, int]
    confidence: float
    replicates: int
    seed: int
    models: tuple[ComparedModel, ...]
    differences: tuple[Difference, ...]
    """Of every metric and every pair."""
    area_differences: tuple[AreaDifference, ...]
    """Where there are two classes."""
    decision_differences: tuple[DecisionDifference, ...]

    def difference(self, metric: str, first: str, second: str) -> Difference:
        """Return the difference of two models, first minus second."""
        for one in self.differences:
            if one.metric == metric and {one.first, one.second} == {first, second}:
                return one if one.first == first else _turned(one)
        raise KeyError((metric, first, second))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; there is no NaN among them."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Mark:
    """Where one model stands beside the best."""

    name: str
    is_best: bool
    is_tied: bool
    """Not the best, and not distinguishable from it: the corrected interval of the difference contains 0, or there is
    no test."""
    to_best: Difference | None
    """The best minus this model; ``None`` for the best itself, and where a value is undefined."""


def marks(comparison: Comparison, metric: str | None = None) -> tuple[Mark, ...]:
    """Say which model is best and which cannot be told from it, for any table of several models.

    The best has the best value on the very images that judge all: it was not named before. The correction is over all
    pairs, not only over those with the best, so whichever turned out best, the chance that any model is told from it by
    accident stays about at the level. Where two have the same best value, the first named is the best.

    Args:
        comparison: of the models.
        metric: one of its metrics; ``None`` for the first.

    Raises:
        SettingsError: neither high nor low values of the metric are better.
    """
    metric = metric or comparison.metrics[0]
    require_a_best(metric)
    place = comparison.metrics.index(metric)
    values = {one.name: one.estimates[place].value for one in comparison.models}
    known = {name: value for name, value in values.items() if value is not None}
    sign = 1 if METRICS[metric].best == "highest" else -1
    best = max(known, key=lambda name: sign * known[name]) if known else None
    found = []
    for name in comparison.names:
        if best is None or name == best or name not in known:
            found.append(Mark(name=name, is_best=name == best, is_tied=False, to_best=None))
            continue
        to_best = comparison.difference(metric, best, name)
        found.append(Mark(name=name, is_best=False, is_tied=not to_best.is_clear, to_best=to_best))
    return tuple(found)


def require_a_best(metric: str) -> None:
    """Refuse a metric by which no model is the best.

    Raises:
        SettingsError: neither high nor low values of it are better.
    """
    if METRICS[metric].best == "neither":
        raise SettingsError(
            f"neither high nor low values of {metric} are better, so it names no best model; name another metric first"
        )


def _turned(one: Difference) -> Difference:
    """Return the difference the other way round."""
    return replace(
        one,
        first=one.second,
        second=one.first,
        value=_minus(one.value),
        low=_minus(one.high),
        high=_minus(one.low),
        adjusted_low=_minus(one.adjusted_high),
        adjusted_high=_minus(one.adjusted_low),
    )


def _minus(value: float | None) -> float | None:
    return None if value is None else -value
