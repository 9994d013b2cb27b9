"""What is measured after an epoch is what scikit-learn finds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, recall_score, roc_auc_score

from radpath.training.validation import decision_metrics, label_metrics


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), num_classes=st.integers(2, 4))
def test_decisions_are_measured_as_scikit_learn_measures_them(seed: int, num_classes: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(num_classes), rng.integers(0, num_classes, 20)])
    probabilities = rng.dirichlet(np.ones(num_classes), size=len(labels))
    decisions = probabilities.argmax(1)
    assert decision_metrics(probabilities, labels) == pytest.approx(
        {
            "validation_accuracy": accuracy_score(labels, decisions),
            "validation_balanced_accuracy": balanced_accuracy_score(labels, decisions),
            "validation_f1": f1_score(labels, decisions, average="macro"),
            "validation_sensitivity": recall_score(labels, decisions, average=None).min(),
            "validation_top_share": max(np.mean(decisions == label) for label in range(num_classes)),
        }
    )


def test_what_a_missing_class_leaves_undefined_is_none() -> None:
    found = decision_metrics(np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([0, 0]))
    assert found == {
        "validation_accuracy": 1.0,
        "validation_balanced_accuracy": None,
        "validation_f1": None,
        "validation_sensitivity": None,
        "validation_top_share": None,
    }


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_several_labels_are_measured_one_by_one_as_scikit_learn_measures_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, (30, 3)).astype(np.float32)
    labels[:2] = [[0, 0, 0], [1, 1, 1]]
    labels[2:][rng.random((28, 3)) < 0.2] = np.nan
    labels[:, 2] = 0  # of this one nothing but the accuracy can be told
    probabilities = rng.random(labels.shape)
    known, decided = ~np.isnan(labels), probabilities >= 0.5
    pairs = [(labels[known[:, place], place], place) for place in (0, 1)]
    found = label_metrics(probabilities, labels)
    assert found == pytest.approx(
        {
            "validation_auc": np.mean([roc_auc_score(truth, probabilities[known[:, at], at]) for truth, at in pairs]),
            "validation_accuracy": accuracy_score(labels[known], decided[known]),
            "validation_balanced_accuracy": np.mean(
                [balanced_accuracy_score(truth, decided[known[:, at], at]) for truth, at in pairs]
            ),
            "validation_f1": np.mean([f1_score(truth, decided[known[:, at], at]) for truth, at in pairs]),
            "validation_sensitivity": min(recall_score(truth, decided[known[:, at], at]) for truth, at in pairs),
            "validation_top_share": None,
        }
    )


def test_labels_without_both_answers_have_no_mean() -> None:
    found = label_metrics(np.array([[0.9, 0.1]]), np.array([[1.0, np.nan]]))
    assert found["validation_auc"] is None
    assert found["validation_accuracy"] == 1.0
