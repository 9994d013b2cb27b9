from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from skimage import color
from torchstain.numpy.normalizers.reinhard import NumpyReinhardNormalizer

from radpath.data.stain.reinhard import ReinhardStatistics, from_lab, measure, normalise, to_lab, typical

Draw = Callable[..., np.ndarray]


def measured(image: np.ndarray) -> ReinhardStatistics:
    statistics = measure(image)
    assert isinstance(statistics, ReinhardStatistics)
    return statistics


def normalised(image: np.ndarray, reference: ReinhardStatistics) -> np.ndarray:
    result = normalise(image, reference)
    assert isinstance(result, np.ndarray)
    return result


def every_seventeenth_colour() -> np.ndarray:
    steps = np.arange(0, 256, 17, dtype=np.uint8)
    return np.stack([axis.ravel() for axis in np.meshgrid(steps, steps, steps)])


def test_lab_agrees_with_scikit_image() -> None:
    levels = every_seventeenth_colour()
    assert np.abs(to_lab(levels) - color.rgb2lab(levels.T[None])[0].T).max() < 0.02  # their white has other digits


def test_lab_leads_back_to_the_same_levels() -> None:
    levels = every_seventeenth_colour()
    assert np.abs(from_lab(to_lab(levels)) - levels).max() < 0.01


def test_tissue_gets_the_mean_and_spread_of_the_reference(draw_tissue: Draw) -> None:
    reference = ReinhardStatistics(means=(55.0, 22.0, -15.0), spreads=(8.0, 7.0, 5.0))
    result = measured(normalised(draw_tissue(), reference))
    assert result.means == pytest.approx(reference.means, abs=0.1)
    assert result.spreads == pytest.approx(reference.spreads, abs=0.1)


def test_an_image_without_glass_agrees_with_torchstain(draw_tissue: Draw) -> None:
    image, target = draw_tissue(seed=1), draw_tissue(seed=2, haematoxylin=np.array([0.5, 0.7, 0.4]), strength=0.7)
    oracle = NumpyReinhardNormalizer()
    oracle.fit(target)
    theirs = oracle.normalize(image).astype(int)
    ours = normalised(image, measured(target)).astype(int)
    inside = ((ours > 0) & (ours < 255)).all(axis=2)  # they let levels above 255 begin again at 0
    assert inside.mean() > 0.9
    assert set(np.unique((ours - theirs)[inside])) <= {0, 1}  # they cut where we round


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 99), st.integers(1, 20))
def test_glass_stays_as_it_is_and_does_not_count(draw_tissue: Draw, seed: int, margin: int) -> None:
    image = draw_tissue(seed=seed, side_px=32)
    generator = np.random.default_rng(seed)
    framed = generator.integers(225, 256, (32 + margin, 32, 3), dtype=np.uint8)
    framed[margin:] = image
    assert measured(framed) == measured(image)
    reference = measured(draw_tissue(seed=100, strength=0.7))
    result = normalised(framed, reference)
    assert np.array_equal(result[:margin], framed[:margin])
    assert np.array_equal(result[margin:], normalised(image, reference))


def test_the_change_fades_out_without_an_edge(draw_tissue: Draw) -> None:
    image = draw_tissue()
    ramp = np.arange(190, 256, dtype=np.uint8)
    image[: len(ramp) // 64 + 1].reshape(-1, 3)[: len(ramp)] = ramp[:, None]
    reference = ReinhardStatistics(means=(40.0, 30.0, -10.0), spreads=(12.0, 8.0, 6.0))
    result = normalised(image, reference).reshape(-1, 3)[: len(ramp)].astype(int)
    assert np.abs(np.diff(result, axis=0)).max() < 16
    assert np.array_equal(result[-20:], np.repeat(ramp[-20:, None], 3, axis=1))


def test_an_image_keeps_its_pixels_when_it_is_its_own_reference(draw_tissue: Draw) -> None:
    image = draw_tissue()
    assert np.array_equal(normalised(image, measured(image)), image)


def test_an_image_without_colours_says_why(draw_tissue: Draw) -> None:
    reference = measured(draw_tissue())
    grey = np.repeat(np.random.default_rng(0).integers(0, 200, (40, 40, 1), dtype=np.uint8), 3, axis=2)
    pink = np.full((40, 40, 3), (200, 90, 150), np.uint8)
    glass = np.full((40, 40, 3), 243, np.uint8)
    for image, why in ((grey, "one colour"), (pink, "one colour"), (glass, "no tissue")):
        assert measure(image) == normalise(image, reference) == why


@settings(max_examples=25, deadline=None)
@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(3))))
def test_no_image_is_too_odd(draw_tissue: Draw, image: np.ndarray) -> None:
    result = normalise(image, measured(draw_tissue()))
    assert isinstance(result, str) or result.shape == image.shape


def test_the_typical_statistics_are_medians() -> None:
    some = [ReinhardStatistics(means=(level, 1.0, 2.0), spreads=(level / 10, 3.0, 4.0)) for level in (30.0, 90.0, 40.0)]
    assert typical(some) == ReinhardStatistics(means=(40.0, 1.0, 2.0), spreads=(4.0, 3.0, 4.0))
