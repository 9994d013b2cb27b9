"""Every pair of several models: differences in resamples, ROC areas and decisions, each family corrected for its size.

In: the numbers of each model on the same images and in the same resamples, and the samples. Out: ``Difference``,
``AreaDifference`` and ``DecisionDifference``, in the order of the pairs. The tests of one pair are in
``comparison_tests``, the correction in ``multiplicity``.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from radpath.evaluation.comparison_results import AreaDifference, DecisionDifference, Difference
from radpath.evaluation.comparison_tests import delong_test, inverted_interval, mcnemar_test, sign_flip_p, two_sided_p
from radpath.evaluation.intervals import LARGEST_UNDEFINED_SHARE
from radpath.evaluation.metrics import METRICS, Column
from radpath.evaluation.multiplicity import holm, holm_levels
from radpath.evaluation.sample import Sample
from radpath.evaluation.undefined import number_or_none


def differences_of(
    names: Sequence[str],
    columns: Sequence[Column],
    *,
    values: Float64[np.ndarray, "models metrics"],
    resampled: Float64[np.ndarray, "replicates models metrics"],
    samples: Sequence[Sample],
    confidence: float,
) -> tuple[Difference, ...]:
    """Return every pair's difference in every metric, corrected over all of them."""
    right = [[_right_by_case(sample, column) for column in columns] for sample in samples]
    pairs = itertools.product(range(len(columns)), itertools.combinations(range(len(names)), 2))
    tested = [
        _Tested.of(
            columns[place],
            (names[first], names[second]),
            value=number_or_none(values[first, place] - values[second, place]),
            spread=resampled[:, first, place] - resampled[:, second, place],
            exact_p_value=_exact_p(right[first][place], right[second][place]),
        )
        for place, (first, second) in pairs
    ]
    p_values = [one.p_value for one in tested]
    adjusted, levels = holm(p_values), holm_levels(p_values, level=1 - confidence)
    return tuple(
        one.told(confidence=confidence, adjusted_p_value=p_value, level=level)
        for one, p_value, level in zip(tested, adjusted, levels, strict=True)
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Tested:
    """One pair in one metric, before the correction."""

    column: Column
    names: tuple[str, str]
    value: float | None
    spread: Float64[np.ndarray, " defined"]
    """The differences in the resamples in which both have the metric."""
    p_value: float | None
    note: str | None

    @classmethod
    def of(
        cls,
        column: Column,
        names: tuple[str, str],
        *,
        value: float | None,
        spread: Float64[np.ndarray, " replicates"],
        exact_p_value: float | None,
    ) -> "_Tested":
        """Test where the difference exists, and in enough resamples.

        Where few cases tell two decisions apart, resamples are too sure of themselves: when four images do, and all for
        the same model, they never point the other way. The larger of both p-values counts then.
        """
        defined = spread[~np.isnan(spread)]
        num_undefined = len(spread) - len(defined)
        undefined_when = METRICS[column.metric].undefined_when
        of_all = f"{num_undefined:,} of {len(spread):,} resamples"
        p_value, note = None, f"undefined: {undefined_when}"
        if value is not None and num_undefined > LARGEST_UNDEFINED_SHARE * len(spread):
            note = f"no test: undefined in {of_all}, where {undefined_when}"
        elif value is not None:
            p_value = max(two_sided_p(defined), exact_p_value or 0.0)
            note = f"{of_all} left out, where {undefined_when}" if num_undefined else ""
        return cls(column=column, names=names, value=value, spread=defined, p_value=p_value, note=note or None)

    def told(self, *, confidence: float, adjusted_p_value: float | None, level: float | None) -> Difference:
        """Return the test with its intervals: by itself, and at the level that the correction leaves to it."""
        low, high = self._interval(1 - confidence)
        adjusted_low, adjusted_high = self._interval(level)
        return Difference(
            metric=self.column.metric,
            of_class=self.column.of_class,
            first=self.names[0],
            second=self.names[1],
            value=self.value,
            low=low,
            high=high,
            p_value=self.p_value,
            adjusted_p_value=adjusted_p_value,
            level=level,
            adjusted_low=adjusted_low,
            adjusted_high=adjusted_high,
            note=self.note,
        )

    def _interval(self, level: float | None) -> tuple[float | None, float | None]:
        if self.p_value is None or level is None:
            return None, None
        found = inverted_interval(self.spread, level=level)
        if found is None or self.p_value <= level:
            return found or (None, None)
        # Where the exact test does not tell them apart although resamples would, the interval reaches to 0.
        return min(found[0], 0.0), max(found[1], 0.0)


def _right_by_case(sample: Sample, column: Column) -> Float64[np.ndarray, " cases"] | None:
    """Return what each case adds to a metric that is a mean of right decisions, or ``None`` for another metric."""
    of_class = None if column.of_class is None else sample.classes.index(column.of_class)
    right = sample.truth == sample.decisions
    if column.metric == "accuracy":
        weights = np.ones(len(sample))
    elif column.metric == "balanced_accuracy":
        weights = 1 / np.bincount(sample.truth, minlength=len(sample.classes))[sample.truth]
    elif column.metric == "sensitivity" and of_class is not None:
        weights = (sample.truth == of_class).astype(np.float64)
    elif column.metric == "specificity" and of_class is not None:
        weights, right = (sample.truth != of_class).astype(np.float64), sample.decisions != of_class
    else:
        return None
    return np.bincount(sample.case_of, weights=weights * right, minlength=sample.num_cases)


def _exact_p(first: Float64[np.ndarray, " cases"] | None, second: Float64[np.ndarray, " cases"] | None) -> float | None:
    if first is None or second is None:
        return None
    differences = first - second
    # What is equal but for rounding tells nothing apart.
    return sign_flip_p(np.where(np.abs(differences) > 1e-12, differences, 0.0))


def area_differences_of(
    names: Sequence[str], samples: Sequence[Sample], *, confidence: float
) -> tuple[AreaDifference, ...]:
    """Return DeLong's test of every pair, corrected over all pairs; none where no class is the positive one."""
    positive = samples[0].positive
    if positive is None:
        return ()
    is_positive, case_of = samples[0].truth == positive, samples[0].case_of
    made = []
    for first, second in itertools.combinations(range(len(names)), 2):
        scores = np.stack([samples[place].probabilities[:, positive] for place in (first, second)])
        test = delong_test(scores, is_positive, case_of, confidence=confidence)
        if test is not None:
            made.append(AreaDifference(first=names[first], second=names[second], test=test, adjusted_p_value=None))
    adjusted = holm([one.test.p_value for one in made])
    return tuple(replace(one, adjusted_p_value=p_value) for one, p_value in zip(made, adjusted, strict=True))


def decision_differences_of(names: Sequence[str], samples: Sequence[Sample]) -> tuple[DecisionDifference, ...]:
    """Return McNemar's test of every pair, corrected over all pairs."""
    right, case_of = [one.decisions == one.truth for one in samples], samples[0].case_of
    made = [
        DecisionDifference(
            first=names[first],
            second=names[second],
            test=mcnemar_test(right[first], right[second], case_of),
            adjusted_p_value=None,
        )
        for first, second in itertools.combinations(range(len(names)), 2)
    ]
    adjusted = holm([one.test.fair_p_value for one in made])
    return tuple(replace(one, adjusted_p_value=p_value) for one, p_value in zip(made, adjusted, strict=True))
