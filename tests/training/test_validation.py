"""What is measured after an epoch is what scikit-learn finds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, recall_score

from radpath.training.validation import decision_metrics


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
