"""How unsure a model is of single images, from probabilities alone.

In: the probabilities of images, and those of every view or member that they are the mean of. Out: numbers for each
image in 0 to 1, where 0 is no doubt. Whether such numbers mean anything on these data is asked by ``abstention``.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy.special import entr


@dataclass(frozen=True, kw_only=True, eq=False)
class Spread:
    """How far several opinions on the same image are from each other."""

    deviation: Float64[np.ndarray, " images"]
    """Standard deviation (not one less) of the probability of the class that is likeliest on average; 0 to 0.5."""
    mutual_information: Float64[np.ndarray, " images"]
    """The entropy of the mean less the mean entropy (Houlsby et al. 2011, equation 2), normalised as ``entropy`` is:
    doubt that comes from disagreement alone; 0 to 1."""


def entropy(probabilities: Float64[np.ndarray, "*images classes"]) -> Float64[np.ndarray, "*images"]:
    """Return the entropy of each row divided by that of equal probabilities: 0 is certain, 1 knows nothing.

    >>> entropy(np.array([[0.5, 0.5], [1.0, 0.0]])).tolist()
    [1.0, 0.0]
    """
    nats: np.ndarray = entr(probabilities).sum(axis=-1)
    return (nats / math.log(probabilities.shape[-1])).clip(0, 1)


def spread(opinions: Float64[np.ndarray, "opinions images classes"], weights: Sequence[float] | None = None) -> Spread:
    """Return how far opinions are apart.

    Args:
        opinions: the probabilities that each view of an image, or each member of an ensemble, gives.
        weights: of the opinions; None: all are equal.

    >>> found = spread(np.array([[[1.0, 0.0]], [[0.0, 1.0]]]))
    >>> found.deviation.tolist(), found.mutual_information.tolist()
    ([0.5], [1.0])
    """
    shares = np.ones(len(opinions)) if weights is None else np.array(weights, dtype=np.float64)
    shares = (shares / shares.sum())[:, None]
    mean = (shares[:, :, None] * opinions).sum(axis=0)
    likeliest = mean.argmax(axis=1)
    chosen = np.take_along_axis(opinions, likeliest[None, :, None], axis=2)[:, :, 0]
    centre = (shares * chosen).sum(axis=0)
    variance = (shares * (chosen - centre) ** 2).sum(axis=0)
    between = entropy(mean) - (shares * entropy(opinions)).sum(axis=0)
    return Spread(deviation=np.sqrt(variance), mutual_information=between.clip(0, 1))
