import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radpath.data.slides.grid import Patch, is_patch, starts
from radpath.errors import DataError


@settings(max_examples=50, deadline=None)
@given(length=st.integers(1, 3000), side=st.integers(1, 700), data=st.data())
def test_every_pixel_of_the_slide_is_in_a_patch_and_no_patch_leaves_a_slide_that_is_larger(
    length: int, side: int, data: st.DataObject
) -> None:
    stride = data.draw(st.integers(1, side))
    places = starts(length, side_px=side, stride_px=stride)
    covered = np.zeros(max(length, side), dtype=bool)
    for place in places:
        covered[place : place + side] = True
    assert covered[:length].all()
    assert places[0] == 0
    assert (np.diff(places) > 0).all()
    assert length < side or places[-1] + side == length


def test_patches_that_fit_exactly_are_not_moved() -> None:
    assert starts(900, side_px=300, stride_px=300).tolist() == [0, 300, 600]


@settings(max_examples=50, deadline=None)
@given(numbers=st.tuples(*[st.integers(0, 9_999_999)] * 2, *[st.integers(1, 99_999)] * 2))
def test_a_patch_is_found_again_by_its_name(numbers: tuple[int, int, int, int]) -> None:
    left, top, side, patch = numbers
    one = Patch(left_px=left, top_px=top, side_px=side, patch_px=patch)
    assert Patch.from_member(one.member) == one
    assert is_patch(one.member)


@settings(max_examples=50, deadline=None)
@given(places=st.lists(st.tuples(st.integers(0, 9_999_999), st.integers(0, 9_999_999)), min_size=2, max_size=8))
def test_names_sort_by_row_and_then_by_column(places: list[tuple[int, int]]) -> None:
    names = [Patch(left_px=left, top_px=top, side_px=64, patch_px=64).member for top, left in sorted(places)]
    assert names == sorted(names)


def test_what_is_no_name_of_a_patch_is_refused() -> None:
    with pytest.raises(
        DataError, match=r"^unknown member: 'patch\[3\]' is no patch of a slide; scan the images again$"
    ):
        Patch.from_member("patch[3]")
