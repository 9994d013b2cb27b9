"""A curve of losses over rates says where learning begins, where it is fastest, and where it ends."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightning_fabric import Fabric

from radpath.data.augmentation.settings import AugmentationSettings
from radpath.data.batches import ImageSource
from radpath.models.classifier import Classifier
from radpath.training.learners import Drawing, ImageLearner
from radpath.training.losses import build_loss
from radpath.training.mixing import MixSettings
from radpath.training.rate_test import endless_examples, interpret, rates_to_try, run_rate_test, smooth
from radpath.training.settings import TrainingSettings
from radpath.training.trial import Trial

RATES = rates_to_try(121).tolist()


def curve(*, floor_at: float, explodes_at: float) -> list[float]:
    """Return losses that fall from 1 to 0.2 at ``floor_at``, and grow without bound from ``explodes_at`` on."""
    losses = []
    for rate in RATES:
        fallen = 1 - 0.8 / (1 + (floor_at / 10 / rate) ** 2)
        losses.append(fallen + (rate / explodes_at) ** 4)
    return losses


def test_the_suggestion_lies_below_the_lowest_loss_and_the_steepest_fall() -> None:
    found = interpret(RATES, curve(floor_at=1e-2, explodes_at=0.1))
    assert found.lowest is not None
    assert found.steepest is not None
    assert 5e-3 < found.lowest < 0.1
    assert 3e-4 < found.steepest < 5e-3
    assert found.suggestion == min(found.lowest / 10, found.steepest)
    assert found.exploded is not None


def test_a_loss_that_never_falls_gives_no_suggestion() -> None:
    found = interpret(RATES, [1.0 + 0.01 * (place % 2) for place in range(121)])
    assert (found.suggestion, found.exploded) == (None, None)


def test_a_loss_that_is_no_number_is_an_explosion_and_left_out() -> None:
    found = interpret(RATES[:21], [*curve(floor_at=1e-2, explodes_at=0.1)[:20], math.nan])
    assert found.exploded == RATES[20]
    assert len(found.losses) == len(found.rates) == len(found.smoothed) == 20


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 100), min_size=1, max_size=60))
def test_the_average_stays_between_the_extremes_and_begins_at_the_first(losses: list[float]) -> None:
    averages = smooth(losses)
    assert averages[0] == pytest.approx(losses[0], abs=1e-9)
    assert min(losses) - 1e-9 <= min(averages) <= max(averages) <= max(losses) + 1e-9


def test_every_group_of_the_optimiser_follows_and_gradients_stay_clipped(
    make_model: Callable[..., Classifier], bright_and_dark: Callable[..., ImageSource], fabric: Fabric
) -> None:
    model, side = make_model(dropout=0.0), bright_and_dark(24, contrast=60)
    values = {"learning_rate": 0.01, "head_rate_factor": 5.0, "layer_decay": 0.5}
    training = TrainingSettings.model_validate(values)
    drawing = Drawing(augmentation=AugmentationSettings(), seed=0, sampling="natural", mix=MixSettings())
    learner = ImageLearner(model, side, drawing)
    loss = build_loss(training.loss, side.labels, classes=("dark", "bright"))
    trial = Trial(model, learner, training, loss=loss, fabric=fabric)
    first = next(endless_examples(learner))
    trial.gradients(first)
    norms = [parameter.grad.norm() for parameter in model.parameters() if parameter.grad is not None]
    assert float(torch.stack(norms).norm()) <= 1.0 + 1e-5
    trial.step(rate=0.1)
    assert sorted({group["lr"] for group in trial._optimiser.param_groups}) == pytest.approx([0.05, 0.1, 0.5])
    found = run_rate_test(trial, endless_examples(learner), num_steps=40)
    assert np.diff(found.rates).min() > 0
    batches = list(itertools.islice(endless_examples(learner), 2 * len(learner.batches(epoch=1))))
    assert not torch.equal(batches[0].inputs[0], batches[len(batches) // 2].inputs[0])  # another epoch
