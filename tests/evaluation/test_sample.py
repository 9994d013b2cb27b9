import dataclasses

import numpy as np
import pytest

from radpath.errors import DataError
from radpath.evaluation.confusion import confusion_matrix
from radpath.evaluation.predictions import Predictions
from radpath.evaluation.sample import Sample, take_sample
from radpath.evaluation.thresholds import choose_threshold


@pytest.fixture(name="sample")
def make_sample() -> Sample:
    predictions = Predictions(
        record_ids=("e", "d", "c", "b", "a"),
        cases=("P9", "P2", "P2", "P1", "P1"),
        sides=("train", "test", "test", "test", "test"),
        truth=("x", "y", None, "z", "x"),
        probabilities=np.array([[0.8, 0.1, 0.1], [0.1, 0.2, 0.7], [0.4, 0.3, 0.3], [0, 0, 1], [0.9, 0, 0.1]]),
        classes=("x", "y", "z"),
    )
    return take_sample(predictions, "test", positive_class=None, threshold=None)


def test_a_sample_is_one_side_in_order_of_record_id_without_unlabelled_images(sample: Sample) -> None:
    assert len(sample) == 3
    assert sample.truth.tolist() == [0, 2, 1]
    assert sample.decisions.tolist() == [0, 2, 2]
    assert sample.case_of.tolist() == [0, 0, 1]
    assert sample.num_cases == 2
    assert sample.images_per_class() == {"x": 1, "y": 1, "z": 1}
    assert sample.cases_per_class() == {"x": 1, "y": 1, "z": 1}
    assert sample.ranked_classes == (0, 1, 2)


def test_sums_under_weights_are_those_of_images_repeated(sample: Sample) -> None:
    weights = np.array([[1.0, 2.0, 0.0], [1.0, 0.0, 2.0]])
    losses = np.array([1.0, 3.0, 8.0])
    for column, matrix in enumerate(sample.confusion_under(weights)):
        times = weights[sample.case_of, column].astype(int)
        repeated = [np.repeat(values, times) for values in (sample.truth, sample.decisions)]
        np.testing.assert_array_equal(matrix, confusion_matrix(*repeated, num_classes=3))
    np.testing.assert_array_equal(sample.mean_under(losses, weights), [4.0, 2.0, 8.0])


def test_a_side_without_images_gives_an_empty_sample(sample: Sample) -> None:
    nothing = Predictions(
        record_ids=("a",),
        cases=("P",),
        sides=("train",),
        truth=("x",),
        probabilities=np.array([[0.5, 0.5]]),
        classes=("x", "y"),
    )
    assert len(take_sample(nothing, "test", positive_class="x", threshold=None)) == 0
    assert dataclasses.replace(sample, positive=1).ranked_classes == (1,)


def test_a_threshold_for_other_classes_is_refused() -> None:
    predictions = Predictions(
        record_ids=("a",),
        cases=("P",),
        sides=("test",),
        truth=("x",),
        probabilities=np.array([[0.5, 0.5]]),
        classes=("x", "y"),
    )
    chosen = choose_threshold(np.array([0.1, 0.8]), np.array([False, True]), positive_class="z")
    with pytest.raises(DataError, match="a threshold for 'z' cannot decide between x, y"):
        take_sample(predictions, "test", positive_class="z", threshold=chosen)


def test_a_case_of_several_classes_counts_for_the_one_that_fewest_cases_have() -> None:
    sample = Sample(
        classes=("x", "y", "z"),
        positive=None,
        truth=np.array([0, 1, 0, 0, 2, 1]),
        decisions=np.zeros(6, dtype=np.int64),
        probabilities=np.full((6, 3), 1 / 3),
        case_of=np.array([0, 0, 1, 2, 2, 3]),
        num_cases=4,
    )
    assert sample.stratum_of_case.tolist() == [1, 0, 2, 1]
