"""Looks at every step of a training, and remembers the last few: all that a diagnosis costs while all is well.

In: the loss and the norm of the gradients, before the step is made, so that the weights are still those of the step
before. Out: nothing, or what is wrong. Why it went wrong is asked in ``diagnosis``.
"""

import collections
import dataclasses
import math
from typing import Final, final

import numpy as np
from pydantic import Field

from radpath.settings import Settings

_REMEMBERED: Final = 20  # steps


class WatchSettings(Settings):
    """When a loss that grows ends the training; one that is no number always does."""

    explosion: float = Field(default=20.0, gt=1)
    """A loss above so many times that of a network that knows nothing (equal logits) counts as exploded."""
    steps: int = Field(default=20, ge=1)
    """Training ends after so many exploded steps in a row."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Step:
    """What is known of one step before it is made."""

    epoch: int
    step: int
    loss: float
    gradient_norm: float
    """Over everything that learns, before it is clipped."""
    learning_rate: float


class SpoiltError(Exception):
    """Numbers of the training are none any more; ``loop`` finds out why, and says so as a ``TrainingError``."""


class SpoiltEpochError(SpoiltError):
    """The same, noticed when an epoch was validated."""


@final
class Watch:
    """Sees every step of one training."""

    def __init__(self, settings: WatchSettings, *, chance_loss: float, from_start: bool, skips_steps: bool) -> None:
        """Begin.

        Args:
            settings: when a loss has exploded.
            chance_loss: of a network that knows nothing.
            from_start: whether the first step that is seen is the training's first.
            skips_steps: whether steps with gradients that are no numbers are left out anyway, as in 16 bits.
        """
        self.settings, self.chance_loss, self.from_start = settings, chance_loss, from_start
        self.steps: collections.deque[Step] = collections.deque(maxlen=_REMEMBERED)
        self.first: Step | None = None
        self.batches: list[np.ndarray] = []
        """The tickets of the last step's batches."""
        self.num_made = 0
        """Steps that were seen and made."""
        self._skips_steps = skips_steps
        self._num_exploded = 0

    def look(self, step: Step, batches: list[np.ndarray]) -> None:
        """Take in a step.

        Raises:
            SpoiltError: it must not be made.
        """
        self.first = self.first or step
        self.steps.append(step)
        self.batches = batches
        where = f"in epoch {step.epoch}, step {step.step}"
        if not math.isfinite(step.loss):
            raise SpoiltError(f"the loss is {step.loss} {where}")
        if not math.isfinite(step.gradient_norm) and not self._skips_steps:
            raise SpoiltError(f"the norm of the gradients is {step.gradient_norm} {where}")
        self._look_for_explosion(step, where)
        self.num_made += 1

    def _look_for_explosion(self, step: Step, where: str) -> None:
        limit = self.settings.explosion * self.chance_loss
        self._num_exploded = self._num_exploded + 1 if step.loss > limit else 0
        if self._num_exploded >= self.settings.steps:
            raise SpoiltError(
                f"the loss is {step.loss:.3g} {where}, and was above {limit:.3g}, which is {self.settings.explosion:g} "
                f"times that of a network that knows nothing, for {self._num_exploded} steps"
            )
