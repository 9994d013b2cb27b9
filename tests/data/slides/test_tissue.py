import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import skimage.color
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from radpath.data.slides import tissue
from radpath.data.slides.opening import open_slide
from radpath.data.slides.settings import TissueMethod
from radpath.data.slides.tissue import TissueMask, cell_means, find_tissue, tissue_scores, tissue_threshold
from radpath.errors import MissingExtraError

Pyramid = Callable[..., Path]
Drawn = Callable[..., np.ndarray]
METHODS: tuple[TissueMethod, ...] = ("saturation", "grey", "hed")
TISSUE, GLASS = (170, 90, 160), (246, 246, 245)


def share_of(image: np.ndarray, method: TissueMethod, *, cell_px: int = 16) -> float:
    scores = tissue_scores(cell_means(image, cell_px), method)
    return float((scores > tissue_threshold(scores, method)).mean())


@pytest.mark.parametrize("method", METHODS)
def test_tissue_is_found_where_it_was_drawn(
    tmp_path: Path, pyramid: Pyramid, drawn: Drawn, method: TissueMethod
) -> None:
    image = drawn(640, 480)
    mask = find_tissue(open_slide(pyramid(tmp_path / "a.tif", image)), um_per_px=0.5, method=method)
    part = cell_means(((image[:, :, 1:2] < 150) * np.full(3, 100)).astype(np.uint8), 16)[:, :, 0]  # in percent
    assert (mask.cells.shape, mask.cell_px) == (part.shape, 16.0)
    assert mask.cells[part == 100].all()
    assert not mask.cells[part == 0].any()
    assert ((part > 0) & (part < 100)).mean() < 0.2  # what is both may be taken for either


@pytest.mark.parametrize("method", METHODS)
def test_blank_glass_has_no_tissue_and_a_field_of_tissue_no_glass(method: TissueMethod) -> None:
    noise = np.random.default_rng(0).integers(-6, 7, (320, 320, 3))
    assert share_of((np.array(GLASS) + noise).astype(np.uint8), method) == 0
    assert share_of((np.array(TISSUE) + noise).astype(np.uint8), method) == 1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [0, 128, 255])
def test_one_colour_everywhere_has_a_threshold(method: TissueMethod, value: int) -> None:
    assert share_of(np.full((32, 32, 3), value, dtype=np.uint8), method) in (0.0, 1.0)


def test_the_stain_transform_is_the_one_that_the_threshold_was_chosen_for() -> None:
    colours = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.float64)
    third = (-np.log10(colours / 255 + 2) @ skimage.color.hed_from_rgb)[:, :, 2]
    scores = tissue_scores(colours, "hed")
    is_tissue = scores > tissue_threshold(scores, "hed")
    clear = np.abs(third - -0.41) > 0.001  # scores are rounded to 0.001
    assert np.array_equal(is_tissue[clear], third[clear] > -0.41)


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_the_share_of_tissue_in_a_square_is_exact(data: st.DataObject) -> None:
    rows, columns = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 6))
    cell, side = data.draw(st.integers(1, 7)), data.draw(st.integers(1, 20))
    cells = np.random.default_rng(data.draw(st.integers(0, 99))).random((rows, columns)) < 0.5
    mask = TissueMask(cells=cells, cell_px=float(cell), width_px=columns * cell, height_px=rows * cell)
    tops, lefts = np.arange(rows * cell), np.arange(columns * cell)
    pixels = np.zeros((rows * cell + side, columns * cell + side))
    pixels[: rows * cell, : columns * cell] = np.kron(cells, np.ones((cell, cell)))
    brute = [[pixels[top : top + side, left : left + side].mean() for left in lefts] for top in tops]
    np.testing.assert_allclose(mask.shares(tops, lefts, side_px=side), brute, atol=1e-9)


def test_the_mask_does_not_depend_on_the_blocks_it_is_read_in(
    tmp_path: Path, pyramid: Pyramid, drawn: Drawn, monkeypatch: pytest.MonkeyPatch
) -> None:
    slide = open_slide(pyramid(tmp_path / "a.tif", drawn(333, 251), downsamples=(1,)))
    at_once = find_tissue(slide, um_per_px=0.5, method="saturation")
    monkeypatch.setattr(tissue, "_BLOCK_PX", 50)
    in_blocks = find_tissue(slide, um_per_px=0.5, method="saturation")
    assert np.array_equal(at_once.cells, in_blocks.cells)


def test_a_mask_never_has_more_cells_than_it_may(
    tmp_path: Path, pyramid: Pyramid, drawn: Drawn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tissue, "_MOST_CELLS", 10)
    slide = open_slide(pyramid(tmp_path / "a.tif", drawn(400, 300), downsamples=(1,)))
    mask = find_tissue(slide, um_per_px=0.5, method="grey")
    assert mask.cells.shape == (8, 10)
    assert mask.cell_px == 40.0


def test_means_of_cells_repeat_the_edge() -> None:
    region = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)
    padded = np.concatenate([region, region[-1:]], axis=0)
    expected = padded.reshape(3, 2, 2, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(cell_means(region, 2), expected)


def test_missing_scikit_image_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage.filters", None)
    with pytest.raises(MissingExtraError, match=r"run: pip install 'radpath\[slides\]'$"):
        tissue_threshold(np.zeros((2, 2), dtype=np.uint8), "grey")


@pytest.mark.parametrize("method", METHODS)
def test_real_tiles_of_glass_and_of_tissue_are_told_apart(shared_data: Path, method: TissueMethod) -> None:
    folder = shared_data / "histology_tiles"
    glass = ("no-tissue.png", "no-tissue2.png", "almost-white-1.png", "almost-white-2.png", "almost-white-ihc.png")
    full = ("high-nuclei-score-level0.png", "medium-nuclei-score-level1-2.png", "very-low-nuclei-score-level0.png")
    for name in glass:
        assert share_of(rgb(folder / name), method) <= 0.11, name
    for name in full:
        assert share_of(rgb(folder / name), method) > 0.9, name
    for path in sorted(folder.glob("*.png")):  # pen marks, folds and tiny tiles: any answer, but an answer
        assert 0 <= share_of(rgb(path), method, cell_px=4) <= 1, path.name


def rgb(path: Path) -> np.ndarray:
    return np.array(Image.open(path).convert("RGB"))
