import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from skimage import color

from radpath.data.stain.optical_density import (
    HED_FROM_RGB,
    RGB_FROM_HED,
    from_planes,
    mixed,
    tissue_of,
    to_densities,
    to_levels,
    to_planes,
)


def test_the_colours_of_haematoxylin_eosin_and_dab_are_those_of_scikit_image() -> None:
    assert np.array_equal(RGB_FROM_HED, color.rgb_from_hed)
    assert np.allclose(HED_FROM_RGB @ RGB_FROM_HED, np.eye(3), atol=1e-12)
    with pytest.raises(ValueError, match="read-only"):
        RGB_FROM_HED[0, 0] = 1


@settings(max_examples=25, deadline=None)
@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 6), st.integers(1, 6), st.just(3))))
def test_densities_lead_back_to_the_same_image(image: np.ndarray) -> None:
    densities = to_densities(to_planes(image))
    assert densities.dtype == np.float32
    again = from_planes(to_levels(densities), height_px=image.shape[0], width_px=image.shape[1])
    assert np.array_equal(again, image)


def test_density_falls_with_the_level() -> None:
    levels = np.tile(np.arange(256, dtype=np.uint8), (3, 1))
    densities = to_densities(levels)
    assert np.allclose(densities, -np.log((levels + 1.0) / 240), atol=1e-6)
    assert (np.diff(densities, axis=1) < 0).all()


def test_levels_outside_the_range_are_limited() -> None:
    planes = np.array([[-7.0, 300], [0.4, 254.6], [0.6, 128]], np.float32)
    assert from_planes(planes, height_px=1, width_px=2).tolist() == [[[0, 0, 1], [255, 255, 128]]]


def test_mixing_is_the_product_of_matrices() -> None:
    generator = np.random.default_rng(0)
    matrix, planes = generator.random((2, 3)), generator.random((3, 50), dtype=np.float32)
    assert np.allclose(mixed(matrix, planes), matrix @ planes, atol=1e-6)


@pytest.mark.parametrize(
    ("num_dark", "num_pixels", "is_enough"), [(63, 100, False), (64, 100, True), (99, 10_000, False)]
)
def test_tissue_needs_64_pixels_and_one_percent(num_dark: int, num_pixels: int, *, is_enough: bool) -> None:
    levels = np.full((3, num_pixels), 240, np.uint8)
    levels[:, :num_dark] = 150
    tissue = tissue_of(to_densities(levels))
    assert (tissue is not None) == is_enough
    if tissue is not None:
        assert tissue.sum() == num_dark


def test_every_channel_of_tissue_takes_away_light() -> None:
    levels = np.full((3, 200), 100, np.uint8)
    levels[0, 100:] = 210  # -ln(211 / 240) = 0.129
    tissue = tissue_of(to_densities(levels))
    assert tissue is not None
    assert tissue.tolist() == [True] * 100 + [False] * 100
