import numpy as np
import pytest
from scipy import stats

from radpath.evaluation.bca import MOST_GROUPS, acceleration, bca_interval, jackknife_groups, leave_out
from radpath.evaluation.intervals import resample_cases
from radpath.seeding import generator_for


def of_mean(data: np.ndarray, *, replicates: int) -> tuple[np.ndarray, float | None]:
    """Means of resamples, and the acceleration, by the functions that evaluation uses."""
    plain = np.zeros(len(data), dtype=np.int64)
    portions = resample_cases(len(data), num_images=len(data), replicates=replicates, generator=generator_for(0))
    group_of, stratum_of = jackknife_groups(plain)
    left_out = np.concatenate(list(leave_out(group_of, num_images=len(data))), axis=1)
    means = np.concatenate([data @ weights / weights.sum(axis=0) for weights in portions])
    return means, acceleration(data @ left_out / left_out.sum(axis=0), stratum_of)


def test_the_interval_of_a_skewed_mean_is_scipys() -> None:
    data = np.random.default_rng(0).exponential(size=40)
    means, accelerated = of_mean(data, replicates=20_000)
    ours = bca_interval(
        means, estimate=float(data.mean()), accelerated=accelerated, confidence=0.95, undefined_when="never"
    )
    theirs = stats.bootstrap(
        (data,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(1)
    ).confidence_interval
    assert ours.method == "bca"
    assert [ours.low, ours.high] == pytest.approx([theirs.low, theirs.high], rel=0.015)
    plain = np.quantile(means, [0.025, 0.975])
    assert ours.low is not None
    assert ours.high is not None
    assert ours.low > plain[0] + 0.005
    assert ours.high > plain[1] + 0.01


def test_the_acceleration_of_a_mean_is_a_sixth_of_its_skewness() -> None:
    data = np.random.default_rng(2).exponential(size=60)
    expected = stats.skew(data) / 6 / np.sqrt(60)
    assert of_mean(data, replicates=1)[1] == pytest.approx(expected, rel=1e-9)


def test_without_bias_and_skewness_it_is_the_percentile_interval() -> None:
    values = np.linspace(-1, 1, 1001)
    interval = bca_interval(values, estimate=0.0, accelerated=0.0, confidence=0.9, undefined_when="never")
    assert [interval.low, interval.high] == pytest.approx([-0.9, 0.9])


@pytest.mark.parametrize(
    ("estimate", "accelerated", "reason"),
    [
        (5.0, 0.0, "all resamples lie on one side of the value"),
        (0.5, None, "leaving out one case leaves nothing, or changes nothing"),
        (0.5, 0.6, "the resamples are too skewed"),
    ],
)
def test_where_it_does_not_exist_the_percentile_interval_says_why(
    estimate: float, accelerated: float | None, reason: str
) -> None:
    values = np.linspace(0, 1, 101)
    interval = bca_interval(values, estimate=estimate, accelerated=accelerated, confidence=0.95, undefined_when="never")
    assert [interval.low, interval.high] == pytest.approx([0.025, 0.975])
    assert interval.method == "percentile"
    assert interval.note == f"percentile interval, since for BCa {reason}"


def test_undefined_resamples_are_left_out_as_everywhere() -> None:
    values = np.append(np.linspace(0, 1, 99), np.nan)
    interval = bca_interval(values, estimate=0.5, accelerated=0.0, confidence=0.95, undefined_when="a class is absent")
    assert interval.note == "1 of 100 resamples left out, where a class is absent"
    nothing = bca_interval(
        np.full(100, np.nan), estimate=0.5, accelerated=0.0, confidence=0.95, undefined_when="a class is absent"
    )
    assert nothing.low is None
    assert nothing.method is None


def test_where_a_case_is_all_there_is_of_a_class_there_is_no_acceleration() -> None:
    assert acceleration(np.array([np.nan, 0.5, 0.6]), np.zeros(3, dtype=np.int64)) is None
    assert acceleration(np.full(3, 0.5), np.zeros(3, dtype=np.int64)) is None


def test_many_cases_are_left_out_in_groups_that_lie_in_one_stratum() -> None:
    stratum_of = np.repeat([0, 1, 2], [5000, 20, 1])
    group_of, stratum_of_group = jackknife_groups(stratum_of)
    assert len(stratum_of_group) == group_of.max() + 1 <= MOST_GROUPS + 3
    np.testing.assert_array_equal(stratum_of_group[group_of], stratum_of)
    sizes = np.bincount(group_of[:5000])
    assert sizes.max() - sizes[sizes > 0].min() <= 1


def test_a_group_left_out_has_no_weight_and_the_others_have_one() -> None:
    group_of = np.array([0, 1, 0, 2])
    weights = np.concatenate(list(leave_out(group_of, num_images=100_000)), axis=1)
    np.testing.assert_array_equal(weights, [[0, 1, 1], [1, 0, 1], [0, 1, 1], [1, 1, 0]])
