"""How sure a whole ROC curve is: a band around it from resamples of the cases.

In: scores of one class on one side. Out: sensitivities at given specificities, with the interval of each. The band
holds at each point by itself (Fawcett 2006, vertical averaging); the whole true curve may leave it somewhere.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float64, Int64

from radpath.evaluation.intervals import resample_cases

GRID: Final[Float64[np.ndarray, " points"]] = np.linspace(0, 1, 101)
"""Where the band is known, as 1 - specificity."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Band:
    """Sensitivity at each point of ``GRID``."""

    low: Float64[np.ndarray, " points"]
    high: Float64[np.ndarray, " points"]


def roc_band(
    scores: Float64[np.ndarray, " images"],
    is_positive: Bool[np.ndarray, " images"],
    case_of: Int64[np.ndarray, " images"],
    *,
    confidence: float,
    replicates: int,
    generator: np.random.Generator,
    stratum_of: Int64[np.ndarray, " cases"] | None = None,
) -> Band | None:
    """Return the pointwise percentile band of an ROC curve; None where images of one kind are missing.

    Args:
        scores: higher speaks for the positive class.
        is_positive: the truth.
        case_of: number of each image's case, from 0 without gaps; all images of a case are drawn together.
        confidence: for example 0.95.
        replicates: resamples; those without images of both kinds are left out.
        generator: source of the draws.
        stratum_of: number of each case's stratum, where as many cases of each are drawn as there are.
    """
    if is_positive.all() or not is_positive.any():
        return None
    order = np.argsort(-scores, kind="stable")
    last_of_ties = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    num_cases = int(case_of.max()) + 1
    lines = []
    for weights in resample_cases(
        num_cases, num_images=len(scores), replicates=replicates, generator=generator, stratum_of=stratum_of
    ):
        drawn = weights[case_of[order]]
        caught = np.cumsum(drawn * is_positive[order, None], axis=0)[last_of_ties]
        alarms = np.cumsum(drawn * ~is_positive[order, None], axis=0)[last_of_ties]
        lines += [
            _on_grid(alarms[:, place] / alarms[-1, place], caught[:, place] / caught[-1, place])
            for place in range(weights.shape[1])
            if caught[-1, place] and alarms[-1, place]
        ]
    if not lines:
        return None
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.array(lines), [tail, 1 - tail], axis=0)
    return Band(low=low, high=high)


def _on_grid(x: Float64[np.ndarray, " steps"], y: Float64[np.ndarray, " steps"]) -> Float64[np.ndarray, " points"]:
    """Return sensitivity at each point of the grid: the highest that a curve has up to there, with lines between."""
    # Of several points above each other NumPy takes the last, which is the highest.
    line: np.ndarray = np.interp(GRID, np.concatenate([[0.0], x]), np.concatenate([[0.0], y]))
    return line
