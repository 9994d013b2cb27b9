import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radpath.errors import DataError
from radpath.evaluation.thresholds import (
    OperatingPointSettings,
    Threshold,
    ThresholdRule,
    choose_threshold,
    decide,
    given_threshold,
)

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


def outcome(scores: np.ndarray, truth: np.ndarray, value: float) -> tuple[float, float, float, float]:
    """Sensitivity, specificity, share of mistakes, and F2 of one cut, by their definitions."""
    called = scores >= value
    hits, alarms = int((called & truth).sum()), int((called & ~truth).sum())
    precision, recall = hits / max(hits + alarms, 1), hits / truth.sum()
    f2 = 5 * precision * recall / (4 * precision + recall) if hits else 0.0
    return recall, 1 - alarms / (~truth).sum(), (called != truth).mean(), f2


@given(IMAGES, st.sampled_from([0.3, 0.5, 0.8, 1.0]))
@settings(max_examples=50, deadline=None)
def test_each_rule_is_as_good_as_the_best_of_all_cuts(rows: list[tuple[int, bool]], wanted: float) -> None:
    scores, truth = np.array([score / 10 for score, _ in rows]), np.array([positive for _, positive in rows])
    cuts = [outcome(scores, truth, value) for value in np.append(np.unique(scores), 2.0)]
    asked = OperatingPointSettings(sensitivity=wanted, specificity=wanted, beta=2.0)

    def chosen(rule: ThresholdRule) -> tuple[float, float, float, float]:
        found = choose_threshold(scores, truth, positive_class="a", rule=rule, asked=asked)
        assert (found.rule, found.fitted_on) == (rule, "validation")
        assert outcome(scores, truth, found.value)[:2] == pytest.approx((found.sensitivity, found.specificity))
        return outcome(scores, truth, found.value)

    enough = max((cut[1], cut[0]) for cut in cuts if cut[0] >= wanted - 1e-9)
    assert chosen("sensitivity")[:2] == pytest.approx(enough[::-1])
    assert chosen("specificity")[:2] == pytest.approx(max(cut[:2] for cut in cuts if cut[1] >= wanted - 1e-9))
    assert chosen("cost")[2] == pytest.approx(min(cut[2] for cut in cuts))
    assert chosen("f_beta")[3] == pytest.approx(max(cut[3] for cut in cuts))


def test_dear_misses_lower_the_threshold_and_a_rare_disease_raises_it() -> None:
    scores = np.array([0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9])
    truth = np.array([False, False, True, False, True, False, True, True])

    def value(**asked: float) -> float:
        return choose_threshold(
            scores, truth, positive_class="a", rule="cost", asked=OperatingPointSettings(**asked)
        ).value

    assert value(false_negative_cost=10) == pytest.approx(0.25)
    assert value(false_positive_cost=10) == pytest.approx(0.75)
    assert value(false_negative_cost=10, prevalence=0.01) == pytest.approx(0.75)


def test_a_rule_that_looks_at_a_number_keeps_it() -> None:
    scores, truth = np.array([0.2, 0.8]), np.array([False, True])
    asked = OperatingPointSettings(sensitivity=0.9, beta=2.0, false_negative_cost=5.0)
    kept = {
        rule: choose_threshold(scores, truth, positive_class="a", rule=rule, asked=asked).asked
        for rule in ("youden", "sensitivity", "f_beta", "cost")
    }
    assert kept == {
        "youden": {},
        "sensitivity": {"sensitivity": 0.9},
        "f_beta": {"beta": 2.0},
        "cost": {"false_negative_cost": 5.0, "false_positive_cost": 1.0, "prevalence": 0.5},
    }


def test_where_every_positive_must_be_found_the_lowest_may_be_at_the_bottom() -> None:
    asked = OperatingPointSettings(sensitivity=1.0, specificity=1.0)
    scores, truth = np.array([0.0, 1.0]), np.array([True, False])
    all_found = choose_threshold(scores, truth, positive_class="a", rule="sensitivity", asked=asked)
    none_called = choose_threshold(scores, truth, positive_class="a", rule="specificity", asked=asked)
    assert (all_found.value, all_found.sensitivity, all_found.specificity) == (0.0, 1.0, 0.0)
    assert (none_called.sensitivity, none_called.specificity) == (0.0, 1.0)
    assert none_called.value == np.nextafter(1.0, 2)


def test_a_threshold_set_by_hand_depends_on_nothing() -> None:
    found = given_threshold(0.3, np.array([0.2, 0.3, 0.9]), np.array([True, True, False]), positive_class="a")
    assert (found.value, found.rule, found.fitted_on, found.sensitivity, found.specificity) == (
        0.3, "given", None, 0.5, 0.0,
    )  # fmt: skip


def test_the_rule_half_looks_at_no_truth() -> None:
    chosen = choose_threshold(np.array([0.6, 0.2]), np.array([True, False]), positive_class="a", rule="half")
    assert (chosen.value, chosen.fitted_on, chosen.sensitivity, chosen.specificity) == (0.5, None, 1.0, 1.0)


@pytest.mark.parametrize("truth", [[], [True], [False, False]])
def test_without_both_classes_half_is_used_and_said(truth: list[bool]) -> None:
    scores = np.linspace(0.2, 0.7, len(truth))
    chosen = choose_threshold(scores, np.array(truth, dtype=bool), positive_class="a")
    assert (chosen.rule, chosen.value, chosen.asked) == ("half", 0.5, {})
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
