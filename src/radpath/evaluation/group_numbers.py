"""The numbers of parts of a sample, each beside all other images of it, under the same resamples of whole cases.

In: a ``Sample`` and which images belong to each part. Out: for each part its metrics with intervals, and their
differences to the rest; only where enough cases stand behind them. Which parts are asked for is ``subgroups``' choice.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from jaxtyping import Bool, Float64

from radpath.evaluation.analytic import metric_interval
from radpath.evaluation.estimates import Evaluation
from radpath.evaluation.group_differences import Difference, difference_of_areas, difference_of_shares, shares_of
from radpath.evaluation.intervals import Interval, percentile_interval, resample_cases
from radpath.evaluation.metrics import METRICS, columns_of, values_under
from radpath.evaluation.sample import Sample
from radpath.evaluation.undefined import number_or_none
from radpath.records import Side
from radpath.seeding import generator_for

_BINARY: Final = ("roc_auc", "sensitivity", "specificity", "accuracy")
_SEVERAL: Final = ("roc_auc", "balanced_accuracy", "accuracy")


@dataclasses.dataclass(frozen=True, kw_only=True)
class GroupEstimate:
    """One number of a group, and how far it is from that of all other images."""

    metric: str
    """Key in ``METRICS``: of the positive class of two, or of all of several."""
    value: float | None
    low: float | None
    high: float | None
    difference: float | None
    """Of the group minus all other images of the side."""
    difference_low: float | None
    difference_high: float | None
    p_value: float | None
    """Of no difference: DeLong's for ROC areas, Fisher's exact one for shares. Of two groups, which make the same
    test, only the first has it."""
    p_adjusted: float | None
    """After Holm's correction over all differences of this metric."""
    note: str | None
    """Why a number or its interval does not exist."""
    difference_note: str | None = None
    """Why the difference has no p-value."""


GroupNumbers = tuple[Sample, tuple[GroupEstimate, ...]]
"""The images of a group, and its numbers."""


def numbers_of_parts(
    sample: Sample,
    members: Sequence[Bool[np.ndarray, " images"]],
    side: Side,
    evaluation: Evaluation,
    min_cases: int,
) -> Iterator[GroupNumbers]:
    """Yield the numbers of parts of a sample, each beside all other images of it."""
    metrics = _SEVERAL if evaluation.positive_class is None else _BINARY
    parts = [(part_of(sample, mask), part_of(sample, ~mask)) for mask in members]
    together = list(itertools.chain.from_iterable(parts))
    portions = resample_cases(
        sample.num_cases,
        num_images=len(sample),
        replicates=evaluation.replicates,
        generator=generator_for(evaluation.seed, "subgroups", side),
        stratum_of=sample.stratum_of_case if evaluation.stratified else None,
    )
    sets = itertools.chain([np.ones((sample.num_cases, 1))], portions)
    # One portion of resamples at a time, for all parts, so that memory stays flat.
    found = [[_values(part, weights, metrics, evaluation) for part in together] for weights in sets]
    values = [np.concatenate(of_part) for of_part in zip(*found, strict=True)]
    for number, (part, rest) in enumerate(parts):
        own, others = values[2 * number], values[2 * number + 1]
        yield (
            part,
            tuple(
                _estimate(metric, own[:, place], others[:, place], (part, rest), evaluation, min_cases)
                for place, metric in enumerate(metrics)
            ),
        )


def _values(
    part: Sample, weights: Float64[np.ndarray, "cases replicates"], metrics: Sequence[str], evaluation: Evaluation
) -> Float64[np.ndarray, "replicates metrics"]:
    """Return the metrics of a part under each set of weights: of the positive class, or of all classes."""
    columns = [(one.metric, one.of_class) for one in columns_of(part, metrics)]
    of_class = {name: None if METRICS[name].scope == "whole" else evaluation.positive_class for name in metrics}
    return values_under(part, weights, metrics)[:, [columns.index((name, of_class[name])) for name in metrics]]


def _estimate(
    metric: str,
    own: Float64[np.ndarray, " values"],
    others: Float64[np.ndarray, " values"],
    parts: tuple[Sample, Sample],
    evaluation: Evaluation,
    min_cases: int,
) -> GroupEstimate:
    """Return one number where enough cases stand behind it, and its difference where that holds of the rest too.

    Args:
        metric: key in ``METRICS``.
        own: the number of the group: first of the images as they are, then of every resample.
        others: the same of all other images.
        parts: the group, and all other images.
        evaluation: says the confidence, and what is positive.
        min_cases: of each class.
    """
    positive, undefined_when = evaluation.positive_class, METRICS[metric].undefined_when
    why_not = _too_few(metric, parts[0], positive, min_cases)
    value = None if why_not else number_or_none(own[0])
    if value is None:
        return GroupEstimate(
            metric=metric, value=None, low=None, high=None, difference=None, difference_low=None, difference_high=None,
            p_value=None, p_adjusted=None, note=why_not or f"undefined: {undefined_when}",
        )  # fmt: skip
    interval = _interval(metric, parts[0], own[1:], evaluation)
    comparable = _too_few(metric, parts[1], positive, min_cases) is None and number_or_none(others[0]) is not None
    found = _difference(metric, parts, evaluation.confidence) if comparable else None
    return GroupEstimate(
        metric=metric,
        value=value,
        low=interval.low,
        high=interval.high,
        difference=None if found is None else float(own[0] - others[0]),
        difference_low=None if found is None else found.low,
        difference_high=None if found is None else found.high,
        p_value=None if found is None else found.p_value,
        p_adjusted=None,
        note=interval.note,
        difference_note=None if found is None else found.note,
    )


def _interval(
    metric: str, part: Sample, resampled: Float64[np.ndarray, " replicates"], evaluation: Evaluation
) -> Interval:
    """Return the interval of a group's number: by formula where the evaluation's are and there is one."""
    of_class = None if METRICS[metric].scope == "whole" else evaluation.positive_class
    column = next(one for one in columns_of(part, [metric]) if one.of_class == of_class)
    confidence = evaluation.confidence
    found = metric_interval(part, column, confidence=confidence) if evaluation.interval == "analytic" else None
    return found or percentile_interval(
        resampled.copy(), confidence=confidence, undefined_when=METRICS[metric].undefined_when
    )


def _difference(metric: str, parts: tuple[Sample, Sample], confidence: float) -> Difference:
    if metric == "roc_auc":
        return difference_of_areas(*parts, confidence=confidence)
    return difference_of_shares(*(shares_of(part, metric) for part in parts), confidence=confidence)


def _too_few(metric: str, part: Sample, positive_class: str | None, min_cases: int) -> str | None:
    """Return why a part says too little about a metric, or None."""
    cases = part.cases_per_class()
    behind = {
        "accuracy": {"": num_cases_of(part)},
        "sensitivity": {name: number for name, number in cases.items() if name == positive_class},
        "specificity": {name: number for name, number in cases.items() if name != positive_class},
    }.get(metric, cases)
    name, fewest = min(behind.items(), key=lambda item: item[1])
    of_class = f" of '{name}'" if name else ""
    return None if fewest >= min_cases else f"too few: {fewest} case{'' if fewest == 1 else 's'}{of_class}"


def part_of(sample: Sample, is_member: Bool[np.ndarray, " images"]) -> Sample:
    """Return some images of a sample; cases keep their numbers, so that weights of the whole sample fit."""
    return dataclasses.replace(
        sample,
        truth=sample.truth[is_member],
        decisions=sample.decisions[is_member],
        probabilities=sample.probabilities[is_member],
        case_of=sample.case_of[is_member],
    )


def num_cases_of(part: Sample) -> int:
    """Return the number of cases with an image in a part."""
    return len(np.unique(part.case_of))
