"""The training loop: short enough to read, exact enough to resume.

In: a model, the training and validation sides. Out: a history and, in the run folder, the best model. Whatever is
random in an epoch is derived from the seed and the epoch, so a run that was killed and resumed ends with the same
bits as one that was not.
"""

import contextlib
import dataclasses
import math
import time
from typing import Any, Final, Literal, final

import numpy as np
import torch
from lightning_fabric import Fabric
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn import functional

from radpath.data.augmentation.settings import AugmentationSettings
from radpath.data.augmentation.views import NUM_VIEWS
from radpath.data.batches import ImageSource
from radpath.errors import TrainingError
from radpath.evaluation.ranking import macro_roc_auc
from radpath.models.classifier import Classifier, changing_tensors
from radpath.progress import track
from radpath.run_folder import RunFolder
from radpath.seeding import derived_seed
from radpath.training.averaging import WeightAverage
from radpath.training.checkpoints import Checkpoints, write_tensors
from radpath.training.device import explained_memory_errors
from radpath.training.event_log import EventLog
from radpath.training.head_start import fit_head
from radpath.training.history import Epoch, best_of, write_history
from radpath.training.learners import Learner, build_learner
from radpath.training.optimisation import OptimisationSettings, build_optimiser, class_weights, set_rate
from radpath.training.prediction import PredictionSettings, average_views, features_of_views, view_features

_REMEDY: Final = (
    "start a new run with a lower training.learning_rate, or, where device.precision is not '32-true', continue "
    "with --resume --set device.precision=32-true; finished epochs are kept"
)


class TrainingSettings(OptimisationSettings):
    """How long and from which seed the model learns."""

    epochs: int = Field(default=14, ge=0)
    """The most epochs; the schedule spans them all. 0: only the logistic start of the head."""
    head_start: Literal["logistic", "random"] = "logistic"
    """logistic: the head starts as the best linear one on the backbone's features, which counts as epoch 0."""
    head_decay: float = Field(default=1.0, gt=0)
    """Penalty on the squared weights of the logistic start, on standardised features."""
    average_decay: float = Field(default=0.99, ge=0, lt=1)
    """What is validated and kept is a moving average of the weights, with this decay a step; 0: the last weights."""
    patience: int = Field(default=10, ge=1)
    """Training stops after this many epochs without a better validation AUC (a lower loss breaks ties)."""
    seed: int = Field(default=0, ge=0)
    """Decides the head's first weights, the batches, the augmentation and the dropout."""

    @model_validator(mode="after")
    def _something_is_learned(self) -> "TrainingSettings":
        if self.epochs == 0 and self.head_start == "random":
            raise ValueError(
                "training.epochs is 0 and training.head_start is 'random': nothing would be learned; change one of them"
            )
        return self


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sides:
    """What a model learns from, and what chooses its best epoch."""

    train: ImageSource
    validation: ImageSource


def train(
    model: Classifier,
    sides: Sides,
    settings: TrainingSettings,
    *,
    augmentation: AugmentationSettings,
    prediction: PredictionSettings,
    folder: RunFolder,
    fabric: Fabric,
) -> list[Epoch]:
    """Train until the last epoch or until patience ends; continue where the folder's state stands.

    Returns:
        One entry an epoch; the best epoch's model is in ``checkpoints/best.safetensors``.

    Raises:
        TrainingError: the loss is not a number any more.
        DeviceError: the GPU's memory is used up.
    """
    model.to(fabric.device)
    learner = build_learner(model, sides.train, augmentation, seed=settings.seed, fabric=fabric)
    training = _Training(model, learner, settings, fabric, Checkpoints(folder.checkpoints))
    validation = _Validation(sides.validation, prediction, training.class_weights, fabric)
    log = EventLog(folder.tensorboard)

    def finish_epoch(number: int, *, loss: float, rate: float, began: float) -> None:
        with training.average.in_place_of(model):
            merit = validation.measure(model, epoch=number)
            seconds = round(time.monotonic() - began, 3)
            training.history.append(Epoch(epoch=number, learning_rate=rate, train_loss=loss, seconds=seconds, **merit))
            if fabric.is_global_zero:
                _keep_epoch(model, training, folder, log)
        if fabric.is_global_zero:
            training.keep_state()
        fabric.barrier()

    with contextlib.closing(log):
        began = time.monotonic()
        if not training.history and settings.head_start == "logistic":
            loss = training.start_head(views_of_start(sides.train, learner, model, augmentation, fabric), sides.train)
            finish_epoch(0, loss=loss, rate=0.0, began=began)
        for number in track(training.epochs_left, total=len(training.epochs_left), what="training", unit="epochs"):
            if training.patience_ended:
                break
            began = time.monotonic()
            loss, rate = training.learn(number)
            finish_epoch(number, loss=loss, rate=rate, began=began)
    return training.history


def views_of_start(
    side: ImageSource, learner: Learner, model: Classifier, augmentation: AugmentationSettings, fabric: Fabric
) -> list[Tensor]:
    """Return the features that the head's start is fitted to: of every image, as it is and mirrored."""
    views = range(min(NUM_VIEWS[augmentation.flips], 2))
    if learner.features is not None:
        return [learner.features[view] for view in views]
    return features_of_views(model, side, views=views, fabric=fabric, what="fitting the head")


@final
class _Training:
    """The moving parts of one training."""

    def __init__(
        self, model: Classifier, learner: Learner, settings: TrainingSettings, fabric: Fabric, kept: Checkpoints
    ) -> None:
        """Begin, or stand where an earlier process stopped."""
        self._model, self._learner, self._settings, self._fabric, self._kept = model, learner, settings, fabric, kept
        self.history: list[Epoch] = []
        self.average = WeightAverage(model, decay=settings.average_decay)
        optimiser = build_optimiser(model, settings)
        if kept.state.is_file():
            rows = kept.load_state(model, optimiser, self.average, fabric.strategy.precision)
            self.history = [Epoch(**row) for row in rows]
        self._trained, self._optimiser = fabric.setup(learner.module, optimiser)
        weights = class_weights(learner.all_labels, num_classes=model.head.out_features, kind=settings.class_weights)
        self.class_weights = weights.to(fabric.device)

    @property
    def epochs_left(self) -> range:
        """The numbers of the epochs that are still to come."""
        return range(max((entry.epoch for entry in self.history), default=0) + 1, self._settings.epochs + 1)

    @property
    def patience_ended(self) -> bool:
        """True where too many epochs brought nothing better."""
        return bool(self.history) and self.history[-1].epoch - best_of(self.history).epoch >= self._settings.patience

    def start_head(self, features: list[Tensor], side: ImageSource) -> float:
        """Fit the head to features of the backbone as it came; return the loss."""
        labels = torch.from_numpy(side.labels).repeat(len(features))
        weights, decay = self.class_weights.cpu(), self._settings.head_decay
        loss = fit_head(self._model.head, torch.cat(features).cpu(), labels, weights=weights, decay=decay)
        self.average = WeightAverage(self._model, decay=self._settings.average_decay)
        return loss

    def learn(self, epoch: int) -> tuple[float, float]:
        """Pass once over the training images; return the mean loss and the last rate."""
        settings, fabric = self._settings, self._fabric
        torch.manual_seed(derived_seed(settings.seed, "dropout", epoch, fabric.global_rank))
        self._trained.train()
        self._model.train()
        batches = self._learner.batches(epoch=epoch)
        # Every device takes as many steps; where batches do not divide, the first ones are taken again.
        steps = math.ceil(len(batches) / fabric.world_size)
        total, seen, rate = 0.0, 0, 0.0
        for step in track(range(steps), total=steps, what=f"epoch {epoch} of {settings.epochs}", unit="batches"):
            positions = batches[(step * fabric.world_size + fabric.global_rank) % len(batches)]
            rate = set_rate(self._optimiser, settings, done=(epoch - 1 + (step + 1) / steps) / settings.epochs)
            with explained_memory_errors():
                loss = self._step(positions, epoch=epoch)
            if not math.isfinite(loss):
                raise TrainingError(f"the loss is {loss} in epoch {epoch}, step {step + 1}; {_REMEDY}")
            total, seen = total + loss * len(positions), seen + len(positions)
        return self._agree(total, seen), rate

    def _agree(self, total: float, seen: int) -> float:
        """Let every device go on with what the first has, whose BatchNorm saw other batches; return the mean loss."""
        if self._fabric.world_size == 1:
            return total / seen
        for tensor in (*changing_tensors(self._model).values(), *self.average.tensors.values()):
            torch.distributed.broadcast(tensor, src=0)
        sums = self._fabric.all_reduce(torch.tensor([total, seen], device=self._fabric.device), reduce_op="sum")
        return float(sums[0] / sums[1])

    def _step(self, positions: np.ndarray, *, epoch: int) -> float:
        logits = self._learner.logits(self._trained, positions, epoch=epoch)
        truth = self._learner.labels(positions).to(logits.device)
        smoothing = self._settings.label_smoothing
        loss = functional.cross_entropy(logits.float(), truth, weight=self.class_weights, label_smoothing=smoothing)
        self._optimiser.zero_grad()
        self._fabric.backward(loss)
        self._fabric.clip_gradients(
            self._trained, self._optimiser, max_norm=self._settings.clip_norm, error_if_nonfinite=False
        )
        self._optimiser.step()
        self.average.update(self._model)
        return float(loss.detach())

    def keep_state(self) -> None:
        """Save what a resume needs; the last write of an epoch, so that a kill before it repeats the epoch."""
        rows = [dataclasses.asdict(epoch) for epoch in self.history]
        self._kept.save_state(self._model, self._optimiser, self.average, self._fabric.strategy.precision, history=rows)


@final
class _Validation:
    """The validation side, whose features are kept where the backbone is frozen."""

    def __init__(
        self, side: ImageSource, prediction: PredictionSettings, class_weights: Tensor, fabric: Fabric
    ) -> None:
        """Measure on ``side``."""
        self._side, self._prediction, self._fabric = side, prediction, fabric
        self._weights = class_weights.cpu().double().numpy()[side.labels]  # Apple's GPUs have no float64
        self._features: list[Tensor] | None = None

    def measure(self, model: Classifier, *, epoch: int) -> dict[str, Any]:
        """Return the numbers by which epochs are compared.

        Raises:
            TrainingError: the last steps of the epoch spoilt the weights.
        """
        features = self._features or view_features(
            model, self._side, self._prediction, fabric=self._fabric, what="validating"
        )
        if model.freeze == "all":
            self._features = features
        probabilities = average_views(model, features)
        if not np.isfinite(probabilities).all():
            raise TrainingError(f"the probabilities are not numbers any more after epoch {epoch}; {_REMEDY}")
        likelihood = probabilities[np.arange(len(self._side)), self._side.labels].clip(1e-12)
        return {
            "validation_loss": float(-(self._weights * np.log(likelihood)).sum() / self._weights.sum()),
            "validation_auc": macro_roc_auc(probabilities, self._side.labels),
        }


def _keep_epoch(model: Classifier, training: _Training, folder: RunFolder, log: EventLog) -> None:
    """Write what the last epoch gave, while the averaged weights stand in the model."""
    entry = training.history[-1]
    kept = Checkpoints(folder.checkpoints)
    write_tensors(kept.epoch(entry.epoch), changing_tensors(model), {"epoch": entry.epoch})
    if best_of(training.history) == entry:
        write_tensors(kept.best, model.state_dict(), {"epoch": entry.epoch})
    write_history(training.history, folder.history)
    log.add(entry)
