"""The distance to the training data, in a run folder: measured when its model is final, and found again for it."""

from collections.abc import Mapping

import numpy as np

from radpath.errors import StaleError
from radpath.evaluation.distance import DistanceSettings, TrainingDistance, fit_distance, read_distance, write_distance
from radpath.records import Side
from radpath.run_folder import RunFolder

_MODEL = "checkpoints/best.safetensors"


def record_distance(
    features: Mapping[Side, np.ndarray],
    labels: np.ndarray,
    settings: DistanceSettings,
    folder: RunFolder,
) -> None:
    """Measure the training images of a run whose model is final; what an earlier model left is removed.

    Args:
        features: of the training and validation images, as they are.
        labels: the class of each training image, or of several labels the answer to each.
        settings: what is measured.
        folder: of the run, whose model is stamped.
    """
    # Of several labels an image, no two images need have the same: there is one mean for all.
    groups = labels if labels.ndim == 1 else np.zeros(len(labels), dtype=np.int64)
    found = fit_distance(
        features["train"], groups, features["validation"], settings=settings, model=folder.stamped("train")[_MODEL]
    )
    if found is None:
        folder.distance.unlink(missing_ok=True)
        folder.distance_facts.unlink(missing_ok=True)
    else:
        write_distance(found, folder.distance, folder.distance_facts)


def distance_of_run(folder: RunFolder) -> TrainingDistance | None:
    """Read the distance of a run; None where there is none.

    Raises:
        DataError: the file is damaged.
        StaleError: it was measured with another model than the run's.
    """
    found = read_distance(folder.distance)
    if found is not None and found.facts.model != folder.stamped("train")[_MODEL]:
        raise StaleError(
            f"{folder.distance} was measured with another model than the run's; restore it, or delete it to predict "
            "without distances"
        )
    return found
