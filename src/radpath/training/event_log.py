"""Appends each epoch to TensorBoard's event files."""

from pathlib import Path
from typing import TYPE_CHECKING, final

from radpath.training.history import Epoch

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


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
        self._writer.add_scalar("loss/train", entry.train_loss, entry.epoch)
        self._writer.add_scalar("loss/validation", entry.validation_loss, entry.epoch)
        self._writer.add_scalar("learning_rate", entry.learning_rate, entry.epoch)
        if entry.validation_auc is not None:
            self._writer.add_scalar("auc/validation", entry.validation_auc, entry.epoch)
        self._writer.flush()  # a process that is killed loses nothing

    def close(self) -> None:
        """End the file."""
        if self._writer is not None:
            self._writer.close()
