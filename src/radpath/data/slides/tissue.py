"""Where tissue is on a slide, from a coarse look at it.

In: a slide. Out: a ``TissueMask``, which tells the exact share of tissue in any square. The slide is read block by
block and kept as one byte for each cell of about 8 micrometres, at most 4096 cells a side: memory does not grow with
the slide's resolution. Pen marks are not told from tissue.

Sources: Otsu 1979 for the threshold; Ruifrok and Johnston 2001 for the colour transform, with the constants that the
P-CEAD project used to cut slides (Gillard et al. 2021).
"""

import dataclasses
import math
from collections.abc import Iterator
from typing import Final, final

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from radpath.data.slides.opening import Slide
from radpath.data.slides.settings import TissueMethod
from radpath.errors import MissingExtraError

_CELL_UM: Final = 8.0  # a patch of 224 px at 0.5 um/px has 14 x 14 cells
_MOST_CELLS: Final = 4096
_BLOCK_PX: Final = 2048  # 16 MiB of RGBA at a time

# Otsu's threshold divides whatever it is given in two, the noise of empty glass as well as tissue without any glass;
# so it is kept between what no glass reaches and what no tissue falls below. Of 34 tiles from several scanners, glass
# has a saturation of at most 8 of 255 and a darkness of at most 32; pale tissue has 46 and 55.
_THRESHOLD_RANGE: Final[dict[TissueMethod, tuple[int, int]]] = {"saturation": (15, 40), "grey": (35, 60)}

# The third column of the inverse of Ruifrok and Johnston's matrix of haematoxylin, eosin and DAB.
_RGB_OF_STAINS: Final = ((0.65, 0.70, 0.29), (0.07, 0.99, 0.11), (0.27, 0.57, 0.78))
# P-CEAD's threshold, -0.41, belongs to -log10(RGB + 2), the transform of scikit-image before 0.18; newer releases
# give values that never fall below 0, of which all would be tissue.
_HED_THRESHOLD: Final = -0.41
_HED_LEVELS_PER_UNIT: Final = 1000  # white is 0, the threshold 10.8, dense tissue 80 to 140


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class TissueMask:
    """Cells that are tissue, and the slide they cover."""

    cells: Bool[np.ndarray, "rows columns"]
    cell_px: float
    """Side of a cell in pixels of the full slide."""
    width_px: int
    """Of the full slide."""
    height_px: int

    def shares(
        self, tops_px: Int[np.ndarray, " rows"], lefts_px: Int[np.ndarray, " columns"], *, side_px: int
    ) -> Float[np.ndarray, "rows columns"]:
        """Return the share of tissue, 0 to 1, of each square of a grid; cells on its border count by their part in it.

        What a square has outside the slide counts as no tissue.
        """
        sums = np.zeros((self.cells.shape[0] + 1, self.cells.shape[1] + 1), dtype=np.int32)
        np.cumsum(self.cells, axis=0, dtype=np.int32, out=sums[1:, 1:])
        np.cumsum(sums[1:, 1:], axis=1, out=sums[1:, 1:])
        rows = [self._in_cells(tops_px + edge, self.height_px) for edge in (0, side_px)]
        columns = [self._in_cells(lefts_px + edge, self.width_px) for edge in (0, side_px)]
        corners = [[_interpolated(sums, row, column) for column in columns] for row in rows]
        area_cells = (side_px / self.cell_px) ** 2
        tissue: np.ndarray = corners[1][1] - corners[0][1] - corners[1][0] + corners[0][0]
        shares: np.ndarray = np.clip(tissue / area_cells, 0.0, 1.0)
        return shares

    def _in_cells(self, places_px: Int[np.ndarray, " n"], length_px: int) -> Float[np.ndarray, " n"]:
        places: np.ndarray = np.minimum(places_px, length_px) / self.cell_px
        return places


def find_tissue(slide: Slide, *, um_per_px: float, method: TissueMethod) -> TissueMask:
    """Return where a slide shows tissue.

    Args:
        slide: an open slide.
        um_per_px: of the full slide.
        method: what tells tissue from glass.

    Raises:
        DataError: the slide is damaged.
        MissingExtraError: scikit-image is not installed.
    """
    wanted = _CELL_UM / um_per_px
    index = max((i for i, level in enumerate(slide.levels) if level.downsample <= wanted), default=0)
    level = slide.levels[index]
    reduction = max(1, round(wanted / level.downsample), math.ceil(max(level.width_px, level.height_px) / _MOST_CELLS))
    scores = np.zeros((-(-level.height_px // reduction), -(-level.width_px // reduction)), dtype=np.uint8)
    for top, left, colours in _blocks(slide, index, reduction):
        scores[top : top + colours.shape[0], left : left + colours.shape[1]] = tissue_scores(colours, method)
    return TissueMask(
        cells=scores > tissue_threshold(scores, method),
        cell_px=reduction * level.downsample,
        width_px=slide.full.width_px,
        height_px=slide.full.height_px,
    )


def tissue_scores(
    colours: Float[np.ndarray, "rows columns 3"], method: TissueMethod
) -> UInt8[np.ndarray, "rows columns"]:
    """Return how much each colour (RGB, 0 to 255) looks like tissue, as 0 to 255.

    >>> tissue_scores(np.array([[[255.0, 255, 255], [200, 100, 150]]]), "saturation").tolist()
    [[0, 128]]
    """
    if method == "saturation":
        brightest, darkest = colours.max(axis=2), colours.min(axis=2)
        scores = 255 * (brightest - darkest) / np.maximum(brightest, 1)
    elif method == "grey":
        scores = 255 - colours @ np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
    else:
        scores = (_third_stain(colours) - _third_stain_of_white()) * _HED_LEVELS_PER_UNIT
    levels: np.ndarray = np.rint(np.clip(scores, 0, 255)).astype(np.uint8)
    return levels


def tissue_threshold(scores: UInt8[np.ndarray, "rows columns"], method: TissueMethod) -> float:
    """Return the score above which a cell is tissue.

    Raises:
        MissingExtraError: scikit-image is not installed.
    """
    if method == "hed":
        return (_HED_THRESHOLD - _third_stain_of_white()) * _HED_LEVELS_PER_UNIT
    try:
        from skimage.filters import threshold_otsu
    except ImportError as error:
        raise MissingExtraError(
            f"finding tissue needs scikit-image ({error}); run: pip install 'radpath[slides]'"
        ) from None
    counts = np.bincount(scores.ravel(), minlength=256)
    lowest, highest = _THRESHOLD_RANGE[method]
    if np.count_nonzero(counts) == 1:
        return float(lowest)  # one score everywhere cannot be divided
    return float(np.clip(threshold_otsu(hist=(counts, np.arange(256))), lowest, highest))


def _third_stain(colours: Float[np.ndarray, "*places 3"]) -> Float[np.ndarray, "*places"]:
    """Return the third channel of the haematoxylin-eosin-DAB transform of RGB colours, 0 to 255."""
    third: np.ndarray = np.linalg.inv(np.array(_RGB_OF_STAINS))[:, 2]
    stain: np.ndarray = -np.log10(colours / 255 + 2) @ third
    return stain


def _third_stain_of_white() -> float:
    return float(_third_stain(np.full((1, 3), 255.0))[0])


def _blocks(slide: Slide, index: int, reduction: int) -> Iterator[tuple[int, int, Float[np.ndarray, "rows columns 3"]]]:
    """Yield blocks of a level's cells, each the mean of reduction x reduction pixels, with their row and column."""
    level = slide.levels[index]
    block_px = max(1, _BLOCK_PX // reduction) * reduction
    for top in range(0, level.height_px, block_px):
        for left in range(0, level.width_px, block_px):
            region = slide.read(
                index,
                left_px=left,
                top_px=top,
                width_px=min(block_px, level.width_px - left),
                height_px=min(block_px, level.height_px - top),
            )
            yield top // reduction, left // reduction, cell_means(region, reduction)


def cell_means(region: UInt8[np.ndarray, "h w 3"], reduction: int) -> Float[np.ndarray, "rows columns 3"]:
    """Return the mean of each square of reduction x reduction pixels; squares cut by the edge repeat its last pixel.

    >>> cell_means(np.full((3, 2, 3), 7, np.uint8), 2)[:, :, 0].tolist()
    [[7.0], [7.0]]
    """
    height, width = region.shape[:2]
    rows, columns = -(-height // reduction), -(-width // reduction)
    margin = ((0, rows * reduction - height), (0, columns * reduction - width), (0, 0))
    padded = np.pad(region, margin, mode="edge") if any(after for _, after in margin) else region
    # Rows first: whole lines are added to each other, which is several times faster than square by square.
    lines = padded.reshape(rows, reduction, columns * reduction * 3).sum(axis=1, dtype=np.uint32)
    means: np.ndarray = lines.reshape(rows, columns, reduction, 3).sum(axis=2) / reduction**2
    return means


def _interpolated(
    sums: Int[np.ndarray, "rows_1 columns_1"], rows: Float[np.ndarray, " r"], columns: Float[np.ndarray, " c"]
) -> Float[np.ndarray, "r c"]:
    """Return sums up to places between cells; linear interpolation is exact, since a cell is tissue all over or not."""

    def split(places: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
        whole = np.minimum(np.floor(places).astype(np.int64), most - 1)
        return whole, np.minimum(places, most) - whole

    row, row_part = split(rows, sums.shape[0] - 1)
    column, column_part = split(columns, sums.shape[1] - 1)
    row, row_part = row[:, None], row_part[:, None]
    left = sums[row, column] * (1 - row_part) + sums[row + 1, column] * row_part
    right = sums[row, column + 1] * (1 - row_part) + sums[row + 1, column + 1] * row_part
    between: np.ndarray = left * (1 - column_part) + right * column_part
    return between
