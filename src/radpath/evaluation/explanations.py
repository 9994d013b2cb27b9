"""Numbers of explanation maps: how much evidence lies where, and how alike two maps are.

In: maps of one number a pixel. Out: plain values; what does not exist is ``None``, with a reason where it is shown. How
maps are made is left to ``explanation``, how they are drawn to ``reporting``.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Float64, Real
from scipy import ndimage, stats

from radpath.evaluation.intervals import percentile_interval, resample_cases

Map = Float[np.ndarray, "height width"]

BRIGHTEST_PERCENTILE: Final = 99.5
"""What a picture shows as the most: single pixels far above all others would leave the rest dark."""

DEPENDS_BELOW: Final = 0.5
"""Maps count as changed with the weights where their mean rank correlation with the first ones falls below this."""

_SSIM_SIGMA_PX: Final = 1.5  # Wang et al. 2004, with their constants K1 and K2
_SSIM_K1, _SSIM_K2 = 0.01, 0.03
_REPLICATES: Final = 1000


@dataclass(frozen=True, kw_only=True)
class Explained:
    """One image with its map, as a picture."""

    record_id: str
    case: str
    side: str
    """Empty for images that are none of the run's."""
    truth: str | None
    decision: str
    explained_class: str
    probability: float
    """Of the class that is explained."""
    has_evidence: bool
    """False where the method found nothing that speaks for the class."""
    picture: str
    """Path of the small picture, below the run."""


@dataclass(frozen=True, kw_only=True)
class MapChange:
    """How alike maps stay when weights are drawn anew, from the head down to one part of the network."""

    down_to: str
    """The last part that was drawn anew: "head", "stage4", ..., "stem"."""
    rank_correlation: float | None
    """Spearman's, of maps before and after; the mean over the images for which it exists."""
    low: float | None
    high: float | None
    """The interval of that mean, clustered by case."""
    similarity: float | None
    """The mean structural similarity, 0 to 1."""
    num_constant: int
    """Images whose map became the same number everywhere, so that it has no ranks."""


@dataclass(frozen=True, kw_only=True)
class Sanity:
    """Whether a method's maps depend on what the network has learned (Adebayo et al. 2018)."""

    num_images: int
    num_cases: int
    confidence: float
    changes: tuple[MapChange, ...]
    """From the head alone to the whole network."""
    edges: float | None
    """The mean rank correlation of the maps with an edge detector, which knows nothing of the network."""

    @property
    def depends_on_weights(self) -> bool | None:
        """Whether maps of the trained network and of one with random weights differ; None where no map had ranks."""
        last = self.changes[-1].rank_correlation
        return None if last is None else abs(last) < DEPENDS_BELOW


@dataclass(frozen=True, kw_only=True)
class MethodExplanations:
    """What one method showed."""

    method: str
    num_explained: int
    num_without_evidence: int
    layers: tuple[str, ...]
    """Stages whose feature maps were read; none for other methods."""
    shown: tuple[Explained, ...]
    """Some of the images, for the report."""
    sanity: Sanity | None = None


@dataclass(frozen=True, kw_only=True)
class Explanations:
    """Everything that the report says about explanations."""

    model: str
    """Digest of the model that was explained."""
    methods: tuple[MethodExplanations, ...]


def evidence(found: Map) -> Float[np.ndarray, "height width"]:
    """Return a map as a picture shows it: 0 where nothing speaks for the class, 1 for the most.

    >>> evidence(np.array([[-1.0, 0.0], [1.0, 2.0]])).round(1).tolist()
    [[0.0, 0.0], [0.5, 1.0]]
    """
    positive = np.maximum(found, 0)
    most = float(np.percentile(positive, BRIGHTEST_PERCENTILE)) or float(positive.max())
    shown: np.ndarray = (positive / most).clip(0, 1) if most > 0 else positive
    return shown


def share_inside(found: Map, region: Bool[np.ndarray, "height width"]) -> float | None:
    """Return which share of the evidence for the class lies in a region; None where there is no evidence.

    >>> share_inside(np.array([[3.0, 1.0], [-5.0, 0.0]]), np.array([[True, False], [False, False]]))
    0.75
    """
    positive = np.maximum(found.astype(np.float64), 0)
    total = float(positive.sum())
    return float(positive[region].sum()) / total if total > 0 else None


def peak_is_inside(found: Map, region: Bool[np.ndarray, "height width"]) -> bool | None:
    """Return whether the pixel with the most evidence lies in a region; None where there is no evidence."""
    place = np.unravel_index(int(found.argmax()), found.shape)
    return bool(region[place]) if found[place] > 0 else None


def rank_correlation(first: Map, second: Map) -> float | None:
    """Return Spearman's rank correlation of two maps; None where one of them is the same everywhere."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(stats.spearmanr(first.ravel(), second.ravel()).statistic)


def structural_similarity(first: Map, second: Map) -> float:
    """Return the mean structural similarity of two maps in 0..1 (Wang et al. 2004, equation 13), with their Gaussian.

    >>> some = np.random.default_rng(0).random((32, 32))
    >>> round(structural_similarity(some, some), 6)
    1.0
    """
    first, second = first.astype(np.float64), second.astype(np.float64)

    def mean(values: np.ndarray) -> np.ndarray:
        smooth: np.ndarray = ndimage.gaussian_filter(values, _SSIM_SIGMA_PX)
        return smooth

    means = mean(first), mean(second)
    variances = mean(first**2) - means[0] ** 2, mean(second**2) - means[1] ** 2
    covariance = mean(first * second) - means[0] * means[1]
    levels = (2 * means[0] * means[1] + _SSIM_K1**2) / (means[0] ** 2 + means[1] ** 2 + _SSIM_K1**2)
    patterns = (2 * covariance + _SSIM_K2**2) / (variances[0] + variances[1] + _SSIM_K2**2)
    return float((levels * patterns).mean())


def edges_of(image: Real[np.ndarray, "height width channels"]) -> Float64[np.ndarray, "height width"]:
    """Return the strength of edges, by Sobel's filters on the mean of the colours: what needs no network."""
    grey = image.astype(np.float64).mean(axis=2)
    strength: np.ndarray = np.hypot(ndimage.sobel(grey, axis=0), ndimage.sobel(grey, axis=1))
    return strength


def mean_by_case(
    values: list[float | None], cases: list[str], *, confidence: float, generator: np.random.Generator
) -> tuple[float | None, float | None, float | None]:
    """Return the mean of what exists, and its interval from resampled cases; all None where nothing exists."""
    known = [(value, case) for value, case in zip(values, cases, strict=True) if value is not None]
    if not known:
        return None, None, None
    numbers = np.array([value for value, _ in known])
    _, case_of = np.unique([case for _, case in known], return_inverse=True)
    num_cases = int(case_of.max()) + 1
    mean = float(numbers.mean())
    if num_cases == 1:
        return mean, None, None
    sums, counts = np.bincount(case_of, weights=numbers), np.bincount(case_of).astype(np.float64)
    draws = resample_cases(num_cases, num_images=len(numbers), replicates=_REPLICATES, generator=generator)
    means = np.concatenate([sums @ weights / (counts @ weights) for weights in draws])
    interval = percentile_interval(means, confidence=confidence, undefined_when="no case is drawn")
    return mean, interval.low, interval.high
