"""Probabilities of ordered classes are products of answers, sum to one, and train as the likelihood that they are."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from radpath.training.ordinal import ordinal_log_probabilities

logits = st.lists(st.floats(-30, 30), min_size=1, max_size=6)


@settings(max_examples=50, deadline=None)
@given(logits)
def test_each_class_is_reached_by_going_beyond_all_lower_ones(values: list[float]) -> None:
    found = ordinal_log_probabilities(torch.tensor([values], dtype=torch.float64)).exp().numpy()[0]
    steps, reached, expected = expit(np.array(values)), 1.0, []
    for step in steps:
        expected.append(reached * (1 - step))
        reached *= step
    assert found == pytest.approx([*expected, reached], abs=1e-12)
    assert found.sum() == pytest.approx(1, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(logits)
def test_the_chance_of_going_beyond_a_class_never_rises(values: list[float]) -> None:
    found = ordinal_log_probabilities(torch.tensor([values], dtype=torch.float64)).exp()[0]
    beyond = 1 - found.cumsum(0)
    assert (beyond[1:] <= beyond[:-1] + 1e-12).all()


def test_the_likelihood_is_the_sum_of_corns_conditional_losses() -> None:
    generator = torch.Generator().manual_seed(0)
    values, labels = torch.randn(20, 3, generator=generator), torch.arange(20) % 4
    found = -ordinal_log_probabilities(values)[torch.arange(20), labels].sum()
    expected = torch.zeros(())
    for step in range(3):  # each answer is trained on the images that reached its class
        reached = labels >= step
        beyond = (labels[reached] > step).float()
        expected += torch.nn.functional.binary_cross_entropy_with_logits(values[reached, step], beyond, reduction="sum")
    assert float(found) == pytest.approx(float(expected), rel=1e-6)
