"""Each optimiser takes the steps of its published rule; decay is decoupled in adamw alone."""

import math

import pytest
import torch
from torch import nn

from radpath.training.optimisers import OptimiserSettings, make_optimiser


def weight_after(gradients: list[float], *, rate: float = 0.1, start: float = 1.0, **values: object) -> float:
    """Return what becomes of a weight by steps with given gradients, in double precision."""
    weight = nn.Parameter(torch.tensor([start], dtype=torch.float64))
    chosen = OptimiserSettings.model_validate({"weight_decay": 0.0, **values})
    optimiser = make_optimiser(chosen, [{"params": [weight], "lr": rate, "weight_decay": chosen.weight_decay}])
    for gradient in gradients:
        weight.grad = torch.tensor([gradient], dtype=torch.float64)
        optimiser.step()
    return float(weight.detach())


GRADIENTS = [0.5, -0.2, 0.8]


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_has_nesterovs_momentum(momentum: float) -> None:
    weight, velocity = 1.0, 0.0
    for gradient in GRADIENTS:
        velocity = momentum * velocity + gradient
        weight -= 0.1 * (gradient + momentum * velocity)
    assert weight_after(GRADIENTS, kind="sgd", momentum=momentum) == pytest.approx(weight)


@pytest.mark.parametrize("kind", ["adam", "adamw"])
def test_adam_is_kingmas_and_bas(kind: str) -> None:
    weight, mean, square = 1.0, 0.0, 0.0
    for step, gradient in enumerate(GRADIENTS, start=1):
        mean, square = 0.8 * mean + 0.2 * gradient, 0.999 * square + 0.001 * gradient**2
        weight -= 0.1 * (mean / (1 - 0.8**step)) / (math.sqrt(square / (1 - 0.999**step)) + 1e-8)
    assert weight_after(GRADIENTS, kind=kind, momentum=0.8) == pytest.approx(weight)


def test_rmsprop_divides_by_the_mean_size_and_has_momentum() -> None:
    weight, square, velocity = 1.0, 0.0, 0.0
    for gradient in GRADIENTS:
        square = 0.99 * square + 0.01 * gradient**2
        velocity = 0.7 * velocity + gradient / (math.sqrt(square) + 1e-8)
        weight -= 0.1 * velocity
    assert weight_after(GRADIENTS, kind="rmsprop", momentum=0.7) == pytest.approx(weight)


def test_the_decay_of_adamw_shrinks_weights_and_that_of_the_others_is_a_gradient() -> None:
    assert weight_after([0.0], kind="adamw", weight_decay=0.5) == pytest.approx(1 - 0.1 * 0.5)
    assert weight_after([0.0], kind="sgd", momentum=0.0, weight_decay=0.5) == pytest.approx(1 - 0.1 * 0.5)
    assert weight_after([0.0], kind="adam", weight_decay=0.5) == pytest.approx(1 - 0.1)  # whose size Adam removes
