import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops

from radpath.reporting.contact_sheet import contact_sheet, png_bytes

BACKGROUND = (0xF5, 0xF6, 0xF8)
LEFT = TOP = 13  # the gap and the frame


def noise(height: int, width: int, *channels: int) -> np.ndarray:
    return np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, *channels), dtype=np.uint8)


def test_every_pixel_of_a_tiny_image_becomes_a_sharp_square() -> None:
    image = noise(10, 20, 3)
    sheet = np.asarray(contact_sheet([[image]], cell_px=85))
    assert np.array_equal(sheet[TOP : TOP + 40, LEFT : LEFT + 80], image.repeat(4, axis=0).repeat(4, axis=1))


def test_an_image_that_fits_exactly_is_not_resampled() -> None:
    image = noise(30, 50)
    sheet = np.asarray(contact_sheet([[image]], cell_px=50))
    assert np.array_equal(sheet[TOP : TOP + 30, LEFT : LEFT + 50], np.stack([image] * 3, axis=2))


def test_a_large_image_is_reduced_and_keeps_its_mean_and_aspect_ratio() -> None:
    image = noise(400, 800)
    sheet = np.asarray(contact_sheet([[image]], cell_px=100)).astype(int)
    inside = sheet[TOP : TOP + 50, LEFT : LEFT + 100, 0]
    assert abs(inside.mean() - image.mean()) < 1.5
    assert inside.std() < image.std() / 4  # averaged, not picked: 64 pixels become one
    assert tuple(sheet[TOP + 52, LEFT]) == BACKGROUND


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.tuples(st.integers(1, 90), st.integers(1, 90)), max_size=3), min_size=1, max_size=3))
def test_images_never_overlap_and_never_leave_the_sheet(shapes: list[list[tuple[int, int]]]) -> None:
    if not any(shapes):
        return
    sheet = np.asarray(contact_sheet([[np.full(shape, 7, np.uint8) for shape in row] for row in shapes], cell_px=40))
    drawn = int((sheet == 7).all(axis=2).sum())
    assert drawn == sum(fitted_area(*shape) for row in shapes for shape in row)


def fitted_area(height: int, width: int) -> int:
    longest = max(height, width)
    if longest <= 40:
        return height * width * (40 // longest) ** 2
    return max(1, round(height * 40 / longest)) * max(1, round(width * 40 / longest))


def test_titles_and_captions_are_drawn_where_they_belong() -> None:
    rows = [[noise(40, 40)] * 2] * 2
    plain = contact_sheet(rows, cell_px=40)
    titled = contact_sheet(rows, column_titles=["a", "b"], row_titles=["c", "d"], cell_px=40)
    captioned = contact_sheet(rows, captions=[["a", "b"], ["c", "d"]], cell_px=40)
    assert titled.width == plain.width + 162
    assert titled.height == plain.height + 19
    assert captioned.size == (plain.width, plain.height + 2 * 19)
    below_the_first = captioned.crop((12, 54, 54, 73))
    assert is_written_on(below_the_first)
    assert is_written_on(titled.crop((0, 31, 160, 60)))
    assert is_written_on(titled.crop((174, 12, 214, 31)))


def is_written_on(part: Image.Image) -> bool:
    return ImageChops.difference(part, Image.new("RGB", part.size, BACKGROUND)).getbbox() is not None


def test_long_words_are_broken_and_cut_after_four_lines() -> None:
    one_line = contact_sheet([[noise(40, 40)]], captions=[["case"]], cell_px=40)
    endless = contact_sheet([[noise(40, 40)]], captions=[["case_" * 200]], cell_px=40)
    assert endless.size == (one_line.width, one_line.height + 3 * 19)
    assert not is_written_on(endless.crop((54, 0, *endless.size)))


def test_letters_of_other_languages_are_drawn_as_themselves() -> None:
    missing = np.asarray(contact_sheet([[noise(40, 40)]], captions=[["\U0010ffff"]], cell_px=40))
    for letter in "éµäßλж":
        assert not np.array_equal(
            np.asarray(contact_sheet([[noise(40, 40)]], captions=[[letter]], cell_px=40)), missing
        ), letter


def test_a_sheet_becomes_a_png_with_the_same_pixels() -> None:
    sheet = contact_sheet([[noise(9, 9, 3)]])
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png_bytes(sheet)))), np.asarray(sheet))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"column_titles": ["a", "b"]}, "2 column titles for 1 columns"),
        ({"row_titles": ["a", "b"]}, "2 row titles for 1 rows"),
        ({"captions": [["a"], ["b"]]}, "captions must be as many as images"),
    ],
)
def test_titles_for_another_number_of_images_are_refused(words: dict[str, list[str]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        contact_sheet([[noise(4, 4)]], **words)  # type: ignore[arg-type] # one of three options, each checked by name


def test_a_sheet_without_an_image_is_refused() -> None:
    with pytest.raises(ValueError, match="needs an image"):
        contact_sheet([[]])
