"""Every pair is there once, in order, and each family of tests is corrected for its own size."""

import dataclasses
import itertools

import numpy as np
import pytest

from radpath.evaluation.comparison_differences import area_differences_of, decision_differences_of, differences_of
from radpath.evaluation.metrics import Column
from radpath.evaluation.multiplicity import holm
from radpath.evaluation.sample import Sample

NAMES = ("A", "B", "C")
PAIRS = list(itertools.combinations(NAMES, 2))


def sample(seed: int, *, images_a_case: int = 1) -> Sample:
    rng = np.random.default_rng(seed)
    truth = np.arange(60) // images_a_case % 2
    scores = 1 / (1 + np.exp(-rng.normal(size=60) - truth))
    return Sample(
        classes=("a", "b"), positive=1, truth=truth, decisions=(scores > 0.5).astype(np.int64),
        probabilities=np.stack([1 - scores, scores], axis=1), case_of=np.arange(60) // images_a_case,
        num_cases=60 // images_a_case,
    )  # fmt: skip


def test_each_family_has_every_pair_once_and_its_own_correction() -> None:
    samples = [sample(seed) for seed in range(3)]
    areas = area_differences_of(NAMES, samples, confidence=0.95)
    decisions = decision_differences_of(NAMES, samples)
    assert [(one.first, one.second) for one in areas] == PAIRS
    assert [(one.first, one.second) for one in decisions] == PAIRS
    assert [one.adjusted_p_value for one in areas] == list(holm([one.test.p_value for one in areas]))
    assert [one.adjusted_p_value for one in decisions] == list(holm([one.test.p_value for one in decisions]))


def test_with_several_images_a_case_the_clustered_p_values_are_corrected() -> None:
    decisions = decision_differences_of(NAMES, [sample(seed, images_a_case=3) for seed in range(3)])
    clustered = [one.test.clustered_p_value for one in decisions]
    assert None not in clustered
    assert [one.adjusted_p_value for one in decisions] == list(holm(clustered))


def test_what_is_undefined_in_few_resamples_is_left_out_and_told() -> None:
    rng = np.random.default_rng(0)
    resampled = rng.normal(size=(100, 3, 2))
    resampled[:10, 0, 0] = np.nan
    resampled[:30, 0, 1] = np.nan
    columns = [Column(metric="roc_auc", of_class="b"), Column(metric="accuracy", of_class=None)]
    same = [sample(0)] * 3
    found = differences_of(NAMES, columns, values=np.zeros((3, 2)), resampled=resampled, samples=same, confidence=0.9)
    by_key = {(one.metric, one.first, one.second): one for one in found}
    assert list(by_key) == [(metric, *pair) for metric in ("roc_auc", "accuracy") for pair in PAIRS]
    told = by_key["roc_auc", "A", "B"]
    assert told.note == "10 of 100 resamples left out, where the class or the rest has no images"
    spread = np.sort(resampled[10:, 0, 0] - resampled[10:, 1, 0])
    place = int(91 * 0.05)
    assert (told.low, told.high) == pytest.approx((spread[place - 1], spread[-place]))
    untold = by_key["accuracy", "A", "C"]
    assert untold.note == "no test: undefined in 30 of 100 resamples, where there are no images"
    assert (untold.p_value, untold.adjusted_p_value, untold.level, untold.low) == (None, None, None, None)
    assert by_key["accuracy", "B", "C"].note is None


@pytest.mark.parametrize(
    ("metric", "of_class", "p_value"),
    [
        ("accuracy", None, 0.125),
        ("balanced_accuracy", None, 0.125),
        ("sensitivity", "b", 0.5),
        ("specificity", "b", 0.5),
        ("sensitivity", "a", 0.5),
    ],
)
def test_four_images_that_one_model_alone_decides_rightly_tell_nothing(
    metric: str, of_class: str | None, p_value: float
) -> None:
    better = sample(0)
    better = dataclasses.replace(better, decisions=better.truth)
    worse = dataclasses.replace(better, decisions=np.where(np.arange(60) < 4, 1 - better.truth, better.truth))
    # Resamples of the cases never say the opposite, since each has none or more of the four.
    rng = np.random.default_rng(0)
    resampled = np.zeros((999, 2, 1))
    resampled[:, 0, 0] = rng.binomial(60, 4 / 60, size=999) / 60
    (found,) = differences_of(
        NAMES[:2], [Column(metric=metric, of_class=of_class)], values=np.array([[1.0], [56 / 60]]),
        resampled=resampled, samples=[better, worse], confidence=0.95,
    )  # fmt: skip
    assert found.p_value == pytest.approx(p_value)
    assert not found.is_clear
    assert (found.low, found.adjusted_low) == (0, 0)
    assert (found.high or 0) > 4 / 60


def test_metrics_of_probabilities_have_the_p_value_of_the_resamples() -> None:
    resampled = np.zeros((999, 2, 1))
    resampled[:, 0, 0] = 0.1
    pair = [sample(0), sample(1)]
    (found,) = differences_of(
        NAMES[:2], [Column(metric="brier", of_class=None)], values=np.array([[0.1], [0.0]]),
        resampled=resampled, samples=pair, confidence=0.95,
    )  # fmt: skip
    assert found.p_value == pytest.approx(0.002)
    assert found.is_clear
