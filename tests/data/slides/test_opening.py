import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from radpath.data.slides.opening import open_slide, um_per_px_of
from radpath.data.slides.settings import SlideSettings
from radpath.errors import DataError, MissingExtraError

Pyramid = Callable[..., Path]
Drawn = Callable[..., np.ndarray]


def test_a_slide_says_its_levels_and_its_resolution(tmp_path: Path, pyramid: Pyramid, drawn: Drawn) -> None:
    slide = open_slide(pyramid(tmp_path / "a.tif", drawn(400, 300), um_per_px=(0.25, 0.25)))
    assert [(level.width_px, level.height_px, level.downsample) for level in slide.levels] == [
        (400, 300, 1.0),
        (200, 150, 2.0),
        (100, 75, 4.0),
    ]
    assert um_per_px_of(slide, SlideSettings(assumed_um_per_px=9.0)) == pytest.approx(0.25)


def test_a_region_has_the_pixels_of_its_level_wherever_it_begins(
    tmp_path: Path, pyramid: Pyramid, drawn: Drawn
) -> None:
    image = drawn(400, 300)
    slide = open_slide(pyramid(tmp_path / "a.tif", image))
    for index, downsample in enumerate((1, 2, 4)):
        region = slide.read(index, left_px=7, top_px=3, width_px=50, height_px=40)
        assert np.array_equal(region, image[::downsample, ::downsample][3:43, 7:57])


def test_what_lies_outside_the_slide_is_white(tmp_path: Path, pyramid: Pyramid) -> None:
    slide = open_slide(pyramid(tmp_path / "a.tif", np.zeros((100, 100, 3), dtype=np.uint8)))
    region = slide.read(0, left_px=90, top_px=0, width_px=20, height_px=5)
    assert (region[:, :10] == 0).all()
    assert (region[:, 10:] == 255).all()


def test_the_resolution_of_a_print_is_not_that_of_a_microscope(tmp_path: Path, pyramid: Pyramid, drawn: Drawn) -> None:
    dots_72_an_inch = 25_400 / 72
    slide = open_slide(pyramid(tmp_path / "a.tif", drawn(200, 200), um_per_px=(dots_72_an_inch, dots_72_an_inch)))
    with pytest.raises(DataError, match=r"^no resolution: .* set data\.slides\.assumed_um_per_px$"):
        um_per_px_of(slide, SlideSettings())
    assert um_per_px_of(slide, SlideSettings(assumed_um_per_px=0.5)) == 0.5


def test_a_slide_without_a_resolution_names_the_setting(tmp_path: Path, pyramid: Pyramid, drawn: Drawn) -> None:
    slide = open_slide(pyramid(tmp_path / "a.tif", drawn(200, 200), um_per_px=None))
    with pytest.raises(DataError, match=r"set data\.slides\.assumed_um_per_px$"):
        um_per_px_of(slide, SlideSettings())


def test_pixels_that_are_not_square_are_refused(tmp_path: Path, pyramid: Pyramid, drawn: Drawn) -> None:
    path = pyramid(tmp_path / "a.tif", drawn(200, 200), um_per_px=(0.5, 0.25))
    with pytest.raises(DataError, match=r"^pixels are not square: 0\.5 x 0\.25 um"):
        open_slide(path)


def test_a_file_that_is_no_slide_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.svs"
    path.write_bytes(b"no slide")
    with pytest.raises(DataError, match=r"^unsupported slide: OpenSlide does not know this format$"):
        open_slide(path)


def test_a_damaged_slide_is_refused_and_can_be_read_again_where_it_is_whole(
    tmp_path: Path, pyramid: Pyramid, drawn: Drawn
) -> None:
    path = pyramid(tmp_path / "a.tif", drawn(400, 300))
    whole = path.read_bytes()
    # The first level's tiles come first, the directories after them; tiles cut out of the middle cannot be read.
    os.truncate(path, len(whole) - 1000)
    with pytest.raises(DataError, match=r"^(truncated or damaged|unsupported slide): "):
        open_slide(path).read(2, left_px=0, top_px=0, width_px=100, height_px=75)
    path.write_bytes(whole)
    assert open_slide(path).read(2, left_px=0, top_px=0, width_px=9, height_px=9).shape == (9, 9, 3)


def test_a_slide_stays_open_until_its_file_changes(tmp_path: Path, pyramid: Pyramid, drawn: Drawn) -> None:
    path = pyramid(tmp_path / "a.tif", drawn(200, 200))
    slide = open_slide(path)
    assert open_slide(path) is slide
    pyramid(path, drawn(300, 200))
    assert open_slide(path).full.width_px == 300


def test_a_missing_library_names_the_extra(
    tmp_path: Path, pyramid: Pyramid, drawn: Drawn, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = pyramid(tmp_path / "a.tif", drawn(200, 200))
    monkeypatch.setitem(sys.modules, "openslide", None)
    with pytest.raises(MissingExtraError, match=r"run: pip install 'radpath\[slides\]'$"):
        open_slide(path)
