from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from sklearn import metrics

from radpath.evaluation.predictions import Predictions
from radpath.evaluation.sample import Sample, take_sample
from radpath.evaluation.several_classes import pairwise_roc_auc_of, weighted_roc_auc_of

MakePredictions = Callable[..., Predictions]


@pytest.fixture(name="sample")
def make_sample(make_predictions: MakePredictions) -> Sample:
    predictions = make_predictions(3, classes=("a", "b", "c", "d"), shares=(0.4, 0.3, 0.2, 0.1), cases_per_side=40)
    return take_sample(predictions, "test", positive_class=None, threshold=None)


def test_pairs_are_those_of_hand_and_till(sample: Sample) -> None:
    areas = []
    for first, second in combinations(range(4), 2):
        chosen = (sample.truth == first) | (sample.truth == second)
        is_first, given = sample.truth[chosen] == first, sample.probabilities[chosen]
        areas.append(
            (metrics.roc_auc_score(is_first, given[:, first]) + metrics.roc_auc_score(~is_first, given[:, second])) / 2
        )
    found = pairwise_roc_auc_of(sample, np.ones((sample.num_cases, 1))).item()
    assert found == pytest.approx(np.mean(areas), abs=1e-12)


def test_common_classes_weigh_more_in_the_weighted_area_alone(sample: Sample) -> None:
    """Drawing a class twice moves its share, and only pairs of classes do not see that."""
    times = np.where(sample.truth == 0, 5.0, 1.0)
    alone = Sample(
        classes=sample.classes,
        positive=None,
        truth=sample.truth,
        decisions=sample.decisions,
        probabilities=sample.probabilities,
        case_of=np.arange(len(sample)),
        num_cases=len(sample),
    )
    weights = np.column_stack([np.ones(len(sample)), times])
    pairs, against_rest = pairwise_roc_auc_of(alone, weights)[:, 0], weighted_roc_auc_of(alone, weights)[:, 0]
    assert pairs[1] == pytest.approx(pairs[0], abs=1e-12)
    assert abs(against_rest[1] - against_rest[0]) > 1e-3


def test_an_absent_class_leaves_both_undefined(sample: Sample) -> None:
    without = np.array([not (sample.truth[sample.case_of == case] == 3).any() for case in range(sample.num_cases)])
    weights = np.column_stack([without.astype(np.float64), np.ones(sample.num_cases)])
    assert np.isnan(pairwise_roc_auc_of(sample, weights)[:, 0]).tolist() == [True, False]
    assert np.isnan(weighted_roc_auc_of(sample, weights)[:, 0]).tolist() == [True, False]
