"""What a model said of the images of a run becomes its ``predictions.csv``, whatever the labels are."""

from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float64

from radpath import files
from radpath.data.label_sets import label_matrix
from radpath.evaluation.label_predictions import LabelPredictions, write_label_predictions
from radpath.evaluation.predictions import Predictions, write_predictions
from radpath.models.classifier import Link
from radpath.run_folder import RunFolder


def write_run_predictions(
    table: pl.DataFrame,
    probabilities: Float64[np.ndarray, "images classes"],
    classes: tuple[str, ...],
    *,
    link: Link,
    folder: RunFolder,
) -> None:
    """Write and stamp one row an image, with one truth, or the truth of each of several labels.

    Args:
        table: rows of a manifest.
        probabilities: of these images.
        classes: the columns of ``probabilities``.
        link: "sigmoid" where these are labels of which an image has several.
        folder: of the run.
    """
    about: dict[str, Any] = {
        "record_ids": tuple(table["record_id"]),
        "cases": tuple(table["case"]),
        "sides": tuple(table["split"]),
        "probabilities": probabilities,
        "stains": None if table["stain"].null_count() == len(table) else tuple(table["stain"]),
    }
    if link == "sigmoid":
        truth = label_matrix(table["label"].to_list(), classes).astype(np.float64)
        write_label_predictions(LabelPredictions(**about, truth=truth, names=classes), folder.predictions)
    else:
        write_predictions(Predictions(**about, truth=tuple(table["label"]), classes=classes), folder.predictions)
    folder.stamp("predict", {"predictions.csv": files.digest_file(folder.predictions)})
