"""What is fixed on validation and used unchanged on every other image: thresholds, calibration, prediction sets.

In: predictions and their evaluation. Out: ``thresholds.json``, ``calibration.json`` and ``conformal.json`` beside the
run, and from them what new images get: corrected probabilities, and the set of classes that cannot be ruled out.
"""

import dataclasses
from typing import Any, Final

import numpy as np
import polars as pl
from jaxtyping import Float64

from radpath import files
from radpath.evaluation.calibration import Calibrator, fit_calibrator
from radpath.evaluation.conformal import ConformalSets, fit_conformal
from radpath.evaluation.estimates import Evaluation
from radpath.evaluation.evaluate import EvaluationSettings
from radpath.evaluation.operating_points import frozen_points
from radpath.evaluation.predictions import Predictions
from radpath.evaluation.thresholds import Threshold
from radpath.run_folder import RunFolder

CALIBRATED_PREFIX: Final = "calibrated:"
SET_COLUMN: Final = "set"
BETWEEN_CLASSES: Final = "; "
_POINTS, _BY_CASE = "operating_points", "by_case"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Frozen:
    """What a run decided on its validation side."""

    threshold: Threshold | None
    """The decision of images; ``None`` with more than two classes."""
    points: tuple[Threshold, ...]
    """The thresholds of all rules that have an answer."""
    calibrator: Calibrator | None
    sets: ConformalSets | None
    no_calibrator: str = "The run itself has no correction of its probabilities."
    """Why there is none, where there is none."""
    no_sets: str = "The run itself has no limits of them."
    """Why there are none, where there are none."""


def freeze(predictions: Predictions, evaluation: Evaluation, settings: EvaluationSettings) -> Frozen:
    """Fit everything that validation fits; what cannot be is ``None``, with the reason beside it."""
    threshold = evaluation.threshold
    calibrator = fit_calibrator(predictions, settings.calibration)
    sets = fit_conformal(predictions, settings.conformal, seed=evaluation.seed)
    return Frozen(
        threshold=threshold,
        points=() if threshold is None else frozen_points(predictions, threshold, settings.operating_points),
        calibrator=calibrator if isinstance(calibrator, Calibrator) else None,
        sets=sets if isinstance(sets, ConformalSets) else None,
        no_calibrator=calibrator if isinstance(calibrator, str) else "",
        no_sets=sets if isinstance(sets, str) else "",
    )


def write_frozen(frozen: Frozen, evaluation: Evaluation, folder: RunFolder) -> None:
    """Write what was fixed; files of what there is not are removed."""
    threshold = frozen.threshold
    by_case = None if evaluation.by_case is None else evaluation.by_case.numbers.threshold
    decision: dict[str, Any] = {"rule": "highest probability"} if threshold is None else threshold.to_dict()
    others = {
        _BY_CASE: None if by_case is None else by_case.to_dict(),
        _POINTS: [point.to_dict() for point in frozen.points],
    }
    files.write_json(folder.thresholds, {**decision, **others})
    for path, found in ((folder.calibration, frozen.calibrator), (folder.conformal, frozen.sets)):
        if found is None:
            path.unlink(missing_ok=True)
        else:
            files.write_json(path, found.to_dict())


def read_frozen(folder: RunFolder) -> Frozen:
    """Read what was fixed.

    Raises:
        DataError: a file is not what radpath wrote.
    """
    known = files.read_json(folder.thresholds)
    points, _ = known.pop(_POINTS, []), known.pop(_BY_CASE, None)
    return Frozen(
        threshold=Threshold.from_dict(known) if "value" in known else None,
        points=tuple(Threshold.from_dict(point) for point in points),
        calibrator=Calibrator.from_dict(files.read_json(folder.calibration)) if folder.calibration.is_file() else None,
        sets=ConformalSets.from_dict(files.read_json(folder.conformal)) if folder.conformal.is_file() else None,
    )


def frozen_columns(
    frozen: Frozen, probabilities: Float64[np.ndarray, "images classes"], classes: tuple[str, ...]
) -> list[pl.Series]:
    """Return what stands behind the probabilities of new images: corrected ones, and the set of each image."""
    columns = []
    if frozen.calibrator is not None:
        known = frozen.calibrator.classes
        corrected = frozen.calibrator.apply(probabilities[:, [classes.index(name) for name in known]])
        columns += [pl.Series(f"{CALIBRATED_PREFIX}{name}", corrected[:, known.index(name)].copy()) for name in classes]
    if frozen.sets is not None:
        known = frozen.sets.classes
        sets = frozen.sets.sets(probabilities[:, [classes.index(name) for name in known]])
        named = [BETWEEN_CLASSES.join(name for name, there in zip(known, row, strict=True) if there) for row in sets]
        columns.append(pl.Series(SET_COLUMN, named, dtype=pl.String))
    return columns
