"""How the weights change: which images, which loss, which step at which rate, and which average is kept.

In: a model and settings. Out: an optimiser whose groups have their own rates, and the rate of every step. What each
part does stands in a file of its own; here they are put together, and what does not go together is refused.
"""

from typing import Final

import torch
from pydantic import Field, model_validator
from torch import nn

from radpath.models.classifier import Classifier
from radpath.settings import Settings
from radpath.training.averaging import AverageSettings
from radpath.training.loss_settings import LossSettings
from radpath.training.mixing import MixSettings
from radpath.training.optimisers import OptimiserSettings, make_optimiser
from radpath.training.sampling import Sampling
from radpath.training.schedules import ScheduleSettings, rate_factor

BASE_RATE: Final = "base_rate"
"""Key of an optimiser group: the rate at the top of the schedule."""


class OptimisationSettings(Settings):
    """How the weights change."""

    learning_rate: float = Field(default=3e-4, gt=0)
    """The highest rate of the backbone's last stage."""
    head_rate_factor: float = Field(default=1.0, gt=0)
    """The head learns at learning_rate times this."""
    layer_decay: float = Field(default=1.0, gt=0, le=1)
    """Each stage of the backbone learns at the rate of the stage above it times this; 1.0: all alike."""
    clip_norm: float = Field(default=1.0, gt=0)
    """Gradients are scaled down to this norm."""
    accumulate: int = Field(default=1, ge=1)
    """A step is made from the gradients of so many batches, as if they were one; BatchNorm still sees each alone."""
    sampling: Sampling = "natural"
    """natural: an epoch sees each image once; balanced: each class equally often, about as many images in all, those of
    rare classes several times, each time augmented in another way."""
    loss: LossSettings = LossSettings()
    optimiser: OptimiserSettings = OptimiserSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    mix: MixSettings = MixSettings()
    average: AverageSettings = AverageSettings()

    @model_validator(mode="after")
    def _rare_classes_are_helped_once(self) -> "OptimisationSettings":
        if self.sampling == "balanced" and self.loss.class_weights in {"balanced", "effective_number"}:
            raise ValueError(
                "training.sampling is 'balanced' and training.loss.class_weights is "
                f"'{self.loss.class_weights}', which would favour rare classes twice; set training.loss.class_weights "
                "= 'none', or 'given' with weights of your own"
            )
        return self


def build_optimiser(model: Classifier, settings: OptimisationSettings) -> torch.optim.Optimizer:
    """Return the optimiser over the parameters that may learn, in groups by rate and by decay."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decay = settings.optimiser.weight_decay if parameter.dim() > 1 else 0.0
            groups.setdefault((_base_rate(model, name, settings), decay), []).append(parameter)
    made = [
        {"params": parameters, "lr": rate, BASE_RATE: rate, "weight_decay": decay}
        for (rate, decay), parameters in groups.items()
    ]
    return make_optimiser(settings.optimiser, made)


def _base_rate(model: Classifier, name: str, settings: OptimisationSettings) -> float:
    """Return the highest rate of a parameter: the lower, the further its stage is from the last one."""
    below_last = len(model.stages) - 1 - model.stage_index(name)
    if below_last < 0:
        return settings.learning_rate * settings.head_rate_factor
    return float(settings.learning_rate * settings.layer_decay**below_last)


def set_rate(
    optimiser: torch.optim.Optimizer,
    settings: OptimisationSettings,
    *,
    epoch: int,
    num_epochs: int,
    share: float,
    plateaus: int = 0,
) -> float:
    """Set every group's rate for one step; return what became of ``learning_rate``.

    Args:
        optimiser: is changed.
        settings: the schedule, and SWA, which replaces it at the end.
        epoch: that the step belongs to, from 1.
        num_epochs: of the whole training.
        share: of the epoch that is done with this step, in (0, 1].
        plateaus: how often validation got no better for some time.
    """
    if settings.average.is_swa_in(epoch, num_epochs=num_epochs):
        factor = settings.average.rate
    else:
        done = (epoch - 1 + share) / num_epochs
        factor = rate_factor(settings.schedule, done=done, epoch=epoch, plateaus=plateaus)
    for group in optimiser.param_groups:
        group["lr"] = group[BASE_RATE] * factor
    return settings.learning_rate * factor
