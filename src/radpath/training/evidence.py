"""What is measured after a training was spoilt: the batch at fault, its way through the stages, and the weights.

In: a model as it was before the step that failed, and batches that may be at fault. Out: ``Evidence``. What it means is
said in ``diagnosis``. Nothing here runs while all is well.
"""

import contextlib
import dataclasses
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np
import torch
from jaxtyping import Float, Int
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from radpath.data.batches import Batch, ImageSource
from radpath.models.classifier import Classifier
from radpath.training.learners import Learner
from radpath.training.losses import Loss, Targets
from radpath.training.watch import Step, Watch

_SLACK: Final = 0.01  # pixels are scaled with rounding
_FAR: Final = 100.0  # of numbers without bounds: that many deviations from the mean are no image


@dataclasses.dataclass(frozen=True, kw_only=True)
class Candidate:
    """A batch that may be at fault, as a module takes it."""

    source: ImageSource
    positions: Int[np.ndarray, " batch"]
    module: nn.Module
    inputs: tuple[Tensor, ...]
    targets: Targets


@dataclasses.dataclass(frozen=True, kw_only=True)
class BatchFacts:
    """What there is to know of a batch."""

    record_ids: tuple[str, ...]
    labels: dict[str, int]
    """Images of each class."""
    lowest: float
    """Of the finite pixels as the network gets them, before augmentation."""
    highest: float
    not_finite: dict[str, int]
    """Images with numbers that are none, and how many of them."""
    odd: tuple[str, ...]
    """Sentences about images of one level, or far outside the usual range."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Range:
    """How large numbers are somewhere in a network."""

    where: str
    largest: float
    """Absolute value, of those that are finite."""
    num_not_finite: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pass:
    """One way of a batch through the network."""

    loss: float
    ranges: tuple[Range, ...]
    """What each stage and the head gave, in their order; of kept features the head alone."""

    @property
    def is_finite(self) -> bool:
        """True where no number was lost."""
        return math.isfinite(self.loss) and not any(one.num_not_finite for one in self.ranges)

    @property
    def first_lost(self) -> Range | None:
        """Where numbers were lost first."""
        return next((one for one in self.ranges if one.num_not_finite), None)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evidence:
    """Everything that was measured."""

    problem: str
    steps: tuple[Step, ...]
    """The last ones, the failing one included."""
    first_loss: float | None
    """Of the training's very first step; None where that was not seen."""
    num_made: int
    """Steps that were made in this process before the failure."""
    chance_loss: float
    """Of a network that knows nothing."""
    precision: str
    batch: BatchFacts
    passed: Pass
    """The batch through the weights before the step, as the run computes."""
    passed_exactly: Pass
    """The same in 32 bits."""
    weights: tuple[Range, ...]
    class_weight_ratio: float
    """Of the heaviest class to the lightest, in the loss."""


def gather_evidence(
    problem: str,
    watch: Watch,
    candidates: Iterable[Candidate],
    *,
    model: Classifier,
    loss: Loss,
    classes: Sequence[str],
    fabric: Fabric,
) -> Evidence:
    """Measure everything; the candidate that loses numbers, or has the highest loss, is called at fault.

    Args:
        problem: what was noticed.
        watch: that saw the steps.
        candidates: at least one.
        model: as it was before the step that failed.
        loss: of the training.
        classes: their names, in the order of the labels.
        fabric: of the training.
    """
    at_fault, passed = _find_fault(candidates, model, loss, fabric)
    with torch.autocast(fabric.device.type, enabled=False):
        passed_exactly = _pass(at_fault, model, loss)
    first = watch.first if watch.from_start else None
    return Evidence(
        problem=problem,
        steps=tuple(watch.steps),
        first_loss=first.loss if first else None,
        num_made=watch.num_made,
        chance_loss=watch.chance_loss,
        precision=str(fabric.strategy.precision.precision),
        batch=look_at_batch(at_fault, classes=classes),
        passed=passed,
        passed_exactly=passed_exactly,
        weights=_weight_ranges(model),
        class_weight_ratio=float(loss.weights.max() / loss.weights.min()),
    )


def candidates_of_step(
    learner: Learner, source: ImageSource, batches: Iterable[np.ndarray], *, epoch: int
) -> Iterator[Candidate]:
    """Yield the batches of a step, given by their tickets, as they were learned from."""
    for tickets in batches:
        examples = learner.examples(tickets, epoch=epoch)
        yield Candidate(
            source=source,
            positions=tickets % len(source),
            module=learner.module,
            inputs=examples.inputs,
            targets=examples.targets,
        )


def candidates_of_side(model: Classifier, source: ImageSource, fabric: Fabric) -> Iterator[Candidate]:
    """Yield all batches of a side, as they are predicted."""
    for positions in source.in_order():
        batch = source.assemble(positions)
        yield Candidate(
            source=source,
            positions=positions,
            module=model,
            inputs=(batch.images.to(fabric.device), batch.heights_px, batch.widths_px),
            targets=batch.labels.to(fabric.device),
        )


def _find_fault(
    candidates: Iterable[Candidate], model: Classifier, loss: Loss, fabric: Fabric
) -> tuple[Candidate, Pass]:
    """Return the first batch with numbers that are none, else the first that the network loses, else the worst."""
    worst: tuple[Candidate, Pass] | None = None
    for candidate in candidates:
        with fabric.autocast():
            passed = _pass(candidate, model, loss)
        if not torch.isfinite(candidate.inputs[0]).all():
            return candidate, passed
        if worst is None or (worst[1].is_finite and not passed.loss <= worst[1].loss):
            worst = candidate, passed
    assert worst is not None
    return worst


@torch.no_grad()
def _pass(candidate: Candidate, model: Classifier, loss: Loss) -> Pass:
    with _recorded(model) as ranges:
        logits = candidate.module(*candidate.inputs)
        value = float(loss(logits, candidate.targets))
    return Pass(loss=value, ranges=tuple(ranges.values()))


@contextlib.contextmanager
def _recorded(model: Classifier) -> Iterator[dict[str, Range]]:
    """Record the ranges of what each stage and the head give, for the length of a ``with`` block."""
    ranges: dict[str, Range] = {}

    def watch(where: str, module: nn.Module) -> RemovableHandle:
        def record(_module: nn.Module, _inputs: object, output: object) -> None:
            if isinstance(output, Tensor):
                known = ranges.get(where, Range(where=where, largest=0.0, num_not_finite=0))
                ranges[where] = _wider(known, range_of(where, [output]))

        return module.register_forward_hook(record)

    network = model.backbone.network
    handles = [watch(stage.name, network.get_submodule(name)) for stage in model.stages for name in stage.modules]
    handles.append(watch("head", model.head))
    try:
        yield ranges
    finally:
        for handle in handles:
            handle.remove()


def _wider(first: Range, second: Range) -> Range:
    return Range(
        where=first.where,
        largest=max(first.largest, second.largest),
        num_not_finite=first.num_not_finite + second.num_not_finite,
    )


def range_of(where: str, tensors: Iterable[Tensor]) -> Range:
    """Return how large the numbers of some tensors are.

    >>> range_of("head", [torch.tensor([1.0, -3.0]), torch.tensor([float("nan")])])
    Range(where='head', largest=3.0, num_not_finite=1)
    """
    largest, lost = 0.0, 0
    for tensor in tensors:
        finite = torch.isfinite(tensor)
        lost += int((~finite).sum())
        largest = max(largest, float(tensor.detach().abs().where(finite, 0).max()) if tensor.numel() else 0.0)
    return Range(where=where, largest=largest, num_not_finite=lost)


def _weight_ranges(model: Classifier) -> tuple[Range, ...]:
    """Return how large the weights of each stage and of the head are."""
    names = [*(stage.name for stage in model.stages), "head"]
    places: dict[int, list[Tensor]] = {place: [] for place in range(len(names))}
    for name, parameter in model.named_parameters():
        places[model.stage_index(name)].append(parameter)
    return tuple(range_of(names[place], parameters) for place, parameters in places.items())


def look_at_batch(candidate: Candidate, *, classes: Sequence[str]) -> BatchFacts:
    """Return what there is to know of a batch, from its pixels as the network gets them."""
    source, positions = candidate.source, candidate.positions
    batch = source.assemble(positions)
    images = [_own_pixels(batch, place) for place in range(len(positions))]
    names = [source.store.record_ids[row] for row in source.rows[positions]]
    finite = [pixels[np.isfinite(pixels)] for pixels in images]
    lost = _lost_numbers(candidate, names, images)
    known = [pixels for pixels in finite if len(pixels)]
    described = [_oddity(pixels, bounded=source.intensity.is_bounded) for pixels in finite]
    odd = [f"{name}: {what}" for name, what in zip(names, described, strict=True) if what]
    labels = source.labels[positions]
    return BatchFacts(
        record_ids=tuple(names),
        labels=_counts(labels, classes),
        lowest=float(min(pixels.min() for pixels in known)) if known else math.nan,
        highest=float(max(pixels.max() for pixels in known)) if known else math.nan,
        not_finite={name: count for name, count in lost.items() if count},
        odd=tuple(odd),
    )


def _counts(labels: np.ndarray, classes: Sequence[str]) -> dict[str, int]:
    """Return the images of each class or, of several labels, with each."""
    if labels.ndim > 1:
        return {name: int((labels[:, place] == 1).sum()) for place, name in enumerate(classes)}
    return {name: int((labels == place).sum()) for place, name in enumerate(classes)}


def _own_pixels(batch: Batch, place: int) -> Float[np.ndarray, " pixels"]:
    height, width = int(batch.heights_px[place]), int(batch.widths_px[place])
    return batch.images[place, :, :height, :width].numpy().ravel()


def _lost_numbers(candidate: Candidate, names: Sequence[str], images: Sequence[np.ndarray]) -> dict[str, int]:
    """Return for each image how many of its numbers are none, before augmentation or behind it."""
    entered = (~torch.isfinite(candidate.inputs[0])).flatten(1).sum(dim=1).tolist()
    before = [int((~np.isfinite(pixels)).sum()) for pixels in images]
    lost: dict[str, int] = {}
    for name, *counts in zip(names, entered, before, strict=True):
        lost[name] = max(lost.get(name, 0), *counts)
    return lost


def _oddity(pixels: Float[np.ndarray, " pixels"], *, bounded: bool) -> str:
    """Say what is strange about the finite pixels of an image; empty where nothing is."""
    if not len(pixels):
        return "no finite number"
    low, high = float(pixels.min()), float(pixels.max())
    if low == high:
        return f"all pixels are {low:.3g}"
    least, most = (-_SLACK, 1 + _SLACK) if bounded else (-_FAR, _FAR)
    return f"pixels from {low:.3g} to {high:.3g}" if low < least or high > most else ""
