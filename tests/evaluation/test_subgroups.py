"""Numbers of each group agree with scikit-learn on that group alone; small groups are counted, not judged."""

import dataclasses
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from pydantic import TypeAdapter, ValidationError
from sklearn import metrics as sklearn_metrics

from radpath.evaluation.evaluate import EvaluationSettings, evaluate
from radpath.evaluation.predictions import Predictions
from radpath.evaluation.subgroups import Subgroup, Subgroups, SubgroupSettings, assess_subgroups

MakePredictions = Callable[..., Predictions]
SETTINGS = EvaluationSettings(replicates=200, positive_class="malignant")


@pytest.fixture(scope="module")
def predictions(make_predictions: MakePredictions) -> Predictions:
    return make_predictions(3, cases_per_side=80)


@pytest.fixture(scope="module")
def table(predictions: Predictions) -> pl.DataFrame:
    """Three sites of 60, 36 and 4 %, a scanner that goes with the site, a constant, and an age."""
    generator = np.random.default_rng(0)
    case = {name: generator.random() for name in sorted(set(predictions.cases))}
    share = [case[name] for name in predictions.cases]
    site = ["A" if one < 0.6 else "B" if one < 0.96 else "C" for one in share]
    return pl.DataFrame(
        {
            "record_id": predictions.record_ids,
            "site": site,
            "scanner": [f"scanner of {one}" for one in site],
            "vendor": ["the same"] * len(site),
            "age": [str(20 + int(60 * one)) for one in share],
        }
    )


def assess(predictions: Predictions, table: pl.DataFrame, settings: SubgroupSettings | None = None) -> Subgroups:
    found = assess_subgroups(predictions, evaluate(predictions, SETTINGS), table, settings or SubgroupSettings())
    assert found is not None
    return found


@pytest.fixture(scope="module")
def found(predictions: Predictions, table: pl.DataFrame) -> Subgroups:
    return assess(predictions, table)


def group_of(found: Subgroups, column: str, name: str) -> Subgroup:
    return next(
        group for one in found.characteristics if one.column == column for group in one.groups if group.name == name
    )


def test_what_divides_nothing_or_the_same_is_not_shown(found: Subgroups) -> None:
    assert [one.column for one in found.characteristics] == ["site", "age"]
    assert found.left_out == (
        "'scanner' divides the images exactly as 'site' does: their effects cannot be told apart.",
    )


def test_each_group_has_the_numbers_of_scikit_learn(
    predictions: Predictions, table: pl.DataFrame, found: Subgroups
) -> None:
    threshold = evaluate(predictions, SETTINGS).threshold
    assert threshold is not None
    for name in ("A", "B"):
        rows = [row for row, site in enumerate(table["site"]) if site == name and predictions.sides[row] == "test"]
        truth = np.array([predictions.truth[row] == "malignant" for row in rows])
        scores = predictions.probabilities[rows, 1]
        called = scores >= threshold.value
        expected = {
            "roc_auc": sklearn_metrics.roc_auc_score(truth, scores),
            "sensitivity": sklearn_metrics.recall_score(truth, called),
            "specificity": sklearn_metrics.recall_score(~truth, ~called),
            "accuracy": sklearn_metrics.accuracy_score(truth, called),
        }
        group = group_of(found, "site", name)
        assert {one.metric: one.value for one in group.estimates} == pytest.approx(expected, abs=1e-12)
        assert group.num_images == len(rows)
        assert group.num_cases == len({predictions.cases[row] for row in rows})
        for one in group.estimates:
            assert one.low is not None
            assert one.high is not None
            assert one.value is not None
            assert one.low <= one.value <= one.high


def test_a_difference_is_that_to_all_other_images(
    found: Subgroups, predictions: Predictions, table: pl.DataFrame
) -> None:
    sites = dict(zip(table["record_id"], table["site"], strict=True))
    areas = []
    for inside in (True, False):
        rows = [
            row
            for row, record in enumerate(predictions.record_ids)
            if (sites[record] == "A") == inside and predictions.sides[row] == "test"
        ]
        truth = [predictions.truth[row] == "malignant" for row in rows]
        areas.append(sklearn_metrics.roc_auc_score(truth, predictions.probabilities[rows, 1]))
    area = group_of(found, "site", "A").estimates[0]
    assert area.difference == pytest.approx(areas[0] - areas[1], abs=1e-12)
    assert area.difference is not None
    assert area.difference_low is not None
    assert area.difference_high is not None
    assert area.difference_low < area.difference < area.difference_high
    assert area.p_value is not None
    assert area.p_adjusted is not None
    assert area.p_adjusted >= area.p_value


def test_of_a_small_group_nothing_is_claimed(found: Subgroups) -> None:
    small = group_of(found, "site", "C")
    assert small.is_smallest
    assert small.num_cases < 10
    assert all(one.value is None and one.low is None and one.difference is None for one in small.estimates)
    assert all(one.note is not None and one.note.startswith("too few: ") for one in small.estimates)


def test_all_images_together_have_the_numbers_of_the_evaluation(found: Subgroups, predictions: Predictions) -> None:
    side = evaluate(predictions, SETTINGS).sides["test"]
    area = side.find("roc_auc", "malignant")
    assert area is not None
    assert found.whole.estimates[0].value == area.value
    for one in found.whole.estimates:
        overall = side.find(one.metric, None if one.metric == "accuracy" else "malignant")
        assert overall is not None
        assert overall.interval in {"delong", "wilson"}
        assert (one.low, one.high) == pytest.approx((overall.low, overall.high), abs=1e-12)
    assert all(one.difference is None for one in found.whole.estimates)


def test_a_planted_weakness_is_found_and_stands_after_correction(predictions: Predictions, table: pl.DataFrame) -> None:
    weak = np.array([site == "B" for site in table["site"]])
    probabilities = predictions.probabilities.copy()
    truth = np.array([[one == name for name in predictions.classes] for one in predictions.truth], dtype=float)
    probabilities[~weak] = 0.1 * truth[~weak] + 0.9 * probabilities[~weak]
    probabilities[weak, 1] = np.random.default_rng(0).random(weak.sum())
    probabilities[weak, 0] = 1 - probabilities[weak, 1]
    spoilt = dataclasses.replace(predictions, probabilities=probabilities)
    evaluation = evaluate(spoilt, SETTINGS.model_copy(update={"replicates": 1000}))
    found = assess_subgroups(spoilt, evaluation, table.select("record_id", "site"), SubgroupSettings())
    assert found is not None
    area = group_of(found, "site", "B").estimates[0]
    assert area.value == pytest.approx(0.5, abs=0.15)
    assert area.p_adjusted is not None
    assert area.p_adjusted < 0.05


def test_two_groups_are_one_test(predictions: Predictions, table: pl.DataFrame) -> None:
    halves = table.select("record_id", half=pl.Series(["AB"[site != "A"] for site in table["site"]]))
    (half,) = assess(predictions, halves).characteristics
    first, second = half.groups
    assert half.compared == (first,)
    for one, other in zip(first.estimates, second.estimates, strict=True):
        assert one.difference == -(other.difference or 0.0)
        # One test a metric: there is nothing to correct for.
        assert one.p_value == one.p_adjusted is not None
        assert other.p_value is other.p_adjusted is None


def test_named_columns_alone_are_shown_and_missing_ones_are_told(predictions: Predictions, table: pl.DataFrame) -> None:
    wanted = SubgroupSettings(columns=("scanner", "vendor", "sex"), edges={"age": (50.0,)})
    found = assess(predictions, table, wanted)
    assert [one.column for one in found.characteristics] == ["scanner"]
    assert found.left_out == ("All images have the same vendor.", "Nothing says the sex of any image.")
    banded = assess(predictions, table, SubgroupSettings(columns=("age",), edges={"age": (50.0,)}))
    assert [group.name for group in banded.characteristics[0].groups] == ["below 50", "50 and above"]


def test_without_anything_known_there_are_no_subgroups(predictions: Predictions, table: pl.DataFrame) -> None:
    evaluation = evaluate(predictions, SETTINGS)
    assert assess_subgroups(predictions, evaluation, None, SubgroupSettings()) is None
    assert assess_subgroups(predictions, evaluation, table.select("record_id", "vendor"), SubgroupSettings()) is None
    assert assess_subgroups(predictions, evaluation, table, SubgroupSettings(columns=())) is None


def test_the_order_of_rows_changes_nothing(predictions: Predictions, table: pl.DataFrame, found: Subgroups) -> None:
    assert assess(predictions, table.reverse()) == found


def test_several_classes_have_means_over_classes(make_predictions: MakePredictions) -> None:
    several = make_predictions(1, classes=("a", "b", "c"), cases_per_side=60)
    site = ["AB"[int(name.split()[1]) % 2] for name in several.cases]
    known = pl.DataFrame({"record_id": several.record_ids, "site": site})
    result = assess_subgroups(
        several, evaluate(several, EvaluationSettings(replicates=100)), known, SubgroupSettings(min_cases=5)
    )
    assert result is not None
    assert [one.metric for one in result.whole.estimates] == ["roc_auc", "balanced_accuracy", "accuracy"]
    assert all(one.value is not None for group in result.characteristics[0].groups for one in group.estimates)


def test_a_journey_through_json_changes_nothing(found: Subgroups) -> None:
    adapter = TypeAdapter(Subgroups)
    assert adapter.validate_json(adapter.dump_json(found)) == found


def test_edges_that_do_not_rise_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"the edges of 'age' are \[65\.0, 40\.0\]; give one or more numbers"):
        SubgroupSettings(edges={"age": (65.0, 40.0)})
