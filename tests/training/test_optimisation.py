"""The loss weighs classes as scikit-learn does, weights alone decay, and the rate follows a curve known in advance."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight
from torch import nn

from radpath.training.optimisation import (
    BASE_RATE,
    OptimisationSettings,
    build_optimiser,
    class_weights,
    rate_factor,
    set_rate,
)


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.head = nn.Linear(4, 2)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=60))
def test_balanced_class_weights_are_those_of_scikit_learn(labels: list[int]) -> None:
    everyone = np.array([0, 1, 2, 3, *labels])
    expected = compute_class_weight("balanced", classes=np.arange(4), y=everyone)
    assert class_weights(everyone, num_classes=4, kind="balanced").numpy() == pytest.approx(expected, rel=1e-6)


def test_without_balancing_every_class_counts_the_same() -> None:
    assert class_weights(np.array([0, 0, 1]), num_classes=3, kind="none").tolist() == [1, 1, 1]


def test_only_weights_of_more_than_one_dimension_decay_and_the_head_has_its_own_rate() -> None:
    network = Network()
    optimiser = build_optimiser(network, OptimisationSettings(learning_rate=0.1, head_rate_factor=10, weight_decay=0.3))
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    found = {
        names[id(parameter)]: (group["lr"], group["weight_decay"])
        for group in optimiser.param_groups
        for parameter in group["params"]
    }
    assert found == {
        "backbone.0.weight": (0.1, 0.3),
        "backbone.0.bias": (0.1, 0.0),
        "backbone.1.weight": (0.1, 0.0),
        "backbone.1.bias": (0.1, 0.0),
        "head.weight": (1.0, 0.3),
        "head.bias": (1.0, 0.0),
    }


def test_what_is_frozen_is_not_optimised() -> None:
    network = Network()
    network.backbone.requires_grad_(requires_grad=False)
    optimiser = build_optimiser(network, OptimisationSettings())
    optimised = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    assert {id(parameter) for parameter in optimised} == {id(parameter) for parameter in network.head.parameters()}


def test_the_rate_rises_to_the_full_and_falls_along_half_a_cosine() -> None:
    settings = OptimisationSettings(warmup=0.2)
    assert rate_factor(settings, done=0.0) == 0.01
    assert rate_factor(settings, done=0.1) == pytest.approx(0.5)
    assert rate_factor(settings, done=0.2) == pytest.approx(1.0)
    assert rate_factor(settings, done=0.6) == pytest.approx(0.505)
    assert rate_factor(settings, done=1.0) == pytest.approx(0.01)


def test_the_fall_is_pytorchs_own_cosine() -> None:
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=10, eta_min=0.01)
    for step in range(11):
        assert rate_factor(OptimisationSettings(warmup=0), done=step / 10) == pytest.approx(theirs.get_last_lr()[0])
        optimiser.step()
        theirs.step()


def test_a_constant_rate_stays_after_the_warm_up() -> None:
    settings = OptimisationSettings(warmup=0.5, schedule="constant")
    assert [rate_factor(settings, done=done) for done in (0.25, 0.5, 0.75, 1.0)] == [0.5, 1.0, 1.0, 1.0]


@settings(max_examples=50, deadline=None)
@given(
    done=st.floats(0, 1),
    warmup=st.floats(0, 0.99),
    schedule=st.sampled_from(["cosine", "constant"]),
)
def test_the_rate_is_never_zero_nor_above_its_top(done: float, warmup: float, schedule: str) -> None:
    chosen = OptimisationSettings.model_validate({"warmup": warmup, "schedule": schedule})
    assert 0.0099 <= rate_factor(chosen, done=done) <= 1


def test_every_group_gets_its_share_and_the_backbones_rate_is_told() -> None:
    settings = OptimisationSettings(learning_rate=0.2, head_rate_factor=5, warmup=0.5)
    optimiser = build_optimiser(Network(), settings)
    assert set_rate(optimiser, settings, done=0.25) == pytest.approx(0.1)
    assert all(math.isclose(group["lr"], group[BASE_RATE] / 2) for group in optimiser.param_groups)
    assert sorted({group["lr"] for group in optimiser.param_groups}) == pytest.approx([0.1, 0.5])
