"""One row an epoch: what was lost, what validation says, and which epoch is the best."""

import csv
import dataclasses
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

from radpath import files
from radpath.errors import DataError

Monitor = Literal[
    "validation_auc",
    "validation_loss",
    "validation_accuracy",
    "validation_balanced_accuracy",
    "validation_f1",
    "validation_sensitivity",
]
"""A column of ``history.csv`` by which epochs are compared; of the loss lower is better, of the others higher."""

MONITORS: Final[dict[Monitor, str]] = {
    "validation_auc": "validation AUC",
    "validation_loss": "validation loss",
    "validation_accuracy": "validation accuracy",
    "validation_balanced_accuracy": "validation balanced accuracy",
    "validation_f1": "validation F1",
    "validation_sensitivity": "validation sensitivity of the worst class",
}
"""The same in words."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Epoch:
    """What one epoch gave."""

    epoch: int
    learning_rate: float
    """The backbone's, at the epoch's last step; the head's is training.head_rate_factor times this."""
    train_loss: float
    """Mean over the epoch's augmented images, while the weights changed."""
    validation_loss: float
    """The training's loss with its class weights, without label smoothing or mixing."""
    validation_auc: float | None
    """Of the positive class, or macro one-vs-rest for several classes; None where validation lacks a class. Of several
    labels an image, the mean over those of which validation has images with and without; so the numbers below, at 0.5.
    """
    validation_accuracy: float | None = None
    """Of the class with the highest probability, as the numbers below."""
    validation_balanced_accuracy: float | None = None
    """Mean of the classes' sensitivities; None where validation lacks a class."""
    validation_f1: float | None = None
    """Mean of the classes' F1; None where a class is neither present nor decided for."""
    validation_sensitivity: float | None = None
    """Of the class that is recognised worst; None where validation lacks a class."""
    validation_top_share: float | None = None
    """Share of the images that were decided for one and the same class, the largest such; None where validation has
    images of one class only."""
    seconds: float

    def merit(self, monitor: Monitor) -> tuple[float, float]:
        """Return what epochs are compared by, higher is better; a lower loss breaks ties, and decides without a number.

        >>> epoch = Epoch(
        ...     epoch=1, learning_rate=0.1, train_loss=1.0, validation_loss=0.5, validation_auc=0.9, seconds=1.0
        ... )
        >>> epoch.merit("validation_auc"), epoch.merit("validation_loss"), epoch.merit("validation_f1")
        ((0.9, -0.5), (-0.5, -0.5), (-inf, -0.5))
        """
        if monitor == "validation_loss":
            return (-self.validation_loss, -self.validation_loss)
        value: float | None = getattr(self, monitor)
        return (-math.inf if value is None else value, -self.validation_loss)


def best_of(history: Sequence[Epoch], monitor: Monitor) -> Epoch:
    """Return the best epoch; the earliest where several are equal."""
    return max(history, key=lambda epoch: (*epoch.merit(monitor), -epoch.epoch))


EPOCHS_OF_ONE_CLASS: Final = 3
"""So many in a row, and a training is said to answer with one class."""


def one_class_epochs(history: Sequence[Epoch]) -> list[int]:
    """Return the longest row of epochs, the latest of equals, in which all of validation was decided for one class.

    >>> base = {"learning_rate": 0.1, "train_loss": 1.0, "validation_loss": 1.0, "validation_auc": 0.5, "seconds": 1.0}
    >>> shares = [1.0, 0.9, 1.0, 1.0, None]
    >>> one_class_epochs([Epoch(epoch=n, validation_top_share=share, **base) for n, share in enumerate(shares)])
    [2, 3]
    """
    longest: list[int] = []
    row: list[int] = []
    for entry in history:
        row = [*row, entry.epoch] if entry.validation_top_share == 1 else []
        longest = row if row and len(row) >= len(longest) else longest
    return longest


def one_class_sentence(epochs: Sequence[int]) -> str:
    """Say in which epochs a training answered with one class.

    >>> one_class_sentence([2, 3])
    'all validation images were decided for one class in epochs 2 to 3'
    """
    return f"all validation images were decided for one class in epochs {epochs[0]} to {epochs[-1]}"


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
    numbers = {name: float(text) if text else None for name, text in row.items() if name != "epoch"}
    required = ("learning_rate", "train_loss", "validation_loss", "seconds")
    missing = [name for name in required if numbers[name] is None]
    if missing:
        raise ValueError(f"a row has no {missing[0]}")
    return Epoch(epoch=int(row["epoch"]), **numbers)  # type: ignore[arg-type] # those that must be numbers are
