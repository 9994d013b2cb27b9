"""Tests of two models on the same images: DeLong's for ROC areas, McNemar's for decisions, the bootstrap for all else.

In: paired scores, paired right and wrong decisions with the case of each image, or paired differences in resamples.
Out: p-values and intervals, or the reason why there are none. Which images, and correction for many tests, is left to
the caller. Every p-value is two-sided.
"""

import dataclasses
import math
from typing import Final, Literal

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy import stats

from radpath.evaluation.delong import delong_covariance

FEW_DISCORDANT: Final = 25
"""Below so many images (or cases) that tell two models apart, tests of decisions are exact."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class AreaTest:
    """The difference of two ROC areas by DeLong's method."""

    value: float
    """First minus second."""
    low: float | None
    high: float | None
    p_value: float | None
    note: str | None
    """Why there is no interval and no p-value."""


def delong_test(
    scores: Float64[np.ndarray, "2 images"],
    is_positive: Bool[np.ndarray, " images"],
    case_of: Int64[np.ndarray, " images"],
    *,
    confidence: float,
) -> AreaTest | None:
    """Compare two ROC areas on the same images; ``None`` where there is no area.

    DeLong, DeLong and Clarke-Pearson (1988); where cases have several images the covariance is Obuchowski's (1997).
    """
    areas, covariance = delong_covariance(scores, is_positive, case_of)
    value = float(areas[0] - areas[1])
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    if math.isnan(value):
        return None
    rounding = 1e-12 * float(covariance[0, 0] + covariance[1, 1])
    if not variance > rounding:  # not-a-number is no variance either
        reason = "the two rank these images alike" if value == 0 else "the difference has no variance on these images"
        return AreaTest(value=value, low=None, high=None, p_value=None, note=f"no test: {reason}")
    error = math.sqrt(variance)
    half_width = float(stats.norm.ppf((1 + confidence) / 2)) * error
    p_value = float(2 * stats.norm.sf(abs(value) / error))
    return AreaTest(value=value, low=value - half_width, high=value + half_width, p_value=p_value, note=None)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DecisionTest:
    """How often each of two models alone decided rightly, and whether chance explains it."""

    num_both: int
    """Images that both decided rightly."""
    num_first_only: int
    num_second_only: int
    num_neither: int
    method: Literal["exact binomial", "mid-p"]
    """How ``p_value`` was computed: exact below ``FEW_DISCORDANT`` images that only one decided rightly."""
    p_value: float
    """McNemar's, as if images were independent."""
    clustered_method: Literal["exact sign flip", "Obuchowski"] | None
    """Exact where fewer than ``FEW_DISCORDANT`` cases tell the two apart."""
    clustered_p_value: float | None
    """Where some case has several images, lets images of a case depend on each other; else ``None``."""

    @property
    def fair_p_value(self) -> float:
        """The p-value that does not take images of one case for independent."""
        return self.p_value if self.clustered_p_value is None else self.clustered_p_value


def mcnemar_test(
    first_right: Bool[np.ndarray, " images"],
    second_right: Bool[np.ndarray, " images"],
    case_of: Int64[np.ndarray, " images"],
) -> DecisionTest:
    """Compare the decisions of two models on the same images (McNemar 1947).

    Only images that one model alone decided rightly tell the two apart; under the null hypothesis each of them is a
    fair coin. Few of them are judged by the binomial distribution itself; more by its mid-p-value, which is nearer to
    the level than the exact test and does not exceed it in practice (Fagerland, Lydersen and Laake 2013).

    Where cases have several images, what tells the two apart is each case's number of images that the first alone
    decided rightly, minus that of the second. For few such cases the test is exact: under the null hypothesis the sign
    of every case's difference is a fair coin, and with one image a case this is McNemar's exact test. For more it is
    Obuchowski's (1998) chi-square.

    >>> right, wrong = np.ones(8, bool), np.zeros(8, bool)
    >>> mcnemar_test(right, wrong, np.arange(8)).p_value
    0.0078125
    """
    first_only, second_only = int((first_right & ~second_right).sum()), int((second_right & ~first_right).sum())
    num_discordant = first_only + second_only
    method: Literal["exact binomial", "mid-p"] = "exact binomial" if num_discordant < FEW_DISCORDANT else "mid-p"
    fewer = min(first_only, second_only)
    p_value = min(1.0, 2 * float(stats.binom.cdf(fewer, num_discordant, 0.5)))
    if method == "mid-p":
        # Half of what is as improbable as what was seen: that many on either side, which may be one and the same.
        seen = float(stats.binom.pmf(fewer, num_discordant, 0.5))
        p_value -= seen / 2 if first_only == second_only else seen
    by_case = np.bincount(case_of, weights=first_right.astype(float) - second_right)
    num_cases = len(np.unique(case_of))
    exact = sign_flip_p(by_case)
    clustered_p_value = _obuchowski_p(by_case, num_cases) if exact is None else exact
    alone = num_cases == len(case_of)
    return DecisionTest(
        num_both=int((first_right & second_right).sum()),
        num_first_only=first_only,
        num_second_only=second_only,
        num_neither=int((~first_right & ~second_right).sum()),
        method=method,
        p_value=p_value,
        clustered_method=None if alone else "Obuchowski" if exact is None else "exact sign flip",
        clustered_p_value=None if alone else clustered_p_value,
    )


def sign_flip_p(differences: Float64[np.ndarray, " cases"]) -> float | None:
    """Return how probable a sum at least as far from 0 is, were the sign of each case's difference a fair coin.

    ``None`` where ``FEW_DISCORDANT`` cases or more differ, which is too many for all the sums that can be.

    >>> sign_flip_p(np.array([1.0, 1.0, 1.0, 1.0, 0.0]))
    0.125
    """
    sizes = np.abs(differences[differences != 0])
    if len(sizes) >= FEW_DISCORDANT:
        return None
    sizes = sizes / sizes.max(initial=1e-300)
    sums: np.ndarray = np.zeros(1)
    chances: np.ndarray = np.ones(1)
    for size in sizes:
        # Sums that differ by rounding alone are one.
        sums, place = np.unique(np.round(np.concatenate([sums - size, sums + size]), 9), return_inverse=True)
        chances = np.bincount(place, weights=np.tile(chances, 2) / 2)
    seen = abs(float((np.sign(differences[differences != 0]) * sizes).sum()))
    return min(1.0, float(chances[np.abs(sums) >= seen - 1e-6].sum()))


def _obuchowski_p(differences: Float64[np.ndarray, " cases"], num_cases: int) -> float:
    """Return the p-value of Obuchowski's (1998) test of two correlated proportions in clusters.

    Its variance is that under the null hypothesis, where the pooled share of right decisions cancels: the sum of the
    squares of the cases' differences. With one image a case it is McNemar's chi-square times ``(cases - 1) / cases``.
    """
    squares = float((differences**2).sum())
    statistic = (num_cases - 1) / num_cases * float(differences.sum()) ** 2 / squares
    return float(stats.chi2.sf(statistic, df=1))


def two_sided_p(differences: Float64[np.ndarray, " resamples"]) -> float:
    """Return the p-value of no difference by inversion of the bootstrap's percentile interval.

    It is the smallest level at which the interval of ``inverted_interval`` leaves out 0: twice the smaller share of
    resamples on either side of 0, where 0 itself is on both, and one is added to each count, so that it is never 0
    (Davison and Hinkley 1997, chapter 4). With ``R`` resamples it is at least ``2 / (R + 1)``.

    >>> two_sided_p(np.array([0.1, 0.2, 0.3, -0.1])), two_sided_p(np.zeros(9))
    (0.8, 1.0)
    """
    smaller = min(int((differences <= 0).sum()), int((differences >= 0).sum()))
    return min(1.0, 2 * (smaller + 1) / (len(differences) + 1))


def inverted_interval(differences: Float64[np.ndarray, " resamples"], *, level: float) -> tuple[float, float] | None:
    """Return the percentile interval of confidence ``1 - level`` whose ends are resampled values.

    The ends are the values in places ``(R + 1) level / 2`` from below and from above (Davison and Hinkley 1997, chapter
    5), so that it leaves out 0 exactly where ``two_sided_p`` is at most ``level``. ``None`` where there are too few
    resamples for this level.

    >>> inverted_interval(np.arange(1.0, 20.0), level=0.1)
    (1.0, 19.0)
    """
    # The factor keeps a place that is whole but for rounding.
    place = math.floor((len(differences) + 1) * level / 2 * (1 + 1e-12))
    if place < 1:
        return None
    ordered = np.sort(differences)
    return float(ordered[place - 1]), float(ordered[-place])
