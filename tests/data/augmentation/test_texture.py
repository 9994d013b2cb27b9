"""Blur, noise and occlusion stay inside their image, and have the size that was drawn."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, stats

from radpath.data.augmentation.draws import Changes
from radpath.data.augmentation.texture import add_noise, blur, occlude, occlusion_boxes

Drawn = Callable[..., Changes]
MakeImage = Callable[..., np.ndarray]
MakeBatch = Callable[..., tuple[torch.Tensor, torch.Tensor, torch.Tensor]]
ImageIn = Callable[..., np.ndarray]

CANVAS = (40, 44)
SIZES = [(30, 21), (5, 40), (40, 40), (1, 1)]


def with_scipy(image: np.ndarray, sigma: float) -> np.ndarray:
    """The weighted mean over what lies inside: a blur of the image by a blur of its area."""
    sums, weights = (
        ndimage.gaussian_filter(values.astype(float), sigma, mode="constant", axes=(0, 1))
        for values in (image, np.ones_like(image))
    )
    blurred: np.ndarray = sums / weights
    return blurred


def test_a_blur_is_the_gaussian_of_scipy_inside_the_image_and_nothing_outside(
    noisy: MakeImage, padded: MakeBatch, image_in: ImageIn
) -> None:
    images = [noisy(*size, 3, seed) for seed, size in enumerate(SIZES)]
    sigmas = np.array([0.7, 2.2, 1.0, 3.0])
    batch, heights, widths = padded(images, canvas_px=CANVAS)
    blurred = blur(batch, heights, widths, sigmas)
    for place, image in enumerate(images):
        expected = with_scipy(image, sigmas[place])
        np.testing.assert_allclose(image_in(blurred, place, *SIZES[place]), expected, atol=1e-5)
        assert not blurred[place, :, SIZES[place][0] :].any()
        assert not blurred[place, :, :, SIZES[place][1] :].any()


def test_a_blur_by_nothing_changes_nothing(noisy: MakeImage, padded: MakeBatch) -> None:
    batch, heights, widths = padded([noisy(8, 9), noisy(12, 4)])
    assert torch.equal(blur(batch, heights, widths, np.zeros(2)), batch)


def test_an_image_is_blurred_the_same_beside_one_that_is_blurred_more(noisy: MakeImage, padded: MakeBatch) -> None:
    batch, heights, widths = padded([noisy(20, 20), noisy(20, 20, seed=1)])
    alone = blur(batch[:1], heights[:1], widths[:1], np.array([0.8]))
    together = blur(batch, heights, widths, np.array([0.8, 4.0]))
    torch.testing.assert_close(together[:1], alone, atol=1e-6, rtol=0)


def test_noise_has_zero_mean_and_the_deviation_that_was_drawn(padded: MakeBatch) -> None:
    """T25: noise that is never negative would teach the network to subtract it."""
    batch, heights, widths = padded([np.full((120, 130, 3), 0.5, np.float32)] * 2)
    noisy = add_noise(batch, heights, widths, np.array([0.1, 0.02]), np.array([5, 6]))
    for place, deviation in enumerate((0.1, 0.02)):
        field = (noisy - batch)[place, 0].numpy().ravel()
        assert abs(field.mean()) < 4 * deviation / np.sqrt(field.size)
        assert field.std() == pytest.approx(deviation, rel=0.03)
        assert stats.kstest(field / deviation, "norm").pvalue > 1e-3


def test_noise_is_the_same_in_all_channels_so_that_grey_stays_grey(noisy: MakeImage, padded: MakeBatch) -> None:
    grey = np.repeat(noisy(10, 12, 1), 3, axis=2)
    batch, heights, widths = padded([grey])
    changed = add_noise(batch, heights, widths, np.array([0.2]), np.array([1]))
    assert not torch.equal(changed, batch)
    assert torch.equal(changed[:, 0], changed[:, 1])
    assert torch.equal(changed[:, 0], changed[:, 2])


def test_noise_depends_on_its_seed_alone_and_stays_inside(
    noisy: MakeImage, padded: MakeBatch, image_in: ImageIn
) -> None:
    images = [noisy(*size, 3, seed) for seed, size in enumerate(SIZES)]
    batch, heights, widths = padded(images, canvas_px=CANVAS)
    deviations, seeds = np.array([0.1, 0.0, 0.2, 0.3]), np.array([7, 8, 9, 2**53 - 1])
    together = add_noise(batch, heights, widths, deviations, seeds)
    assert torch.equal(together == 0, batch == 0)
    for place, image in enumerate(images):
        alone = add_noise(*padded([image]), deviations[[place]], seeds[[place]])
        assert np.array_equal(image_in(together, place, *SIZES[place]), image_in(alone, 0, *SIZES[place]))
    assert torch.equal(together[1], batch[1])
    other = add_noise(batch, heights, widths, deviations, seeds ^ np.array([1, 0, 0, 1]))
    assert not torch.equal(other[0], together[0])
    assert torch.equal(other[2], together[2])


@settings(max_examples=50, deadline=None)
@given(
    size=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    area=st.floats(0.0, 0.9),
    shape=st.floats(0.5, 2.0),
    place=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_a_rectangle_lies_inside_the_image_and_has_about_its_share_of_the_area(
    drawn: Drawn, size: tuple[int, int], area: float, shape: float, place: tuple[float, float]
) -> None:
    changes = drawn(occlusion=area, occlusion_shapes=shape, occlusion_places=place)
    height, width = size
    upper, left, lower, right = occlusion_boxes(changes, torch.tensor([height]), torch.tensor([width]))[0].tolist()
    assert 0 <= upper <= lower <= height
    assert 0 <= left <= right <= width
    hidden = (lower - upper) * (right - left)
    assert (hidden > 0) == (area > 0)
    if min(size) > 20 and 0.05 < area < 0.45:  # no side is cut, and rounding moves it little
        assert hidden == pytest.approx(area * height * width, rel=0.3)


def test_only_the_rectangle_is_filled_with_the_colour(noisy: MakeImage, padded: MakeBatch) -> None:
    batch, _, _ = padded([noisy(6, 8), noisy(6, 8, seed=1)])
    boxes, colours = np.array([[1, 2, 4, 7], [0, 0, 0, 0]]), torch.tensor([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
    hidden = occlude(batch, boxes, colours)
    expected = batch.clone()
    expected[0, :, 1:4, 2:7] = colours[0][:, None, None]
    assert torch.equal(hidden, expected)
