"""One resampling does what turning, magnifying, moving, slanting and cutting do, at each image's own border."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from radpath.data.augmentation.draws import Changes
from radpath.data.augmentation.geometry import area_means, inside_of, reading_places, resample

Drawn = Callable[..., Changes]
MakeImage = Callable[..., np.ndarray]
MakeBatch = Callable[..., tuple[torch.Tensor, torch.Tensor, torch.Tensor]]
ImageIn = Callable[..., np.ndarray]

CANVAS = (64, 80)


def moved(image: np.ndarray, changes: Changes, padded: MakeBatch, image_in: ImageIn, **how: Any) -> np.ndarray:
    """The image, on a canvas that is larger than it, after the motion."""
    batch, heights, widths = padded([image], canvas_px=CANVAS)
    places = reading_places(changes, heights, widths)
    return image_in(resample(batch, heights, widths, places, **how), 0, *image.shape[:2])


def with_scipy(image: np.ndarray, *, matrix: np.ndarray, shift: np.ndarray, order: int = 1) -> np.ndarray:
    """SciPy's affine transform about the centre; matrix and shift in (down, right), as arrays are indexed."""
    centre = (np.array(image.shape[:2]) - 1) / 2
    offset = centre + shift - matrix @ centre
    channels = [
        ndimage.affine_transform(image[:, :, c].astype(float), matrix, offset, order=order, mode="reflect")
        for c in range(image.shape[2])
    ]
    return np.stack(channels, axis=-1)


def test_a_move_by_nothing_changes_nothing(
    drawn: Drawn, noisy: MakeImage, padded: MakeBatch, image_in: ImageIn
) -> None:
    image = noisy(40, 70)
    np.testing.assert_allclose(moved(image, drawn(), padded, image_in), image, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(
    size=st.tuples(st.integers(1, 60), st.integers(1, 70)),
    angle=st.floats(-180, 180),
    magnification=st.floats(0.6, 1.6),
    shift=st.tuples(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5)),
    shear=st.floats(-30, 30),
)
def test_motions_agree_with_scipy_on_any_image(
    drawn: Drawn,
    smooth: MakeImage,
    padded: MakeBatch,
    image_in: ImageIn,
    size: tuple[int, int],
    angle: float,
    magnification: float,
    shift: tuple[float, float],
    shear: float,
) -> None:
    image = smooth(*size)
    changes = drawn(angles_deg=angle, magnifications=magnification, shifts=shift, shears_deg=shear)
    turn, slant = math.radians(angle), math.tan(math.radians(shear))
    turned = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])  # (down, right)
    slanted = np.array([[1, 0], [slant, 1]])  # further right, the further down
    expected = with_scipy(image, matrix=turned @ slanted / magnification, shift=np.array(shift[::-1]) * size)
    np.testing.assert_allclose(moved(image, changes, padded, image_in), expected, atol=2e-4)


@pytest.mark.parametrize(("height", "width"), [(60, 40), (41, 70)])
def test_a_rotation_keeps_distances_in_images_that_are_not_square(
    drawn: Drawn, smooth: MakeImage, padded: MakeBatch, image_in: ImageIn, height: int, width: int
) -> None:
    turned = moved(smooth(height, width), drawn(angles_deg=30.0), padded, image_in)
    expected = ndimage.rotate(smooth(height, width).astype(float), 30, reshape=False, order=1)
    middle = (slice(height // 2 - 10, height // 2 + 10), slice(width // 2 - 10, width // 2 + 10))
    np.testing.assert_allclose(turned[middle], expected[middle], atol=1e-4)


def test_a_shift_moves_by_its_share_of_each_side_and_mirrors_at_the_images_own_edge(
    drawn: Drawn, noisy: MakeImage, padded: MakeBatch, image_in: ImageIn
) -> None:
    image = noisy(12, 8)
    shifted = moved(image, drawn(shifts=(0.25, -0.5)), padded, image_in)
    np.testing.assert_allclose(shifted[6:, :6], image[:6, 2:], atol=1e-5)
    np.testing.assert_allclose(shifted[:6, :6], image[:6, 2:][::-1], atol=1e-5)


def test_a_magnified_image_shows_its_middle_larger(drawn: Drawn, padded: MakeBatch, image_in: ImageIn) -> None:
    image = np.zeros((40, 40, 1), dtype=np.float32)
    image[15:25, 15:25] = 1
    larger = moved(image, drawn(magnifications=2.0), padded, image_in)
    assert (larger > 0.5).sum() == 4 * image.sum()


@pytest.mark.parametrize("place", [(-1.0, -1.0), (1.0, 0.0), (0.0, 1.0)])
def test_a_crop_enlarges_a_part_that_lies_inside_the_image(
    drawn: Drawn, noisy: MakeImage, padded: MakeBatch, image_in: ImageIn, place: tuple[float, float]
) -> None:
    """Half the side, nearest neighbours: each pixel of the part stands twice in either direction."""
    image = noisy(40, 24)
    left, top = ((1 + place[0]) / 2 * 12, (1 + place[1]) / 2 * 20)
    part = image[round(top) : round(top) + 20, round(left) : round(left) + 12]
    larger = moved(image, drawn(crop_sides=0.5, crop_places=place), padded, image_in, mode="nearest")
    np.testing.assert_array_equal(larger, part.repeat(2, axis=0).repeat(2, axis=1))


def test_masks_keep_their_values_and_move_as_their_images_do(
    drawn: Drawn, padded: MakeBatch, image_in: ImageIn
) -> None:
    mask = np.zeros((50, 60, 1), dtype=np.float32)
    mask[10:30, 20:45] = 7
    changes = drawn(angles_deg=20.0, magnifications=1.2, shifts=(0.1, -0.05), crop_sides=0.9)
    nearest = moved(mask, changes, padded, image_in, mode="nearest")
    blended = moved(mask, changes, padded, image_in)
    assert set(np.unique(nearest)) == {0, 7}
    clear = (blended < 1) | (blended > 6)
    assert clear.mean() > 0.9
    np.testing.assert_array_equal((blended > 3.5)[clear], (nearest > 3.5)[clear])


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=4),
    canvas=st.tuples(st.integers(40, 64), st.integers(40, 64)),
    angle=st.floats(-90, 90),
)
def test_an_image_is_moved_the_same_whatever_stands_beside_it(
    drawn: Drawn,
    smooth: MakeImage,
    padded: MakeBatch,
    image_in: ImageIn,
    sizes: list[tuple[int, int]],
    canvas: tuple[int, int],
    angle: float,
) -> None:
    images = [smooth(*size) for size in sizes]
    changes = drawn(len(images), angles_deg=angle, shifts=(0.2, 0.3))
    batch, heights, widths = padded(images, canvas_px=canvas)
    # A padding of ones must be as invisible as zeros.
    inside = inside_of(batch, heights, widths)
    batch = batch if inside is None else torch.where(inside > 0, batch, 1.0)
    together = resample(batch, heights, widths, reading_places(changes, heights, widths))
    for place, image in enumerate(images):
        alone, height, width = padded([image])
        one = drawn(angles_deg=angle, shifts=(0.2, 0.3))
        expected = resample(alone, height, width, reading_places(one, height, width))[0]
        found = image_in(together, place, *image.shape[:2])
        np.testing.assert_allclose(found, expected.permute(1, 2, 0).numpy(), atol=1e-5)


def test_the_mean_of_an_image_leaves_out_its_padding(noisy: MakeImage, padded: MakeBatch) -> None:
    images = [noisy(7, 9), noisy(20, 3)]
    batch, heights, widths = padded(images, canvas_px=CANVAS)
    expected = [image.mean(axis=(0, 1)) for image in images]
    np.testing.assert_allclose(area_means(batch, heights, widths).numpy(), expected, rtol=1e-5)


def test_inside_is_where_the_images_are_and_nothing_where_they_fill_the_canvas(padded: MakeBatch) -> None:
    ones = [np.ones((3, 5, 1), np.float32), np.ones((4, 2, 1), np.float32)]
    batch, heights, widths = padded(ones)
    inside = inside_of(batch, heights, widths)
    assert inside is not None
    assert torch.equal(inside, batch)
    assert inside_of(*padded([np.ones((3, 5, 1), np.float32)])) is None
