"""Which learning rate suits a model: a short training whose rate grows until the loss explodes.

In: a trial and batches. Out: the loss at each rate, and a rate to begin with. After Smith 2017, "Cyclical learning
rates for training neural networks", section 3.3, with the exponential growth and the smoothing that are usual since.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import numpy as np
from jaxtyping import Float

from radpath.progress import track
from radpath.training.learners import Examples, Learner
from radpath.training.trial import Trial

LOWEST_RATE: Final = 1e-6
HIGHEST_RATE: Final = 1.0
EXPLODED: Final = 4.0
"""The test ends where the smoothed loss is this many times the lowest one."""
_SMOOTHING: Final = 0.9
_LEAST_FALL: Final = 0.02  # of the first loss; less is noise
_LEAST_STEPS: Final = 10  # before an explosion is believed


@dataclasses.dataclass(frozen=True, kw_only=True)
class RateTest:
    """What became of the loss while the rate grew."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    """Of the batch at each rate, before the step with it was made."""
    smoothed: tuple[float, ...]
    lowest: float | None
    """The rate at which the smoothed loss is lowest; None where the loss never fell."""
    steepest: float | None
    """The rate below that one at which the smoothed loss falls fastest."""
    exploded: float | None
    """The rate at which the test ended early; None where it went through."""

    @property
    def suggestion(self) -> float | None:
        """A tenth of the rate of the lowest loss, or the rate of the steepest fall, whichever is lower."""
        if self.lowest is None or self.steepest is None:
            return None
        return min(self.lowest / 10, self.steepest)

    def to_dict(self) -> dict[str, Any]:
        """Return the findings as JSON holds them."""
        names = ("suggestion", "lowest", "steepest", "exploded")
        return {name: getattr(self, name) for name in names} | {"num_steps": len(self.rates)}


def rates_to_try(num_steps: int) -> Float[np.ndarray, " steps"]:
    """Return rates from the lowest to the highest, each the same multiple of the one before.

    >>> rates_to_try(3).tolist()
    [1e-06, 0.001, 1.0]
    """
    return np.geomspace(LOWEST_RATE, HIGHEST_RATE, num_steps)


def run_rate_test(trial: Trial, examples: Iterator[Examples], *, num_steps: int) -> RateTest:
    """Train with a growing rate until the loss explodes, or the highest rate is reached.

    Args:
        trial: a fresh model, which is spoilt by this.
        examples: as many batches as steps, at least.
        num_steps: at most.
    """
    rates: list[float] = []
    losses: list[float] = []
    for rate in track(rates_to_try(num_steps).tolist(), total=num_steps, what="trying rates", unit="steps"):
        tried = trial.gradients(next(examples))
        rates.append(rate)
        losses.append(tried.loss)
        if has_exploded(losses):
            break
        trial.step(rate=rate)
    return interpret(rates, losses)


def has_exploded(losses: Sequence[float]) -> bool:
    """Say whether the last loss is no number, or the smoothed one far above the lowest."""
    if not math.isfinite(losses[-1]):
        return True
    smoothed = smooth(losses)
    return len(losses) > _LEAST_STEPS and smoothed[-1] > EXPLODED * min(smoothed)


def smooth(losses: Iterable[float]) -> tuple[float, ...]:
    """Return the moving average with a weight of 0.9 on the past, corrected for its start as Adam's.

    >>> smooth([1.0, 1.0])
    (1.0, 1.0)
    """
    mean, averages = 0.0, []
    for number, loss in enumerate(losses, start=1):
        mean = _SMOOTHING * mean + (1 - _SMOOTHING) * loss
        averages.append(round(mean / (1 - _SMOOTHING**number), 12))
    return tuple(averages)


def interpret(rates: Sequence[float], losses: Sequence[float]) -> RateTest:
    """Return what a curve of losses says.

    Args:
        rates: growing.
        losses: one a rate; the last may be no number.
    """
    finite = [loss for loss in losses if math.isfinite(loss)]
    smoothed = smooth(finite)
    ended_early = len(finite) < len(losses) or has_exploded(finite)
    found: dict[str, float | None] = {"lowest": None, "steepest": None}
    place = int(np.argmin(smoothed)) if finite else 0
    if place > 0 and smoothed[place] < (1 - _LEAST_FALL) * smoothed[0]:
        slopes = np.gradient(np.array(smoothed[: place + 1]), np.log10(rates[: place + 1]))
        found = {"lowest": rates[place], "steepest": rates[int(np.argmin(slopes))]}
    return RateTest(
        rates=tuple(rates[: len(finite)]),
        losses=tuple(finite),
        smoothed=smoothed,
        exploded=rates[len(losses) - 1] if ended_early else None,
        **found,
    )


def endless_examples(learner: Learner) -> Iterator[Examples]:
    """Yield the batches of one epoch after another."""
    for epoch in itertools.count(1):
        for tickets in learner.batches(epoch=epoch):
            yield learner.examples(tickets, epoch=epoch)
