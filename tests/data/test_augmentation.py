"""Random changes leave the class alone: views are exact, moves keep their geometry, levels move together."""

import math
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from radpath.data.augmentation import (
    NUM_VIEWS,
    AugmentationSettings,
    Flips,
    augment,
    draw_view,
    view_of,
)
from radpath.errors import SettingsError
from radpath.settings import parse_settings

NOTHING: dict[str, Any] = {
    "flips": "none",
    "rotation_deg": 0.0,
    "scale": 0.0,
    "shift": 0.0,
    "brightness": 0.0,
    "contrast": 0.0,
}


def only(**changes: Any) -> AugmentationSettings:
    return AugmentationSettings(**{**NOTHING, **changes})


def noise(height: int = 12, width: int = 9, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


def smooth(height: int, width: int) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    waves: np.ndarray = 127 + 60 * np.sin(rows / 9) + 60 * np.cos(columns / 7)
    return waves[:, :, None].astype(np.uint8)


def draws(*values: float | np.ndarray) -> Any:
    """A generator that draws the first view, then what a test wants in the order of the draws, then zeros."""
    rng = Mock(spec=np.random.Generator)
    rng.integers.return_value = 0
    rng.uniform.side_effect = [*values, 0.0, 0.0]
    return rng


@settings(max_examples=50, deadline=None)
@given(height=st.integers(1, 9), width=st.integers(1, 9), channels=st.sampled_from([1, 3]))
def test_the_eight_views_are_the_flips_and_quarter_turns(height: int, width: int, channels: int) -> None:
    image = noise(height, width, channels)
    expected = [
        image,
        np.fliplr(image),
        np.rot90(image),
        np.fliplr(np.rot90(image)),
        np.rot90(image, 2),
        np.flipud(image),
        np.rot90(image, 3),
        np.transpose(image, (1, 0, 2)),
    ]
    views = [view_of(image, view) for view in range(NUM_VIEWS["dihedral"])]
    assert {view.tobytes() for view in views} == {view.tobytes() for view in expected}
    for view in (0, 1, 2, 4):
        assert np.array_equal(views[view], expected[view])


def test_an_image_without_symmetry_has_eight_different_views() -> None:
    image = noise(5, 5)
    assert len({np.ascontiguousarray(view_of(image, view)).tobytes() for view in range(8)}) == 8


@pytest.mark.parametrize(("flips", "num_views"), [("none", 1), ("horizontal", 2), ("dihedral", 8)])
def test_every_view_is_drawn_about_equally_often(flips: Flips, num_views: int) -> None:
    rng = np.random.default_rng(0)
    counts = np.bincount([draw_view(flips, rng) for _ in range(400)], minlength=num_views)
    assert len(counts) == NUM_VIEWS[flips] == num_views
    assert counts.min() > 400 / num_views * 0.6


def test_with_every_setting_at_zero_nothing_changes() -> None:
    settings = only()
    assert settings.flips_only
    assert np.array_equal(augment(noise(), settings, rng=np.random.default_rng(0)), noise())


@pytest.mark.parametrize("name", ["rotation_deg", "scale", "shift", "brightness", "contrast"])
def test_any_other_change_makes_views_too_few(name: str) -> None:
    settings = only(**{name: 0.5})
    assert not settings.flips_only
    changed = [augment(smooth(30, 20), settings, rng=np.random.default_rng(seed)) for seed in range(4)]
    assert any(not np.array_equal(image, smooth(30, 20)) for image in changed)


def test_a_move_by_nothing_changes_nothing() -> None:
    settings = only(rotation_deg=10.0, scale=0.5, shift=0.5)
    rng = draws(0.0, 0.0, np.zeros(2))
    assert np.array_equal(augment(noise(), settings, rng=rng), noise())


@pytest.mark.parametrize(("height", "width"), [(60, 40), (41, 70)])
def test_a_rotation_keeps_distances_in_images_that_are_not_square(height: int, width: int) -> None:
    rng = draws(30.0, 0.0, np.zeros(2))
    turned = augment(smooth(height, width), only(rotation_deg=90.0), rng=rng)
    expected = ndimage.rotate(smooth(height, width)[:, :, 0].astype(float), 30, reshape=False, order=1)
    middle = (slice(height // 2 - 10, height // 2 + 10), slice(width // 2 - 10, width // 2 + 10))
    difference = np.abs(turned[:, :, 0].astype(float) - expected)[middle]
    assert difference.max() < 2


def test_a_shift_moves_by_its_share_of_each_side_and_mirrors_at_the_edge() -> None:
    rng = draws(0.0, 0.0, np.array([0.25, -0.5]))
    moved = augment(noise(12, 8), only(shift=0.5), rng=rng)
    assert np.array_equal(moved[6:, :6], noise(12, 8)[:6, 2:])
    assert np.array_equal(moved[:6, :6], noise(12, 8)[:6, 2:][::-1])


def test_a_magnified_image_shows_its_middle_larger() -> None:
    rng = draws(0.0, 0.999, np.zeros(2))
    image = np.zeros((40, 40, 1), dtype=np.uint8)
    image[15:25, 15:25] = 200
    larger = augment(image, only(scale=0.999), rng=rng)
    assert (larger > 100).sum() == pytest.approx(4 * (image > 100).sum(), rel=0.05)


def test_levels_are_shifted_and_scaled_about_the_mean_and_stay_in_range() -> None:
    rng = draws(0.1, -0.2)
    image = noise()
    changed = augment(image, only(brightness=0.5, contrast=0.5), rng=rng)
    expected = np.clip((image - image.mean()) * 0.8 + image.mean() + 25.5, 0, 255)
    assert np.abs(changed - expected).max() <= 0.5
    assert changed.dtype == np.uint8


def test_grey_stays_grey_because_every_channel_uses_the_same_table() -> None:
    image = np.repeat(noise(channels=1), 3, axis=2)
    changed = augment(image, AugmentationSettings(), rng=np.random.default_rng(1))
    assert np.array_equal(changed[:, :, 0], changed[:, :, 1])
    assert np.array_equal(changed[:, :, 0], changed[:, :, 2])


@settings(max_examples=25, deadline=None)
@given(
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    channels=st.sampled_from([1, 3]),
    flips=st.sampled_from(["none", "horizontal", "dihedral"]),
    seed=st.integers(0, 99),
)
def test_an_image_of_any_size_keeps_it_up_to_a_quarter_turn_and_a_seed_its_changes(
    size: tuple[int, int], channels: int, flips: Flips, seed: int
) -> None:
    settings = AugmentationSettings(flips=flips, rotation_deg=45)
    one, other = (augment(noise(*size, channels), settings, rng=np.random.default_rng(seed)) for _ in range(2))
    assert np.array_equal(one, other)
    assert one.dtype == np.uint8
    assert one.shape in [(*size, channels), (*size[::-1], channels)]
    assert one.shape == (*size, channels) or flips == "dihedral"


def test_angles_spread_over_the_whole_range() -> None:
    """The dot is turned by what was drawn; the draws reach both ends."""
    image = np.zeros((41, 41, 1), dtype=np.uint8)
    image[19:22, 34:37] = 255
    angles = []
    for seed in range(40):
        turned = augment(image, only(rotation_deg=60.0), rng=np.random.default_rng(seed))[:, :, 0]
        row, column = ndimage.center_of_mass(turned)
        angles.append(math.degrees(math.atan2(20 - row, column - 20)))
    assert -61 < min(angles) < -45
    assert 45 < max(angles) < 61


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"flips": "vertical"}, r"'flips' is 'vertical'; it must be 'none', 'horizontal' or 'dihedral'"),
        ({"scale": 1.0}, r"'scale' is 1\.0; it must be less than 1"),
        ({"rotation_deg": 181}, r"'rotation_deg' is 181; it must be less than or equal to 180"),
        ({"brightness": -0.1}, r"'brightness' is -0\.1; it must be greater than or equal to 0"),
    ],
)
def test_impossible_changes_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        parse_settings(AugmentationSettings, wrong, source="test")
