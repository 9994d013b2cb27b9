"""Parts of a sample keep its cases, and see the resamples that the whole sees."""

from collections.abc import Callable

import numpy as np
import pytest

from radpath.evaluation.evaluate import EvaluationSettings, evaluate
from radpath.evaluation.group_numbers import num_cases_of, numbers_of_parts, part_of
from radpath.evaluation.metrics import values_under
from radpath.evaluation.predictions import Predictions
from radpath.evaluation.sample import take_sample

MakePredictions = Callable[..., Predictions]


def test_a_part_under_case_weights_is_the_whole_without_the_others(make_predictions: MakePredictions) -> None:
    sample = take_sample(make_predictions(0), "test", positive_class="malignant", threshold=None)
    keep = sample.case_of % 3 == 0
    part = part_of(sample, keep)
    weights = np.random.default_rng(0).integers(0, 3, size=(sample.num_cases, 5)).astype(float)
    only = weights * np.isin(np.arange(sample.num_cases), sample.case_of[keep])[:, None]
    names = ("roc_auc", "accuracy", "brier")
    assert values_under(part, weights, names) == pytest.approx(values_under(sample, only, names), nan_ok=True)
    assert num_cases_of(part) == len(range(0, sample.num_cases, 3))


def test_of_two_parts_each_is_as_far_from_the_other_in_the_other_direction(make_predictions: MakePredictions) -> None:
    predictions = make_predictions(1, cases_per_side=60)
    evaluation = evaluate(predictions, EvaluationSettings(replicates=200, positive_class="malignant"))
    sample = take_sample(predictions, "test", positive_class="malignant", threshold=evaluation.threshold)
    first = sample.case_of % 2 == 0
    one, other = (found for _, found in numbers_of_parts(sample, [first, ~first], "test", evaluation, 5))
    for here, there in zip(one, other, strict=True):
        assert here.difference is not None
        assert here.difference_low is not None
        assert there.difference is not None
        assert there.difference_high is not None
        assert here.difference == -there.difference
        assert here.difference_low == pytest.approx(-there.difference_high, abs=1e-12)
        assert here.p_value == pytest.approx(there.p_value)


def test_stratified_resamples_are_those_of_the_evaluation(make_predictions: MakePredictions) -> None:
    predictions = make_predictions(1, cases_per_side=60)
    sample, found = None, []
    for stratified in (False, True):
        settings = EvaluationSettings(
            replicates=200, positive_class="malignant", stratified=stratified, interval="percentile"
        )
        evaluation = evaluate(predictions, settings)
        sample = take_sample(predictions, "test", positive_class="malignant", threshold=evaluation.threshold)
        ((_, estimates),) = numbers_of_parts(sample, [np.ones(len(sample), dtype=bool)], "test", evaluation, 5)
        found.append([(one.value, one.low, one.high) for one in estimates])
    assert [one[0] for one in found[0]] == [one[0] for one in found[1]]
    assert found[0] != found[1]
