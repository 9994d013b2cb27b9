"""Evidence drawn over an image: one colour map for all, with its bar, and the image as it is beside it.

In: an image of eight bits, and strengths of 0 to 1 of the same size. Out: pictures. The colours are viridis, which
grow evenly in brightness and differ for colour-blind readers; the image below them is grey, so that every colour is one
of the map. Where nothing speaks for the class, the grey image shows through.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Float, UInt8

from radpath.reporting.contact_sheet import Picture, contact_sheet, png_bytes

_LUMA: Final = (0.299, 0.587, 0.114)  # ITU-R BT.601
_LEAST, _MOST = 0.25, 0.75  # how much colour covers the grey image, from no evidence to the most
_BAR_PX: Final = 28
_BAR_COLUMN_PX: Final = 60  # with the words at its ends
_CELL_PX: Final = 320
_SHEET_CELL_PX: Final = 224
_PAIRS_IN_A_ROW: Final = 6

Strengths = Float[np.ndarray, "height width"]
Colours = UInt8[np.ndarray, "_height _width 3"]


def in_colours(image: Picture) -> Colours:
    """Return an image with three channels."""
    return np.repeat(image[:, :, None], 3, axis=2) if image.ndim == 2 else image


def overlay(image: Picture, strengths: Strengths) -> Colours:
    """Return the image in grey below the colours of the strengths.

    >>> overlay(np.zeros((1, 2), np.uint8), np.array([[0.0, 1.0]])).tolist()
    [[[17, 0, 21], [190, 173, 28]]]
    """
    grey = in_colours(image).astype(np.float64) @ np.array(_LUMA)
    covered = (_LEAST + (_MOST - _LEAST) * strengths)[:, :, None]
    drawn: np.ndarray = (1 - covered) * grey[:, :, None] + covered * _colours_of(strengths)
    return drawn.round().clip(0, 255).astype(np.uint8)


def pair(image: Picture, strengths: Strengths) -> Colours:
    """Return the image and, below it, its overlay."""
    gap = np.full((max(1, image.shape[0] // 32), image.shape[1], 3), 255, dtype=np.uint8)
    return np.concatenate([in_colours(image), gap, overlay(image, strengths)], axis=0)


def panel(image: Picture, strengths: Strengths, *, title: str, caption: str) -> bytes:
    """Return a PNG with the image, its overlay and the colour bar.

    Args:
        image: as the network saw it.
        strengths: 0 to 1.
        title: above the overlay: what it shows.
        caption: below the image: which it is.
    """
    longest = max(image.shape[:2])
    shown = longest * max(1, _CELL_PX // longest) if longest <= _CELL_PX else _CELL_PX
    sheet = contact_sheet(
        [[image, overlay(image, strengths), _bar(round(shown * image.shape[0] / longest))]],
        column_titles=["Image", title, "Most"],
        captions=[[caption, "", "None"]],
        cell_px=_CELL_PX,
    )
    return png_bytes(sheet.crop((0, 0, sheet.width - _CELL_PX + _BAR_COLUMN_PX, sheet.height)))


def sheet_of(pictures: Sequence[Colours], captions: Sequence[str]) -> bytes:
    """Return a PNG with many pairs, each with its words below, and the colour bar at the end."""
    cells = [
        *zip(pictures, captions, strict=True),
        (_bar(_SHEET_CELL_PX), "Top: the most evidence of an image. Bottom: none."),
    ]
    rows = [cells[start : start + _PAIRS_IN_A_ROW] for start in range(0, len(cells), _PAIRS_IN_A_ROW)]
    sheet = contact_sheet(
        [[picture for picture, _ in row] for row in rows],
        captions=[[caption for _, caption in row] for row in rows],
        cell_px=_SHEET_CELL_PX,
    )
    return png_bytes(sheet)


def _colours_of(strengths: Strengths) -> Float[np.ndarray, "height width 3"]:
    import matplotlib as mpl  # late: half a second

    colours: np.ndarray = mpl.colormaps["viridis"](strengths)[:, :, :3] * 255
    return colours


def _bar(height_px: int) -> Colours:
    """Return all strengths, the most at the top, over the middle of the greys."""
    strengths = np.repeat(np.linspace(1, 0, height_px)[:, None], _BAR_PX, axis=1)
    return overlay(np.full(strengths.shape, 128, dtype=np.uint8), strengths)
