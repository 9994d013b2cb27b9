"""Padded batches: the right pixels in the right corner, the same for every epoch, batch and order."""

from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from radpath.data.augmentation.draws import draw_views
from radpath.data.augmentation.settings import AugmentationSettings, Flips
from radpath.data.augmentation.views import NUM_VIEWS
from radpath.data.batches import CANVAS_STEP_PX, UNLABELLED, BatchSettings, ImageSource
from radpath.data.pixel_store import PixelStore
from radpath.data.preparation import PixelSettings

FLIPS_ONLY: dict[str, Any] = {"rotation_deg": 0, "scale": 0, "shift": 0, "brightness": 0, "contrast": 0}
EVERYTHING = AugmentationSettings(flips="dihedral", rotation_deg=20, brightness=0.2, contrast=0.2)
SIZES = [(20, 50), (40, 33), (64, 64), (7, 90), (90, 7), (33, 33), (1, 1), (50, 20), (40, 40)]

few = settings(max_examples=25, deadline=None)


def noise_of(size: tuple[int, int], channels: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 256, (*size, channels), dtype=np.uint8)  # never zero, unlike padding


def store_of(sizes: list[tuple[int, int]], channels: int = 3) -> PixelStore:
    images = [noise_of(size, channels, seed) for seed, size in enumerate(sizes)]
    return PixelStore.of_images([f"{number}.png" for number in range(len(sizes))], images)


def source_of(
    sizes: list[tuple[int, int]] = SIZES,
    *,
    size: Literal["fixed", "native"] = "native",
    batch_size: int = 4,
    max_megapixels: float = 16.0,
    **rest: Any,
) -> ImageSource:
    return ImageSource(
        store=store_of(sizes),
        rows=rest.pop("rows", np.arange(len(sizes))),
        labels=rest.pop("labels", np.arange(len(sizes)) % 3),
        pixels=PixelSettings(size=size, size_px=96),
        batches=BatchSettings(size=batch_size, max_megapixels=max_megapixels),
        **rest,
    )


def canvas_of(sizes: list[tuple[int, int]]) -> tuple[int, int]:
    height, width = (max(side) for side in zip(*sizes, strict=True))
    return -(-height // 32) * 32, -(-width // 32) * 32


@few
@given(positions=st.lists(st.integers(0, len(SIZES) - 1), min_size=1, max_size=6))
def test_images_stand_in_the_top_left_corner_and_zeros_elsewhere(positions: list[int]) -> None:
    batch = source_of().assemble(np.array(positions))
    assert batch.images.shape == (len(positions), 3, *canvas_of([SIZES[p] for p in positions]))
    for place, position in enumerate(positions):
        height, width = SIZES[position]
        assert (int(batch.heights_px[place]), int(batch.widths_px[place])) == (height, width)
        expected = noise_of((height, width), 3, position).transpose(2, 0, 1).astype(np.float32) / 255
        np.testing.assert_array_equal(batch.images[place, :, :height, :width].numpy(), expected)
        assert int((batch.images[place] > 0).sum()) == 3 * height * width
    assert batch.labels.tolist() == [position % 3 for position in positions]
    assert batch.positions.tolist() == positions


def test_rows_choose_images_of_the_store_and_labels_go_with_them() -> None:
    source = source_of(rows=np.array([4, 1]), labels=np.array([UNLABELLED, 7]))
    assert len(source) == 2
    assert source.heights_px.tolist() == [90, 40]
    assert source.widths_px.tolist() == [7, 33]
    batch = source.assemble(np.array([1, 0]))
    assert (batch.heights_px.tolist(), batch.labels.tolist()) == ([40, 90], [7, -1])


def test_a_fixed_size_has_one_canvas_whatever_the_images() -> None:
    source = source_of(SIZES, size="fixed")
    for batch in source.in_order():
        assert source.assemble(batch).images.shape[2:] == (96, 96)


def test_a_network_that_needs_more_gets_a_larger_canvas() -> None:
    assert source_of(smallest_canvas_px=96).assemble(np.array([6])).images.shape == (1, 3, 96, 96)
    assert CANVAS_STEP_PX == 32


@pytest.mark.parametrize("size", ["fixed", "native"])
def test_evaluation_sees_every_image_once_and_always_in_the_same_batches(size: Literal["fixed", "native"]) -> None:
    source = source_of(size=size)
    first, second = source.in_order(), source.in_order()
    assert [batch.tolist() for batch in first] == [batch.tolist() for batch in second]
    assert sorted(np.concatenate(first).tolist()) == list(range(len(SIZES)))


@pytest.mark.parametrize("size", ["fixed", "native"])
def test_training_sees_every_image_once_in_other_batches_each_epoch(size: Literal["fixed", "native"]) -> None:
    source = source_of(SIZES * 4, size=size)
    epochs = [[batch.tolist() for batch in source.shuffled(seed=1, epoch=epoch)] for epoch in (1, 2, 1)]
    for batches in epochs:
        assert sorted(position for batch in batches for position in batch) == list(range(len(source)))
        assert all(2 <= len(batch) <= 4 for batch in batches)
    assert epochs[0] == epochs[2]
    assert {frozenset(batch) for batch in epochs[0]} != {frozenset(batch) for batch in epochs[1]}
    assert epochs[0] != [batch.tolist() for batch in source.shuffled(seed=2, epoch=1)]


@few
@given(
    sizes=st.lists(st.tuples(st.integers(1, 200), st.integers(1, 200)), min_size=1, max_size=30),
    max_megapixels=st.floats(0.001, 0.3),
)
def test_no_canvas_exceeds_the_limit_of_memory(sizes: list[tuple[int, int]], max_megapixels: float) -> None:
    source = source_of(sizes, max_megapixels=max_megapixels)
    for positions in (*source.in_order(), *source.shuffled(seed=0, epoch=1)):
        images = source.assemble(positions).images
        assert len(images) == 1 or images[:, 0].numel() <= max_megapixels * 1e6 + 1


@pytest.mark.parametrize("image", [(33, 64), (64, 33), (33, 33)])
def test_the_canvas_counts_and_not_the_images_alone(image: tuple[int, int]) -> None:
    source = source_of([image] * 8, max_megapixels=3 * 64 * 64 / 1e6)
    assert [len(batch) for batch in source.in_order()] == [3, 3, 2]


@pytest.mark.parametrize("size", ["fixed", "native"])
def test_the_padded_share_is_that_of_the_batches_of_evaluation(size: Literal["fixed", "native"]) -> None:
    source = source_of(size=size)
    batches = [source.assemble(positions) for positions in source.in_order()]
    filled = sum(int((batch.images[:, 0] > 0).sum()) for batch in batches)
    total = sum(batch.images[:, 0].numel() for batch in batches)
    assert source.padded_share() == pytest.approx(1 - filled / total)


def test_no_images_have_no_batches_and_no_padding() -> None:
    source = source_of(rows=np.array([], dtype=np.int64), labels=np.array([], dtype=np.int64))
    assert source.in_order() == []
    assert source.padded_share() == 0


@few
@given(
    batch=st.lists(st.integers(0, len(SIZES) - 1), min_size=1, max_size=5, unique=True),
    seed=st.integers(0, 5),
    epoch=st.integers(1, 5),
)
def test_what_is_drawn_for_an_image_depends_on_seed_epoch_and_image_only(
    batch: list[int], seed: int, epoch: int
) -> None:
    source = source_of()
    together = source.assemble_augmented(np.array(batch), EVERYTHING, seed=seed, epoch=epoch)
    for place, position in enumerate(batch):
        alone = source.assemble_augmented(np.array([position]), EVERYTHING, seed=seed, epoch=epoch)
        height, width = int(alone.heights_px[0]), int(alone.widths_px[0])
        assert (int(together.heights_px[place]), int(together.widths_px[place])) == (height, width)
        found, expected = together.images[place, :, :height, :width], alone.images[0, :, :height, :width]
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_seeds_epochs_and_images_draw_differently() -> None:
    source = source_of([(40, 40)] * 3)
    source = source_of([(40, 40)] * 3, rows=np.array([0, 0]), labels=np.array([0, 0]))
    drawn = [
        source.assemble_augmented(np.array([position]), EVERYTHING, seed=seed, epoch=epoch).images.numpy().tobytes()
        for seed, epoch, position in [(0, 1, 0), (1, 1, 0), (0, 2, 0), (0, 1, 1)]
    ]
    assert len(set(drawn)) == 4


@pytest.mark.parametrize("flips", NUM_VIEWS)
def test_the_drawn_views_are_those_that_augmentation_makes(flips: Flips) -> None:
    """Cached features stand on this: looking a view up must equal making it."""
    source = source_of(SIZES, size="fixed")
    settings = AugmentationSettings(flips=flips, **FLIPS_ONLY)
    seen = set()
    for epoch in range(1, 6):
        for positions in source.shuffled(seed=3, epoch=epoch):
            views = draw_views(positions, settings, seed=3, epoch=epoch)
            slow = source.assemble_augmented(positions, settings, seed=3, epoch=epoch)
            for place, (position, view) in enumerate(zip(positions, views, strict=True)):
                fast = source.assemble(np.array([position]), view=int(view))
                assert torch.equal(fast.images[0], slow.images[place])
                assert torch.equal(fast.heights_px[0], slow.heights_px[place])
                seen.add(int(view))
    assert seen == set(range(NUM_VIEWS[flips]))


def test_a_quarter_turn_swaps_the_sides_of_the_valid_area() -> None:
    batch = source_of().assemble(np.array([0]), view=2)
    assert (int(batch.heights_px[0]), int(batch.widths_px[0])) == (50, 20)
    assert batch.images.shape == (1, 3, 64, 32)


def test_a_grey_store_makes_batches_of_one_channel() -> None:
    source = ImageSource(
        store=store_of(SIZES, channels=1),
        rows=np.arange(3),
        labels=np.zeros(3, dtype=np.int64),
        pixels=PixelSettings(size="native", channels="grey"),
        batches=BatchSettings(),
    )
    assert source.assemble(np.arange(3)).images.shape[1] == 1
