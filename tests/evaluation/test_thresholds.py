import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radpath.errors import DataError
from radpath.evaluation.thresholds import Threshold, choose_threshold, decide

IMAGES = st.lists(st.tuples(st.integers(0, 10), st.booleans()), min_size=2, max_size=30).filter(
    lambda rows: len({positive for _, positive in rows}) == 2
)


def youden(scores: np.ndarray, truth: np.ndarray, value: float) -> float:
    return float((scores[truth] >= value).mean() + (scores[~truth] < value).mean() - 1)


@given(IMAGES)
@settings(max_examples=50, deadline=None)
def test_no_other_threshold_is_better_and_none_as_good_is_more_sensitive(rows: list[tuple[int, bool]]) -> None:
    scores, truth = np.array([score / 10 for score, _ in rows]), np.array([positive for _, positive in rows])
    chosen = choose_threshold(scores, truth, positive_class="malignant")
    tried = {value: youden(scores, truth, value) for value in np.append(np.unique(scores), 2.0)}
    best = max(tried.values())
    if best <= 1e-12:
        assert (chosen.rule, chosen.value, chosen.fitted_on) == ("half", 0.5, None)
        return
    assert youden(scores, truth, chosen.value) == pytest.approx(best, abs=1e-12)
    lowest_as_good = min(value for value, gain in tried.items() if gain > best - 1e-12)
    assert chosen.sensitivity == (scores[truth] >= lowest_as_good).mean()
    assert chosen.specificity == (scores[~truth] < lowest_as_good).mean()
    assert (chosen.rule, chosen.fitted_on) == ("youden", "validation")


def test_the_threshold_lies_half_way_between_the_two_scores_it_parts() -> None:
    chosen = choose_threshold(np.array([0.1, 0.3, 0.9]), np.array([False, False, True]), positive_class="a")
    assert chosen.value == pytest.approx(0.6)
    assert (chosen.num_images, chosen.num_positive) == (3, 1)


def test_between_neighbouring_numbers_the_upper_one_is_the_threshold() -> None:
    lower, upper = 0.5, float(np.nextafter(0.5, 1))
    chosen = choose_threshold(np.array([lower, upper]), np.array([False, True]), positive_class="a")
    assert chosen.value == upper
    assert chosen.apply(np.array([lower, upper])).tolist() == [False, True]


def test_the_rule_half_looks_at_no_truth() -> None:
    chosen = choose_threshold(np.array([0.6, 0.2]), np.array([True, False]), positive_class="a", rule="half")
    assert (chosen.value, chosen.fitted_on, chosen.sensitivity, chosen.specificity) == (0.5, None, 1.0, 1.0)


@pytest.mark.parametrize("truth", [[], [True], [False, False]])
def test_without_both_classes_half_is_used_and_said(truth: list[bool]) -> None:
    scores = np.linspace(0.2, 0.7, len(truth))
    chosen = choose_threshold(scores, np.array(truth, dtype=bool), positive_class="a")
    assert (chosen.rule, chosen.value) == ("half", 0.5)
    assert None in {chosen.sensitivity, chosen.specificity}


def test_a_threshold_survives_json() -> None:
    chosen = choose_threshold(np.array([0.1, 1 / 3]), np.array([False, True]), positive_class="bösartig")
    assert Threshold.from_dict(json.loads(json.dumps(chosen.to_dict()))) == chosen


def test_something_else_is_no_threshold() -> None:
    with pytest.raises(DataError, match="this is no threshold that radpath wrote"):
        Threshold.from_dict({"value": 0.5})


def test_two_classes_are_decided_by_the_threshold_whichever_is_positive() -> None:
    probabilities = np.array([[0.3, 0.7], [0.2, 0.8], [0.7, 0.3]])
    second = choose_threshold(np.array([0.6, 0.8]), np.array([False, True]), positive_class="b")
    assert decide(probabilities, classes=("a", "b"), threshold=second).tolist() == [1, 1, 0]
    strict = dataclasses.replace(second, value=0.75)
    assert decide(probabilities, classes=("a", "b"), threshold=strict).tolist() == [0, 1, 0]
    first = dataclasses.replace(second, positive_class="a", value=0.3)
    assert decide(probabilities, classes=("a", "b"), threshold=first).tolist() == [0, 1, 0]


def test_several_classes_are_decided_by_the_highest_probability_and_of_equal_ones_the_first() -> None:
    probabilities = np.array([[0.2, 0.4, 0.4], [0.1, 0.2, 0.7]])
    assert decide(probabilities, classes=("a", "b", "c"), threshold=None).tolist() == [1, 2]


@pytest.mark.parametrize("classes", [("a", "b"), ("x", "b", "c")])
def test_a_threshold_for_other_classes_is_refused(classes: tuple[str, ...]) -> None:
    chosen = choose_threshold(np.array([0.1, 0.8]), np.array([False, True]), positive_class="x")
    with pytest.raises(DataError, match="a threshold for 'x' cannot decide between"):
        decide(np.full((1, len(classes)), 1 / len(classes)), classes=classes, threshold=chosen)
