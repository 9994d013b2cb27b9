"""An average of the weights: what is validated and kept, since single steps of a small training are noisy.

In: a model after every step and every epoch. Out: the average, which can take the model's place for a while. Two kinds:
a moving average over steps, which follows quickly at first, so that it does not remember the beginning (the rule of
TensorFlow's ``ExponentialMovingAverage``); and the plain mean of the weights after each of the last epochs, at a
constant rate (SWA: Izmailov et al. 2018, "Averaging weights leads to wider optima and better generalization"). The
statistics of BatchNorm belong to no mean of weights; for SWA, ``norm_statistics`` measures them anew.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Literal, final

import torch
from pydantic import Field
from torch import Tensor

from radpath.models.classifier import Classifier, changing_tensors
from radpath.settings import Settings


class AverageSettings(Settings):
    """Which average of the weights is validated and kept."""

    kind: Literal["ema", "swa", "none"] = "ema"
    """ema: a moving average over the steps; swa: the mean of the weights after each epoch from average.start on, at the
    constant rate average.rate, with BatchNorm's statistics measured anew where they are not frozen (Izmailov et al.
    2018); none: the last weights."""
    decay: float = Field(default=0.99, ge=0, lt=1)
    """Of ema: how much of the average is kept in a step."""
    start: float = Field(default=0.75, ge=0, lt=1)
    """Of swa: the share of training after which epochs are averaged."""
    rate: float = Field(default=0.5, gt=0)
    """Of swa: from then on the learning rate is this share of the highest one, whatever the schedule."""

    def is_swa_in(self, epoch: int, *, num_epochs: int) -> bool:
        """Say whether an epoch is one of those that SWA averages.

        >>> [AverageSettings(kind="swa", start=0.5).is_swa_in(epoch, num_epochs=4) for epoch in (1, 2, 3, 4)]
        [False, False, True, True]
        """
        return self.kind == "swa" and epoch - 1 >= self.start * num_epochs


@final
class WeightAverage:
    """An average of everything that training changes in a model."""

    def __init__(self, model: Classifier, settings: AverageSettings) -> None:
        """Begin with the model's own weights."""
        self.settings = settings
        self.count = 0
        """Steps (ema) or epochs (swa) that were taken in."""
        self.tensors = {name: value.detach().clone() for name, value in changing_tensors(model).items()}

    def after_step(self, model: Classifier) -> None:
        """Take in the model after one more step."""
        if self.settings.kind == "ema":
            # A decay of 0 follows the model exactly.
            self._take_in(model, share=1 - min(self.settings.decay, (1 + self.count) / (10 + self.count)))

    def after_epoch(self, model: Classifier, epoch: int, *, num_epochs: int) -> None:
        """Take in the model after one more epoch; without SWA, or before it, the average is the model."""
        if self.settings.is_swa_in(epoch, num_epochs=num_epochs):
            self._take_in(model, share=1 / (1 + self.count))
        elif self.settings.kind != "ema":
            self._copy(changing_tensors(model), self.tensors)

    @torch.no_grad()
    def _take_in(self, model: Classifier, *, share: float) -> None:
        self.count += 1
        for name, value in changing_tensors(model).items():
            if value.is_floating_point():
                self.tensors[name].lerp_(value, share)
            else:
                self.tensors[name].copy_(value)

    @contextlib.contextmanager
    def in_place_of(self, model: Classifier) -> Iterator[None]:
        """Put the average into the model for the length of a ``with`` block."""
        own = {name: value.detach().clone() for name, value in changing_tensors(model).items()}
        self._copy(self.tensors, changing_tensors(model))
        try:
            yield
        finally:
            self._copy(own, changing_tensors(model))

    @staticmethod
    @torch.no_grad()
    def _copy(source: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> None:
        for name, value in target.items():
            value.copy_(source[name])
