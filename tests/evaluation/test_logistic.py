import numpy as np
import pytest
from scipy import special
from sklearn.linear_model import LogisticRegression

from radpath.evaluation.logistic import clustered_errors, fit_logistic


def drawn(seed: int, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """A column of ones and one of numbers, and whether an event came, with log-odds of number / spread."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=400)
    events = rng.random(400) < special.expit(numbers)
    return np.column_stack([np.ones(400), spread * numbers]), events.astype(np.float64)


@pytest.mark.parametrize("spread", [1e-5, 0.1, 1.0, 30.0])
def test_coefficients_agree_with_scikit_learn(spread: float) -> None:
    columns, events = drawn(0, spread)
    oracle = LogisticRegression(C=1e15, solver="newton-cholesky", tol=1e-12).fit(columns[:, 1:] / spread, events)
    found = fit_logistic(columns, events)
    assert found is not None
    assert found.tolist() == pytest.approx([oracle.intercept_[0], oracle.coef_[0, 0] / spread], rel=1e-6)


def test_an_offset_is_added_as_it_is() -> None:
    columns, events = drawn(1)
    plain = fit_logistic(columns, events)
    moved = fit_logistic(columns, events, offset=0.5 * columns[:, 1] - 2)
    assert plain is not None
    assert moved is not None
    assert moved.tolist() == pytest.approx([plain[0] + 2, plain[1] - 0.5])


def test_events_that_are_told_apart_have_no_best_line() -> None:
    columns, _ = drawn(2)
    assert fit_logistic(columns, (columns[:, 1] > 0).astype(np.float64)) is None


@pytest.mark.parametrize("middle", [0.0, 3.0])
def test_numbers_that_hardly_differ_have_the_line_of_the_same_numbers_spread_out(middle: float) -> None:
    columns, events = drawn(4, 1e-4)
    near = np.column_stack([columns[:, 0], columns[:, 1] + middle])
    found, oracle = (
        fit_logistic(near, events),
        fit_logistic(np.column_stack([columns[:, 0], 1e4 * columns[:, 1]]), events),
    )
    assert found is not None
    assert oracle is not None
    assert (found[0] + middle * found[1], 1e-4 * found[1]) == pytest.approx(tuple(oracle), rel=1e-6)


def test_a_number_that_is_the_same_everywhere_has_no_line() -> None:
    columns, events = drawn(5)
    assert fit_logistic(np.column_stack([columns[:, 0], np.full(400, 2.2)]), events) is None
    assert fit_logistic(np.column_stack([np.zeros(400), columns[:, 0]]), events) is None


def test_errors_are_those_of_refits_without_one_case() -> None:
    columns, events = drawn(3)
    cases = np.arange(400) // 4
    found = fit_logistic(columns, events)
    assert found is not None
    refits = np.array([fit_logistic(columns[cases != case], events[cases != case]) for case in range(100)])
    jackknife = np.sqrt(99 / 100 * ((refits - refits.mean(axis=0)) ** 2).sum(axis=0))
    errors = clustered_errors(columns, events, found, offset=np.zeros(400), case_of=cases)
    assert errors.tolist() == pytest.approx(jackknife.tolist(), rel=0.05)
