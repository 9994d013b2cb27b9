import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radpath.data.corruptions import CORRUPTIONS, corrupt

LEVELS = range(1, 6)


def drawn(seed: int = 0, height: int = 30, width: int = 24, channels: int = 3) -> np.ndarray:
    """A soft blob with some grain, in the middle of 0..1."""
    generator = np.random.default_rng(seed)
    down, right = np.mgrid[:height, :width] / max(height, width)
    blob = 0.3 + 0.4 * np.exp(-((down - 0.4) ** 2 + (right - 0.4) ** 2) / 0.05)
    image: np.ndarray = blob[:, :, None] + 0.02 * generator.normal(size=(height, width, channels))
    return image.clip(0, 1).astype(np.float32)


def spoilt(name: str, level: int, image: np.ndarray, seed: int = 0) -> np.ndarray:
    return corrupt(image, CORRUPTIONS[name], level, np.random.default_rng(seed))


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(sorted(CORRUPTIONS)),
    level=st.sampled_from(LEVELS),
    height=st.integers(2, 40),
    width=st.integers(2, 40),
    channels=st.sampled_from([1, 3]),
)
def test_an_image_keeps_its_size_and_range_and_is_not_written_to(
    name: str, level: int, height: int, width: int, channels: int
) -> None:
    image = drawn(1, height, width, channels)
    before = image.copy()
    found = spoilt(name, level, image)
    assert found.shape == image.shape
    assert found.min() >= 0
    assert found.max() <= 1
    assert np.array_equal(image, before)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_every_level_is_farther_from_the_image_than_the_one_before(name: str) -> None:
    image = drawn(height=224, width=224)
    distances = [np.abs(spoilt(name, level, image) - image).mean() for level in LEVELS]
    assert distances == sorted(distances)
    assert distances[0] > 0
    assert len(CORRUPTIONS[name].levels) == 5


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_the_same_draws_give_the_same_bits(name: str) -> None:
    assert np.array_equal(spoilt(name, 3, drawn(), seed=4), spoilt(name, 3, drawn(), seed=4))


def test_brightness_shifts_all_pixels_alike_in_either_direction() -> None:
    shifts = {round(float((spoilt("brightness", 2, drawn(), seed) - drawn()).mean()), 4) for seed in range(20)}
    assert shifts == {-0.1, 0.1}


def test_contrast_keeps_the_mean_and_scales_the_spread() -> None:
    image = drawn()
    found = spoilt("contrast", 3, image)
    assert found.mean() == pytest.approx(image.mean(), abs=1e-5)
    assert found.std() == pytest.approx(image.std() / 2, rel=1e-4)


def test_noise_has_the_stated_deviation() -> None:
    image = np.full((200, 200, 3), 0.5, dtype=np.float32)
    assert (spoilt("noise", 3, image) - image).std() == pytest.approx(0.08, rel=0.02)


def test_blur_is_stated_for_a_size_and_spreads_a_point_by_its_deviation() -> None:
    image = np.zeros((224, 224, 1), dtype=np.float32)
    image[112, 112] = 1
    row = spoilt("blur", 4, image)[:, :, 0].sum(axis=0)
    places = np.arange(224) - 112
    assert np.sqrt((row * places**2).sum() / row.sum()) == pytest.approx(3, rel=0.02)


def test_a_rotated_image_has_no_black_corners() -> None:
    bright = np.full((40, 40, 3), 0.8, dtype=np.float32)
    assert spoilt("rotation", 5, bright).min() == pytest.approx(0.8)
