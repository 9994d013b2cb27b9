import dataclasses

import numpy as np
import pytest
import torch

from radpath.data.batches import BatchSettings, ImageSource
from radpath.data.corruptions import CORRUPTIONS, corrupt
from radpath.data.intensity import Intensity
from radpath.data.pixel_store import PixelStore
from radpath.data.preparation import PixelSettings
from radpath.data.spoiling import portions_to_spoil, spoil
from radpath.seeding import generator_for

NOTHING = dataclasses.replace(CORRUPTIONS["contrast"], levels=(1.0,))
"""A corruption that changes nothing."""


def a_source(channels: int = 3, *, rule: str = "full") -> ImageSource:
    generator = np.random.default_rng(0)
    sizes = [(20, 30), (31, 17), (24, 24), (9, 40)]
    images = [generator.integers(20, 220, (*size, channels)).astype(np.uint8) for size in sizes]
    pixels = PixelSettings.model_validate({"size": "native", "channels": "grey" if channels == 1 else "rgb"})
    return ImageSource(
        store=PixelStore.of_images(list("abcd"), images),
        rows=np.array([3, 1, 0, 2]),
        labels=np.array([0, 1, 0, 1]),
        pixels=pixels,
        batches=BatchSettings(size=4),
        intensity=Intensity(rule=rule),  # type: ignore[arg-type] # one of its names
    )


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("rule", ["full", "minmax", "zscore"])
def test_what_changes_nothing_gives_the_batches_of_the_images_as_they_are(channels: int, rule: str) -> None:
    source = a_source(channels, rule=rule)
    same = spoil(source, np.arange(4), NOTHING, 1, seed=0)
    for view in range(8):
        before, after = (one.assemble(np.arange(4), view=view) for one in (source, same))
        assert torch.equal(before.heights_px, after.heights_px)
        assert torch.equal(before.labels, after.labels)
        assert torch.allclose(before.images, after.images, atol=2e-4)


def test_a_spoilt_image_is_its_own_corruption_and_padding_stays_zero() -> None:
    source, kind = a_source(), CORRUPTIONS["noise"]
    batch = spoil(source, np.arange(4), kind, 4, seed=7).assemble(np.arange(4))
    for place, record in enumerate("dbac"):
        image = source.store.image(int(source.rows[place])).astype(np.float32) / 255
        expected = corrupt(image, kind, 4, generator_for(7, "corruption", "noise", record))
        height, width = image.shape[:2]
        found = batch.images[place].permute(1, 2, 0).numpy()
        assert np.allclose(found[:height, :width], expected, atol=1e-4)
        assert not found[height:].any()
        assert not found[:, width:].any()


def test_what_is_drawn_for_an_image_depends_on_no_other() -> None:
    source, kind = a_source(), CORRUPTIONS["rotation"]
    together = spoil(source, np.arange(4), kind, 3, seed=1)
    alone = spoil(source, np.array([2]), kind, 3, seed=1)
    assert np.array_equal(together.store.image(2), alone.store.image(0))
    other = spoil(source, np.arange(4), CORRUPTIONS["noise"], 3, seed=2)
    again = spoil(source, np.arange(4), CORRUPTIONS["noise"], 3, seed=1)
    assert not np.array_equal(other.store.image(0), again.store.image(0))


def test_portions_hold_every_image_once_and_large_images_come_few_at_a_time() -> None:
    source = a_source()
    assert np.concatenate(portions_to_spoil(source)).tolist() == [0, 1, 2, 3]
    large = dataclasses.replace(
        source,
        store=dataclasses.replace(
            source.store, heights_px=np.full(4, 4000, dtype=np.int64), widths_px=np.full(4, 4000, dtype=np.int64)
        ),
    )
    assert [len(portion) for portion in portions_to_spoil(large)] == [1, 1, 1, 1]
