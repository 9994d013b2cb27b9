"""A moving average of the weights: what is validated and kept, since single steps of a small training are noisy.

In: a model after every step. Out: the average, which can take the model's place for a while. The average follows
quickly at first, so that it does not remember the beginning (the rule of TensorFlow's ``ExponentialMovingAverage``).
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import final

import torch
from torch import Tensor

from radpath.models.classifier import Classifier, changing_tensors


@final
class WeightAverage:
    """An exponential moving average of everything that training changes in a model."""

    def __init__(self, model: Classifier, *, decay: float) -> None:
        """Begin with the model's own weights; a ``decay`` of 0 follows the model exactly."""
        self.decay = decay
        self.steps = 0
        self.tensors = {name: value.detach().clone() for name, value in changing_tensors(model).items()}

    @torch.no_grad()
    def update(self, model: Classifier) -> None:
        """Take in the model after one more step."""
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        self.steps += 1
        for name, value in changing_tensors(model).items():
            if value.is_floating_point():
                self.tensors[name].lerp_(value, 1 - decay)
            else:
                self.tensors[name].copy_(value)

    @contextlib.contextmanager
    def in_place_of(self, model: Classifier) -> Iterator[None]:
        """Put the average into the model for the length of a ``with`` block."""
        own = {name: value.detach().clone() for name, value in changing_tensors(model).items()}
        self._put(model, self.tensors)
        try:
            yield
        finally:
            self._put(model, own)

    @staticmethod
    @torch.no_grad()
    def _put(model: Classifier, tensors: Mapping[str, Tensor]) -> None:
        for name, value in changing_tensors(model).items():
            value.copy_(tensors[name])
