"""Appends each epoch to TensorBoard's event files."""

from pathlib import Path
from typing import TYPE_CHECKING, Final, final

from radpath.training.history import Epoch

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

_TAGS: Final = {
    "loss/train": "train_loss",
    "loss/validation": "validation_loss",
    "learning_rate": "learning_rate",
    "auc/validation": "validation_auc",
    "accuracy/validation": "validation_accuracy",
    "balanced_accuracy/validation": "validation_balanced_accuracy",
    "f1/validation": "validation_f1",
    "sensitivity/validation": "validation_sensitivity",
}
"""Names in TensorBoard, and what each shows of an ``Epoch``."""


@final
class EventLog:
    """One event file of one process, which appears with the first epoch.

    One file an epoch would be simpler and wrong: TensorBoard reads the files of one second in the order of their
    names as text, in which the tenth precedes the second, and drops what seems to be repeated.
    """

    def __init__(self, folder: Path) -> None:
        """Write below ``folder``."""
        self._folder = folder
        self._writer: SummaryWriter | None = None

    def add(self, entry: Epoch) -> None:
        """Append one epoch; what an interrupted process wrote of it and beyond is disregarded by TensorBoard."""
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter  # late: it takes half a second to import

            self._writer = SummaryWriter(str(self._folder), purge_step=entry.epoch)
        for tag, column in _TAGS.items():
            value = getattr(entry, column)
            if value is not None:
                self._writer.add_scalar(tag, value, entry.epoch)
        self._writer.flush()  # a process that is killed loses nothing

    def close(self) -> None:
        """End the file."""
        if self._writer is not None:
            self._writer.close()
