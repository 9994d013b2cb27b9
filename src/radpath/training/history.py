"""One row an epoch: what was lost, what validation says, and which epoch is the best."""

import csv
import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from radpath import files
from radpath.errors import DataError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Epoch:
    """What one epoch gave."""

    epoch: int
    learning_rate: float
    """At the epoch's last step."""
    train_loss: float
    """Mean over the epoch's augmented images, while the weights changed."""
    validation_loss: float
    """Mean cross-entropy with the training's class weights."""
    validation_auc: float | None
    """Of the positive class, or macro one-vs-rest for several classes; None where validation lacks a class."""
    seconds: float

    @property
    def merit(self) -> tuple[float, float]:
        """Higher is better: validation AUC first, a lower loss breaks ties and decides where there is no AUC."""
        return (self.validation_auc or 0.0, -self.validation_loss)


def best_of(history: Sequence[Epoch]) -> Epoch:
    """Return the best epoch; the earliest where several are equal."""
    return max(history, key=lambda epoch: (*epoch.merit, -epoch.epoch))


def write_history(history: Sequence[Epoch], path: Path) -> None:
    """Write one CSV row an epoch."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=[field.name for field in dataclasses.fields(Epoch)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(dataclasses.asdict(epoch) for epoch in history)
    files.write_text(path, text.getvalue())


def read_history(path: Path) -> list[Epoch]:
    """Read what ``write_history`` wrote.

    Raises:
        DataError: the file is missing or is not a history.
    """
    try:
        with path.open(newline="", encoding="utf-8") as text:
            epochs = [_parse(row) for row in csv.DictReader(text)]
    except FileNotFoundError:
        raise DataError(f"{path} is missing; the training did not finish an epoch") from None
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"{path} is not a history that radpath wrote: {error}") from None
    if not epochs:
        raise DataError(f"{path} is not a history that radpath wrote: there is no epoch in it")
    return epochs


def _parse(row: dict[str, Any]) -> Epoch:
    numbers = {name: float(row[name]) for name in ("learning_rate", "train_loss", "validation_loss", "seconds")}
    auc = float(row["validation_auc"]) if row["validation_auc"] else None
    return Epoch(epoch=int(row["epoch"]), validation_auc=auc, **numbers)
