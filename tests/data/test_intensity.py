"""Levels become numbers: by each rule, for one image or as fitted, and never by a division by zero."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radpath.data.intensity import Intensity, LevelStatistics, Rule, Scope, fit_intensity, measure_levels, require_rule
from radpath.errors import DataError, SettingsError


def known(*images: Any, percentiles: tuple[float, float] = (5, 95)) -> LevelStatistics:
    """Measure images by NumPy's own functions, the oracle of ``measure_levels``."""
    arrays = [np.asarray(image, dtype=np.float64) for image in images]
    return LevelStatistics(
        minimum=np.array([image.min() for image in arrays]),
        maximum=np.array([image.max() for image in arrays]),
        low=np.array([np.percentile(image, percentiles[0]) for image in arrays]),
        high=np.array([np.percentile(image, percentiles[1]) for image in arrays]),
        mean=np.array([image.mean() for image in arrays]),
        deviation=np.array([image.std() for image in arrays]),
        darkest=np.zeros(len(arrays)),
        brightest=np.full(len(arrays), 255.0),
    )


def numbers(image: Any, intensity: Intensity) -> np.ndarray:
    zero, one = intensity.levels(known(image))
    result: np.ndarray = (np.asarray(image, dtype=np.float64) - zero) / (one - zero)
    return result


@settings(max_examples=50, deadline=None)
@given(
    deep=st.booleans(),
    size=st.integers(1, 60),
    top=st.integers(1, 255),
    slope=st.floats(0.001, 50),
    intercept=st.floats(-2000, 2000),
    percentiles=st.tuples(st.floats(0, 49), st.floats(50, 100)),
    seed=st.integers(0, 9),
)
def test_measured_levels_agree_with_numpy(
    *, deep: bool, size: int, top: int, slope: float, intercept: float, percentiles: tuple[float, float], seed: int
) -> None:
    kind = np.uint16 if deep else np.uint8
    codes = np.random.default_rng(seed).integers(0, top * (257 if deep else 1), (size, 3), dtype=kind, endpoint=True)
    measured = measure_levels(codes, slope=slope, intercept=intercept, percentiles=percentiles)
    levels = codes * slope + intercept
    oracle = known(levels, percentiles=percentiles)
    for name, value in measured.items():
        assert value == pytest.approx(getattr(oracle, name)[0], rel=1e-9, abs=1e-6), name


IMAGE = np.array([[10.0, 20, 30, 40], [50, 60, 70, 250]])


def test_each_rule_is_what_its_name_says() -> None:
    np.testing.assert_allclose(numbers(IMAGE, Intensity(rule="full")), IMAGE / 255)
    np.testing.assert_allclose(numbers(IMAGE, Intensity(rule="minmax")), (IMAGE - 10) / 240)
    low, high = np.percentile(IMAGE, [5, 95])
    by_percentile = numbers(IMAGE, Intensity(rule="percentile"))
    np.testing.assert_allclose(by_percentile, (IMAGE - low) / (high - low))
    assert by_percentile.min() < 0
    assert by_percentile.max() > 1
    scored = numbers(IMAGE, Intensity(rule="zscore"))
    assert scored.mean() == pytest.approx(0, abs=1e-12)
    assert scored.std() == pytest.approx(1)
    np.testing.assert_allclose(numbers(IMAGE, Intensity(rule="range", zero=50.0, one=150.0)), (IMAGE - 50) / 100)


@pytest.mark.parametrize("rule", ["minmax", "percentile", "zscore"])
def test_an_image_of_one_level_becomes_zero(rule: Rule) -> None:
    assert (numbers(np.full((3, 3), 7.0), Intensity(rule=rule)) == 0).all()


def test_an_image_that_is_empty_but_for_a_speck_keeps_the_speck() -> None:
    image = np.zeros((40, 40))
    image[3, 4] = 200
    result = numbers(image, Intensity(rule="percentile"))
    assert result[3, 4] == 1
    assert result.sum() == 1


@pytest.mark.parametrize("rule", ["minmax", "percentile", "zscore"])
def test_a_fitted_rule_gives_equal_levels_equal_numbers_in_all_images(rule: Rule) -> None:
    bright, dark = IMAGE, IMAGE / 2
    fitted = fit_intensity(rule, "training", None, known(bright, dark))
    assert numbers(bright, fitted)[0, 0] == numbers(dark, fitted)[0, 1]
    own = fit_intensity(rule, "image", None, known(bright, dark))
    assert numbers(bright, own)[0, 0] != numbers(dark, own)[0, 1]


def test_what_is_fitted_is_what_the_pooled_pixels_say() -> None:
    images = [IMAGE, IMAGE + 5, IMAGE * 0.7]
    pooled = np.stack(images)
    extremes = fit_intensity("minmax", "training", None, known(*images))
    assert (extremes.zero, extremes.one) == (pooled.min(), pooled.max())
    scored = fit_intensity("zscore", "training", None, known(*images))
    assert scored.zero == pytest.approx(pooled.mean())
    assert scored.one == pytest.approx(pooled.mean() + pooled.std())
    medians = fit_intensity("percentile", "training", None, known(*images))
    assert medians.zero == pytest.approx(np.percentile(IMAGE, 5))


@pytest.mark.parametrize("rule", ["full", "minmax", "percentile", "zscore"])
@pytest.mark.parametrize("scope", ["image", "training"])
def test_what_was_fitted_can_be_written_down(rule: Rule, scope: Scope) -> None:
    fitted = fit_intensity(rule, scope, None, known(IMAGE))
    assert Intensity.from_dict(fitted.to_dict()) == fitted
    assert set(fitted.to_dict()) == {field.name for field in dataclasses.fields(Intensity)}


def test_a_given_range_needs_no_image_and_a_range_that_is_not_given_is_asked_for() -> None:
    nothing = known(IMAGE).of(np.array([], dtype=np.int64))
    assert fit_intensity("range", "image", (-1000.0, 400.0), nothing).one == 400
    with pytest.raises(SettingsError, match=r"say which with pixels\.range = \[lowest, highest\]"):
        fit_intensity("range", "image", None, nothing)


def test_nothing_to_fit_on_is_said() -> None:
    nothing = known(IMAGE).of(np.array([], dtype=np.int64))
    with pytest.raises(DataError, match="there is no training image to fit on"):
        fit_intensity("zscore", "training", None, nothing)
    with pytest.raises(DataError, match="all training images have the one level 9"):
        fit_intensity("minmax", "training", None, known(np.full((2, 2), 9.0)))


def test_floats_have_no_full_range() -> None:
    require_rule("percentile", has_floats=True)
    require_rule("full", has_floats=False)
    with pytest.raises(SettingsError, match=r"set pixels\.intensity to percentile, minmax, zscore, or range"):
        require_rule("full", has_floats=True)
