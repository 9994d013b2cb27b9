"""A spoilt training stops with its reason: one line for the user, and ``failure.json`` with all that was measured.

In: a training at work. Out: a ``TrainingError`` in the place of a ``SpoiltError``. Finished epochs stay as they are, so
that a run can be continued where that helps.
"""

import contextlib
from collections.abc import Iterator, Sequence

from lightning_fabric import Fabric

from radpath import files
from radpath.data.batches import ImageSource
from radpath.errors import TrainingError
from radpath.run_folder import RunFolder
from radpath.training.learning import Learning
from radpath.training.watch import SpoiltError


@contextlib.contextmanager
def explained_failures(
    learning: Learning, sides: Sequence[ImageSource], *, classes: Sequence[str], folder: RunFolder, fabric: Fabric
) -> Iterator[None]:
    """Find out why, where the training in the block is spoilt.

    Args:
        learning: the training.
        sides: that it learns from, and that it validates on.
        classes: their names, in the order of the labels.
        folder: of the run.
        fabric: of the training; the first of its processes writes files.

    Raises:
        TrainingError: in the place of a ``SpoiltError``.
    """
    if fabric.is_global_zero:
        folder.failure.unlink(missing_ok=True)  # of an earlier attempt
    try:
        yield
    except SpoiltError as spoilt:
        failure = learning.explain(spoilt, sides, classes=classes)
        if fabric.is_global_zero:
            files.write_json(folder.failure, failure.to_dict())
        raise TrainingError(f"{failure.told()}; {failure.kept()}, and {folder.failure.name} says more") from None
