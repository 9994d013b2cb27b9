"""What a report says about a training: which epoch was kept and why, and what moves the probabilities."""

from collections.abc import Sequence
from typing import Final

from radpath.recipes.experiment import Experiment
from radpath.recipes.running import read_document
from radpath.run_folder import RunFolder
from radpath.training.history import (
    EPOCHS_OF_ONE_CLASS,
    MONITORS,
    Epoch,
    best_of,
    one_class_epochs,
    one_class_sentence,
    read_history,
)
from radpath.training.settings import TrainingSettings

_NO_CHANCE: Final = (
    "which moves the probabilities: they rank images, but are not the chance of a class in a population."
)
_WEIGHTED: Final = {
    "balanced": f"The loss weighs classes by the inverse of their frequency, {_NO_CHANCE}",
    "effective_number": f"The loss weighs rare classes more, by their effective number of images, {_NO_CHANCE}",
    "given": f"The loss weighs classes as the settings say, {_NO_CHANCE}",
}
_SAMPLED: Final = f"Training saw each class equally often, {_NO_CHANCE}"
_LOSSES: Final = {
    "focal": f"The focal loss counts easy images less, {_NO_CHANCE}",
    "cost_matrix": f"The loss holds what the settings say that each mistake costs, {_NO_CHANCE}",
}
_BY_HAND: Final = "The epoch was chosen by hand: if the test side was looked at before that, its numbers are too good."


def picked_epoch(folder: RunFolder) -> int | None:
    """Return the epoch that was picked by hand, or None where the rule decided."""
    if not folder.picked.is_file():
        return None
    number: int = read_document(folder.picked, lambda found: int(found["epoch"]))
    return number


def kept_epoch(experiment: Experiment, history: Sequence[Epoch], folder: RunFolder) -> tuple[int, str]:
    """Return the epoch whose weights are kept, and the rule by which it was chosen, as an end of a sentence."""
    monitor = experiment.training.monitor
    best, picked = best_of(history, monitor).epoch, picked_epoch(folder)
    direction = "lowest" if monitor == "validation_loss" else "highest"
    rule = f"{direction} {MONITORS[monitor]}"
    if monitor != "validation_loss":
        rule += "; a lower validation loss breaks ties"
    if picked is None:
        return best, rule
    return picked, f"by hand, with radpath pick-epoch; the rule ({rule}) says epoch {best}"


def training_limits(settings: TrainingSettings, folder: RunFolder) -> list[str]:
    """Return what a reader of the numbers should know of the training."""
    by_hand = _BY_HAND if picked_epoch(folder) is not None else None
    epochs = one_class_epochs(read_history(folder.history)) if folder.history.is_file() else []
    one_class = f"In the training, {one_class_sentence(epochs)}." if len(epochs) >= EPOCHS_OF_ONE_CLASS else None
    return [*_moving(settings), *(limit for limit in (one_class, by_hand) if limit is not None)]


def moved_probabilities(settings: TrainingSettings) -> str | None:
    """Return what in the training moves the probabilities, in sentences; None for nothing."""
    return " ".join(_moving(settings)) or None


def _moving(settings: TrainingSettings) -> list[str]:
    sampled = _SAMPLED if settings.sampling == "balanced" else None
    causes = (_WEIGHTED.get(settings.loss.class_weights), sampled, _LOSSES.get(settings.loss.kind))
    return [cause for cause in causes if cause is not None]
