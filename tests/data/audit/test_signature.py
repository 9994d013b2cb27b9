"""Tests of what the audit keeps of an image."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image, ImageDraw

from radpath.data.audit.signature import STATISTICS, filter_weights, shrink, signature_of

grey_images = arrays.arrays(
    np.uint8, arrays.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=70), elements=st.integers(0, 255)
)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def with_text(image: np.ndarray) -> np.ndarray:
    picture = Image.fromarray(image)
    ImageDraw.Draw(picture).text((4, 4), "PORTABLE 12:40", fill=255)
    return np.asarray(picture)


@settings(max_examples=40, deadline=None)
@given(grey_images)
def test_shrinking_agrees_with_pillow(image: np.ndarray) -> None:
    expected = Image.fromarray(image.astype(np.float32)).resize((32, 32), Image.Resampling.BILINEAR)
    np.testing.assert_allclose(shrink(image.astype(np.float32), side_px=32), np.asarray(expected), atol=0.02)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 300), st.integers(1, 64))
def test_a_filter_keeps_the_mean_brightness_of_a_constant(length_px: int, side_px: int) -> None:
    np.testing.assert_allclose(filter_weights(length_px, side_px).sum(axis=1), 1, rtol=1e-5)


@settings(max_examples=40, deadline=None)
@given(grey_images)
def test_every_statistic_is_in_its_range(image: np.ndarray) -> None:
    statistics = signature_of(image).statistics()
    assert tuple(statistics) == STATISTICS
    assert all(0 <= value <= 1 for value in statistics.values())


def test_brightness_and_contrast_are_the_mean_and_the_standard_deviation() -> None:
    image = noise(50, 60)
    signature = signature_of(image)
    assert signature.brightness == pytest.approx(image.mean() / 255, abs=1e-5)
    assert signature.contrast == pytest.approx(image.std() / 255, abs=1e-5)


def test_sixteen_bits_and_eight_bits_of_one_image_have_one_signature() -> None:
    image = noise(50, 60)
    wide = image.astype(np.uint16) * 257
    first, second = signature_of(image), signature_of(wide)
    np.testing.assert_array_equal(first.thumbnail, second.thumbnail)
    assert first.statistics() == pytest.approx(second.statistics(), abs=1e-5)


def test_floating_point_images_are_measured_by_their_own_range() -> None:
    image = np.linspace(-1000, 3000, 64 * 64, dtype=np.float32).reshape(64, 64)
    image[0, 0] = np.nan
    signature = signature_of(image)
    assert signature.brightness == pytest.approx(0.5, abs=0.01)
    assert np.isfinite(list(signature.statistics().values())).all()


def test_a_float_image_of_one_value_has_no_contrast() -> None:
    signature = signature_of(np.full((20, 20), 7.0, np.float32))
    assert (signature.contrast, int(signature.thumbnail.max())) == (0.0, 0)


def test_the_thumbnail_does_not_depend_on_brightness_or_contrast() -> None:
    image = noise(64, 64) // 2
    brighter = (image * 1.5 + 40).astype(np.uint8)
    difference = signature_of(image).thumbnail.astype(int) - signature_of(brighter).thumbnail.astype(int)
    assert np.abs(difference).max() <= 2


def test_saturation_tells_grey_from_colour() -> None:
    grey = np.repeat(noise(40, 40)[:, :, None], 3, axis=2)
    red = grey * np.array([1, 0, 0], np.uint8)
    assert signature_of(grey).saturation == 0
    assert signature_of(red).saturation == pytest.approx(grey.mean() / 255, abs=1e-5)


def test_a_letterbox_is_measured_as_the_share_of_its_area() -> None:
    image = np.zeros((100, 80), np.uint8)
    image[20:90, 8:72] = 60 + noise(70, 64) // 2
    assert signature_of(image).border_share == pytest.approx(1 - 70 * 64 / (100 * 80))


def test_noise_has_no_border_and_a_constant_image_is_all_border() -> None:
    assert signature_of(noise(60, 60)).border_share == 0
    assert signature_of(np.full((60, 60), 9, np.uint8)).border_share == 1


@pytest.mark.parametrize("side_px", [128, 512, 900])
def test_text_in_a_corner_is_seen_and_a_smooth_image_has_none(side_px: int) -> None:
    ramp = np.linspace(20, 150, side_px * side_px).reshape(side_px, side_px).astype(np.uint8)
    clean, written = signature_of(ramp), signature_of(with_text(ramp))
    assert clean.corner_text_share == 0
    assert written.corner_text_share > 1e-4


def test_strokes_everywhere_are_no_text() -> None:
    stripes = np.tile(np.array([255, 0, 0, 0, 0, 0, 0, 0], np.uint8), (160, 20))
    assert signature_of(stripes).corner_text_share < 0.01


def test_large_images_are_thinned_and_keep_their_statistics() -> None:
    image = np.repeat(np.repeat(noise(150, 150), 8, axis=0), 8, axis=1)
    expected = signature_of(image[::3, ::3])
    assert signature_of(image).brightness == pytest.approx(expected.brightness, abs=0.01)
    assert np.abs(signature_of(image).thumbnail.astype(int) - expected.thumbnail).mean() < 4
