"""Logistic regression of a few numbers: its coefficients, and their errors where images come in cases.

In: one row of numbers an image, and the truth or a share. Out: the coefficients with the highest likelihood. What they
mean is left to ``calibration`` (Platt's line) and ``reliability`` (Cox's line).
"""

from typing import Final

import numpy as np
from jaxtyping import Float64, Int64
from scipy import optimize, special

_LEAST_INFORMATION: Final = 1e-6  # below it nothing in the images tells one line from another

Columns = Float64[np.ndarray, "images coefficients"]
Coefficients = Float64[np.ndarray, " coefficients"]
Values = Float64[np.ndarray, " images"]


def fit_logistic(columns: Columns, targets: Values, *, offset: Values | None = None) -> Coefficients | None:
    """Return the coefficients that make the targets most likely, or ``None`` where none are best.

    Args:
        columns: numbers of each image; a column of ones for an intercept.
        targets: 0 and 1, or shares between them.
        offset: log-odds that are added as they are.
    """
    start = np.zeros(len(columns)) if offset is None else offset

    def loss(coefficients: Coefficients) -> tuple[float, Coefficients]:
        odds = columns @ coefficients + start
        value = (np.logaddexp(0, odds) - targets * odds).sum()
        return float(value), np.asarray(columns.T @ (special.expit(odds) - targets))

    def bend(coefficients: Coefficients) -> np.ndarray:
        return _information(columns, special.expit(columns @ coefficients + start))

    # The likelihood has one hill: the trust region keeps Newton's steps from leaping over it.
    found = optimize.minimize(
        loss, np.zeros(columns.shape[1]), jac=True, hess=bend, method="trust-exact", options={"gtol": 1e-9}
    ).x
    flat = np.linalg.eigvalsh(bend(found))[0] < _LEAST_INFORMATION
    return None if flat else np.asarray(found)


def clustered_errors(
    columns: Columns,
    targets: Values,
    coefficients: Coefficients,
    *,
    offset: Values,
    case_of: Int64[np.ndarray, " images"],
) -> Coefficients:
    """Return the sandwich error of each coefficient, clustered by case (Liang and Zeger 1986), times G / (G - 1).

    Args:
        columns: as they were fitted.
        targets: likewise.
        coefficients: what was found.
        offset: likewise.
        case_of: number of each image's case; G cases, at least 2.
    """
    expected = special.expit(columns @ coefficients + offset)
    num_cases = int(case_of.max()) + 1
    scores = np.zeros((num_cases, columns.shape[1]))
    np.add.at(scores, case_of, columns * (targets - expected)[:, None])
    bread = np.linalg.inv(_information(columns, expected))
    return np.asarray(np.sqrt(np.diag(bread @ (scores.T @ scores) @ bread) * num_cases / (num_cases - 1)))


def _information(columns: Columns, expected: Values) -> np.ndarray:
    return np.asarray(columns.T @ (columns * (expected * (1 - expected))[:, None]))
