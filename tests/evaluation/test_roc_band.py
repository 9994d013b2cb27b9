import numpy as np
import pytest
from sklearn.metrics import roc_curve

from radpath.evaluation.intervals import resample_cases
from radpath.evaluation.roc_band import GRID, Band, roc_band


def band(scores: np.ndarray, truth: np.ndarray, case_of: np.ndarray, *, replicates: int = 200) -> Band | None:
    generator = np.random.default_rng(0)
    return roc_band(scores, truth, case_of, confidence=0.9, replicates=replicates, generator=generator)


@pytest.fixture(scope="module")
def drawn() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(1)
    truth = generator.random(60) < 0.4
    return np.round(generator.normal(size=60) + truth, 1), truth


def test_the_band_is_the_quantiles_of_the_curves_of_the_resamples(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    scores, truth = drawn
    found = band(scores, truth, np.arange(60), replicates=50)
    assert found is not None
    generator, lines = np.random.default_rng(0), []
    rows = generator.integers(60, size=(50, 60))  # as resample_cases draws them
    for row in rows:
        x, y, _ = roc_curve(truth[row], scores[row], drop_intermediate=False)
        lines.append([max(_interpolated(x, y, at)) for at in GRID])
    low, high = np.quantile(np.array(lines), [0.05, 0.95], axis=0)
    np.testing.assert_allclose(found.low, low, atol=1e-12)
    np.testing.assert_allclose(found.high, high, atol=1e-12)


def _interpolated(x: np.ndarray, y: np.ndarray, at: float) -> list[float]:
    return [float(y[x == at].max())] if (x == at).any() else [float(np.interp(at, x, y))]


def test_cases_with_many_images_make_the_band_wider(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    scores, truth = drawn
    alone = band(scores, truth, np.arange(60))
    repeated = band(np.repeat(scores, 4), np.repeat(truth, 4), np.arange(240))
    clustered = band(np.repeat(scores, 4), np.repeat(truth, 4), np.repeat(np.arange(60), 4))
    assert alone is not None
    assert repeated is not None
    assert clustered is not None
    np.testing.assert_allclose(clustered.high, alone.high)
    assert (clustered.high - clustered.low).mean() > 1.5 * (repeated.high - repeated.low).mean()


def test_stratified_resamples_have_as_many_cases_of_each_class(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    scores, truth = drawn
    found = roc_band(
        scores, truth, np.arange(60), confidence=0.9, replicates=50, generator=np.random.default_rng(0),
        stratum_of=truth.astype(np.int64),
    )  # fmt: skip
    assert found is not None
    lines = []
    for weights in resample_cases(
        60, num_images=60, replicates=50, generator=np.random.default_rng(0), stratum_of=truth.astype(np.int64)
    ):
        for column in weights.T:
            rows = np.repeat(np.arange(60), column.astype(np.int64))
            assert truth[rows].sum() == truth.sum()
            x, y, _ = roc_curve(truth[rows], scores[rows], drop_intermediate=False)
            lines.append([max(_interpolated(x, y, at)) for at in GRID])
    low, high = np.quantile(np.array(lines), [0.05, 0.95], axis=0)
    np.testing.assert_allclose(found.low, low, atol=1e-12)
    np.testing.assert_allclose(found.high, high, atol=1e-12)


def test_one_kind_of_images_has_no_band() -> None:
    assert band(np.arange(4.0), np.ones(4, dtype=bool), np.arange(4)) is None
