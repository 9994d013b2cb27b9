"""Which precision and memory format a network runs fastest in on this machine: a short measurement, for a run to take.

In: a network and images, as the run has them. Out: ``MeasuredPrecision``, the choice with the numbers behind it. Two
measurements may end differently on a busy machine, so that a run measures once, when it begins; ``recipes.precision``
writes the choice down and finds it again.
"""

import dataclasses
import itertools
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar, final

import torch
from torch import Tensor

from radpath.data.batches import Batch, ImageSource
from radpath.data.findings import counted
from radpath.models.classifier import Classifier
from radpath.training.device import (
    DeviceSettings,
    MemoryFormat,
    Precision,
    arrange,
    connect,
    explained_memory_errors,
)

WORTH_IT: Final = 1.3
"""So many times faster bf16 has to be: for less, nobody gives up 16 of 24 bits of precision."""
CLEARLY_FASTER: Final = 1.15
"""So many times faster contiguous maps have to be: for less, a busy machine would choose by chance."""
_FULL: Final[Precision] = "32-true"
_HALF: Final[Precision] = "bf16-mixed"
_LAST: Final[MemoryFormat] = "channels_last"
_SECONDS: Final = 3.0
_MOST_ROUNDS: Final = 15
_MOST_IMAGES_ON_CPU: Final = 8  # more take longer there, and each as long
_HOPELESS: Final = 4.0
"""A way that takes so many times the shortest first step is not measured again; first steps may be twice as slow."""

Way = tuple[Precision, MemoryFormat]
"""How a network computes."""


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class MeasuredPrecision:
    """A choice of ``device.precision`` and ``device.memory_format``, with what it rests on."""

    precision: Precision
    memory_format: MemoryFormat
    because: str
    """For a person, behind "bf16-mixed, channels_last:"."""
    images_per_second: Mapping[str, float]
    """Median by precision and memory format, "32-true, contiguous"; empty where nothing was measured."""
    rounds: int
    """How often each was measured, in turn; one that was hopeless at first was tried once."""

    def sentence(self) -> str:
        """Return the choice for the terminal."""
        return f"Precision: {self.precision}, {self.memory_format}, {self.because}"

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
    """Run some steps in every way that the settings leave open, in turn, and take the one that is worth it.

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
    ways = _open_ways(settings)
    one = settings.model_copy(
        update={"num_devices": 1, "launcher": "own", "precision": ways[0][0], "memory_format": ways[0][1]}
    )
    device = connect(one).device
    reason = _not_measured(device)
    if reason is not None:
        precision, memory_format = ways[0]
        return MeasuredPrecision(
            precision=precision, memory_format=memory_format, because=reason, images_per_second={}, rounds=0
        )
    model: Classifier = build().to(device)
    model.thaw(num_thawed)
    source = images(model)
    batch = source.assemble(source.in_order()[0][: None if device.type == "cuda" else _MOST_IMAGES_ON_CPU])
    with explained_memory_errors():
        times = _in_turn(model, _step_of(model, batch), ways, settings=one, seconds=seconds)
    rates = {way: len(batch.images) / statistics.median(values) for way, values in times.items()}
    return decide(rates, rounds=max(len(values) for values in times.values()))


def _open_ways(settings: DeviceSettings) -> list[Way]:
    """Return every way that "auto" leaves open, the one that needs no reason first."""
    precisions: list[Precision] = [_FULL, _HALF] if settings.precision == "auto" else [settings.precision]
    formats: list[MemoryFormat] = (
        [_LAST, "contiguous"] if settings.memory_format == "auto" else [settings.memory_format]
    )
    return list(itertools.product(precisions, formats))


def _not_measured(device: torch.device) -> str | None:
    """Return why a device computes in 32-bit floats without a measurement, or None."""
    if device.type == "mps":
        return "since Apple's GPUs are not measured"
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return "since this GPU has no bf16"
    return None


def decide(rates: Mapping[Way, float], *, rounds: int) -> MeasuredPrecision:
    """Return the choice that images per second lead to.

    Args:
        rates: of one or two precisions, each in one or two memory formats.
        rounds: how often each was measured.

    >>> decide({("32-true", "channels_last"): 40.0, ("bf16-mixed", "channels_last"): 100.0}, rounds=9).sentence()
    'Precision: bf16-mixed, channels_last, since bf16-mixed was measured to be 2.50 times as fast as 32-true (9 rounds)'
    >>> decide({("32-true", "channels_last"): 100.0, ("32-true", "contiguous"): 80.0}, rounds=1).sentence()
    'Precision: 32-true, channels_last, since contiguous was measured to be only 0.80 times as fast (1 round)'
    """
    best, told = {}, []
    for precision in dict.fromkeys(precision for precision, _ in rates):
        of_precision = {memory_format: rate for (one, memory_format), rate in rates.items() if one == precision}
        best[precision] = _preferred(of_precision, least=CLEARLY_FASTER)
    chosen = _preferred({precision: rates[precision, memory_format] for precision, memory_format in best.items()})
    ways = [(one, memory_format) for one, memory_format in rates if one == chosen]
    if len(best) > 1:
        told.append(_comparison(rates[_FULL, best[_FULL]], rates[_HALF, best[_HALF]], (_FULL, _HALF), taken=chosen))
    if len(ways) > 1:
        usual, other = (rates[way] for way in ways)
        told.append(_comparison(usual, other, (ways[0][1], ways[1][1]), taken=best[chosen]))
    because = f"since {' and '.join(told)} ({counted(rounds, 'round')})"
    named = {", ".join(way): rate for way, rate in rates.items()}
    return MeasuredPrecision(
        precision=chosen, memory_format=best[chosen], because=because, images_per_second=named, rounds=rounds
    )


Option = TypeVar("Option", bound=str)


def _preferred(rates: Mapping[Option, float], *, least: float = WORTH_IT) -> Option:
    """Return the first option, or the second one where it is so many times as fast."""
    first, *others = rates
    return next((other for other in others if rates[other] / rates[first] > least), first)


def _comparison(usual: float, other: float, names: tuple[str, str], *, taken: str) -> str:
    ratio = f"{other / usual:.2f} times as fast"
    if taken == names[1]:
        return f"{names[1]} was measured to be {ratio} as {names[0]}"
    return f"{names[1]} was measured to be only {ratio}"


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


def _in_turn(
    model: Classifier, step: Callable[[], object], ways: Sequence[Way], *, settings: DeviceSettings, seconds: float
) -> dict[Way, list[float]]:
    """Return the seconds that a step took in each way, by round."""
    times: dict[Way, list[float]] = {way: [] for way in ways}
    first: dict[Way, float] = {}
    device = next(model.parameters()).device
    ends = float("inf")
    for number in range(_MOST_ROUNDS + 1):
        if number > 1 and time.perf_counter() >= ends:
            break
        hopeless = {way for way, seconds_taken in first.items() if seconds_taken > _HOPELESS * min(first.values())}
        for way in [way for way in ways if way not in hopeless]:
            precision, memory_format = way
            arrange(model, settings.model_copy(update={"memory_format": memory_format, "compile": False}))
            began = time.perf_counter()
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == _HALF):
                step()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if number:
                times[way].append(time.perf_counter() - began)
            else:
                first[way] = time.perf_counter() - began
        if number == 0:
            ends = time.perf_counter() + seconds
    return {way: values or [first[way]] for way, values in times.items()}
