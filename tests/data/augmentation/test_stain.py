"""Amounts of stain are scaled and shifted in optical density, as a pixel-by-pixel reference does it."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from skimage.color import hed_from_rgb, rgb_from_hed

from radpath.data.augmentation.stain import jitter_stains

MakeImage = Callable[..., np.ndarray]
MakeBatch = Callable[..., tuple[torch.Tensor, torch.Tensor, torch.Tensor]]

MACENKO = np.array([[0.56, 0.72, 0.41], [0.22, 0.80, 0.55], [0.48, -0.71, 0.51]])


def by_hand(
    image: np.ndarray, factors: np.ndarray, offsets: np.ndarray, to_stains: np.ndarray, to_rgb: np.ndarray
) -> np.ndarray:
    light = (image.astype(float) * 255 + 1) / 256
    stains = -np.log(light) @ to_stains
    changed: np.ndarray = np.exp(-((stains * factors + offsets) @ to_rgb))
    return (changed * 256 - 1) / 255


@pytest.mark.parametrize("size", [(9, 7), (16, 16)])
def test_stains_are_scaled_and_shifted_with_the_matrices_of_scikit_image(
    noisy: MakeImage, padded: MakeBatch, size: tuple[int, int]
) -> None:
    images = [noisy(*size, 3, seed) for seed in range(2)]
    factors = np.array([[1.2, 0.9, 1.0], [0.8, 1.1, 1.05]])
    offsets = np.array([[0.05, -0.1, 0.0], [0.0, 0.1, -0.05]])
    changed = jitter_stains(padded(images)[0], factors, offsets)
    for place, image in enumerate(images):
        expected = by_hand(image, factors[place], offsets[place], hed_from_rgb, rgb_from_hed)
        np.testing.assert_allclose(changed[place].permute(1, 2, 0).numpy(), expected, atol=2e-5)


def test_each_image_may_have_the_stains_that_were_found_in_it(noisy: MakeImage, padded: MakeBatch) -> None:
    images = [noisy(8, 8, 3, seed) for seed in range(2)]
    bases = np.stack([MACENKO, MACENKO[::-1]])
    factors, offsets = np.array([[1.3, 0.7, 1.0]] * 2), np.array([[0.1, 0.0, 0.0]] * 2)
    changed = jitter_stains(padded(images)[0], factors, offsets, basis=bases)
    for place, image in enumerate(images):
        expected = by_hand(image, factors[place], offsets[place], np.linalg.inv(bases[place]), bases[place])
        np.testing.assert_allclose(changed[place].permute(1, 2, 0).numpy(), expected, atol=2e-5)


def test_factors_of_one_and_no_offset_change_nothing(noisy: MakeImage, padded: MakeBatch) -> None:
    batch = padded([noisy(10, 10)])[0]
    torch.testing.assert_close(jitter_stains(batch, np.ones((1, 3)), np.zeros((1, 3))), batch, atol=2e-6, rtol=0)


def test_more_haematoxylin_makes_a_bluer_and_darker_pixel() -> None:
    purple = torch.tensor([0.6, 0.4, 0.7])[None, :, None, None]
    more = jitter_stains(purple, np.array([[1.5, 1.0, 1.0]]), np.zeros((1, 3)))[0, :, 0, 0]
    assert (more < purple[0, :, 0, 0]).all()
    assert more[2] / more[0] > 0.7 / 0.6


def test_black_white_and_values_beyond_them_stay_finite() -> None:
    extremes = torch.tensor([[-0.1, 0.0, 1.0], [0.0, 0.0, 0.0], [1.0, 1.2, 1.0]]).T[None, :, None]
    changed = jitter_stains(extremes, np.full((1, 3), 1.2), np.full((1, 3), -0.2))
    assert torch.isfinite(changed).all()
