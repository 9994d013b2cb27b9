"""The three rates are measured in turn until the time is over, on batches of the training."""

from collections.abc import Callable

import pytest
from lightning_fabric import Fabric

from radpath.data.augmentation.settings import AugmentationSettings
from radpath.data.batches import ImageSource
from radpath.models.classifier import Classifier
from radpath.training.learners import ImageLearner
from radpath.training.settings import TrainingSettings
from radpath.training.speed import Speed, measure_speed


def test_every_way_is_measured_and_the_first_round_does_not_count(
    make_model: Callable[..., Classifier],
    bright_and_dark: Callable[..., ImageSource],
    fabric: Fabric,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[int] = []
    examples = ImageLearner.examples

    def counted(learner: ImageLearner, tickets: object, *, epoch: int, **share: object) -> object:
        seen.append(epoch)
        return examples(learner, tickets, epoch=epoch, **share)  # type: ignore[arg-type] # they are handed on

    monkeypatch.setattr(ImageLearner, "examples", counted)
    speed = measure_speed(
        make_model,
        bright_and_dark(16, size="fixed"),
        TrainingSettings(),
        augmentation=AugmentationSettings(),
        fabric=fabric,
        seconds=0.0,
    )
    assert speed.rounds == 1
    assert min(speed.step, speed.loader, speed.training) > 0
    # One batch for the network alone; then, in two rounds, both batches without and with the network.
    assert seen == [1] + [1] * 4 + [2] * 4


def test_batches_that_are_slower_than_the_network_hold_it_up() -> None:
    assert Speed(step=100.0, loader=50.0, training=33.0, rounds=1).bottleneck == "the batches"
    assert Speed(step=100.0, loader=500.0, training=83.0, rounds=1).bottleneck == "the network"
    assert Speed(step=100.0, loader=90.0, training=96.0, rounds=1).bottleneck == "the network"
