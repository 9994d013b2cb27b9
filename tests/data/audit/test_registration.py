"""Tests of the comparison of two tiny pictures."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import ndimage

from radpath.data.audit.registration import detail_agreement, own_detail
from radpath.data.audit.signature import signature_of

Draw = Callable[..., np.ndarray]


def thumbnails(*images: np.ndarray) -> np.ndarray:
    return np.stack([signature_of(image).thumbnail for image in images])


@pytest.mark.parametrize("angle", [2, 5, 10])
def test_a_turned_copy_agrees(draw_texture: Draw, angle: int) -> None:
    original = draw_texture(1, side_px=96)
    turned = ndimage.rotate(original.astype(float), angle, reshape=False, order=1, mode="nearest").astype(np.uint8)
    assert detail_agreement(thumbnails(original), thumbnails(turned))[0] > 0.9


@pytest.mark.parametrize("share", [0.95, 0.9])
def test_a_cropped_copy_agrees(draw_texture: Draw, share: float) -> None:
    original = draw_texture(2, side_px=96)
    kept_px = round(96 * share)
    assert detail_agreement(thumbnails(original), thumbnails(original[:kept_px, -kept_px:]))[0] > 0.9


def test_every_flip_and_quarter_turn_agrees(draw_texture: Draw) -> None:
    original = draw_texture(3)
    turned = [np.rot90(original, quarters) for quarters in range(4)]
    turned += [image[:, ::-1] for image in turned]
    agreement = detail_agreement(thumbnails(*[original] * 8), thumbnails(*turned))
    assert agreement.min() > 0.99


def test_other_images_of_the_same_kind_do_not_agree(draw_texture: Draw) -> None:
    first = thumbnails(*(draw_texture(seed) for seed in range(60)))
    second = thumbnails(*(draw_texture(seed) for seed in range(100, 160)))
    assert detail_agreement(first, second).max() < 0.8


def test_a_constant_image_agrees_with_nothing(draw_texture: Draw) -> None:
    constant, other = thumbnails(np.full((40, 40), 7, np.uint8)), thumbnails(draw_texture(0))
    assert detail_agreement(constant, constant)[0] <= 0
    assert detail_agreement(constant, other)[0] <= 0


def test_agreement_does_not_depend_on_the_other_pairs(draw_texture: Draw) -> None:
    first, second = thumbnails(*map(draw_texture, range(5))), thumbnails(*map(draw_texture, range(1, 6)))
    together = detail_agreement(first, second)
    alone = np.concatenate([detail_agreement(first[i : i + 1], second[i : i + 1]) for i in range(5)])
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_detail_that_all_pictures_have_is_not_their_own(draw_texture: Draw) -> None:
    images = np.stack([draw_texture(seed) for seed in range(60)])
    images[:, 20:24] = np.where(np.arange(64) % 8 < 4, 255, 0)
    share = own_detail(thumbnails(*images))
    assert share[10:12].mean() < 0.3
    assert share[20:].mean() > 0.8
