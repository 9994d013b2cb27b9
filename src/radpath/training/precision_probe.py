"""Which precision a network runs fastest in on this machine: a short measurement, from which a run takes its own.

In: a network and images, as the run has them. Out: ``MeasuredPrecision``, the choice with the numbers behind it. Two
measurements may end differently on a busy machine, so that a run measures once, when it begins; ``recipes.precision``
writes the choice down and finds it again.
"""

import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, final

import torch
from torch import Tensor

from radpath.data.batches import Batch, ImageSource
from radpath.data.findings import counted
from radpath.models.classifier import Classifier
from radpath.training.device import DeviceSettings, Precision, connect, explained_memory_errors

WORTH_IT: Final = 1.3
"""So many times faster bf16 has to be: for less, nobody gives up 16 of 24 bits of precision."""
_FULL: Final[Precision] = "32-true"
_HALF: Final[Precision] = "bf16-mixed"
_SECONDS: Final = 3.0
_MOST_ROUNDS: Final = 15
_MOST_IMAGES_ON_CPU: Final = 16  # more take longer there, and each as long


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class MeasuredPrecision:
    """A choice of ``device.precision``, with what it rests on."""

    precision: Precision
    because: str
    """For a person, behind "bf16-mixed:"."""
    images_per_second: Mapping[str, float]
    """Median by precision; empty where nothing was measured."""
    rounds: int
    """How often each was measured, in turn."""

    def sentence(self) -> str:
        """Return the choice for the terminal."""
        return f"Precision: {self.precision}, {self.because}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return dataclasses.asdict(self)


def choose_precision(
    settings: DeviceSettings,
    build: Callable[[], Classifier],
    images: Callable[[Classifier], ImageSource],
    *,
    num_thawed: int,
    seconds: float = _SECONDS,
) -> MeasuredPrecision:
    """Run some steps in 32-bit floats and in bf16, in turn, and take bf16 where it is ``WORTH_IT``.

    A step is that of a training (forward and backward) or, where nothing in front of the head ever learns, the forward
    pass alone. The first round, which is slow, does not count.

    Args:
        settings: the device; one of several is measured.
        build: returns the network; what is built here is spoilt by the steps and thrown away.
        images: returns training images as this network takes them.
        num_thawed: how many frozen stages learn in the end.
        seconds: after which no round begins any more; one is always measured.

    Raises:
        DeviceError: the device is not there, or its memory is too small.
    """
    one = settings.model_copy(update={"num_devices": 1, "launcher": "own", "precision": _FULL})
    device = connect(one).device
    reason = _not_measured(device)
    if reason is not None:
        return MeasuredPrecision(precision=_FULL, because=reason, images_per_second={}, rounds=0)
    model: Classifier = build().to(device)
    model.thaw(num_thawed)
    source = images(model)
    batch = source.assemble(source.in_order()[0][: None if device.type == "cuda" else _MOST_IMAGES_ON_CPU])
    with explained_memory_errors():
        times = _in_turn(_step_of(model, batch), device=device, seconds=seconds)
    rates: dict[str, float] = {
        precision: len(batch.images) / statistics.median(values) for precision, values in times.items()
    }
    return decide(rates, rounds=len(times[_FULL]))


def _not_measured(device: torch.device) -> str | None:
    """Return why a device computes in 32-bit floats without a measurement, or None."""
    if device.type == "mps":
        return "since Apple's GPUs are not measured"
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return "since this GPU has no bf16"
    return None


def decide(rates: Mapping[str, float], *, rounds: int) -> MeasuredPrecision:
    """Return the choice that images per second of both precisions lead to.

    >>> decide({"32-true": 40.0, "bf16-mixed": 100.0}, rounds=9).sentence()
    'Precision: bf16-mixed, since it was measured to be 2.50 times as fast as 32-true (9 rounds)'
    >>> decide({"32-true": 100.0, "bf16-mixed": 80.0}, rounds=1).sentence()
    'Precision: 32-true, since bf16-mixed was measured to be only 0.80 times as fast (1 round)'
    """
    ratio = rates[_HALF] / rates[_FULL]
    counts = f"({counted(rounds, 'round')})"
    if ratio > WORTH_IT:
        because = f"since it was measured to be {ratio:.2f} times as fast as {_FULL} {counts}"
    else:
        because = f"since {_HALF} was measured to be only {ratio:.2f} times as fast {counts}"
    precision = _HALF if ratio > WORTH_IT else _FULL
    return MeasuredPrecision(precision=precision, because=because, images_per_second=dict(rates), rounds=rounds)


def _step_of(model: Classifier, batch: Batch) -> Callable[[], object]:
    """Return what is measured: a training step, or a look where the backbone never learns."""
    device = next(model.parameters()).device
    images = batch.images.to(device)

    def look() -> Tensor:
        with torch.no_grad():
            return model.features(images, batch.heights_px, batch.widths_px)

    def learn() -> None:
        model.zero_grad()
        # Any number will do: what a loss costs is nothing beside the network.
        torch.autograd.backward(model(images, batch.heights_px, batch.widths_px).float().logsumexp(1).mean())

    model.train(not model.features_are_fixed)
    return look if model.features_are_fixed else learn


def _in_turn(step: Callable[[], object], *, device: torch.device, seconds: float) -> dict[Precision, list[float]]:
    """Return the seconds that a step took in each precision, by round."""
    times: dict[Precision, list[float]] = {_FULL: [], _HALF: []}
    ends = float("inf")
    for number in range(_MOST_ROUNDS + 1):
        if number > 1 and time.perf_counter() >= ends:
            break
        for precision, values in times.items():
            began = time.perf_counter()
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == _HALF):
                step()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if number:
                values.append(time.perf_counter() - began)
        if number == 0:
            ends = time.perf_counter() + seconds
    return times
