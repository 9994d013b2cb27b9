"""A handful is learned by heart where that is possible, and not where it is not."""

import math
from collections.abc import Callable
from typing import Any

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
from radpath.training.overfit import Attempt, is_learned, overfit, pick_handful
from radpath.training.settings import TrainingSettings
from radpath.training.trial import Trial
from radpath.training.watch import Watch, WatchSettings

Attempts = Callable[..., tuple[list[Attempt], Trial]]


@pytest.fixture
def attempt(make_model: Callable[..., Classifier], fabric: Fabric) -> Attempts:
    def run(
        side: ImageSource, *, num_steps: int, rate: float = 0.02, **settings_of_model: Any
    ) -> tuple[list[Attempt], Trial]:
        model, training = make_model(dropout=0.0, **settings_of_model), TrainingSettings()
        drawing = Drawing(augmentation=AugmentationSettings().only(), seed=0, sampling="natural", mix=MixSettings())
        learner = ImageLearner(model, side, drawing)
        loss = build_loss(training.loss, side.labels, classes=("dark", "bright"))
        trial = Trial(model, learner, training, loss=loss, fabric=fabric)
        watch = Watch(WatchSettings(), chance_loss=math.log(2), from_start=True, skips_steps=False)
        return list(overfit(trial, learner, watch, rate=rate, num_steps=num_steps)), trial

    return run


def test_what_can_be_told_apart_is_learned_and_ends_early(
    attempt: Attempts, bright_and_dark: Callable[..., ImageSource]
) -> None:
    attempts, trial = attempt(bright_and_dark(6, contrast=60, size="fixed"), num_steps=300)
    assert is_learned(attempts[-1], chance_loss=math.log(2))
    assert not any(is_learned(one, chance_loss=math.log(2)) for one in attempts[:-1])
    assert len(attempts) < 300
    assert trial.unreached == set()
    assert trial.reached_frozen == []


def test_one_image_with_two_labels_is_never_learned(attempt: Attempts, make_source: Callable[..., ImageSource]) -> None:
    image = np.random.default_rng(0).integers(0, 255, (32, 32, 1)).astype(np.uint8)
    attempts, _ = attempt(make_source([image, image], [0, 1], size="fixed"), num_steps=40)
    assert len(attempts) == 40
    assert all(one.loss > 0.69 for one in attempts)


def test_a_parameter_that_no_gradient_reaches_is_noticed(
    attempt: Attempts, bright_and_dark: Callable[..., ImageSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_off = Classifier.features

    def without_gradients(model: Classifier, *inputs: torch.Tensor) -> torch.Tensor:
        return cut_off(model, *inputs).detach()

    monkeypatch.setattr(Classifier, "features", without_gradients)
    _, trial = attempt(bright_and_dark(4, size="fixed"), num_steps=2)
    assert trial.unreached
    assert all(name.startswith("backbone.") for name in trial.unreached)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4)), min_size=1, max_size=30), st.integers(1, 4))
def test_a_handful_has_some_of_each_class_and_other_cases_first(rows: list[tuple[int, int]], per_class: int) -> None:
    labels, cases = np.array([label for label, _ in rows]), [str(case) for _, case in rows]
    chosen = pick_handful(labels, cases, per_class=per_class, seed=0).tolist()
    assert len(set(chosen)) == len(chosen)
    for label in set(labels.tolist()):
        of_class = [place for place in chosen if labels[place] == label]
        available = {cases[place] for place in np.flatnonzero(labels == label)}
        assert len(of_class) == min(per_class, int((labels == label).sum()))
        assert len({cases[place] for place in of_class}) == min(len(of_class), len(available))
