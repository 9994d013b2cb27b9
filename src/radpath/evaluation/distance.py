"""How far an image is from all that a model was trained on, in the space of the network's features.

In: features of training and validation images. Out: a ``TrainingDistance``, kept with the run, which gives each new
image the Mahalanobis distance to the nearest class (Lee et al. 2018, equation 2): one mean a class, and one covariance
within classes for all, shrunk as Ledoit and Wolf (2004) do, so that it exists where there are more features than
images. Features are first scaled to length 1 (Mueller and Hein 2025): images without structure have short ones, and
would seem near to everything (``benchmarks/distance.py``). The distance is stated in units of a quantile of the
validation distances: beyond 1 lies what hardly any validation image is. A small distance does not say that a prediction
is right, only that the network has seen the like.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64
from pydantic import Field

from radpath import files
from radpath.errors import DataError
from radpath.settings import Settings

_ROWS_AT_ONCE: Final = 1024
_ROUNDING: Final = 1e-9  # features of length 1 that differ by less are the same


class DistanceSettings(Settings):
    """How the distance of new images to the training data is measured."""

    most_images: int = Field(default=20_000, ge=0)
    """So many training images are measured, spread over all of them, when a run finishes; 0: no distance is kept."""
    quantile: float = Field(default=0.99, gt=0, le=1)
    """The share of validation images whose distance is below 1; farther images are flagged as unlike the training
    data."""


@dataclass(frozen=True, kw_only=True)
class DistanceFacts:
    """What a distance was made from; ``distance.json``."""

    num_images: int
    """Training images that were measured."""
    num_validation: int
    num_features: int
    num_groups: int
    """Classes with training images; each has its own mean."""
    shrinkage: float
    """The weight of the round covariance that the measured one was mixed with, in 0..1."""
    quantile: float
    threshold: float
    """The Mahalanobis distance that is called 1."""
    model: str
    """Digest of the model whose features were measured."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingDistance:
    """The distance of a run's model to its training data."""

    whitening: Float32[np.ndarray, "features features"]
    """Turns features into such that vary within a class by 1 in all directions."""
    means: Float32[np.ndarray, "groups features"]
    """Of each class, after whitening."""
    facts: DistanceFacts

    def of(self, features: Float[np.ndarray, "images features"]) -> Float64[np.ndarray, " images"]:
        """Return each image's distance to the nearest class, where 1 is the threshold."""
        return _nearest(features, self.whitening, self.means) / self.facts.threshold


def fit_distance(
    features: Float[np.ndarray, "images features"],
    groups: Int64[np.ndarray, " images"],
    validation: Float[np.ndarray, "others features"],
    *,
    settings: DistanceSettings,
    model: str,
) -> TrainingDistance | None:
    """Measure training images; None where that is not wanted, or where they do not vary.

    Args:
        features: of the training images.
        groups: the class of each.
        validation: features of the validation images, which say how far is usual.
        settings: how many images are measured, and which quantile is called 1.
        model: digest of the model.
    """
    chosen = _spread_over(len(features), settings.most_images)
    known, inverse = np.unique(groups[chosen], return_inverse=True)
    if len(chosen) <= len(known) or len(validation) == 0:
        return None
    exact = _unit(features[chosen])
    means = np.stack([exact[inverse == place].mean(axis=0) for place in range(len(known))])
    covariance, shrinkage = _within(exact - means[inverse])
    if covariance is None:
        return None
    whitening = np.linalg.inv(np.linalg.cholesky(covariance)).astype(np.float32)
    centres = (means @ whitening.T.astype(np.float64)).astype(np.float32)
    # With the rounded numbers that are kept, so that the quantile holds to the last bit.
    usual = _nearest(validation, whitening, centres)
    threshold = float(np.quantile(usual, settings.quantile, method="higher"))
    if threshold <= 0:
        return None
    facts = DistanceFacts(
        num_images=len(chosen),
        num_validation=len(validation),
        num_features=features.shape[1],
        num_groups=len(known),
        shrinkage=shrinkage,
        quantile=settings.quantile,
        threshold=threshold,
        model=model,
    )
    return TrainingDistance(whitening=whitening, means=centres, facts=facts)


def _spread_over(num_images: int, most: int) -> Int64[np.ndarray, " chosen"]:
    """Return up to so many places, evenly over all."""
    return np.unique(np.linspace(0, num_images - 1, min(num_images, most)).round().astype(np.int64))


def _unit(features: Float[np.ndarray, "images features"]) -> Float64[np.ndarray, "images features"]:
    """Return features of length 1; those without length stay as they are."""
    exact = features.astype(np.float64)
    lengths = np.linalg.norm(exact, axis=1, keepdims=True)
    scaled: np.ndarray = exact / np.where(lengths > 0, lengths, 1)
    return scaled


def _within(
    residuals: Float64[np.ndarray, "images features"],
) -> tuple[Float64[np.ndarray, "features features"] | None, float]:
    """Return the shrunk covariance and how much it was shrunk; None where nothing varies."""
    from sklearn.covariance import ledoit_wolf  # late: a second

    if np.abs(residuals).max() < _ROUNDING:
        return None, 0.0
    covariance, shrinkage = ledoit_wolf(residuals, assume_centered=True)
    # Where there is no shrinkage, a feature that is the same in all images would have no inverse.
    ridge = 1e-6 * np.trace(covariance) / len(covariance)
    return covariance + ridge * np.eye(len(covariance)), float(shrinkage)


def _nearest(
    features: Float[np.ndarray, "images features"],
    whitening: Float32[np.ndarray, "features features"],
    means: Float32[np.ndarray, "groups features"],
) -> Float64[np.ndarray, " images"]:
    """Return the Euclidean distance of whitened features to the nearest mean, a bounded number of images at a time."""
    from scipy.spatial.distance import cdist

    turned, centres = whitening.T.astype(np.float64), means.astype(np.float64)
    nearest = np.empty(len(features))
    for start in range(0, len(features), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        nearest[rows] = cdist(_unit(features[rows]) @ turned, centres).min(axis=1)
    return nearest


def write_distance(found: TrainingDistance, tensors: Path, facts: Path) -> None:
    """Write the numbers as safetensors, and beside them what they were made from, as JSON."""
    from safetensors.numpy import save

    content = save({"means": found.means, "whitening": found.whitening}, {"facts": json.dumps(asdict(found.facts))})
    files.write_bytes(tensors, content)
    files.write_json(facts, asdict(found.facts))


def read_distance(tensors: Path) -> TrainingDistance | None:
    """Read what ``write_distance`` wrote; None where there is nothing.

    Raises:
        DataError: the file is damaged, or is not what radpath wrote.
    """
    from safetensors import SafetensorError, safe_open

    if not tensors.is_file():
        return None
    try:
        with safe_open(tensors, framework="numpy") as content:
            facts: Mapping[str, Any] = json.loads((content.metadata() or {})["facts"])
            return TrainingDistance(
                whitening=content.get_tensor("whitening"),
                means=content.get_tensor("means"),
                facts=DistanceFacts(**facts),
            )
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{tensors} is not what radpath wrote ({error}); restore it, or train again") from None
