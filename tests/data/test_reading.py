"""Reading a record's pixels, wherever they are."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from radpath.data import reading
from radpath.data.inputs import DataSettings
from radpath.data.reading import patiently, read_image
from radpath.errors import DataError


def failing(*errors: OSError) -> Callable[[], str]:
    """Raises each error once, then answers."""
    waiting = list(errors)

    def read() -> str:
        if waiting:
            raise waiting.pop(0)
        return "content"

    return read


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PAUSES_S", (0.0, 0.0))


def test_an_image_file_and_a_member_of_an_array_file_are_read_alike(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "1.png")
    np.savez(tmp_path / "cells.npz", allow_pickle=False, train_images=pixels[np.newaxis])
    for path, member in (("1.png", ""), ("cells.npz", "train_images[0]")):
        image = read_image(tmp_path, path, member, DataSettings(images=tmp_path, max_pixels=20))
        np.testing.assert_array_equal(image, pixels)


def test_an_image_over_the_pixel_limit_is_refused(tmp_path: Path) -> None:
    Image.new("L", (5, 4)).save(tmp_path / "1.png")
    with pytest.raises(DataError, match=r"^over the pixel limit"):
        read_image(tmp_path, "1.png", "", DataSettings(images=tmp_path, max_pixels=19))


def test_a_failure_that_passes_is_waited_for() -> None:
    assert patiently(failing(OSError(5, "Input/output error"), TimeoutError(110, "timed out"))) == "content"


def test_a_failure_that_stays_is_raised() -> None:
    with pytest.raises(OSError, match="third"):
        patiently(failing(*(OSError(5, text) for text in ("first", "second", "third"))))


@pytest.mark.parametrize("kind", [FileNotFoundError, PermissionError, IsADirectoryError])
def test_a_failure_that_cannot_pass_is_raised_at_once(kind: type[OSError]) -> None:
    with pytest.raises(kind, match="first"):
        patiently(failing(kind(2, "first"), kind(2, "second")))


def test_a_page_of_a_tiff_is_read_by_its_name(tmp_path: Path) -> None:
    pages = np.random.default_rng(1).integers(0, 256, (3, 4, 5), dtype=np.uint8)
    first, *others = (Image.fromarray(page) for page in pages)
    first.save(tmp_path / "1.tif", save_all=True, append_images=others)
    settings = DataSettings(images=tmp_path)
    for index, page in enumerate(pages):
        np.testing.assert_array_equal(read_image(tmp_path, "1.tif", f"page[{index}]", settings), page)
