"""Names of exported files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radpath.recipes.export import _free_name


@pytest.mark.parametrize(
    ("record_id", "label", "side", "name"),
    [
        ("b/c.png", "x", "train", "training/x/c.png"),
        ("c.tif", "x", None, "x/c.png"),
        ("stack.tif#page[3]", None, None, "page[3].png"),
        ("a.npz#train_images[12]", "0", "validation", "validation/0/train_images[12].png"),
        ("c.tif", "a/b: ?", "test", "test/a_b_ _/c.png"),
    ],
)
def test_a_name_tells_side_class_and_image(record_id: str, label: str | None, side: str | None, name: str) -> None:
    assert _free_name(record_id, label, side, set()) == name


@given(st.lists(st.text(min_size=1, max_size=4), min_size=1, max_size=30))
def test_no_two_images_get_the_same_name(record_ids: list[str]) -> None:
    taken: set[str] = set()
    names = [_free_name(record_id, "x", "train", taken).casefold() for record_id in record_ids]
    assert len(set(names)) == len(names)
