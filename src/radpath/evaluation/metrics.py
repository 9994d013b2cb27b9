"""The catalogue of metrics: their names in words, their formulas, and how each is computed under case weights.

In: a ``Sample`` and case weights. Out: one column a class, macro average or whole, one row a set of weights. To add a
metric: a function in ``ranking``, ``confusion`` or ``probability``, and a line here.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from jaxtyping import Float64

from radpath.evaluation import confusion, probability, ranking
from radpath.evaluation.sample import Sample


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric; the key in ``METRICS`` is its stable short name."""

    title: str
    formula: str
    """In words and symbols, for the report."""
    undefined_when: str
    """When the number does not exist."""
    best: Literal["highest", "lowest"]
    source: Literal["ranking", "confusion", "losses"]
    """What ``compute`` takes: the ranked counts of one class, confusion matrices, or the sample (a loss an image)."""
    scope: Literal["whole", "class", "class and macro"]
    """One number, or one a class, or also their plain mean. A ranking of two classes is of the positive one alone."""
    compute: Callable[[Any], np.ndarray]


METRICS: Final[dict[str, Metric]] = {
    "roc_auc": Metric(
        title="ROC AUC",
        formula="share of pairs, one image of the class and one of the rest, in the right order; ties count 1/2",
        undefined_when="the class or the rest has no images",
        best="highest",
        source="ranking",
        scope="class and macro",
        compute=ranking.roc_auc_of,
    ),
    "average_precision": Metric(
        title="Average precision",
        formula="sum over thresholds of (gain in recall) x precision, without interpolation",
        undefined_when="the class has no images",
        best="highest",
        source="ranking",
        scope="class and macro",
        compute=ranking.average_precision_of,
    ),
    "accuracy": Metric(
        title="Accuracy",
        formula="right decisions / images",
        undefined_when="there are no images",
        best="highest",
        source="confusion",
        scope="whole",
        compute=confusion.accuracy_of,
    ),
    "balanced_accuracy": Metric(
        title="Balanced accuracy",
        formula="mean of the classes' sensitivities",
        undefined_when="a class has no images",
        best="highest",
        source="confusion",
        scope="whole",
        compute=confusion.balanced_accuracy_of,
    ),
    "sensitivity": Metric(
        title="Sensitivity (recall)",
        formula="TP / (TP + FN); the macro average is the balanced accuracy",
        undefined_when="the class has no images",
        best="highest",
        source="confusion",
        scope="class",
        compute=confusion.sensitivity_of,
    ),
    "specificity": Metric(
        title="Specificity",
        formula="TN / (TN + FP)",
        undefined_when="the other classes have no images",
        best="highest",
        source="confusion",
        scope="class and macro",
        compute=confusion.specificity_of,
    ),
    "precision": Metric(
        title="Precision (positive predictive value)",
        formula="TP / (TP + FP)",
        undefined_when="no image was decided for the class",
        best="highest",
        source="confusion",
        scope="class and macro",
        compute=confusion.precision_of,
    ),
    "f1": Metric(
        title="F1",
        formula="2 TP / (2 TP + FP + FN)",
        undefined_when="the class has no images and none was decided for it",
        best="highest",
        source="confusion",
        scope="class and macro",
        compute=confusion.f1_of,
    ),
    "brier": Metric(
        title="Brier score",
        formula="mean of (p - y)^2 of the positive class, 0 to 1; with more than two classes summed over them, 0 to 2",
        undefined_when="there are no images",
        best="lowest",
        source="losses",
        scope="whole",
        compute=lambda sample: probability.brier_losses(sample.probabilities, sample.truth, positive=sample.positive),
    ),
    "log_loss": Metric(
        title="Log loss",
        formula="mean of -ln p of the true class, where p is at least 2.2e-16",
        undefined_when="there are no images",
        best="lowest",
        source="losses",
        scope="whole",
        compute=lambda sample: probability.log_losses(sample.probabilities, sample.truth),
    ),
}


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
        ranked = METRICS[name].source == "ranking"
        places = sample.ranked_classes if ranked else range(len(sample.classes))
        if _has_overall(sample, METRICS[name]):
            columns.append(Column(metric=name, of_class=None))
        if METRICS[name].scope != "whole":
            columns += [Column(metric=name, of_class=sample.classes[place]) for place in places]
    return tuple(columns)


def values_under(
    sample: Sample, weights: Float64[np.ndarray, "cases replicates"], names: Iterable[str]
) -> Float64[np.ndarray, "replicates columns"]:
    """Return each metric under each set of case weights; NaN where it is undefined."""
    names = tuple(names)
    by_ranking = _by_ranking(sample, weights, [name for name in names if METRICS[name].source == "ranking"])
    matrices = sample.confusion_under(weights)
    blocks: list[np.ndarray] = []
    for name in names:
        metric = METRICS[name]
        if metric.source == "ranking":
            block = by_ranking[name]
        elif metric.source == "confusion":
            block = metric.compute(matrices)
        else:
            block = sample.mean_under(metric.compute(sample), weights)[:, None]
        if metric.scope != "whole" and _has_overall(sample, metric):
            block = np.column_stack([block.mean(axis=1), block])
        blocks.append(block)
    return np.column_stack(blocks)


def _by_ranking(sample: Sample, weights: np.ndarray, names: list[str]) -> dict[str, np.ndarray]:
    """Return (replicates, ranked classes) for each ranking metric; counts of one class at a time bound the memory."""
    columns: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for one_class in sample.rankings if names else ():
        counts = ranking.tally(one_class, weights)
        for name in names:
            columns[name].append(METRICS[name].compute(counts))
    return {name: np.column_stack(column) for name, column in columns.items()}


def _has_overall(sample: Sample, metric: Metric) -> bool:
    """Say whether a number without a class comes first: the whole, or the mean of several classes."""
    if metric.scope == "whole":
        return True
    num_columns = len(sample.ranked_classes) if metric.source == "ranking" else len(sample.classes)
    return metric.scope == "class and macro" and num_columns > 1
