import numpy as np
import pytest
from scipy import stats

from radpath.evaluation.intervals import percentile_interval, resample_cases, roc_auc_standard_error, width_note
from radpath.evaluation.ranking import rank, roc_auc_of, tally
from radpath.seeding import generator_for


def test_every_resample_draws_as_many_cases_as_there_are() -> None:
    portions = list(resample_cases(7, num_images=20, replicates=50, generator=generator_for(0, "test")))
    drawn = np.concatenate(portions, axis=1)
    assert drawn.shape == (7, 50)
    assert (drawn.sum(axis=0) == 7).all()


def test_the_size_of_a_portion_never_changes_the_draws() -> None:
    together, apart = (
        list(resample_cases(7, num_images=size, replicates=50, generator=generator_for(3, "test")))
        for size in (7, 100_000)
    )
    assert len(together) < len(apart)
    np.testing.assert_array_equal(np.concatenate(together, axis=1), np.concatenate(apart, axis=1))


def test_the_draws_are_those_of_a_plain_loop() -> None:
    drawn = np.concatenate(list(resample_cases(5, num_images=5, replicates=8, generator=generator_for(1))), axis=1)
    generator = generator_for(1)
    for replicate in range(8):
        cases = generator.integers(5, size=5).tolist()
        assert drawn[:, replicate].tolist() == [cases.count(case) for case in range(5)]


def test_the_interval_is_the_percentiles_of_the_defined_values() -> None:
    values = np.random.default_rng(0).normal(size=400)
    values[:10] = np.nan
    interval = percentile_interval(values, confidence=0.9, undefined_when="a class is absent")
    assert interval.low == pytest.approx(np.nanpercentile(values, 5))
    assert interval.high == pytest.approx(np.nanpercentile(values, 95))
    assert interval.num_undefined == 10
    assert interval.note == "10 of 400 resamples left out, where a class is absent"


@pytest.mark.parametrize("num_undefined", [201, 1000])
def test_with_too_many_undefined_resamples_there_is_no_interval_but_a_reason(num_undefined: int) -> None:
    values = np.linspace(0, 1, 1000)
    values[:num_undefined] = np.nan
    interval = percentile_interval(values, confidence=0.95, undefined_when="a class is absent")
    assert (interval.low, interval.high) == (None, None)
    assert interval.note == f"no interval: undefined in {num_undefined:,} of 1,000 resamples, where a class is absent"


def test_an_interval_without_width_says_that_it_is_no_certainty() -> None:
    interval = percentile_interval(np.ones(100), confidence=0.95, undefined_when="never")
    assert (interval.low, interval.high) == (1.0, 1.0)
    assert interval.note is not None
    assert "does not mean certainty" in interval.note


def test_images_of_one_case_widen_the_interval_as_they_should() -> None:
    """Ten copies of each image know no more than one copy; an interval that ignores cases believes they do."""
    generator = np.random.default_rng(0)
    scores, truth = generator.normal(size=40), np.arange(40) < 15
    scores[truth] += 1
    copies = np.repeat(np.arange(40), 10)

    def width(unit_of: np.ndarray, images: np.ndarray) -> float:
        num_units = int(unit_of.max()) + 1
        ranking = rank(scores[images], truth[images], unit_of=unit_of, num_units=num_units)
        portions = resample_cases(num_units, num_images=len(images), replicates=400, generator=generator_for(0))
        values = np.concatenate([roc_auc_of(tally(ranking, weights)) for weights in portions])
        interval = percentile_interval(values, confidence=0.95, undefined_when="never")
        assert interval.low is not None
        assert interval.high is not None
        return interval.high - interval.low

    alone, clustered, naive = (
        width(np.arange(40), np.arange(40)),
        width(copies, copies),
        width(np.arange(400), copies),
    )
    assert clustered == alone
    assert naive < 0.5 * alone


def test_about_95_of_100_intervals_hold_the_true_area() -> None:
    true_area = stats.norm.cdf(1 / np.sqrt(2))  # of two normal distributions one standard deviation apart
    held = 0
    for study in range(200):
        generator = generator_for(study, "coverage")
        truth = np.arange(120) < 50
        ranking = rank(generator.normal(size=120) + truth, truth)
        portions = resample_cases(120, num_images=120, replicates=200, generator=generator)
        values = np.concatenate([roc_auc_of(tally(ranking, weights)) for weights in portions])
        interval = percentile_interval(values, confidence=0.95, undefined_when="never")
        assert interval.low is not None
        assert interval.high is not None
        held += interval.low <= true_area <= interval.high
    assert 0.89 <= held / 200 <= 0.99


def test_hanley_and_mcneils_error_is_that_of_simulated_tests() -> None:
    """Their formula is exact for exponential scores whose means have the ratio area / (1 - area)."""
    area, generator = 0.8, np.random.default_rng(0)
    truth = np.arange(50) < 20
    scale = np.where(truth, area / (1 - area), 1.0)
    areas = [roc_auc_of(tally(rank(generator.exponential(scale), truth), np.ones((50, 1))))[0] for _ in range(1500)]
    assert np.mean(areas) == pytest.approx(area, abs=0.01)
    assert roc_auc_standard_error(area, num_positive=20, num_negative=30) == pytest.approx(np.std(areas), rel=0.08)


def test_the_note_says_what_so_many_cases_can_know() -> None:
    assert width_note(20, 60, of_class="malignant", auc=0.9) == (
        "With 20 cases of 'malignant' and 60 others, an AUC of 0.90 is known to about plus or minus 0.09 "
        "(95 % interval, Hanley and McNeil 1982)."
    )
    assert width_note(0, 60, of_class="malignant") == (
        "With 0 cases of 'malignant' and 60 others, no AUC can be measured."
    )


def test_stratified_resamples_have_as_many_cases_of_each_stratum_as_there_are() -> None:
    stratum_of = np.array([2, 0, 0, 2, 1, 0, 2])
    portions = resample_cases(
        7, num_images=7, replicates=3000, generator=generator_for(0, "test"), stratum_of=stratum_of
    )
    drawn = np.concatenate(list(portions), axis=1)
    for stratum, size in enumerate([3, 1, 3]):
        assert (drawn[stratum_of == stratum].sum(axis=0) == size).all()
    np.testing.assert_allclose(drawn.mean(axis=1), 1, atol=0.06)
    assert drawn.var(axis=1)[4] == 0


def test_the_size_of_a_portion_never_changes_stratified_draws() -> None:
    together, apart = (
        np.concatenate(
            list(
                resample_cases(
                    6,
                    num_images=size,
                    replicates=40,
                    generator=generator_for(3, "test"),
                    stratum_of=np.array([0, 1, 0, 1, 1, 0]),
                )
            ),
            axis=1,
        )
        for size in (6, 100_000)
    )
    np.testing.assert_array_equal(together, apart)
