"""Why a training was spoilt: five causes, each with what speaks for it or against it, the likely ones first.

In: ``Evidence``. Out: a ``Failure``, for ``failure.json`` and one screen of text. Where nothing tells causes apart they
stand in the order in which they are usually found: learning rate, data, initialisation, loss, precision.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, Final, Literal

from radpath.data.findings import MAX_EXAMPLES, counted
from radpath.training.evidence import Evidence
from radpath.training.watch import Step

CauseName = Literal["learning rate", "data", "initialisation", "loss", "precision"]
Standing = Literal["likely", "possible", "unlikely"]

_STANDINGS: Final[tuple[Standing, ...]] = ("likely", "possible", "unlikely")
_HIGH: Final = 5.0  # times the loss of a network that knows nothing: no fresh network begins so
_HUGE_WEIGHT: Final = 1e4
_UNEVEN_WEIGHTS: Final = 100.0
_FULL: Final = "32-true"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cause:
    """What may have spoilt the training."""

    name: CauseName
    standing: Standing
    because: str
    """What was measured, as the end of a sentence."""
    remedy: str


def name_causes(evidence: Evidence) -> tuple[Cause, ...]:
    """Return all five causes, the likely ones first."""
    judged = [judge(evidence) for judge in _JUDGES]
    return tuple(sorted(judged, key=lambda cause: _STANDINGS.index(cause.standing)))


def _learning_rate(evidence: Evidence) -> Cause:
    rate = evidence.steps[-1].learning_rate if evidence.steps else 0.0
    lower = f"start a new run with training.learning_rate = {rate / 10:.1g}, or measure one with `radpath find-rate`"

    def cause(standing: Standing, because: str) -> Cause:
        return Cause(name="learning rate", standing=standing, because=because, remedy=lower)

    resumed = bool(evidence.steps) and evidence.first_loss is None
    if not evidence.num_made and not resumed:
        return cause("unlikely", "no step had been made")
    heavy = [one for one in evidence.weights if one.num_not_finite or one.largest > _HUGE_WEIGHT]
    began_well = evidence.first_loss is None or evidence.first_loss <= _HIGH * evidence.chance_loss
    if heavy and began_well and not evidence.batch.not_finite:
        worst = max(heavy, key=lambda one: (one.num_not_finite, one.largest))
        grown = f"weights of the {worst.where} reached {worst.largest:.1g}"
        lost = f"; {counted(worst.num_not_finite, 'weight')} of it {_be(worst.num_not_finite)} no number"
        return cause("likely", f"at {rate:.1g}, {grown}{lost if worst.num_not_finite else ''}")
    rise = _rise(evidence)
    if rise and began_well and not evidence.batch.not_finite:
        return cause("likely", f"at {rate:.1g}, the loss rose {rise}")
    return cause("possible", f"it was {rate:.1g}, and nothing grew in the last steps")


def _be(number: int) -> str:
    return "is" if number == 1 else "are"


def _rise(evidence: Evidence) -> str:
    """Say how the loss rose over the steps; empty where it did not."""
    losses = [step.loss for step in evidence.steps if math.isfinite(step.loss)]
    start = losses[0] if evidence.first_loss is None and losses else evidence.first_loss
    if start is None or not losses or max(losses) <= _HIGH * max(evidence.chance_loss, start):
        return ""
    return f"from {start:.3g} to {max(losses):.3g}"


def _data(evidence: Evidence) -> Cause:
    batch = evidence.batch
    remedy = "look at these images with `radpath preview`, and correct them, leave them out, or change pixels.intensity"

    def cause(standing: Standing, because: str) -> Cause:
        return Cause(name="data", standing=standing, because=because, remedy=remedy)

    if batch.not_finite:
        name, count = next(iter(batch.not_finite.items()))
        more = f" and {len(batch.not_finite) - 1} more" if len(batch.not_finite) > 1 else ""
        return cause("likely", f"{counted(count, 'number')} of {name}{more} {_be(count)} none")
    if batch.odd:
        return cause("possible", f"the batch at fault has odd images: {batch.odd[0]}")
    return cause("unlikely", f"pixels of the batch at fault lie between {batch.lowest:.3g} and {batch.highest:.3g}")


def _initialisation(evidence: Evidence) -> Cause:
    remedy = "check model.weights and model.norm_statistics with `radpath check-learning`"

    def cause(standing: Standing, because: str) -> Cause:
        return Cause(name="initialisation", standing=standing, because=because, remedy=remedy)

    start, chance = evidence.first_loss, evidence.chance_loss
    if start is None and evidence.steps:
        return cause("unlikely", "earlier epochs went well")
    if start is None or not evidence.num_made:
        start = evidence.passed_exactly.loss  # before any step, in 32 bits
    if evidence.batch.not_finite:
        return cause("possible", "numbers that are none came in, so that nothing is known of the first weights")
    lost = next((one for one in evidence.passed_exactly.ranges if one.num_not_finite), None)
    if not math.isfinite(start) and lost is None:
        return cause("possible", "the logits of the first step are numbers, its loss is none")
    if not start <= _HIGH * chance:
        told = f"the loss of the first step was {start:.3g}; a network that knows nothing has {chance:.3g}"
        return cause("likely", told)
    return cause("unlikely", f"the loss of the first step, {start:.3g}, is that of usual weights")


def _loss(evidence: Evidence) -> Cause:
    remedy = (
        "make training.loss.class_weights or training.loss.costs milder, or set training.loss.kind = 'cross_entropy'"
    )

    def cause(standing: Standing, because: str) -> Cause:
        return Cause(name="loss", standing=standing, because=because, remedy=remedy)

    exact = evidence.passed_exactly
    if not math.isfinite(exact.loss) and exact.first_lost is None and not evidence.batch.not_finite:
        return cause("likely", "the logits are numbers, also in 32 bits, and their loss is none")
    if evidence.class_weight_ratio > _UNEVEN_WEIGHTS:
        return cause("possible", f"one class weighs {evidence.class_weight_ratio:.0f} times what another does")
    if math.isfinite(exact.loss):
        return cause("unlikely", f"it is {exact.loss:.3g} for the batch at fault in 32 bits")
    return cause(
        "unlikely", f"numbers were lost before it, in the {exact.first_lost.where if exact.first_lost else ''}"
    )


def _precision(evidence: Evidence) -> Cause:
    remedy = f"continue with --resume --set device.precision={_FULL}; finished epochs are kept"

    def cause(standing: Standing, because: str) -> Cause:
        return Cause(name="precision", standing=standing, because=because, remedy=remedy)

    if evidence.precision == _FULL:
        return cause("unlikely", "the run computes in 32 bits")
    passed, exact = evidence.passed, evidence.passed_exactly
    if not passed.is_finite and exact.is_finite:
        lost = passed.first_lost
        where = f"in the {lost.where}" if lost else "in the loss"
        largest = max((one.largest for one in exact.ranges), default=0.0)
        told = (
            f"numbers are lost {where} in {evidence.precision}; in 32 bits the same batch reaches {largest:.3g} there"
        )
        return cause("likely", told)
    return cause("unlikely", f"the batch at fault gives as much in 32 bits as in {evidence.precision}")


_JUDGES: Final[tuple[Callable[[Evidence], Cause], ...]] = (_learning_rate, _data, _initialisation, _loss, _precision)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Failure:
    """A spoilt training, explained."""

    kept_epoch: int | None
    """The last epoch that is kept; None where none was finished."""
    causes: tuple[Cause, ...]
    evidence: Evidence

    def told(self) -> str:
        """Return the problem, the first cause and what to do, in one line."""
        cause = self.causes[0]
        return f"{self.evidence.problem}; most likely the {cause.name}: {cause.because}; {cause.remedy}"

    def kept(self) -> str:
        """Say which epochs are kept."""
        return "no epoch is finished" if self.kept_epoch is None else f"epochs up to {self.kept_epoch} are kept"

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON holds it; numbers that are none become words."""
        plain: dict[str, Any] = _plain(dataclasses.asdict(self))
        batch = plain["evidence"]["batch"]
        batch["odd"] = batch["odd"][:MAX_EXAMPLES]
        return plain


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever a dataclass holds
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def step_rows(steps: tuple[Step, ...]) -> list[tuple[str, ...]]:
    """Return the last steps as a table with a heading, for a person.

    >>> step_rows((Step(epoch=1, step=3, loss=0.5, gradient_norm=2.0, learning_rate=0.1),))[1]
    ('1', '3', '0.5', '2', '0.1')
    """
    rows = [
        (str(one.epoch), str(one.step), f"{one.loss:.3g}", f"{one.gradient_norm:.3g}", f"{one.learning_rate:.2g}")
        for one in steps
    ]
    return [("epoch", "step", "loss", "gradient norm", "rate"), *rows]
