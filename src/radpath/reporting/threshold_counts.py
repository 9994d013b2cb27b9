"""What every threshold would have decided: the numbers behind the slider of the page.

In: an evaluation and its predictions. Out: counts at some hundred thresholds for each class that counts as positive,
as compact JSON. The frozen threshold is among them; the slider only looks, and changes no reported number.
"""

import json
from typing import Any, Final

import numpy as np
from jaxtyping import Bool, Float64

from radpath.evaluation.estimates import Evaluation
from radpath.evaluation.predictions import Predictions
from radpath.reporting.wording import SIDE_NAMES, reported_sides

MOST_THRESHOLDS: Final = 400


def threshold_counts(evaluation: Evaluation, predictions: Predictions) -> str | None:
    """Return the counts on the side that is reported first as JSON; None where no class has both kinds of images."""
    side = reported_sides(evaluation)[0].side
    rows = [
        row
        for row, (where, truth) in enumerate(zip(predictions.sides, predictions.truth, strict=True))
        if where == side and truth is not None
    ]
    names = evaluation.classes if evaluation.positive_class is None else (evaluation.positive_class,)
    frozen = evaluation.threshold.value if evaluation.threshold else None
    classes = []
    for name in names:
        is_positive = np.array([predictions.truth[row] == name for row in rows], dtype=bool)
        if is_positive.any() and not is_positive.all():
            scores = predictions.probabilities[rows, predictions.classes.index(name)]
            classes.append({"name": name, **_counts(scores, is_positive, frozen)})
    if not classes:
        return None
    told = {"side": SIDE_NAMES[side].lower(), "frozen": frozen, "classes": classes}
    return json.dumps(told, separators=(",", ":"))


def _counts(
    scores: Float64[np.ndarray, " images"], is_positive: Bool[np.ndarray, " images"], frozen: float | None
) -> dict[str, Any]:
    """Count images at or above each threshold, from the lowest to the highest, where nothing is called positive."""
    values = np.unique(scores)
    if len(values) > MOST_THRESHOLDS - 2:
        values = values[np.unique(np.linspace(0, len(values) - 1, MOST_THRESHOLDS - 2).round().astype(int))]
    thresholds = np.unique(np.concatenate([values, [] if frozen is None else [frozen], [values[-1] + 1e-6]]))
    positive, negative = np.sort(scores[is_positive]), np.sort(scores[~is_positive])
    return {
        "positives": len(positive),
        "negatives": len(negative),
        "thresholds": [float(value) for value in thresholds],
        "caught": [int(len(positive) - below) for below in np.searchsorted(positive, thresholds)],
        "alarms": [int(len(negative) - below) for below in np.searchsorted(negative, thresholds)],
    }
