"""Logistic regression of a few numbers: its coefficients, and their errors where images come in cases.

In: one row of numbers an image, and the truth or a share. Out: the coefficients with the highest likelihood. What they
mean is left to ``calibration`` (Platt's line) and ``reliability`` (Cox's line).
"""

from typing import Final

import numpy as np
from jaxtyping import Float64, Int64
from scipy import optimize, special

_LEAST_INFORMATION: Final = 1e-6  # of columns scaled to 1: below it every line that goes on the same way is as good
_LEAST_OF_ITS_OWN: Final = 1e-6  # share of a column that the ones before it do not hold: below it they are one

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
    # Columns at right angles and of spread 1 make steps and limits the same whatever unit the numbers have.
    across, back = np.linalg.qr(columns)
    if (np.abs(np.diag(back)) <= _LEAST_OF_ITS_OWN * np.linalg.norm(columns, axis=0)).any():
        return None
    scale = np.sqrt(len(columns))
    across = across * scale

    def loss(coefficients: Coefficients) -> tuple[float, Coefficients]:
        odds = across @ coefficients + start
        value = (np.logaddexp(0, odds) - targets * odds).sum()
        return float(value), np.asarray(across.T @ (special.expit(odds) - targets))

    def bend(coefficients: Coefficients) -> np.ndarray:
        return _information(across, special.expit(across @ coefficients + start))

    # The likelihood has one hill: the trust region keeps Newton's steps from leaping over it.
    found = optimize.minimize(
        loss, np.zeros(columns.shape[1]), jac=True, hess=bend, method="trust-exact", options={"gtol": 1e-9}
    ).x
    flat = np.linalg.eigvalsh(bend(found))[0] < _LEAST_INFORMATION
    return None if flat else np.asarray(np.linalg.solve(back, found * scale))


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
