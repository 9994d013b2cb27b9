"""Tests of the search for near duplicates."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from radpath.data.audit import near
from radpath.data.audit.near import descriptors, find_near_pairs
from radpath.data.audit.signature import signature_of

Draw = Callable[..., np.ndarray]


def thumbnails(*images: np.ndarray) -> np.ndarray:
    return np.stack([signature_of(image).thumbnail for image in images])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 3), st.booleans())
def test_a_descriptor_does_not_change_with_flips_and_quarter_turns(seed: int, quarters: int, is_flipped: bool) -> None:  # noqa: FBT001 - hypothesis draws it
    picture = np.random.default_rng(seed).integers(0, 256, (1, 32, 32)).astype(np.uint8)
    turned = np.rot90(picture[0], quarters)[None]
    turned = turned[:, :, ::-1] if is_flipped else turned
    np.testing.assert_allclose(descriptors(picture), descriptors(np.ascontiguousarray(turned)), atol=1e-5)


def test_planted_copies_are_found_and_nothing_else(draw_texture: Draw) -> None:
    images = [draw_texture(seed, side_px=96) for seed in range(40)]
    copies = [images[3][::-1], images[7][4:, 4:], (images[11] * 0.8 + 20).astype(np.uint8), np.rot90(images[15])]
    pairs = find_near_pairs(thumbnails(*images, *copies))
    assert {tuple(pair) for pair in pairs.places.tolist()} == {(3, 40), (7, 41), (11, 42), (15, 43)}
    assert (np.diff(pairs.similarity) <= 0).all()
    assert pairs.num_skipped == 0


def test_a_limit_keeps_the_most_similar_candidates(draw_texture: Draw) -> None:
    images = [draw_texture(seed) for seed in range(30)]
    pairs = find_near_pairs(thumbnails(*images, images[5][:, ::-1]), most_pairs=1)
    assert pairs.places.tolist() == [[5, 30]]
    assert pairs.num_compared == 1
    assert pairs.num_skipped > 0


def test_blocks_find_what_one_block_finds(draw_texture: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = thumbnails(*map(draw_texture, range(70)), draw_texture(9)[::-1])
    whole = find_near_pairs(pictures)
    monkeypatch.setattr(near, "_ROWS_AT_ONCE", 16)
    monkeypatch.setattr(near, "_COLUMNS_AT_ONCE", 64)
    np.testing.assert_array_equal(find_near_pairs(pictures).places, whole.places)


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_few_images_are_no_problem(draw_texture: Draw, number: int) -> None:
    pictures = np.zeros((0, 32, 32), np.uint8) if number == 0 else thumbnails(*map(draw_texture, range(number)))
    assert len(find_near_pairs(pictures).places) == 0


def test_constant_images_are_no_near_duplicates() -> None:
    constant = np.zeros((20, 32, 32), np.uint8)
    assert len(find_near_pairs(constant).places) == 0


def test_other_threads_keep_their_number_of_workers(draw_texture: Draw) -> None:
    before = torch.get_num_threads()
    find_near_pairs(thumbnails(*map(draw_texture, range(4))))
    with ThreadPoolExecutor(1) as pool:
        assert [torch.get_num_threads(), pool.submit(torch.get_num_threads).result()] == [before, before]


def test_what_all_images_share_makes_no_near_duplicates(draw_texture: Draw) -> None:
    row, column = np.mgrid[:64, :64] - 31.5
    is_inside = np.hypot(row, column) < 28  # the round field of an eye's photograph, with a little inside
    images = [np.where(is_inside, 150 + draw_texture(seed) // 12, 0).astype(np.uint8) for seed in range(60)]
    images.append(images[4][:, ::-1].copy())
    assert find_near_pairs(thumbnails(*images)).places.tolist() == [[4, 60]]


def test_nearest_neighbours_are_those_of_all_products() -> None:
    vectors = np.random.default_rng(0).normal(size=(700, 20)).astype(np.float32)
    found = [np.concatenate(parts) for parts in zip(*near._neighbours(vectors, vectors), strict=True)]
    products = vectors @ vectors.T
    np.fill_diagonal(products, -np.inf)
    expected = np.argsort(-products, axis=1)[:, :3]
    np.testing.assert_array_equal(found[0], np.repeat(np.arange(700), 3))
    np.testing.assert_array_equal(found[1].reshape(700, 3), expected)
    np.testing.assert_allclose(found[2].reshape(700, 3), np.take_along_axis(products, expected, axis=1), rtol=1e-5)
