"""Appends each epoch to TensorBoard's event files."""

from pathlib import Path

from radpath.training.history import Epoch


def log_epoch(entry: Epoch, folder: Path) -> None:
    """Append one epoch; what an interrupted process had written beyond it is disregarded by TensorBoard."""
    from torch.utils.tensorboard import SummaryWriter  # late: it takes half a second to import

    with SummaryWriter(str(folder), purge_step=entry.epoch) as writer:
        writer.add_scalar("loss/train", entry.train_loss, entry.epoch)
        writer.add_scalar("loss/validation", entry.validation_loss, entry.epoch)
        writer.add_scalar("learning_rate", entry.learning_rate, entry.epoch)
        if entry.validation_auc is not None:
            writer.add_scalar("auc/validation", entry.validation_auc, entry.epoch)
