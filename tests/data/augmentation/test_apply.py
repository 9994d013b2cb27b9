"""All changes together: padding stays zero, neighbours do not matter, zero strength is the identity."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from radpath.data.augmentation.apply import augment, augment_masks
from radpath.data.augmentation.draws import Changes, draw_changes
from radpath.data.augmentation.settings import RANGES, AugmentationSettings, ChanceSettings, Operation

Drawn = Callable[..., Changes]
MakeImage = Callable[..., np.ndarray]
MakeBatch = Callable[..., tuple[torch.Tensor, torch.Tensor, torch.Tensor]]
ImageIn = Callable[..., np.ndarray]

STRENGTHS: dict[str, Any] = {
    "rotation_deg": 30.0,
    "scale": 0.2,
    "shift": 0.2,
    "shear_deg": 10.0,
    "crop": 0.5,
    "stain": 0.1,
    "brightness": 0.2,
    "contrast": 0.2,
    "saturation": 0.3,
    "hue_deg": 20.0,
    "blur": 0.03,
    "noise": 0.05,
    "occlusion": 0.2,
}
EVERYTHING = AugmentationSettings(**STRENGTHS, chance=ChanceSettings(**dict.fromkeys(RANGES, 0.7)))
ALWAYS = AugmentationSettings(**STRENGTHS, chance=ChanceSettings(**dict.fromkeys(RANGES, 1.0)))

few = settings(max_examples=25, deadline=None)


@pytest.mark.parametrize("chance", [0.0, 1.0])
def test_settings_of_zero_strength_or_chance_return_the_very_bits(
    noisy: MakeImage, padded: MakeBatch, chance: float
) -> None:
    batch, heights, widths = padded([noisy(20, 30), noisy(31, 8)])
    batch = torch.where(batch == 0, batch, batch * 1.4 - 0.2)  # beyond 0..1, where nothing may be cut off
    ranges = STRENGTHS if chance == 0 else dict.fromkeys(STRENGTHS, 0.0)
    still = AugmentationSettings(**ranges, chance=ChanceSettings(**dict.fromkeys(RANGES, chance)))
    changes = draw_changes(np.arange(2), still, seed=0, epoch=1)
    assert torch.equal(augment(batch, heights, widths, changes), batch)
    assert torch.equal(augment_masks(batch, heights, widths, changes), batch)


@pytest.mark.parametrize("operation", RANGES)
def test_every_change_changes_its_image_and_leaves_the_input_alone(
    smooth: MakeImage, padded: MakeBatch, operation: Operation
) -> None:
    batch, heights, widths = padded([smooth(20, 30), smooth(31, 8)])
    before = batch.clone()
    changes = draw_changes(np.arange(2), ALWAYS.only(operation), seed=0, epoch=1)
    changed = augment(batch, heights, widths, changes)
    assert torch.equal(batch, before)
    assert (changed - batch).abs().max() > 1e-3
    assert torch.equal(changed == 0, batch == 0)


@few
@given(
    sizes=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=4),
    canvas=st.tuples(st.integers(40, 64), st.integers(40, 64)),
    channels=st.sampled_from([1, 3]),
    seed=st.integers(0, 99),
)
def test_an_image_is_the_same_alone_and_among_others_on_any_canvas(
    smooth: MakeImage,
    padded: MakeBatch,
    sizes: list[tuple[int, int]],
    canvas: tuple[int, int],
    channels: int,
    seed: int,
) -> None:
    images = [smooth(*size, channels) for size in sizes]
    batch, heights, widths = padded(images, canvas_px=canvas)
    changes = draw_changes(np.arange(len(images)), EVERYTHING, seed=seed, epoch=1)
    together = augment(batch, heights, widths, changes)
    assert 0 <= float(together.min()) <= float(together.max()) <= 1
    for place, (height, width) in enumerate(sizes):
        one = draw_changes(np.array([place]), EVERYTHING, seed=seed, epoch=1)
        alone = augment(*padded([images[place]]), one)[0]
        torch.testing.assert_close(together[place, :, :height, :width], alone, atol=1e-5, rtol=0)
        assert not together[place, :, height:].any()
        assert not together[place, :, :, width:].any()


def test_the_same_seed_gives_the_same_bits_and_another_gives_others(smooth: MakeImage, padded: MakeBatch) -> None:
    batch, heights, widths = padded([smooth(20, 30), smooth(31, 8)])
    one, again, other = (
        augment(batch, heights, widths, draw_changes(np.arange(2), ALWAYS, seed=seed, epoch=1)) for seed in (4, 4, 5)
    )
    assert torch.equal(one, again)
    assert not torch.allclose(one, other, atol=0.01)


@pytest.mark.parametrize(("value_range", "low", "high"), [((0.0, 1.0), 0, 1), ((-0.1, 1.1), -0.1, 1.1)])
def test_values_are_cut_off_at_the_range(
    drawn: Drawn, noisy: MakeImage, padded: MakeBatch, value_range: tuple[float, float], low: float, high: float
) -> None:
    batch, heights, widths = padded([noisy(20, 20)])
    changes = dataclasses.replace(drawn(contrast=3.0), operations=frozenset({"contrast"}))
    changed = augment(batch, heights, widths, changes, value_range=value_range)
    assert (float(changed.min()), float(changed.max())) == pytest.approx((low, high))


def test_without_a_range_nothing_is_cut_off_and_brightness_counts_from_one(
    drawn: Drawn, noisy: MakeImage, padded: MakeBatch
) -> None:
    scores = noisy(20, 20) * 6 - 3
    batch, heights, widths = padded([scores])
    changes = dataclasses.replace(drawn(brightness=0.5), operations=frozenset({"brightness"}))
    changed = augment(batch, heights, widths, changes, value_range=None)
    torch.testing.assert_close(changed, batch + 0.5)


def test_images_that_a_change_passes_over_keep_every_bit(noisy: MakeImage, padded: MakeBatch) -> None:
    images = [noisy(12, 12, 3, seed) for seed in range(40)]
    batch, heights, widths = padded(images)
    half = AugmentationSettings(**STRENGTHS, chance=ChanceSettings(blur=0.5, stain=0.5, noise=0.5, occlusion=0.5))
    for operation in ("blur", "stain", "noise", "occlusion"):
        changes = draw_changes(np.arange(40), half.only(operation), seed=0, epoch=1)
        is_same = (augment(batch, heights, widths, changes) == batch).all(dim=(1, 2, 3))
        assert 8 < int(is_same.sum()) < 32


@few
@given(seed=st.integers(0, 999), size=st.tuples(st.integers(20, 40), st.integers(20, 40)))
def test_masks_and_images_move_together(padded: MakeBatch, seed: int, size: tuple[int, int]) -> None:
    """An image that is its own mask is still its own mask after all motions."""
    disk = np.hypot(*(np.mgrid[: size[0], : size[1]] - np.array(size)[:, None, None] / 2)) < 8
    batch, heights, widths = padded([disk[:, :, None].astype(np.float32)], canvas_px=(48, 44))
    moving = ALWAYS.only("rotation", "scale", "shift", "shear", "crop")
    changes = draw_changes(np.array([0]), moving, seed=seed, epoch=1)
    image, mask = augment(batch, heights, widths, changes), augment_masks(batch, heights, widths, changes)
    assert set(mask.flatten().tolist()) <= {0.0, 1.0}
    assert bool((mask[image > 0.9] == 1).all())
    assert bool((mask[image < 0.1] == 0).all())


def test_masks_know_nothing_of_colours(noisy: MakeImage, padded: MakeBatch) -> None:
    batch, heights, widths = padded([noisy(20, 30)])
    changes = draw_changes(np.array([0]), ALWAYS.only("brightness", "hue", "noise", "occlusion"), seed=0, epoch=1)
    assert torch.equal(augment_masks(batch, heights, widths, changes), batch)


def test_grey_images_have_no_stains_to_vary(noisy: MakeImage, padded: MakeBatch) -> None:
    batch, heights, widths = padded([noisy(20, 30, 1)])
    changes = draw_changes(np.array([0]), ALWAYS.only("stain"), seed=0, epoch=1)
    assert torch.equal(augment(batch, heights, widths, changes), batch)
