"""One image becomes what the store keeps: channels, size, codes, and what eyes see of it."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from radpath.data.intensity import Intensity
from radpath.data.morphology import StepSettings, apply_steps
from radpath.data.preparation import (
    PixelSettings,
    as_displayed,
    prepare_image,
    prepared_size,
    resize,
    stages,
    with_channels,
)
from radpath.data.stain.normalisation import fit_stain, normalise


def noise(*shape: int, seed: int = 0, dtype: Any = np.uint8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(20, 160),
    width=st.integers(20, 160),
    channels=st.sampled_from([1, 3]),
    share=st.floats(0.1, 0.99),
    seed=st.integers(0, 9),
)
def test_reducing_agrees_with_pillow_to_one_level(
    height: int, width: int, channels: int, share: float, seed: int
) -> None:
    image = 70 + noise(height, width, channels, seed=seed) % 116  # bicubic overshoots stay within 0..255
    target = (max(1, round(height * share)), max(1, round(width * share)))
    scaled = resize(image, height_px=target[0], width_px=target[1])
    assert scaled.shape == (*target, channels)
    assert scaled.dtype == np.uint8
    picture = Image.fromarray(image[:, :, 0] if channels == 1 else image)
    expected = np.asarray(picture.resize(target[::-1], Image.Resampling.BICUBIC)).reshape(*target, channels)
    difference = np.abs(scaled.astype(int) - expected)
    assert difference.max() <= 2
    assert (difference > 1).sum() <= 1 + difference.size / 1000


def test_a_resize_to_the_same_size_is_no_change() -> None:
    image = noise(9, 7, 3)
    assert resize(image, height_px=9, width_px=7) is image


@settings(max_examples=40, deadline=None)
@given(height=st.integers(1, 300), width=st.integers(1, 300), size_px=st.integers(16, 64))
def test_a_fixed_size_fits_the_longer_side_and_keeps_the_aspect_ratio(height: int, width: int, size_px: int) -> None:
    result = prepare_image(np.zeros((height, width), np.uint8), PixelSettings(size_px=size_px, channels="grey")).codes
    assert max(result.shape[:2]) == size_px
    scale = size_px / max(height, width)
    assert abs(result.shape[0] - height * scale) <= 0.5 or result.shape[0] == 1
    assert abs(result.shape[1] - width * scale) <= 0.5 or result.shape[1] == 1


@pytest.mark.parametrize(
    ("size", "expected"), [((32, 20), (32, 20)), ((33, 20), (32, 19)), ((200, 100), (32, 16)), ((1, 1), (1, 1))]
)
def test_native_sizes_are_kept_up_to_the_limit(size: tuple[int, int], expected: tuple[int, int]) -> None:
    result = prepare_image(noise(*size, 3), PixelSettings(size="native", max_side_px=32)).codes
    assert result.shape == (*expected, 3)
    if size == expected:
        assert np.array_equal(result, noise(*size, 3))


def test_colour_becomes_grey_by_its_luma() -> None:
    image = noise(6, 7, 3)
    expected = 0.299 * image[:, :, 0] + 0.587 * image[:, :, 1] + 0.114 * image[:, :, 2]
    grey = with_channels(image, "grey")
    assert grey.shape == (6, 7, 1)
    assert np.abs(grey[:, :, 0] - expected).max() <= 0.501
    pillow = np.asarray(Image.fromarray(image).convert("L")).astype(int)
    assert np.abs(grey[:, :, 0] - pillow).max() <= 1
    equal = np.repeat(noise(6, 7, 1), 3, axis=2)
    assert np.array_equal(with_channels(equal, "grey")[:, :, 0], equal[:, :, 0])


def test_grey_becomes_three_equal_channels() -> None:
    grey = noise(6, 7)
    assert np.array_equal(with_channels(grey, "rgb"), np.stack([grey] * 3, axis=2))
    assert np.array_equal(with_channels(grey, "grey"), grey[:, :, None])


@pytest.mark.parametrize("channels", ["grey", "rgb"])
def test_sixteen_bits_are_stored_as_they_are(channels: Any) -> None:
    image = noise(6, 7, dtype=np.uint16)
    prepared = prepare_image(image, PixelSettings(size="native", channels=channels))
    assert (prepared.slope, prepared.intercept, prepared.darkest, prepared.brightest) == (1, 0, 0, 65535)
    assert prepared.codes.dtype == np.uint16
    assert (prepared.codes == image[:, :, None]).all()


def test_sixteen_bits_are_scaled_in_full_depth() -> None:
    image = 20_000 + noise(64, 48, dtype=np.uint16) // 8
    scaled = prepare_image(image, PixelSettings(size_px=16, channels="grey")).codes[:, :, 0]
    expected = np.asarray(Image.fromarray(image.astype(np.float32)).resize((12, 16), Image.Resampling.BICUBIC))
    assert scaled.shape == (16, 12)
    assert np.abs(scaled - expected).max() <= 1
    assert len(np.unique(scaled % 256)) > 50


@settings(max_examples=30, deadline=None)
@given(lowest=st.floats(-1e6, 1e6), spread=st.floats(0, 1e6), seed=st.integers(0, 9))
def test_floating_point_levels_are_kept_to_a_step_of_their_own_range(lowest: float, spread: float, seed: int) -> None:
    image = (lowest + spread * np.random.default_rng(seed).random((5, 4))).astype(np.float32)
    prepared = prepare_image(image, PixelSettings(size="native", channels="grey"))
    levels = prepared.codes[:, :, 0] * prepared.slope + prepared.intercept
    step = (float(image.max()) - float(image.min())) / 65535
    assert np.abs(levels - image).max() <= 0.51 * step + 1e-9 * abs(lowest)
    assert np.isnan(prepared.brightest)


def test_one_floating_point_level_stays_what_it_is() -> None:
    prepared = prepare_image(np.full((3, 3), -1000.0, np.float32), PixelSettings(size="native", channels="grey"))
    assert (prepared.codes * prepared.slope + prepared.intercept == -1000).all()


def test_eyes_see_what_the_network_gets_with_the_rest_cut_off() -> None:
    image = np.array([[0, 100, 200, 255]], dtype=np.uint8)
    prepared = prepare_image(image, PixelSettings(size="native", channels="grey"))
    shown = as_displayed(prepared, Intensity(rule="range", zero=100.0, one=200.0), (5.0, 95.0))
    assert shown[0, :, 0].tolist() == [0, 0, 255, 255]
    assert np.array_equal(as_displayed(prepared, Intensity(rule="full"), (5.0, 95.0)), prepared.codes)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"percentiles": (95, 5)}, r"percentiles is \[95, 5\]; give two ascending numbers in 0 to 100"),
        ({"percentiles": (-1, 50)}, r"percentiles is \[-1, 50\]"),
        ({"intensity": "range"}, r"belong together"),
        ({"range": (0, 1)}, r"belong together"),
        ({"intensity": "range", "range": (2, 2)}, r"range is \[2, 2\]; the second level must be the higher"),
    ],
)
def test_contradictions_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        PixelSettings.model_validate(settings)


def test_the_size_is_known_before_an_image_is_read() -> None:
    for height, width in ((30, 41), (64, 10), (1, 99)):
        for pixels in (PixelSettings(size_px=20), PixelSettings(size="native", max_side_px=40)):
            codes = prepare_image(noise(height, width), pixels).codes
            assert codes.shape[:2] == prepared_size(height, width, pixels)


def test_steps_come_before_and_after_resizing() -> None:
    image = noise(40, 40, 3)
    steps = StepSettings(before=("erosion(1)",), after=("otsu", "opening(1)"))
    settings = PixelSettings(size_px=20, steps=steps)
    eroded = apply_steps(image, ["erosion(1)"])
    expected = apply_steps(resize(eroded, height_px=20, width_px=20), ["otsu", "opening(1)"])
    result = prepare_image(image, settings).codes
    assert np.array_equal(result, np.stack([expected] * 3, axis=2))
    grey = prepare_image(image, settings.model_copy(update={"channels": "grey"})).codes
    assert grey.shape == (20, 20, 1)
    assert set(np.unique(grey)) == {0, 255}


def test_every_stage_has_its_name_and_the_last_one_is_what_is_prepared() -> None:
    settings = PixelSettings(size_px=16, channels="grey", steps=StepSettings(before=("closing(1)",), after=("otsu",)))
    image = noise(32, 24).astype(np.uint16) * 257
    seen = dict(stages(image, settings))
    assert list(seen) == ["as decoded", "closing(1)", "resized", "otsu"]
    assert np.array_equal(seen["otsu"], prepare_image(image, settings).codes[:, :, 0])


def test_colour_images_get_the_stain_of_the_reference_and_grey_ones_do_not() -> None:
    generator = np.random.default_rng(0)
    units = generator.gamma(3, 0.3, (32 * 32, 2)) + 0.3
    density = units @ np.array([[0.65, 0.7, 0.29], [0.3, 0.9, 0.3]])
    tissue = (240 * np.exp(-density)).astype(np.uint8).reshape(32, 32, 3)
    reference = fit_stain([255 - (255 - tissue) // 2], "reinhard")
    settings = PixelSettings(size="native")
    prepared = prepare_image(tissue, settings, stain=reference).codes
    assert np.array_equal(prepared, normalise(tissue, reference).image)
    assert "stain reinhard" in dict(stages(tissue, settings, stain=reference))
    grey = prepare_image(tissue[:, :, 0], settings, stain=reference)
    assert np.array_equal(grey.codes[:, :, 0], tissue[:, :, 0])
    assert grey.stain_unchanged == "no colours"
