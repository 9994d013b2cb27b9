from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from radpath.data.slides.grid import Patch
from radpath.data.slides.opening import open_slide
from radpath.data.slides.patches import patch_size, read_patch, read_whole
from radpath.data.slides.settings import SlideSettings
from radpath.errors import DataError

Pyramid = Callable[..., Path]
Drawn = Callable[..., np.ndarray]


@pytest.fixture
def image(drawn: Drawn) -> np.ndarray:
    return drawn(640, 480)


@pytest.fixture
def slide(tmp_path: Path, pyramid: Pyramid, image: np.ndarray) -> Path:
    return pyramid(tmp_path / "a.tif", image, um_per_px=(0.5, 0.5))


def scaled(image: np.ndarray, side_px: int) -> np.ndarray:
    return np.array(Image.fromarray(image).resize((side_px, side_px), Image.Resampling.BICUBIC)).astype(int)


def member(left: int, top: int, side: int, patch: int) -> str:
    return Patch(left_px=left, top_px=top, side_px=side, patch_px=patch).member


@pytest.mark.parametrize(
    ("wanted", "side", "stride", "got"),
    [
        (0.5, 64, 48, 0.5),
        (1.0, 128, 96, 1.0),
        (0.505, 64, 48, 0.5),  # near enough to the full slide
        (0.495, 64, 48, 0.5),  # as near from below
        (1.5, 192, 144, 1.5),  # between two levels
        (0.8, 102, 77, 0.796875),  # 102.4 px: whole pixels of the full slide
    ],
)
def test_a_patch_measures_what_was_asked_for(slide: Path, wanted: float, side: int, stride: int, got: float) -> None:
    settings = SlideSettings(patch_px=64, overlap_px=16, um_per_px=wanted)
    size = patch_size(open_slide(slide), settings, um_per_px=0.5)
    assert (size.side_px, size.stride_px) == (side, stride)
    assert size.um_per_px == pytest.approx(got)


def test_detail_that_the_slide_does_not_hold_is_refused(slide: Path) -> None:
    with pytest.raises(DataError, match=r"^too coarse: the slide has 0\.5 um/px, and data\.slides\.um_per_px = 0\.25"):
        patch_size(open_slide(slide), SlideSettings(um_per_px=0.25), um_per_px=0.5)


@pytest.mark.parametrize("downsample", [1, 2, 4])
def test_a_patch_at_the_resolution_of_a_level_is_that_level_unchanged(
    slide: Path, image: np.ndarray, downsample: int
) -> None:
    patch = read_patch(slide, member(64, 32, 64 * downsample, 64))
    level = image[::downsample, ::downsample]
    left, top = 64 // downsample, 32 // downsample
    assert np.array_equal(patch, level[top : top + 64, left : left + 64])


def test_a_patch_between_two_levels_comes_from_the_finer_one_antialiased(slide: Path, image: np.ndarray) -> None:
    patch = read_patch(slide, member(96, 64, 192, 64))  # three pixels of the slide each; levels have 1, 2 and 4
    finer = image[::2, ::2][32 : 32 + 96, 48 : 48 + 96]
    assert np.abs(patch - scaled(finer, 64)).max() <= 1


def test_a_patch_far_coarser_than_the_slide_is_read_in_parts_and_nearly_the_same(
    tmp_path: Path, pyramid: Pyramid, image: np.ndarray
) -> None:
    slide = pyramid(tmp_path / "flat.tif", image, downsamples=(1,))
    patch = read_patch(slide, member(32, 0, 320, 16))
    assert np.abs(patch - scaled(image[:320, 32:352], 16)).max() <= 2


def test_a_slide_smaller_than_a_patch_is_laid_on_glass(tmp_path: Path, pyramid: Pyramid) -> None:
    slide = pyramid(tmp_path / "a.tif", np.zeros((40, 100, 3), dtype=np.uint8), downsamples=(1,))
    patch = read_patch(slide, member(0, 0, 64, 64))
    assert (patch[:40] == 0).all()
    assert (patch[40:] == 255).all()


def test_the_last_patch_ends_with_the_slide_at_every_level(slide: Path, image: np.ndarray) -> None:
    side = 4 * 64
    patch = read_patch(slide, member(640 - side - 1, 480 - side - 1, side, 64))  # no place of the coarsest level
    assert np.array_equal(patch, image[::4, ::4][-64:, -64:])


def test_a_small_slide_is_read_whole(slide: Path, image: np.ndarray) -> None:
    assert np.array_equal(read_whole(slide, max_pixels=640 * 480), image)
    with pytest.raises(DataError, match=r"^over the pixel limit: 640 x 480 px are more than 307199$"):
        read_whole(slide, max_pixels=640 * 480 - 1)


def test_a_real_slide_is_read_as_openslide_and_pillow_would(real_slide: Path) -> None:
    own = read_patch(real_slide, member(1000, 900, 448, 224))
    full = open_slide(real_slide).handle.read_region((1000, 900), 0, (448, 448)).convert("RGB")
    assert np.abs(own - scaled(np.array(full), 224)).max() <= 2
