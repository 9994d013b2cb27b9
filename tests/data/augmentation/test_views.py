"""The eight views are the flips and quarter turns, exactly."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from radpath.data.augmentation.views import NUM_VIEWS, view_of


def noise(height: int, width: int, channels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


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
    image = noise(5, 5, 3)
    assert len({np.ascontiguousarray(view_of(image, view)).tobytes() for view in range(8)}) == 8


def test_a_mask_without_channels_has_the_views_of_its_image() -> None:
    image = noise(4, 6, 1)
    for view in range(8):
        assert np.array_equal(view_of(image[:, :, 0], view), view_of(image, view)[:, :, 0])
