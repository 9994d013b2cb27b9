"""The training loop: short enough to read, exact enough to resume.

In: a model, the training and validation sides. Out: a history and, in the run folder, the best model. Whatever is
random in an epoch is derived from the seed and the epoch, so a run that was killed and resumed ends with the same
bits as one that was not.
"""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Sequence

from lightning_fabric import Fabric

from radpath.data.augmentation.settings import AugmentationSettings
from radpath.data.batches import ImageSource
from radpath.models.classifier import Classifier, changing_tensors
from radpath.progress import track
from radpath.run_folder import RunFolder
from radpath.training.checkpoints import Checkpoints, write_tensors
from radpath.training.event_log import EventLog
from radpath.training.failure import explained_failures
from radpath.training.feature_cache import FeatureCache
from radpath.training.history import EPOCHS_OF_ONE_CLASS, Epoch, one_class_epochs, one_class_sentence, write_history
from radpath.training.learners import build_learner, drawing_of, looks_of_start
from radpath.training.learning import Learning
from radpath.training.losses import build_loss
from radpath.training.prediction import PredictionSettings, features_of_looks
from radpath.training.settings import TrainingSettings
from radpath.training.validation import Validation


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sides:
    """What a model learns from, and what chooses its best epoch."""

    train: ImageSource
    validation: ImageSource
    classes: Sequence[str]
    """Their names, in the order of the labels."""

    @property
    def both(self) -> tuple[ImageSource, ImageSource]:
        """Training and validation."""
        return self.train, self.validation


def train(
    model: Classifier,
    sides: Sides,
    settings: TrainingSettings,
    *,
    augmentation: AugmentationSettings,
    prediction: PredictionSettings,
    folder: RunFolder,
    fabric: Fabric,
    cache: FeatureCache | None = None,
    warn: Callable[[str], None] = lambda _line: None,
) -> list[Epoch]:
    """Train until the last epoch or until patience ends; continue where the folder's state stands.

    ``warn`` gets a line where something is odd that does not end the training.
    Where there is a ``cache``, which must be the model's, its frozen part computes every view of an image once.

    Returns:
        One entry an epoch; the best epoch's model is in ``checkpoints/best.safetensors``.

    Raises:
        TrainingError: numbers were spoilt; the message says why, and ``failure.json`` in the folder more.
        DeviceError: the GPU's memory is used up.
        SettingsError: a class weight or a cost names no class.
    """
    model.to(fabric.device)
    loss = build_loss(settings.loss, sides.train.labels, classes=sides.classes)
    learner = build_learner(model, sides.train, drawing_of(settings, augmentation), cache=cache)
    learning = Learning(model, learner, settings, loss=loss, kept=Checkpoints(folder.checkpoints), fabric=fabric)
    validation = Validation(sides.validation, prediction, loss, fabric, cache)
    log = EventLog(folder.tensorboard)

    def finish_epoch(number: int, *, loss: float, rate: float, began: float) -> None:
        with learning.averaged(number):
            merit = validation.measure(model, epoch=number)
            seconds = round(time.monotonic() - began, 3)
            learning.history.append(Epoch(epoch=number, learning_rate=rate, train_loss=loss, seconds=seconds, **merit))
            if fabric.is_global_zero:
                _keep_epoch(model, learning, folder, log, warn)
        if fabric.is_global_zero:
            learning.keep_state()
        fabric.barrier()

    explained = explained_failures(learning, sides.both, classes=sides.classes, folder=folder, fabric=fabric)
    with contextlib.closing(log), explained:
        began = time.monotonic()
        if not learning.history and settings.head_start == "logistic":
            looks = looks_of_start(sides.train, augmentation)
            features = features_of_looks(model, sides.train, looks, fabric=fabric, what="fitting the head", cache=cache)
            first = learning.start_head(features, sides.train)
            finish_epoch(0, loss=first, rate=0.0, began=began)
        for number in track(learning.epochs_left, total=len(learning.epochs_left), what="training", unit="epochs"):
            if learning.patience_ended:
                break
            began = time.monotonic()
            mean, rate = learning.learn(number)
            finish_epoch(number, loss=mean, rate=rate, began=began)
    return learning.history


def _warn_of_one_class(history: Sequence[Epoch], warn: Callable[[str], None]) -> None:
    epochs = one_class_epochs(history)
    if len(epochs) == EPOCHS_OF_ONE_CLASS and epochs[-1] == history[-1].epoch:
        warn(f"Warning: {one_class_sentence(epochs)}; `radpath check-learning` tells whether this can learn at all")


def _keep_epoch(
    model: Classifier, learning: Learning, folder: RunFolder, log: EventLog, warn: Callable[[str], None]
) -> None:
    """Write what the last epoch gave, while the averaged weights stand in the model, and warn of what is odd in it."""
    entry = learning.history[-1]
    kept = Checkpoints(folder.checkpoints)
    write_tensors(kept.epoch(entry.epoch), changing_tensors(model), {"epoch": entry.epoch})
    if learning.best == entry:
        write_tensors(kept.best, model.state_dict(), {"epoch": entry.epoch})
    write_history(learning.history, folder.history)
    log.add(entry)
    _warn_of_one_class(learning.history, warn)
