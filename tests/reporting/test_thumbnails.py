import base64
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from radpath.reporting.thumbnails import data_uri, is_lossless, thumbnail


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.booleans())
def test_a_thumbnail_fits_keeps_its_kind_and_is_never_enlarged(height: int, width: int, is_colour: bool) -> None:  # noqa: FBT001 - hypothesis passes it
    shape = (height, width, 3) if is_colour else (height, width)
    picture = Image.open(io.BytesIO(thumbnail(np.full(shape, 90, np.uint8), max_side_px=80)))
    assert picture.mode == ("RGB" if is_colour else "L")
    assert picture.width <= min(80, max(1, width))
    assert picture.height <= min(80, max(1, height))


def test_the_aspect_ratio_is_kept() -> None:
    assert Image.open(io.BytesIO(thumbnail(np.zeros((100, 400, 3), np.uint8)))).size == (112, 28)


def test_a_tiny_image_keeps_every_pixel() -> None:
    image = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
    picture = thumbnail(image)
    assert is_lossless(picture)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(picture))), image)


@pytest.mark.parametrize(("side_px", "kind"), [(28, "png"), (300, "jpeg")])
def test_the_address_holds_the_picture_itself(side_px: int, kind: str) -> None:
    picture = thumbnail(np.zeros((side_px, side_px), np.uint8))
    head, _, body = data_uri(picture).partition(",")
    assert head == f"data:image/{kind};base64"
    assert base64.b64decode(body) == picture
