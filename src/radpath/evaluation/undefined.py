"""The one policy on numbers that do not exist, such as an AUC without positive images.

* A metric that divides by nothing is undefined. It is never replaced by 0, 1 or 0.5.
* Inside arrays of replicates NaN marks the undefined ones; nothing outside this folder ever sees a NaN. A single
  undefined number leaves as ``None``, and an ``Estimate`` says in its note why.
* A macro average is undefined as soon as one of its classes is.
* What exists is given, even where it says little: equal scores have an AUC of 0.5, since ties count a half, and
  decisions for one class alone a kappa of 0; Matthews' correlation with a constant does not exist.
* Replicates in which a metric is undefined are left out of its interval and counted; when they are more than a fifth,
  there is no interval. One whose resamples all agree has no width, and its note says that this is no certainty.
"""

import math

import numpy as np
from jaxtyping import Float64


def ratio(numerator: Float64[np.ndarray, "*shape"], denominator: Float64[np.ndarray, "*shape"]) -> np.ndarray:
    """Divide element by element; where the denominator is 0 the ratio is undefined (NaN).

    >>> ratio(np.array([1.0, 0.0]), np.array([2.0, 0.0]))
    array([0.5, nan])
    """
    quotient: np.ndarray = np.full(denominator.shape, np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator != 0)
    return quotient


def number_or_none(value: float) -> float | None:
    """Return a plain number, or ``None`` for an undefined one.

    >>> number_or_none(float("nan")) is None
    True
    """
    return None if math.isnan(value) else float(value)
