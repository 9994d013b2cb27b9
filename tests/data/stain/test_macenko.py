from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torchstain.numpy.normalizers.macenko import NumpyMacenkoNormalizer

from radpath.data.stain.macenko import MacenkoStains, _percentiles, measure, normalise, typical

Draw = Callable[..., np.ndarray]


def measured(image: np.ndarray) -> MacenkoStains:
    stains = measure(image)
    assert isinstance(stains, MacenkoStains)
    return stains


def normalised(image: np.ndarray, reference: MacenkoStains) -> np.ndarray:
    result = normalise(image, reference)
    assert isinstance(result, np.ndarray)
    return result


def angle_deg(first: object, second: object) -> float:
    a, b = np.array(first, float), np.array(second, float)
    return float(np.degrees(np.arccos(np.clip(a @ b / np.linalg.norm(a) / np.linalg.norm(b), -1, 1))))


@settings(max_examples=25, deadline=None)
@given(st.floats(0.45, 0.75), st.floats(0.6, 0.8), st.floats(0.22, 0.3), st.floats(0.1, 0.5), st.integers(0, 99))
def test_the_colours_of_a_drawn_image_are_found_haematoxylin_first(
    draw_tissue: Draw, h_red: float, h_green: float, e_red: float, blue: float, seed: int
) -> None:
    haematoxylin, eosin = np.array([h_red, h_green, blue]), np.array([e_red, 0.95, blue])
    for first, second in ((haematoxylin, eosin), (eosin, haematoxylin)):
        stains = measured(draw_tissue(seed=seed, haematoxylin=first, eosin=second))
        assert angle_deg(stains.haematoxylin, haematoxylin) < 1.5
        assert angle_deg(stains.eosin, eosin) < 1.5
        assert stains.strengths == pytest.approx((1.98, 1.98), abs=0.06)  # of 0.9 to 2.0 units
        assert np.allclose(np.linalg.norm(stains.colours, axis=0), 1)


@pytest.mark.parametrize("seed", range(6))
def test_an_image_without_glass_agrees_with_torchstain(draw_tissue: Draw, seed: int) -> None:
    generator = np.random.default_rng(seed)
    image = draw_tissue(seed=seed, haematoxylin=generator.uniform([0.5, 0.6, 0.2], [0.7, 0.8, 0.4]))
    reference = measured(draw_tissue(seed=99, strength=0.8))
    oracle = NumpyMacenkoNormalizer()
    oracle.fit(image)
    stains = measured(image)
    assert np.allclose(stains.colours, oracle.HERef, atol=1e-4)
    assert np.allclose(stains.strengths, oracle.maxCRef, atol=1e-3)
    oracle.HERef, oracle.maxCRef = reference.colours, np.array(reference.strengths)
    theirs = oracle.normalize(image, stains=False)[0].astype(int)
    # They cut where we round, and leave in the 1 that keeps black finite.
    assert set(np.unique(theirs - normalised(image, reference))) <= {0, 1}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 99), st.integers(0, 40))
def test_glass_around_the_tissue_changes_neither_stains_nor_tissue(draw_tissue: Draw, seed: int, margin: int) -> None:
    image = draw_tissue(seed=seed, side_px=32)
    framed = np.pad(image, ((margin, 0), (0, margin), (0, 0)), constant_values=240)
    assert measured(framed) == measured(image)
    reference = measured(draw_tissue(seed=100, strength=0.7))
    result = normalised(framed, reference)
    assert np.array_equal(result[margin:, :32], normalised(image, reference))
    assert (result[:margin] >= 238).all()


def test_an_image_keeps_its_pixels_when_it_is_its_own_reference(draw_tissue: Draw) -> None:
    image = draw_tissue()
    difference = normalised(image, measured(image)).astype(int) - image
    assert np.abs(difference).max() <= 1


def test_the_same_tissue_stained_twice_as_strongly_looks_the_same(draw_tissue: Draw) -> None:
    pale, strong = draw_tissue(strength=0.6), draw_tissue(strength=1.2)
    reference = measured(draw_tissue(seed=5, strength=0.9))
    difference = normalised(pale, reference).astype(int) - normalised(strong, reference)
    assert np.abs(difference).max() <= 4  # what rounding of the pale image is magnified to
    assert np.abs(pale.astype(int) - strong).max() > 50


def test_a_normalised_image_shows_the_stains_of_the_reference(draw_tissue: Draw) -> None:
    reference = measured(draw_tissue(seed=1, haematoxylin=np.array([0.5, 0.75, 0.4]), strength=0.8))
    result = measured(normalised(draw_tissue(seed=2), reference))
    assert angle_deg(result.haematoxylin, reference.haematoxylin) < 1
    assert angle_deg(result.eosin, reference.eosin) < 1
    assert result.strengths == pytest.approx(reference.strengths, rel=0.02)


def test_an_image_without_two_stains_says_why(draw_tissue: Draw) -> None:
    reference = measured(draw_tissue())
    grey = np.repeat(np.random.default_rng(0).integers(0, 200, (40, 40, 1), dtype=np.uint8), 3, axis=2)
    pink = np.full((40, 40, 3), (200, 90, 150), np.uint8)
    one_stain = draw_tissue(eosin=np.array([0.65, 0.70, 0.29]))
    glass = np.full((40, 40, 3), 243, np.uint8)
    for image, why in ((grey, "one colour"), (pink, "one colour"), (one_stain, "one colour"), (glass, "no tissue")):
        assert measure(image) == normalise(image, reference) == why


@settings(max_examples=25, deadline=None)
@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(3))))
def test_no_image_is_too_odd(draw_tissue: Draw, image: np.ndarray) -> None:
    result = normalise(image, measured(draw_tissue()))
    assert isinstance(result, str) or result.shape == image.shape


@settings(max_examples=25, deadline=None)
@given(
    arrays.arrays(np.float32, st.integers(1, 300), elements=st.floats(-50, 50, width=32)),
    st.lists(st.floats(0, 1), min_size=1, max_size=3),
)
def test_percentiles_are_those_of_numpy(values: np.ndarray, shares: list[float]) -> None:
    assert np.allclose(_percentiles(values, *shares), np.quantile(values.astype(float), shares), atol=1e-9)


def test_the_typical_stain_is_the_median_and_of_one_image_its_own(draw_tissue: Draw) -> None:
    images = [draw_tissue(seed=seed, strength=strength) for seed, strength in ((1, 0.6), (2, 0.8), (3, 1.4))]
    stains = [measured(image) for image in images]
    assert typical(stains).strengths == pytest.approx(stains[1].strengths)
    assert np.allclose(np.linalg.norm(typical(stains).colours, axis=0), 1)
    assert np.allclose(typical(stains[:1]).colours, stains[0].colours, atol=1e-12)
