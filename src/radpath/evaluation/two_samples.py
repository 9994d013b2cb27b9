"""Two samples of values or numbers: is their difference more than chance, and how large is it?

In: counts of values, or numbers, one a case. Out: Pearson's chi-square with its p-value, and the population stability
index. Kolmogorov and Smirnov's test is SciPy's; what is compared is ``drift``'s choice.
"""

from typing import Final

import numpy as np
from jaxtyping import Float64, Int64
from scipy import stats

from radpath.seeding import generator_for

_FEWEST_EXPECTED: Final = 5.0
"""With a smaller expected count, the chi-square distribution is no good picture of the statistic (Cochran 1954)."""
_TABLES: Final = 2000
_BINS: Final = 10


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


def stability_of_numbers(old: Float64[np.ndarray, " cases"], new: Float64[np.ndarray, " new_cases"]) -> float:
    """Return the population stability index of numbers, in ten bins of equally many old ones (fewer where equal)."""
    edges = np.unique(np.quantile(old, np.linspace(0, 1, _BINS + 1)[1:-1]))
    counts = [np.bincount(np.searchsorted(edges, one, side="right"), minlength=len(edges) + 1) for one in (old, new)]
    return stability_of_shares(counts[0], counts[1])


def stability_of_shares(old: Int64[np.ndarray, " values"], new: Int64[np.ndarray, " values"]) -> float:
    """Return the population stability index: the sum of (new - old) ln(new / old) over the shares of all values.

    Half a case is added to every count, so that a value that one side lacks gives a number.

    >>> stability_of_shares(np.array([50, 50]), np.array([50, 50]))
    0.0
    """
    shares = [(counts + 0.5) / (counts + 0.5).sum() for counts in (old, new)]
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())
