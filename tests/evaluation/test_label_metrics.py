"""Numbers of all labels together are those of scikit-learn, and weights are repetitions."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, hamming_loss, roc_auc_score

from radpath.evaluation.label_metrics import LABEL_METRICS, LabelSample, label_values_under, take_label_sample
from radpath.evaluation.label_predictions import LabelPredictions
from radpath.evaluation.thresholds import Threshold

MakeLabels = Callable[..., LabelPredictions]


def thresholds(*values: float) -> dict[str, Threshold]:
    names = ("effusion", "mass", "nodule")
    nothing = {"fitted_on": None, "num_images": 0, "num_positive": 0, "sensitivity": None, "specificity": None}
    return {
        name: Threshold(positive_class=name, value=value, rule="half", **nothing)  # type: ignore[arg-type] # as named
        for name, value in zip(names, values, strict=True)
    }


def values_of(sample: LabelSample) -> dict[str, float]:
    found = label_values_under(sample, np.ones((sample.num_cases, 1)))[0]
    return dict(zip(LABEL_METRICS, found.tolist(), strict=True))


@pytest.mark.parametrize("seed", range(5))
def test_the_numbers_are_those_of_scikit_learn(make_label_predictions: MakeLabels, seed: int) -> None:
    sample = take_label_sample(make_label_predictions(seed), "test", thresholds(0.5, 0.3, 0.6))
    known, pairs = sample.known, [sample.known[:, place] for place in range(3)]
    scores, decided = sample.probabilities, sample.probabilities >= [0.5, 0.3, 0.6]
    truth = np.where(known, sample.truth, 0).astype(int)
    whole = known.all(axis=1)
    columns = [(truth[rows, place], scores[rows, place], decided[rows, place]) for place, rows in enumerate(pairs)]
    assert values_of(sample) == pytest.approx(
        {
            "macro_roc_auc": np.mean([roc_auc_score(y, p) for y, p, _ in columns]),
            "micro_roc_auc": roc_auc_score(truth[known], scores[known]),
            "macro_average_precision": np.mean([average_precision_score(y, p) for y, p, _ in columns]),
            "micro_average_precision": average_precision_score(truth[known], scores[known]),
            "macro_f1": np.mean([f1_score(y, d) for y, _, d in columns]),
            "micro_f1": f1_score(truth[known], decided[known]),
            "hamming_loss": hamming_loss(truth[known], decided[known]),
            "exact_match": (truth[whole] == decided[whole]).all(axis=1).mean(),
        },
        abs=1e-12,
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_a_case_of_weight_two_is_a_case_that_is_there_twice(seed: int) -> None:
    draw = np.random.default_rng(seed)
    truth = draw.integers(0, 2, (12, 3)).astype(float)
    truth[draw.random(truth.shape) < 0.2] = np.nan
    case_of, scores = np.repeat(np.arange(6), 2), draw.random(truth.shape).round(1)
    times = draw.integers(0, 3, 6)
    rows = np.repeat(np.arange(12), times[case_of])
    sample = LabelSample(truth=truth, probabilities=scores, decisions=scores >= 0.5, case_of=case_of, num_cases=6)
    again = LabelSample(
        truth=truth[rows], probabilities=scores[rows], decisions=scores[rows] >= 0.5, case_of=case_of[rows], num_cases=6
    )
    weighted = label_values_under(sample, times[:, None].astype(float))
    np.testing.assert_allclose(weighted, label_values_under(again, np.ones((6, 1))), atol=1e-12)


def test_what_is_undefined_is_no_number() -> None:
    truth = np.array([[1.0, np.nan], [1.0, np.nan]])
    scores = np.array([[0.9, 0.1], [0.8, 0.2]])
    sample = LabelSample(
        truth=truth, probabilities=scores, decisions=scores >= 0.5, case_of=np.array([0, 1]), num_cases=2
    )
    found = values_of(sample)
    assert found["micro_f1"] == 1
    assert found["hamming_loss"] == 0
    assert {name for name, value in found.items() if np.isnan(value)} == {
        "macro_roc_auc",
        "micro_roc_auc",
        "macro_average_precision",
        "macro_f1",
        "exact_match",
    }
