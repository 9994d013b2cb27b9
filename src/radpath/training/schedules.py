"""The learning rate at every step, as a share of the highest one.

In: settings, the share of training that is done, the epoch, and how often validation got no better. Out: a factor. It
is computed anew for each step from these numbers alone, so that a schedule has no state that a resumed run could lose,
and whatever ``history.csv`` shows is what the optimiser used.
"""

import math
from collections.abc import Sequence
from typing import Final, Literal

from pydantic import Field

from radpath.settings import Settings

_LEAST_WARM: Final = 0.01  # the first step of a warm-up is not lost
_CYCLE_START: Final = 1 / 25  # of one_cycle, as in fastai and PyTorch


class ScheduleSettings(Settings):
    """How the learning rate changes."""

    kind: Literal["cosine", "constant", "step", "exponential", "one_cycle", "plateau"] = "cosine"
    """cosine: falls along half a cosine to schedule.floor; step: times schedule.factor after every schedule.every
    epochs; exponential: times schedule.factor after each epoch; one_cycle: rises along half a cosine during the warm-up
    and falls along another to the floor (Smith and Topin 2018, without their cycle of the momentum); plateau: times
    schedule.factor after schedule.wait epochs without a better training.monitor."""
    warmup: float = Field(default=0.1, ge=0, lt=1)
    """Over this share of training the rate rises, from zero in a straight line; of one_cycle, from a 25th."""
    floor: float = Field(default=0.01, ge=0, le=1)
    """The rate never falls below this share of the highest one, but in the warm-up."""
    factor: float = Field(default=0.5, gt=0, lt=1)
    """By which step, exponential and plateau lower the rate."""
    every: int = Field(default=5, ge=1)
    """Epochs between two changes of step."""
    wait: int = Field(default=3, ge=1)
    """Epochs without a better one before plateau lowers the rate."""


def rate_factor(settings: ScheduleSettings, *, done: float, epoch: int, plateaus: int = 0) -> float:
    """Return the share of the highest rate.

    Args:
        settings: which schedule.
        done: share of training that is done with the step that is about to be made, in (0, 1].
        epoch: that the step belongs to, from 1.
        plateaus: how often validation got no better for some time, as ``count_plateaus`` tells.

    >>> rate_factor(ScheduleSettings(warmup=0.1), done=0.1, epoch=1)
    1.0
    >>> rate_factor(ScheduleSettings(kind="exponential", warmup=0, factor=0.5), done=0.3, epoch=3)
    0.25
    """
    warmup, kind = settings.warmup, settings.kind
    if done < warmup and kind == "one_cycle":
        return _along_cosine(_CYCLE_START, 1.0, done / warmup)
    if kind in {"cosine", "one_cycle"}:
        factor = 1.0 if done < warmup else _along_cosine(1.0, settings.floor, (done - warmup) / (1 - warmup))
    else:
        falls = {"constant": 0, "step": (epoch - 1) // settings.every, "exponential": epoch - 1, "plateau": plateaus}
        factor = max(settings.factor ** falls[kind], settings.floor)
    return factor * max(done / warmup, _LEAST_WARM) if done < warmup else factor


def _along_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def count_plateaus(merits: Sequence[tuple[float, ...]], *, wait: int) -> int:
    """Return how often ``wait`` epochs in a row brought nothing better; after each time the count begins anew.

    Args:
        merits: of the finished epochs in order; higher is better.
        wait: epochs.

    >>> count_plateaus([(0.5,), (0.6,), (0.6,), (0.6,), (0.6,), (0.6,)], wait=2)
    2
    """
    plateaus = waited = 0
    best = merits[0] if merits else ()
    for merit in merits[1:]:
        if merit > best:
            best, waited = merit, 0
            continue
        waited += 1
        if waited == wait:
            plateaus, waited = plateaus + 1, 0
    return plateaus
