"""Steps of a training that nobody keeps: what ``check-learning`` and ``find-rate`` are made of.

In: a fresh model, examples, and a rate for each step. Out: loss, accuracy and gradients of the step, before it is made;
and which parameters have been reached by gradients. Schedules, averages and checkpoints are left out.
"""

import dataclasses
from typing import final

import torch
from lightning_fabric import Fabric
from torch import Tensor

from radpath.models.classifier import Classifier, Link
from radpath.seeding import derived_seed
from radpath.training.device import explained_memory_errors
from radpath.training.learners import Examples, Learner
from radpath.training.losses import Loss, Targets
from radpath.training.optimisation import BASE_RATE, build_optimiser
from radpath.training.ordinal import ordinal_log_probabilities
from radpath.training.settings import TrainingSettings


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tried:
    """What one batch gave, before the step was made."""

    loss: float
    gradient_norm: float
    num_right: int
    num_images: int


@final
class Trial:
    """A model, and the run's own optimiser with its groups."""

    def __init__(
        self, model: Classifier, learner: Learner, settings: TrainingSettings, *, loss: Loss, fabric: Fabric
    ) -> None:
        """Begin; the model lies on the device already."""
        self._model, self._settings, self._fabric = model, settings, fabric
        self._loss = loss.to(fabric.device)
        optimiser = build_optimiser(model, settings)
        self._trained, self._optimiser = fabric.setup(learner.module, optimiser)
        self.unreached = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        """Parameters that may learn, and had no gradient but zero until now."""
        torch.manual_seed(derived_seed(settings.seed, "dropout", 0))
        self._trained.train()
        model.train()

    @property
    def reached_frozen(self) -> list[str]:
        """Frozen parameters that have a gradient."""
        return [
            name
            for name, parameter in self._model.named_parameters()
            if not parameter.requires_grad and parameter.grad is not None
        ]

    def gradients(self, examples: Examples) -> Tried:
        """Compute the gradients of a batch, clipped as in a training."""
        with explained_memory_errors():
            self._optimiser.zero_grad()
            logits = self._trained(*examples.inputs)
            loss = self._loss(logits, examples.targets)
            self._fabric.backward(loss)
        norm = self._fabric.clip_gradients(
            self._trained, self._optimiser, max_norm=self._settings.clip_norm, error_if_nonfinite=False
        )
        assert norm is not None
        self._note_reached()
        right = are_right(logits.detach().float(), examples.targets, link=self._model.link)
        return Tried(
            loss=float(loss.detach()), gradient_norm=float(norm), num_right=int(right.sum()), num_images=len(right)
        )

    def step(self, *, rate: float) -> None:
        """Make a step from the gradients; every group keeps its relation to ``training.learning_rate``."""
        for group in self._optimiser.param_groups:
            group["lr"] = group[BASE_RATE] * rate / self._settings.learning_rate
        self._optimiser.step()

    def _note_reached(self) -> None:
        if self.unreached:
            own = dict(self._model.named_parameters())
            reached = [name for name in self.unreached if _is_reached(own[name])]
            self.unreached.difference_update(reached)


def _is_reached(parameter: Tensor) -> bool:
    return parameter.grad is not None and bool(parameter.grad.any())


def decisions(logits: Tensor, *, link: Link) -> Tensor:
    """Return the most probable class of each image.

    >>> decisions(torch.tensor([[2.0, 1.0]]), link="softmax").tolist()
    [0]
    """
    return (ordinal_log_probabilities(logits) if link == "ordinal" else logits).argmax(dim=1)


def are_right(logits: Tensor, targets: Targets, *, link: Link) -> Tensor:
    """Return whether each image is decided rightly: its class, or all of its labels that are known.

    >>> targets = torch.tensor([[1.0, float("nan")], [0.0, 1.0]])
    >>> are_right(torch.tensor([[2.0, 2.0], [2.0, 2.0]]), targets, link="sigmoid").tolist()
    [True, False]
    """
    if link == "sigmoid":
        return (targets.isnan() | ((logits > 0) == (targets > 0.5))).all(dim=1)
    truth = targets if targets.dim() == 1 else targets.argmax(dim=1)
    return decisions(logits, link=link) == truth
