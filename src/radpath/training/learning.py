"""The moving parts of one training, and an epoch of steps with them.

In: a model, a learner and settings. Out: a model, its average and an optimiser that are one epoch further, and the
state from which another process goes on. When epochs begin and end, and what is kept of them, is left to ``loop``.
"""

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from functools import partial
from typing import final

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from radpath.data.batches import ImageSource
from radpath.models.classifier import Classifier
from radpath.progress import track
from radpath.seeding import derived_seed
from radpath.training.averaging import WeightAverage
from radpath.training.checkpoints import Checkpoints
from radpath.training.device import explained_memory_errors
from radpath.training.diagnosis import Failure, name_causes
from radpath.training.evidence import candidates_of_side, candidates_of_step, gather_evidence
from radpath.training.head_start import fit_head
from radpath.training.history import Epoch, best_of
from radpath.training.learners import Examples, Learner
from radpath.training.losses import Loss
from radpath.training.norm_statistics import renew_statistics
from radpath.training.optimisation import build_optimiser, set_rate
from radpath.training.prefetch import ahead
from radpath.training.schedules import count_plateaus
from radpath.training.settings import TrainingSettings
from radpath.training.sharing import Share, SharedDropout, require_divisible
from radpath.training.watch import SpoiltEpochError, SpoiltError, Step, Watch


@final
class Learning:
    """A model that learns."""

    def __init__(
        self,
        model: Classifier,
        learner: Learner,
        settings: TrainingSettings,
        *,
        loss: Loss,
        kept: Checkpoints,
        fabric: Fabric,
    ) -> None:
        """Begin, or stand where an earlier process stopped."""
        self._model, self._learner, self._settings, self._fabric, self._kept = model, learner, settings, fabric, kept
        self._loss = loss.to(fabric.device)
        self._share = Share(rank=fabric.global_rank, world_size=fabric.world_size)
        model.plan_thaw(settings.num_thawed(settings.epochs))
        self.history: list[Epoch] = []
        self.average = WeightAverage(model, settings.average)
        # Whatever will learn has its place in the optimiser from the beginning, and waits there without gradients.
        model.thaw(settings.num_thawed(settings.epochs))
        optimiser = build_optimiser(model, settings)
        model.thaw(0)
        if kept.state.is_file():
            rows = kept.load_state(model, optimiser, self.average, fabric.strategy.precision)
            self.history = [Epoch(**row) for row in rows]
        self.watch = Watch(
            settings.watch,
            chance_loss=self._loss.of_equal_logits(learner.all_labels),
            from_start=not any(entry.epoch for entry in self.history),
            skips_steps=str(fabric.strategy.precision.precision) == "16-mixed",
        )
        if fabric.world_size > 1:
            require_divisible(model.train())
        self._trained, self._optimiser = fabric.setup(learner.module, optimiser)

    @property
    def epochs_left(self) -> range:
        """The numbers of the epochs that are still to come."""
        return range(max((entry.epoch for entry in self.history), default=0) + 1, self._settings.epochs + 1)

    @property
    def best(self) -> Epoch:
        """The best of the finished epochs."""
        return best_of(self.history, self._settings.monitor)

    @property
    def patience_ended(self) -> bool:
        """True where too many epochs brought nothing better."""
        return bool(self.history) and self.history[-1].epoch - self.best.epoch >= self._settings.patience

    def start_head(self, features: list[Tensor], side: ImageSource) -> float:
        """Fit the head to features of the backbone as it came; return the loss."""
        labels = torch.cat([torch.from_numpy(side.labels)] * len(features))
        weights, decay = self._loss.weights.cpu(), self._settings.head_decay
        loss = fit_head(
            self._model.head,
            torch.cat(features).cpu(),
            labels,
            weights=weights,
            decay=decay,
            link=self._model.link,
        )
        self.average = WeightAverage(self._model, self._settings.average)
        return loss

    def learn(self, epoch: int) -> tuple[float, float]:
        """Pass once over the training images; return the mean loss and the last rate."""
        settings = self._settings
        self._model.thaw(settings.num_thawed(epoch))
        torch.manual_seed(derived_seed(settings.seed, "dropout", epoch, 0))
        self._trained.train()
        self._model.train()
        plateaus = count_plateaus(
            [entry.merit(settings.monitor) for entry in self.history], wait=settings.schedule.wait
        )
        groups = self._groups(epoch)
        total, seen, rate = 0.0, 0, 0.0
        what = f"epoch {epoch} of {settings.epochs}"
        with (
            explained_memory_errors(),
            ahead(partial(self._examples, epoch=epoch), groups, device=self._fabric.device) as made,
        ):
            for step, examples in enumerate(track(made, total=len(groups), what=what, unit="steps"), start=1):
                share = step / len(groups)
                rate = set_rate(
                    self._optimiser, settings, epoch=epoch, num_epochs=settings.epochs, share=share, plateaus=plateaus
                )
                group = groups[step - 1]
                loss, norm = self._gradients(group, examples)
                told = Step(epoch=epoch, step=step, loss=loss, gradient_norm=norm, learning_rate=rate)
                self.watch.look(told, group)
                self._optimiser.step()
                self.average.after_step(self._model)
                num_images = sum(len(tickets) for tickets in group)
                total, seen = total + loss * num_images, seen + num_images
        self.average.after_epoch(self._model, epoch, num_epochs=settings.epochs)
        return total / seen, rate

    def _groups(self, epoch: int) -> list[list[np.ndarray]]:
        """Return the batches from which each step is made; several processes divide every one of them."""
        batches, size = self._learner.batches(epoch=epoch), self._settings.accumulate
        return [batches[first : first + size] for first in range(0, len(batches), size)]

    def _examples(self, group: list[np.ndarray], *, epoch: int) -> list[Examples]:
        """Return what this process takes of the batches of a step."""
        return [self._learner.examples(tickets, epoch=epoch, share=self._share) for tickets in group]

    def _gradients(self, group: list[np.ndarray], batches: list[Examples]) -> tuple[float, float]:
        """Compute the gradients of some batches; return the mean loss and the gradients' norm before it is clipped."""
        own, alone = self._share, self._share.world_size == 1
        weights = [
            self._loss.total_weight(examples.targets) * own.counts(len(tickets))
            for examples, tickets in zip(batches, group, strict=True)
        ]
        # Gradients of several processes are averaged, so that each weighs its own as if there were no others.
        average = self._mean(torch.stack(weights).sum())
        self._optimiser.zero_grad()
        losses = []
        for place, examples in enumerate(batches):
            with self._waiting(until=place == len(batches) - 1):
                loss = self._loss_of(examples, batch_size=len(group[place]))
                share = loss if len(batches) == 1 and alone else loss * (weights[place] / average)
                self._fabric.backward(share)
            losses.append(share.detach())
        norm = self._fabric.clip_gradients(
            self._trained, self._optimiser, max_norm=self._settings.clip_norm, error_if_nonfinite=False
        )
        assert norm is not None
        # Together, since each read from a GPU waits for it.
        loss, size = torch.stack([self._mean(torch.stack(losses).sum()), norm.float()]).tolist()
        return loss, size

    def _loss_of(self, examples: Examples, *, batch_size: int) -> Tensor:
        whole = self._share.world_size == 1
        with contextlib.nullcontext() if whole else SharedDropout(self._share, batch_size):
            return self._loss(self._trained(*examples.inputs), examples.targets)

    def _mean(self, value: Tensor) -> Tensor:
        """Return the mean over all processes."""
        if self._share.world_size == 1:
            return value
        mean: Tensor = self._fabric.all_reduce(value, reduce_op="mean")  # type: ignore[assignment] # a tensor gives one
        return mean

    def _waiting(self, *, until: bool) -> contextlib.AbstractContextManager[None]:
        """Let several devices compare their gradients only with the last batch of a step."""
        if self._fabric.world_size == 1 or until:
            return contextlib.nullcontext()
        waiting: contextlib.AbstractContextManager[None] = self._fabric.no_backward_sync(self._trained)
        return waiting

    @contextlib.contextmanager
    def averaged(self, epoch: int) -> Iterator[None]:
        """Put the averaged weights into the model for the length of a ``with`` block, ready to be validated."""
        settings = self._settings
        with self.average.in_place_of(self._model):
            if settings.average.is_swa_in(epoch, num_epochs=settings.epochs):
                renew_statistics(self._model, self._learner, epoch=epoch, seed=settings.seed, fabric=self._fabric)
            yield

    def explain(self, spoilt: SpoiltError, sides: Sequence[ImageSource], *, classes: Sequence[str]) -> Failure:
        """Find out what spoilt the training: the batches of a step or, of an epoch, all that it saw are run again."""
        watch, epoch = self.watch, self.watch.steps[-1].epoch if self.watch.steps else 1
        candidates = candidates_of_step(self._learner, sides[0], watch.batches, epoch=epoch)
        if isinstance(spoilt, SpoiltEpochError):
            seen = (candidates_of_side(self._model, side, self._fabric) for side in sides)
            candidates = itertools.chain(candidates, *seen)
        evidence = gather_evidence(
            str(spoilt), watch, candidates, model=self._model, loss=self._loss, classes=classes, fabric=self._fabric
        )
        kept = max((entry.epoch for entry in self.history), default=None)
        return Failure(kept_epoch=kept, causes=name_causes(evidence), evidence=evidence)

    def keep_state(self) -> None:
        """Save what a resume needs; the last write of an epoch, so that a kill before it repeats the epoch."""
        rows = [dataclasses.asdict(epoch) for epoch in self.history]
        self._kept.save_state(self._model, self._optimiser, self.average, self._fabric.strategy.precision, history=rows)
