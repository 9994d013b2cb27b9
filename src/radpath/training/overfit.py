"""A network that can learn at all learns a handful of images by heart: the first thing to try where nothing is learned.

In: a trial, and a learner of a few images without augmentation. Out: loss and accuracy of every pass, and whether the
images were learned (Goodfellow et al. 2016, "Deep Learning", section 11.5: "fit a tiny dataset").
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np
from jaxtyping import Int

from radpath.progress import track
from radpath.seeding import generator_for
from radpath.training.learners import Learner
from radpath.training.trial import Trial, Tried
from radpath.training.watch import Step, Watch

LEARNED: Final = 0.1
"""Images count as learned where all are right, and the loss is below this share of what a network that knows nothing
has."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Attempt:
    """One pass over the handful, before or while its steps were made."""

    number: int
    loss: float
    accuracy: float
    gradient_norm: float
    """Of the pass's last step."""


def overfit(trial: Trial, learner: Learner, watch: Watch, *, rate: float, num_steps: int) -> Iterator[Attempt]:
    """Learn the same images again and again, at one rate, until they are learned or the steps are used up.

    Yields:
        One pass after another.

    Raises:
        SpoiltError: a loss or a gradient is no number, or the loss exploded.
    """
    batches = learner.batches(epoch=1)
    num_passes = max(1, num_steps // len(batches))
    for number in track(range(1, num_passes + 1), total=num_passes, what="learning a handful", unit="passes"):
        tried: list[Tried] = []
        for tickets in batches:
            one = trial.gradients(learner.examples(tickets, epoch=1))
            told = Step(
                epoch=1,
                step=(number - 1) * len(batches) + len(tried) + 1,
                loss=one.loss,
                gradient_norm=one.gradient_norm,
                learning_rate=rate,
            )
            watch.look(told, [tickets])
            trial.step(rate=rate)
            tried.append(one)
        seen = sum(one.num_images for one in tried)
        attempt = Attempt(
            number=number,
            loss=sum(one.loss * one.num_images for one in tried) / seen,
            accuracy=sum(one.num_right for one in tried) / seen,
            gradient_norm=tried[-1].gradient_norm,
        )
        yield attempt
        if is_learned(attempt, chance_loss=watch.chance_loss):
            break


def is_learned(attempt: Attempt, *, chance_loss: float) -> bool:
    """Say whether a pass found every image learned."""
    return attempt.accuracy == 1 and attempt.loss < LEARNED * chance_loss


def pick_handful(
    labels: Int[np.ndarray, " images"], cases: Sequence[str], *, per_class: int, seed: int
) -> Int[np.ndarray, " chosen"]:
    """Return positions of a few images of each class, of different cases as far as there are.

    >>> sorted(pick_handful(np.array([0, 0, 0, 1]), ["a", "a", "b", "c"], per_class=2, seed=1).tolist())[1:]
    [2, 3]
    """
    chosen: list[int] = []
    for label in np.unique(labels):
        order = generator_for(seed, "handful", int(label)).permutation(np.flatnonzero(labels == label))
        chosen += _other_cases_first(order.tolist(), cases)[:per_class]
    return np.array(chosen, dtype=np.int64)


def _other_cases_first(positions: Iterable[int], cases: Sequence[str]) -> list[int]:
    seen: dict[str, int] = {}
    turns = []
    for position in positions:
        turns.append((seen.get(cases[position], 0), position))
        seen[cases[position]] = turns[-1][0] + 1
    return [position for _, position in sorted(turns, key=lambda turn: turn[0])]
