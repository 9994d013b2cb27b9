"""Metrics of a sample under case weights: which ones, and what number stands where.

In: a ``Sample``, case weights and names of metrics. Out: one column a class, macro average or whole, one row a set of
weights. What each metric is, is in ``catalogue``.
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64
from pydantic import Field, field_validator

from radpath.evaluation import catalogue, ranking
from radpath.evaluation.catalogue import Metric
from radpath.evaluation.sample import Sample
from radpath.settings import Settings

METRICS: Final = catalogue.METRICS

MAIN_METRICS: Final = (
    "roc_auc",
    "average_precision",
    "accuracy",
    "balanced_accuracy",
    "sensitivity",
    "specificity",
    "precision",
    "f1",
    "brier",
    "log_loss",
)
"""Always there; the few numbers that a reviewer looks for."""

ORDERED_METRICS: Final = ("quadratic_kappa", "mean_absolute_error")
"""There too where more than two classes are ordered."""


class MetricSettings(Settings):
    """Which metrics there are beside the main ones, and what some of them are set to."""

    also: tuple[str, ...] = ()
    """Further metrics by their keys (listed under Metrics in the reference), or ["all"]. Main ones are always there."""
    at_specificity: float = Field(default=0.9, gt=0, lt=1)
    """For sensitivity_at_specificity: the specificity that is at least held."""
    at_sensitivity: float = Field(default=0.95, gt=0, lt=1)
    """For specificity_at_sensitivity: the sensitivity that is at least held."""
    largest_false_positive_rate: float = Field(default=0.2, gt=0, lt=1)
    """For partial_roc_auc: up to where the ROC curve counts."""
    beta: float = Field(default=2.0, gt=0)
    """For f_beta: how many times sensitivity counts as much as precision."""
    threshold_probability: float = Field(default=0.1, gt=0, lt=1)
    """For net_benefit: from which probability on one would act."""
    calibration_bins: int = Field(default=10, ge=2, le=1000)
    """For calibration_error and chance_calibration_error: how many bins, of equal numbers of images."""

    @field_validator("also")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in METRICS and names != ("all",):
                close = difflib.get_close_matches(name, METRICS, n=1)
                hint = f"did you mean '{close[0]}'?" if close else f'known: {", ".join(METRICS)}, or "all" alone'
                raise ValueError(f"there is no metric '{name}'; {hint}")
        return names


_AS_USUAL: Final = MetricSettings()


def chosen_metrics(settings: MetricSettings, *, num_classes: int, ordered: bool) -> tuple[str, ...]:
    """Return the names of the metrics to compute, in the order of the catalogue.

    What does not exist for so many classes, or for classes without an order, is left out.

    >>> chosen_metrics(MetricSettings(also=("pairwise_roc_auc", "mcc")), num_classes=2, ordered=False)[-2:]
    ('log_loss', 'mcc')
    """
    wanted = set(METRICS if settings.also == ("all",) else (*MAIN_METRICS, *settings.also))
    if ordered and num_classes > 2:
        wanted |= set(ORDERED_METRICS)
    return tuple(name for name in METRICS if name in wanted and _exists(METRICS[name], num_classes, ordered=ordered))


def _exists(metric: Metric, num_classes: int, *, ordered: bool) -> bool:
    if metric.needs == "ordered classes":
        return ordered
    return metric.needs == "any classes" or num_classes > 2


@dataclass(frozen=True, kw_only=True)
class Column:
    """One number among all those of a side."""

    metric: str
    of_class: str | None
    """``None`` for a number of the whole side, and for a macro average."""


def columns_of(sample: Sample, names: Iterable[str]) -> tuple[Column, ...]:
    """Return the numbers that these metrics give for a sample, in the order in which ``values_under`` gives them."""
    columns = []
    for name in names:
        if METRICS[name].needs == "several classes" and len(sample.classes) == 2:
            continue
        ranked = METRICS[name].source == "ranking"
        places = sample.ranked_classes if ranked else range(len(sample.classes))
        if _has_overall(sample, METRICS[name]):
            columns.append(Column(metric=name, of_class=None))
        if METRICS[name].scope != "whole":
            columns += [Column(metric=name, of_class=sample.classes[place]) for place in places]
    return tuple(columns)


def values_under(
    sample: Sample,
    weights: Float64[np.ndarray, "cases replicates"],
    names: Iterable[str],
    settings: MetricSettings = _AS_USUAL,
) -> Float64[np.ndarray, "replicates columns"]:
    """Return each metric under each set of case weights, one column for each of ``columns_of``; NaN where undefined."""
    names = tuple(dict.fromkeys(column.metric for column in columns_of(sample, names)))
    by_counts = _by_counts(sample, weights, names, settings)
    matrices = sample.confusion_under(weights)
    blocks: list[np.ndarray] = []
    for name in names:
        metric = METRICS[name]
        if metric.source in {"ranking", "confidence"}:
            block = by_counts[name]
        elif metric.source == "confusion":
            block = _compute(metric, settings, matrices)
        elif metric.source == "losses":
            block = sample.mean_under(_compute(metric, settings, sample), weights)[:, None]
        else:
            block = _compute(metric, settings, sample, weights)
        if metric.scope != "whole" and _has_overall(sample, metric):
            block = np.column_stack([block.mean(axis=1), block])
        blocks.append(block)
    return np.column_stack(blocks)


def setting_of(name: str, settings: MetricSettings) -> float | None:
    """Return the value that a metric is set to, or ``None`` where it has no setting.

    >>> setting_of("f_beta", MetricSettings(beta=0.5)), setting_of("f1", MetricSettings())
    (0.5, None)
    """
    at = METRICS[name].at
    return None if at is None else float(getattr(settings, at))


def _compute(metric: Metric, settings: MetricSettings, *data: object) -> np.ndarray:
    return metric.compute(*data) if metric.at is None else metric.compute(*data, getattr(settings, metric.at))


def _by_counts(
    sample: Sample, weights: np.ndarray, names: tuple[str, ...], settings: MetricSettings
) -> dict[str, np.ndarray]:
    """Return (replicates, rankings) for each metric of ranked counts; those of one ranking at a time bound memory."""
    columns: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for source in ("ranking", "confidence"):
        chosen = [name for name in names if METRICS[name].source == source]
        rankings = sample.rankings if source == "ranking" else (sample.confidence_ranking,) if chosen else ()
        for one in rankings if chosen else ():
            counts = ranking.tally(one, weights)
            for name in chosen:
                columns[name].append(_compute(METRICS[name], settings, counts))
    return {name: np.column_stack(column) for name, column in columns.items() if column}


def _has_overall(sample: Sample, metric: Metric) -> bool:
    """Say whether a number without a class comes first: the whole, or the mean of several classes."""
    if metric.scope == "whole":
        return True
    num_columns = len(sample.ranked_classes) if metric.source == "ranking" else len(sample.classes)
    return metric.scope == "class and macro" and num_columns > 1
