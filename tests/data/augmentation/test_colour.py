"""Folded into one matrix, the colours change as they would one after another, and grey stays grey."""

import cmath
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from radpath.data.augmentation.colour import LUMA, colour_matrices, hue_matrices, shift_colours
from radpath.data.augmentation.draws import Changes
from radpath.data.augmentation.geometry import area_means

Drawn = Callable[..., Changes]
MakeImage = Callable[..., np.ndarray]
MakeBatch = Callable[..., tuple[torch.Tensor, torch.Tensor, torch.Tensor]]

factors = st.floats(0.0, 2.0)
angles = st.floats(-180, 180)


def turned(rgb: np.ndarray, angle_deg: float) -> np.ndarray:
    """One colour's hue turned by hand: its chroma is a complex number in the YIQ plane."""
    red, green, blue = rgb
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    chroma = complex(0.596 * red - 0.274 * green - 0.322 * blue, 0.211 * red - 0.523 * green + 0.312 * blue)
    chroma *= cmath.exp(1j * math.radians(angle_deg))
    table = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
    back: np.ndarray = np.linalg.inv(table) @ [luma, chroma.real, chroma.imag]
    return back


@settings(max_examples=50, deadline=None)
@given(rgb=st.tuples(*[st.floats(0, 1)] * 3), contrast=factors, saturation=factors, hue=angles)
def test_one_matrix_does_what_contrast_saturation_and_hue_do_in_turn(
    drawn: Drawn, rgb: tuple[float, float, float], contrast: float, saturation: float, hue: float
) -> None:
    matrix = colour_matrices(drawn(contrast=contrast, saturation=saturation, hues_deg=hue), 3)[0]
    scaled = contrast * np.array(rgb)
    grey = LUMA @ scaled
    expected = turned(grey + saturation * (scaled - grey), hue)
    np.testing.assert_allclose(matrix @ rgb, expected, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(angle=angles, saturation=factors)
def test_grey_stays_grey_and_luma_stays_as_it_is(drawn: Drawn, angle: float, saturation: float) -> None:
    matrix = colour_matrices(drawn(hues_deg=angle, saturation=saturation), 3)[0]
    np.testing.assert_allclose(matrix @ np.full(3, 0.6), 0.6, atol=1e-12)
    np.testing.assert_allclose(LUMA @ matrix, LUMA, atol=1e-12)


def test_turning_a_hue_there_and_back_changes_nothing() -> None:
    there, back = hue_matrices(np.array([75.0, -75.0]))
    np.testing.assert_allclose(there @ back, np.eye(3), atol=1e-12)


@pytest.mark.parametrize("channels", [1, 3])
def test_levels_are_shifted_and_scaled_about_the_mean(
    drawn: Drawn, noisy: MakeImage, padded: MakeBatch, channels: int
) -> None:
    image = noisy(12, 9, channels)
    batch, heights, widths = padded([image])
    means = area_means(batch, heights, widths)
    changed = shift_colours(batch, means, drawn(contrast=0.8, brightness=0.1), span=2.0)
    expected = (image - image.mean()) * 0.8 + image.mean() + 0.2
    np.testing.assert_allclose(changed[0].permute(1, 2, 0).numpy(), expected, atol=1e-5)


def test_each_image_has_its_own_colours(drawn: Drawn, noisy: MakeImage, padded: MakeBatch) -> None:
    images = [noisy(6, 6, 3, seed) for seed in range(3)]
    batch, heights, widths = padded(images)
    contrast, hue = [0.5, 1.0, 1.5], [10.0, 0.0, -50.0]
    means = area_means(batch, heights, widths)
    changed = shift_colours(batch, means, drawn(3, contrast=contrast, hues_deg=hue), span=1.0)
    for place in range(3):
        alone = drawn(contrast=contrast[place], hues_deg=hue[place])
        one = shift_colours(batch[[place]], means[[place]], alone, span=1.0)
        torch.testing.assert_close(changed[[place]], one)
