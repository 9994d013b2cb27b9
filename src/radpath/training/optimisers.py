"""Which rule turns gradients into steps.

In: groups of parameters, each with its rate and whether it decays. Out: one of PyTorch's optimisers.
"""

from collections.abc import Callable
from typing import Any, Final, Literal

import torch
from pydantic import Field

from radpath.settings import Settings

Kind = Literal["adamw", "adam", "sgd", "rmsprop"]


class OptimiserSettings(Settings):
    """Which rule turns gradients into steps."""

    kind: Kind = "adamw"
    """adamw (Loshchilov and Hutter 2019), adam (Kingma and Ba 2015), sgd with Nesterov's momentum, or rmsprop; their
    learning rates differ: sgd takes about a hundred times that of the others."""
    weight_decay: float = Field(default=0.05, ge=0)
    """Not applied to biases and normalisation layers. adamw: weights shrink by this times the rate at each step; the
    others: added to the gradient as a penalty (L2), for which 0.0001 is usual."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """How much of the last steps (sgd, rmsprop) or of the mean gradient (adam, adamw: beta 1) is kept."""


Groups = list[dict[str, Any]]
"""Parameters ("params") with their rate ("lr") and decay ("weight_decay"), as PyTorch's optimisers take them."""


def _sgd(groups: Groups, momentum: float) -> torch.optim.Optimizer:
    # Nesterov's correction is that of a momentum; PyTorch refuses it without one.
    return torch.optim.SGD(groups, momentum=momentum, nesterov=momentum > 0)


_OPTIMISERS: Final[dict[Kind, Callable[[Groups, float], torch.optim.Optimizer]]] = {
    "adamw": lambda groups, momentum: torch.optim.AdamW(groups, betas=(momentum, 0.999)),
    "adam": lambda groups, momentum: torch.optim.Adam(groups, betas=(momentum, 0.999)),
    "sgd": _sgd,
    "rmsprop": lambda groups, momentum: torch.optim.RMSprop(groups, momentum=momentum),
}


def make_optimiser(settings: OptimiserSettings, groups: Groups) -> torch.optim.Optimizer:
    """Return the optimiser for ``groups``."""
    return _OPTIMISERS[settings.kind](groups, settings.momentum)
