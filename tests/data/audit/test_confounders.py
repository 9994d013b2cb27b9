"""Tests of the check whether a label can be told from columns that should say nothing of it."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from radpath.data.audit import confounders
from radpath.data.audit.confounders import find_confounders
from radpath.data.audit.telltales import Telltale


def telltale(name: str, bins: np.ndarray, num_bins: int = 4) -> Telltale:
    return Telltale(name=name, origin="file", bins=bins.astype(np.int64), num_bins=num_bins)


def study(
    seed: int, *, num_cases: int = 60, images_per_case: int = 3
) -> tuple[np.random.Generator, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    cases = np.repeat(np.arange(num_cases), images_per_case)
    labels = generator.permutation(num_cases) % 2
    return generator, labels[cases], cases


def test_a_column_that_gives_the_label_away_is_named_and_others_are_not() -> None:
    generator, labels, cases = study(0)
    noise = [telltale(f"noise{number}", generator.integers(0, 4, len(cases))) for number in range(8)]
    leaking = np.where(generator.random(len(cases)) < 0.8, labels, 1 - labels)
    check = find_confounders([*noise, telltale("scanner", leaking, 2)], pl.Series(labels), pl.Series(cases))
    assert [one.column for one in check.columns if one.is_alarm] == ["scanner"]
    assert check.columns[0].column == "scanner"
    assert check.columns[0].area.low < check.columns[0].area.value < check.columns[0].area.high
    assert check.columns[0].area.value == pytest.approx(0.8, abs=0.08)
    assert check.together is not None
    assert check.together.value > 0.7


def test_a_column_that_is_constant_within_cases_raises_no_alarm_by_chance() -> None:
    alarms = 0
    for seed in range(6):
        generator, labels, cases = study(seed, num_cases=40, images_per_case=6)
        of_case = generator.integers(0, 4, (5, 40))
        columns = [telltale(str(number), values[cases]) for number, values in enumerate(of_case)]
        check = find_confounders(columns, pl.Series(labels), pl.Series(cases), seed=seed)
        alarms += any(one.is_alarm for one in check.columns)
    assert alarms <= 1  # expected: 6 times 1 %


def test_images_of_one_case_with_several_labels_are_shuffled_within_it() -> None:
    generator = np.random.default_rng(3)
    cases = np.repeat(np.arange(30), 10)
    labels = generator.integers(0, 2, len(cases))
    size = np.where(generator.random(len(cases)) < 0.75, labels, 1 - labels)
    check = find_confounders([telltale("width_px", size, 2)], pl.Series(labels), pl.Series(cases))
    assert check.columns[0].is_alarm


def test_the_area_of_one_fold_is_that_of_scikit_learn() -> None:
    generator = np.random.default_rng(1)
    bins, answers = generator.integers(0, 5, 300), generator.integers(0, 2, 300)
    scores = generator.random(5)
    counts = np.zeros((1, 5, 2))
    np.add.at(counts[0], (bins, answers), 1)
    both = np.stack([-scores, scores], axis=1)[None]
    assert confounders._area(counts, confounders._wins(both)) == pytest.approx(roc_auc_score(answers, scores[bins]))


def test_the_same_seed_gives_the_same_numbers() -> None:
    generator, labels, cases = study(5)
    columns = [telltale("a", generator.integers(0, 4, len(cases)))]
    first, second = (find_confounders(columns, pl.Series(labels), pl.Series(cases), seed=2) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    "make",
    [
        lambda labels, cases: (np.zeros_like(labels), cases),
        lambda labels, cases: (labels, np.zeros_like(cases)),
    ],
    ids=["one answer", "one case"],
)
def test_nothing_is_said_where_nothing_can_be_known(
    make: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]],
) -> None:
    _, labels, cases = study(0)
    answers, owners = make(labels, cases)
    check = find_confounders([telltale("a", labels, 2)], pl.Series(answers), pl.Series(owners))
    assert check.columns == ()
    assert check.together is None
