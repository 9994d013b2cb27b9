"""Marks: who is best, and who cannot be told from the best."""

from collections.abc import Sequence

import pytest

from radpath.errors import SettingsError
from radpath.evaluation.comparison_results import ComparedModel, Comparison, Difference, marks
from radpath.evaluation.estimates import Estimate


def difference(first: str, second: str, value: float | None, *, p_value: float | None, metric: str) -> Difference:
    return Difference(
        metric=metric, of_class=None, first=first, second=second, value=value, low=-0.1, high=0.3, p_value=p_value,
        adjusted_p_value=p_value, level=None if p_value is None else 0.05, adjusted_low=-0.2, adjusted_high=0.4,
        note=None,
    )  # fmt: skip


def comparison(
    values: dict[str, float | None], differences: Sequence[Difference], *, metric: str = "roc_auc"
) -> Comparison:
    models = tuple(
        ComparedModel(
            name=name,
            threshold=None,
            estimates=(Estimate(metric=metric, of_class=None, value=value, low=None, high=None, note=None),),
        )
        for name, value in values.items()
    )
    return Comparison(
        side="test", unit="image", classes=("a", "b"), positive_class="b", names=tuple(values), metrics=(metric,),
        num_images=10, num_cases=10, images_per_class={"a": 5, "b": 5}, confidence=0.95, replicates=100, seed=0,
        models=models, differences=tuple(differences), area_differences=(), decision_differences=(),
    )  # fmt: skip


@pytest.mark.parametrize(("metric", "best", "tied", "apart"), [("roc_auc", "B", "A", "C"), ("brier", "C", "A", "B")])
def test_the_best_and_those_that_cannot_be_told_from_it_are_marked(
    metric: str, best: str, tied: str, apart: str
) -> None:
    pairs = [("A", "B", 0.2, -0.1), ("A", "C", 0.2, 0.1), ("B", "C", 0.01, 0.2)]
    differences = [difference(a, b, value, p_value=p, metric=metric) for a, b, p, value in pairs]
    found = {one.name: one for one in marks(comparison({"A": 0.8, "B": 0.9, "C": 0.7}, differences, metric=metric))}
    assert found[best].is_best
    assert found[best].to_best is None
    assert (found[tied].is_tied, found[tied].is_best) == (True, False)
    assert (found[apart].is_tied, found[apart].is_best) == (False, False)
    to_best = found[tied].to_best
    assert to_best is not None
    assert (to_best.first, to_best.second) == (best, tied)
    assert to_best.value == pytest.approx(0.1 if metric == "roc_auc" else -0.1)


def test_a_difference_is_turned_round_with_its_intervals() -> None:
    known = comparison({"A": 0.8, "B": 0.9}, [difference("A", "B", -0.1, p_value=0.2, metric="roc_auc")])
    turned = known.difference("roc_auc", "B", "A")
    assert (turned.first, turned.second, turned.value) == ("B", "A", 0.1)
    assert (turned.low, turned.high) == (-0.3, 0.1)
    assert (turned.adjusted_low, turned.adjusted_high) == (-0.4, 0.2)
    with pytest.raises(KeyError):
        known.difference("roc_auc", "A", "C")


def test_without_a_test_nothing_is_told_apart_and_without_a_value_nothing_is_marked() -> None:
    untested = [difference("A", "B", -0.1, p_value=None, metric="roc_auc")]
    assert marks(comparison({"A": 0.8, "B": 0.9}, untested))[0].is_tied
    undefined = [difference("A", "B", None, p_value=None, metric="roc_auc")]
    first, second = marks(comparison({"A": None, "B": 0.9}, undefined))
    assert (first.is_best, first.is_tied, second.is_best) == (False, False, True)
    assert not any(one.is_best or one.is_tied for one in marks(comparison({"A": None, "B": None}, undefined)))


def test_of_two_with_the_same_value_the_first_is_the_best() -> None:
    same = [difference("A", "B", 0.0, p_value=1.0, metric="roc_auc")]
    first, second = marks(comparison({"A": 0.9, "B": 0.9}, same))
    assert (first.is_best, second.is_tied) == (True, True)


def test_a_metric_of_which_neither_end_is_better_names_no_best() -> None:
    name = "chance_calibration_error"
    same = [difference("A", "B", 0.1, p_value=1.0, metric=name)]
    with pytest.raises(SettingsError, match="names no best model; name another metric first"):
        marks(comparison({"A": 0.2, "B": 0.1}, same, metric=name))
