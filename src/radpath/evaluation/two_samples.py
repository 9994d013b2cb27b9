"""Two samples of values or numbers: is their difference more than chance, and how large is it?

In: counts of values, or numbers, one a case. Out: Pearson's chi-square with its p-value, and the population stability
index with what chance alone makes of it. Kolmogorov and Smirnov's test is SciPy's; what is compared is ``drift``'s
choice.
"""

import dataclasses
from typing import Final

import numpy as np
from jaxtyping import Float64, Int64
from scipy import stats

from radpath.seeding import generator_for

_FEWEST_EXPECTED: Final = 5.0
"""With a smaller expected count, the chi-square distribution is no good picture of the statistic (Cochran 1954)."""
_TABLES: Final = 2000
_MOST_BINS: Final = 10
_CASES_A_BIN: Final = 5
"""So many of the smaller sample are expected in each bin of numbers; with fewer the index is mostly chance."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stability:
    """How far the shares of two samples are apart."""

    index: float
    """Population stability index: 0 for equal shares."""
    by_chance: float
    """What two samples of these sizes show on average where nothing has changed: (bins - 1) (1/n + 1/m)."""


def chi_square(table: Int64[np.ndarray, "2 values"], *, seed: int) -> tuple[float, float]:
    """Return Pearson's statistic of two rows of counts and its p-value, without continuity correction.

    Where an expected count is below 5, the p-value is the share of random tables with the same margins whose statistic
    is at least as large; it is then never 0.
    """
    expected = stats.contingency.expected_freq(table)
    statistic = float(((table - expected) ** 2 / expected).sum())
    if expected.min() >= _FEWEST_EXPECTED:
        return statistic, float(stats.chi2.sf(statistic, df=table.shape[1] - 1))
    drawn = stats.random_table(table.sum(axis=1), table.sum(axis=0), seed=generator_for(seed, "drift")).rvs(_TABLES)
    statistics = ((drawn - expected) ** 2 / expected).sum(axis=(1, 2))
    return statistic, (1 + int((statistics >= statistic * (1 - 1e-12)).sum())) / (_TABLES + 1)


def stability_of_numbers(old: Float64[np.ndarray, " cases"], new: Float64[np.ndarray, " new_cases"]) -> Stability:
    """Return the population stability index of numbers, in bins of equally many old ones.

    There are ten bins, or fewer where the smaller sample has less than five cases for each. An edge that as many old
    cases have as a bin should hold is a bin of its own: what is larger is then apart from it.

    >>> stability_of_numbers(np.zeros(100), np.ones(100)).index > 5
    True
    """
    bins = min(_MOST_BINS, max(2, min(len(old), len(new)) // _CASES_A_BIN))
    quantiles, times = np.unique(np.quantile(old, np.linspace(0, 1, bins + 1)[1:-1]), return_counts=True)
    tied = quantiles[(times > 1) | ((old == quantiles[:, None]).mean(axis=1) >= 1 / bins)]
    edges = np.union1d(quantiles, np.nextafter(tied, np.inf))
    counts = [np.bincount(np.searchsorted(edges, one, side="right"), minlength=len(edges) + 1) for one in (old, new)]
    return stability_of_shares(counts[0], counts[1])


def stability_of_shares(old: Int64[np.ndarray, " values"], new: Int64[np.ndarray, " values"]) -> Stability:
    """Return the population stability index: the sum of (new - old) ln(new / old) over the shares of all values.

    Half a case is added to every count, so that a value that one side lacks gives a number.

    >>> stability_of_shares(np.array([50, 50]), np.array([50, 50]))
    Stability(index=0.0, by_chance=0.02)
    """
    shares = [(counts + 0.5) / (counts + 0.5).sum() for counts in (old, new)]
    num_values = int(((old > 0) | (new > 0)).sum())
    return Stability(
        index=float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum()),
        by_chance=(num_values - 1) * float(1 / old.sum() + 1 / new.sum()),
    )
