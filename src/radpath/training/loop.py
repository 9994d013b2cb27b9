"""The training loop: short enough to read, exact enough to resume.

In: a model, the training and validation sides. Out: a history and, in the run folder, the best model. Whatever is
random in an epoch is derived from the seed and the epoch, so a run that was killed and resumed ends with the same
bits as one that was not.
"""

import dataclasses
import math
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from lightning_fabric import Fabric
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from radpath.data.augmentation import NUM_VIEWS, AugmentationSettings
from radpath.data.batches import ImageSource
from radpath.errors import TrainingError
from radpath.evaluation.ranking import macro_roc_auc
from radpath.models.classifier import Classifier
from radpath.progress import track
from radpath.run_folder import RunFolder
from radpath.seeding import derived_seed
from radpath.training.checkpoints import Checkpoints, changing_tensors, write_tensors
from radpath.training.device import explained_memory_errors
from radpath.training.head_start import fit_head
from radpath.training.history import Epoch, best_of, write_history
from radpath.training.learners import Learner, build_learner
from radpath.training.optimisation import OptimisationSettings, build_optimiser, class_weights, set_rate
from radpath.training.prediction import PredictionSettings, average_views, features_of_views, view_features


class TrainingSettings(OptimisationSettings):
    """How long and from which seed the model learns."""

    epochs: int = Field(default=14, ge=0)
    """The most epochs; the schedule spans them all. 0: only the logistic start of the head."""
    head_start: Literal["logistic", "random"] = "logistic"
    """logistic: the head starts as the best linear one on the backbone's features, which counts as epoch 0."""
    head_decay: float = Field(default=1.0, gt=0)
    """Penalty on the squared weights of the logistic start, on standardised features."""
    patience: int = Field(default=10, ge=1)
    """Training stops after this many epochs without a better validation AUC (a lower loss breaks ties)."""
    seed: int = Field(default=0, ge=0)
    """Decides the head's first weights, the batches, the augmentation and the dropout."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sides:
    """What a model learns from, and what chooses its best epoch."""

    train: ImageSource
    validation: ImageSource


@dataclasses.dataclass(kw_only=True)
class _Run:
    """The moving parts of one training."""

    model: Classifier
    learner: Learner
    trained: nn.Module
    optimiser: Any  # Fabric's wrapper has no public type
    weights: Tensor
    history: list[Epoch]
    clock: float
    """When the current epoch began, in seconds of a monotonic clock."""
    features: list[Tensor] | None = None
    """Of the validation images, kept where the backbone is frozen."""


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
    run = _start(model, sides, settings, augmentation, folder, fabric)
    kept = Checkpoints(folder.checkpoints)
    if not run.history and settings.head_start == "logistic":
        loss = _start_head(run, sides.train, settings, augmentation, fabric)
        _finish_epoch(run, kept, sides, prediction, folder, fabric, number=0, rate=0.0, loss=loss)
    epochs = range(max((entry.epoch for entry in run.history), default=0) + 1, settings.epochs + 1)
    for number in track(epochs, total=len(epochs), what="training", unit="epochs"):
        if _patience_ended(run.history, settings.patience):
            break
        loss, rate = _learn(run, settings, epoch=number, fabric=fabric)
        _finish_epoch(run, kept, sides, prediction, folder, fabric, number=number, rate=rate, loss=loss)
    return run.history


def _finish_epoch(
    run: _Run,
    kept: Checkpoints,
    sides: Sides,
    prediction: PredictionSettings,
    folder: RunFolder,
    fabric: Fabric,
    *,
    number: int,
    rate: float,
    loss: float,
) -> None:
    """Validate, and write down what the epoch gave."""
    merit = _validate(run, sides.validation, prediction, fabric)
    seconds = round(time.monotonic() - run.clock, 3)
    run.clock = time.monotonic()
    run.history.append(Epoch(epoch=number, learning_rate=rate, train_loss=loss, seconds=seconds, **merit))
    if fabric.is_global_zero:
        _keep(run, kept, folder)
    fabric.barrier()


def _start_head(
    run: _Run, side: ImageSource, settings: TrainingSettings, augmentation: AugmentationSettings, fabric: Fabric
) -> float:
    """Fit the head to the features of every flipped view; return its loss."""
    views = range(min(NUM_VIEWS[augmentation.flips], 2))
    features = run.learner.features or features_of_views(
        run.model, side, views=views, fabric=fabric, what="fitting the head"
    )
    labels = torch.from_numpy(side.labels).repeat(len(features))
    return fit_head(
        run.model.head, torch.cat(list(features)).cpu(), labels, weights=run.weights.cpu(), decay=settings.head_decay
    )


def _start(
    model: Classifier,
    sides: Sides,
    settings: TrainingSettings,
    augmentation: AugmentationSettings,
    folder: RunFolder,
    fabric: Fabric,
) -> _Run:
    """Bring everything to the device, and to where an earlier process stopped."""
    model.to(fabric.device)
    learner = build_learner(model, sides.train, augmentation, seed=settings.seed, fabric=fabric)
    optimiser = build_optimiser(model, settings)
    history: list[Epoch] = []
    kept = Checkpoints(folder.checkpoints)
    if kept.state.is_file():
        story = kept.load_state(model, optimiser)
        history = [Epoch(**row) for row in story["history"]]
    trained, wrapped = fabric.setup(learner.module, optimiser)
    weights = class_weights(sides.train.labels, num_classes=model.head.out_features, kind=settings.class_weights).to(
        fabric.device
    )
    return _Run(
        model=model,
        learner=learner,
        trained=trained,
        optimiser=wrapped,
        weights=weights,
        history=history,
        clock=time.monotonic(),
    )


def _learn(run: _Run, settings: TrainingSettings, *, epoch: int, fabric: Fabric) -> tuple[float, float]:
    """Pass once over the training images; return the mean loss and the last rate."""
    torch.manual_seed(derived_seed(settings.seed, "dropout", epoch, fabric.global_rank))
    run.model.train()
    run.trained.train()
    batches = run.learner.batches(epoch=epoch)
    # Every device takes as many steps; where batches do not divide, the first ones are taken again.
    steps = math.ceil(len(batches) / fabric.world_size)
    total, seen, rate = 0.0, 0, 0.0
    for step in track(range(steps), total=steps, what=f"epoch {epoch} of {settings.epochs}", unit="batches"):
        positions = batches[(step * fabric.world_size + fabric.global_rank) % len(batches)]
        rate = set_rate(run.optimiser, settings, done=(epoch - 1 + (step + 1) / steps) / settings.epochs)
        with explained_memory_errors():
            loss = _step(run, positions, settings, epoch=epoch, fabric=fabric)
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss} in epoch {epoch}, step {step + 1}; lower training.learning_rate "
                f"(now {settings.learning_rate:g}) or set device.precision to '32-true'; --resume continues from the "
                "last finished epoch"
            )
        total, seen = total + loss * len(positions), seen + len(positions)
    return total / seen, rate


def _step(run: _Run, positions: np.ndarray, settings: TrainingSettings, *, epoch: int, fabric: Fabric) -> float:
    logits = run.learner.logits(run.trained, positions, epoch=epoch)
    truth = run.learner.labels(positions).to(logits.device)
    loss = functional.cross_entropy(logits.float(), truth, weight=run.weights, label_smoothing=settings.label_smoothing)
    run.optimiser.zero_grad()
    fabric.backward(loss)
    fabric.clip_gradients(run.trained, run.optimiser, max_norm=settings.clip_norm, error_if_nonfinite=False)
    run.optimiser.step()
    return float(loss.detach())


def _validate(run: _Run, side: ImageSource, prediction: PredictionSettings, fabric: Fabric) -> dict[str, Any]:
    """Return the numbers by which epochs are compared."""
    features = run.features or view_features(run.model, side, prediction, fabric=fabric, what="validating")
    if run.model.freeze == "all":
        run.features = features
    probabilities = average_views(run.model, features)
    weights = run.weights.double().cpu().numpy()[side.labels]
    likelihood = probabilities[np.arange(len(side)), side.labels].clip(1e-12)
    return {
        "validation_loss": float(-(weights * np.log(likelihood)).sum() / weights.sum()),
        "validation_auc": macro_roc_auc(probabilities, side.labels),
    }


def _patience_ended(history: list[Epoch], patience: int) -> bool:
    return bool(history) and history[-1].epoch - best_of(history).epoch >= patience


def _keep(run: _Run, kept: Checkpoints, folder: RunFolder) -> None:
    """Write what this epoch gave; the state comes last, so that a kill in between repeats the epoch."""
    number = run.history[-1].epoch
    write_tensors(kept.epoch(number), changing_tensors(run.model), {"epoch": number})
    if best_of(run.history).epoch == number:
        write_tensors(kept.best, run.model.state_dict(), {"epoch": number})
    write_history(run.history, folder.history)
    _log(run.history, folder.tensorboard)
    kept.save_state(run.model, run.optimiser, {"history": [dataclasses.asdict(epoch) for epoch in run.history]})


def _log(history: list[Epoch], folder: Path) -> None:
    """Append the last epoch to TensorBoard's event files."""
    from torch.utils.tensorboard import SummaryWriter  # late: it takes half a second to import

    entry = history[-1]
    with SummaryWriter(str(folder), purge_step=entry.epoch) as writer:
        writer.add_scalar("loss/train", entry.train_loss, entry.epoch)
        writer.add_scalar("loss/validation", entry.validation_loss, entry.epoch)
        writer.add_scalar("auc/validation", entry.validation_auc, entry.epoch)
        writer.add_scalar("learning_rate", entry.learning_rate, entry.epoch)
