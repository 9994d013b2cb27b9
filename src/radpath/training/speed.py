"""How many images a second a training can take: the network alone, the batches alone, and both as a run has them.

In: a classifier's settings in the form of a function that builds it, images and settings. Out: images per second of
three ways, measured in turn until a time is over. What that means for a person is left to ``recipes.benchmark``.
"""

import dataclasses
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import torch
from lightning_fabric import Fabric

from radpath.data.augmentation.settings import AugmentationSettings
from radpath.data.batches import ImageSource
from radpath.models.classifier import Classifier
from radpath.training.checkpoints import Checkpoints
from radpath.training.device import explained_memory_errors
from radpath.training.learners import Drawing, Examples, ImageLearner
from radpath.training.learning import Learning
from radpath.training.losses import Loss, build_loss
from radpath.training.optimisation import build_optimiser
from radpath.training.settings import TrainingSettings

_CLASSES: Final = ("first", "second")
_CLOSE: Final = 0.95  # from this share of the step's rate on, batches cost next to nothing


@dataclasses.dataclass(frozen=True, kw_only=True)
class Speed:
    """Images per second, medians of some rounds."""

    step: float
    """Of forward, backward and the optimiser's step on one batch that stays."""
    loader: float
    """Of reading and augmenting batches, without the network."""
    training: float
    """Of an epoch as a run has it, with both, clipped gradients and averaged weights."""
    rounds: int
    """How often each was measured, after one round to warm up."""

    @property
    def share_of_step(self) -> float:
        """Training as a share of the step alone: 1.0 means that batches cost nothing."""
        return self.training / self.step

    @property
    def bottleneck(self) -> str:
        """What to make faster.

        >>> Speed(step=40.0, loader=900.0, training=39.0, rounds=3).bottleneck
        'the network'
        >>> Speed(step=4000.0, loader=900.0, training=800.0, rounds=3).bottleneck
        'the batches'
        """
        return "the batches" if self.loader < self.step and self.share_of_step < _CLOSE else "the network"


def measure_speed(
    build: Callable[[], Classifier],
    source: ImageSource,
    settings: TrainingSettings,
    *,
    augmentation: AugmentationSettings,
    fabric: Fabric,
    seconds: float,
) -> Speed:
    """Measure the three ways in turn, each an epoch at a time, for at least one round.

    Args:
        build: returns a new classifier of two classes; called twice.
        source: labelled images; an epoch should be a few batches.
        settings: of the training.
        augmentation: of the training.
        fabric: the device.
        seconds: after which no round begins any more; the first round, which warms up, is not counted.

    Raises:
        DeviceError: the GPU's memory is used up.
    """
    drawing = Drawing(augmentation=augmentation, seed=settings.seed, sampling=settings.sampling, mix=settings.mix)
    loss = build_loss(settings.loss, source.labels, classes=_CLASSES)
    learner = ImageLearner(build().to(fabric.device), source, drawing)
    with tempfile.TemporaryDirectory() as place, explained_memory_errors():
        ways: tuple[Callable[[int], object], ...] = (
            bare_steps(build().to(fabric.device), learner, settings, loss=loss, fabric=fabric),
            lambda epoch: [learner.examples(tickets, epoch=epoch) for tickets in learner.batches(epoch=epoch)],
            epoch_of_run(learner, settings, loss=loss, kept=Checkpoints(Path(place)), fabric=fabric),
        )
        rates = _in_turn(ways, num_images=len(source), fabric=fabric, seconds=seconds)
    step, loader, training = (statistics.median(values) for values in rates)
    return Speed(step=step, loader=loader, training=training, rounds=len(rates[0]))


def _in_turn(
    ways: tuple[Callable[[int], object], ...], *, num_images: int, fabric: Fabric, seconds: float
) -> list[list[float]]:
    """Return the rates of each way in each round."""
    rates: list[list[float]] = [[] for _ in ways]
    ends, number = float("inf"), 0
    while number < 2 or time.perf_counter() < ends:
        number += 1
        for values, run in zip(rates, ways, strict=True):
            _wait(fabric)
            began = time.perf_counter()
            run(number)
            _wait(fabric)
            if number > 1:
                values.append(num_images / (time.perf_counter() - began))
        if number == 1:
            ends = time.perf_counter() + seconds
    return rates


def _wait(fabric: Fabric) -> None:
    """Wait until the device has done what it was told."""
    if fabric.device.type == "cuda":
        torch.cuda.synchronize(fabric.device)
    elif fabric.device.type == "mps":
        torch.mps.synchronize()


def bare_steps(
    model: Classifier, learner: ImageLearner, settings: TrainingSettings, *, loss: Loss, fabric: Fabric
) -> Callable[[int], None]:
    """Return a function that makes as many steps as an epoch has, on one batch of each size, and nothing else."""
    batches: list[Examples] = []
    for tickets in learner.batches(epoch=1):
        same = [examples for examples in batches if len(examples.targets) == len(tickets)]
        batches.append(same[0] if same else learner.examples(tickets, epoch=1))
    trained, optimiser = fabric.setup(model, build_optimiser(model, settings))
    loss.to(fabric.device)

    def steps(_: int) -> None:
        model.train()
        for examples in batches:
            optimiser.zero_grad()
            fabric.backward(loss(trained(*examples.inputs), examples.targets))
            optimiser.step()

    return steps


def epoch_of_run(
    learner: ImageLearner, settings: TrainingSettings, *, loss: Loss, kept: Checkpoints, fabric: Fabric
) -> Callable[[int], object]:
    """Return a function that learns from one epoch, as ``loop`` does; given is the epoch's number."""
    model = learner.module
    assert isinstance(model, Classifier)
    endless = settings.model_copy(update={"epochs": 1_000_000, "thaw_every": 0})
    return Learning(model, learner, endless, loss=loss, kept=kept, fabric=fabric).learn
