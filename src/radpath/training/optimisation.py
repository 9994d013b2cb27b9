"""The loss, the optimiser and the learning rate at every step.

In: a model and how often each class occurs. Out: a weighted cross-entropy, AdamW over what may learn, and a rate that
depends on the share of training that is done and on nothing else, so that it needs no state.
"""

import math
from typing import Final, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from radpath.settings import Settings

BASE_RATE: Final = "base_rate"
"""Key of an optimiser group: the rate at the top of the schedule."""


class OptimisationSettings(Settings):
    """How the weights change."""

    learning_rate: float = Field(default=3e-4, gt=0)
    """The backbone's highest rate (AdamW, Loshchilov and Hutter 2019)."""
    head_rate_factor: float = Field(default=1.0, gt=0)
    """The head learns at learning_rate times this."""
    weight_decay: float = Field(default=0.05, ge=0)
    """Decoupled; not applied to biases and normalisation layers."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """cosine: from the highest rate to a hundredth of it over all epochs."""
    warmup: float = Field(default=0.1, ge=0, lt=1)
    """Over this share of training the rate rises from zero."""
    clip_norm: float = Field(default=1.0, gt=0)
    """Gradients are scaled down to this norm."""
    class_weights: Literal["balanced", "none"] = "balanced"
    """balanced: each class counts by the inverse of its frequency in training; this moves the probabilities."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Share of each label that is spread over all classes."""


def class_weights(
    labels: Int[np.ndarray, " images"], *, num_classes: int, kind: Literal["balanced", "none"]
) -> Float[Tensor, " classes"]:
    """Return one weight a class: ``images / (classes * images of the class)``, scikit-learn's "balanced"."""
    if kind == "none":
        return torch.ones(num_classes)
    counts = np.bincount(labels, minlength=num_classes)
    return torch.from_numpy(len(labels) / (num_classes * counts)).float()


def build_optimiser(model: nn.Module, settings: OptimisationSettings) -> torch.optim.AdamW:
    """Return AdamW over the parameters that may learn, in groups by rate and by decay."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            factor = settings.head_rate_factor if "backbone" not in name.split(".") else 1.0
            decay = settings.weight_decay if parameter.dim() > 1 else 0.0
            groups.setdefault((settings.learning_rate * factor, decay), []).append(parameter)
    return torch.optim.AdamW(
        [
            {"params": parameters, "lr": rate, BASE_RATE: rate, "weight_decay": decay}
            for (rate, decay), parameters in groups.items()
        ]
    )


def set_rate(optimiser: torch.optim.Optimizer, settings: OptimisationSettings, *, done: float) -> float:
    """Set every group's rate for the share ``done`` of training in [0, 1]; return the backbone's or only rate."""
    factor = rate_factor(settings, done=done)
    for group in optimiser.param_groups:
        group["lr"] = group[BASE_RATE] * factor
    return float(optimiser.param_groups[0]["lr"])


def rate_factor(settings: OptimisationSettings, *, done: float) -> float:
    """Return the share of the highest rate after the share ``done`` of training.

    >>> rate_factor(OptimisationSettings(warmup=0.1), done=0.1)
    1.0
    """
    if done < settings.warmup:
        return max(done / settings.warmup, 0.01)
    if settings.schedule == "constant":
        return 1.0
    along = (done - settings.warmup) / (1 - settings.warmup)
    return 0.01 + 0.99 * (1 + math.cos(math.pi * along)) / 2
