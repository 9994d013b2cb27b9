"""Images side by side on one light sheet, with words: what each step does, what the network sees, which are alike.

In: rows of eight-bit images of any size, and words. Out: one Pillow image, and its bytes as a PNG. How other depths
become eight bits, and where a sheet is written, is left to the caller.
"""

import dataclasses
import functools
import io
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

Picture = UInt8[np.ndarray, "_height _width"] | UInt8[np.ndarray, "_height _width 3"]

_BACKGROUND: Final = "#f5f6f8"  # not white: padding and glass are, and must be seen to be
_FRAME: Final = "#c3c8d1"
_INK: Final = "#1b1d22"
_SOFT_INK: Final = "#565c67"
_TEXT_PX: Final = 14
_LINE_PX: Final = 19
_GAP_PX: Final = 12
_FRAME_PX: Final = 1
_MOST_CAPTION_LINES: Final = 4
_ROW_TITLE_PX: Final = 150
_ELLIPSIS: Final = "…"


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Cell:
    """One image as it will stand on the sheet, with the lines below it."""

    image: Image.Image
    lines: tuple[str, ...]

    @property
    def height_px(self) -> int:
        return self.image.height + 2 * _FRAME_PX + _LINE_PX * len(self.lines)


def contact_sheet(
    rows: Sequence[Sequence[Picture]],
    *,
    column_titles: Sequence[str] = (),
    row_titles: Sequence[str] = (),
    captions: Sequence[Sequence[str]] = (),
    cell_px: int = 224,
) -> Image.Image:
    """Draw images in rows and columns, each in a thin frame, with words above, beside and below.

    An image that fits into its cell is enlarged by the largest whole number that still fits, each pixel a sharp square;
    a larger one is reduced with an antialiased filter. The aspect ratio is always kept. Words that do not fit are
    broken into lines, and cut with an ellipsis after four of them.

    Args:
        rows: the images; rows may differ in length. ``(height, width)`` grey or ``(height, width, 3)`` RGB.
        column_titles: above each column; empty for none.
        row_titles: left of each row; empty for none.
        captions: below each image, one for each image of each row; empty for none.
        cell_px: the longest side of an image on the sheet.

    Raises:
        ValueError: there is no image, or there are titles or captions for another number of images.

    >>> contact_sheet([[np.zeros((8, 8), np.uint8)] * 2], column_titles=["before", "after"], cell_px=80).size
    (200, 125)
    """
    _require_agreement(rows, column_titles, row_titles, captions)
    texts = captions or [[""] * len(row) for row in rows]
    cells = [
        [_Cell(image=_fitted(image, cell_px), lines=_broken(text, cell_px)) for image, text in zip(*pair, strict=True)]
        for pair in zip(rows, texts, strict=True)
    ]
    heads = [_broken(title, cell_px) for title in column_titles]
    sides = [_broken(title, _ROW_TITLE_PX) for title in row_titles] or [()] * len(cells)
    lefts, tops, size = _places(cells, heads, sides, cell_px)
    sheet = Image.new("RGB", size, _BACKGROUND)
    pen = ImageDraw.Draw(sheet)
    for left, head in zip(lefts, heads, strict=False):
        _write(pen, head, left=left, top=_GAP_PX, ink=_INK)
    for top, side, row in zip(tops, sides, cells, strict=True):
        _write(pen, side, left=_GAP_PX, top=top, ink=_INK)
        for left, cell in zip(lefts, row, strict=False):
            _place(sheet, cell, left=left, top=top)
    return sheet


def png_bytes(sheet: Image.Image) -> bytes:
    """Return a sheet as the content of a PNG file.

    >>> png_bytes(contact_sheet([[np.zeros((2, 2), np.uint8)]]))[1:4]
    b'PNG'
    """
    written = io.BytesIO()
    sheet.save(written, format="PNG", optimize=True)
    return written.getvalue()


def _require_agreement(
    rows: Sequence[Sequence[Picture]],
    column_titles: Sequence[str],
    row_titles: Sequence[str],
    captions: Sequence[Sequence[str]],
) -> None:
    longest = max((len(row) for row in rows), default=0)
    if not longest:
        raise ValueError("a contact sheet needs an image")
    if column_titles and len(column_titles) != longest:
        raise ValueError(f"{len(column_titles)} column titles for {longest} columns")
    if row_titles and len(row_titles) != len(rows):
        raise ValueError(f"{len(row_titles)} row titles for {len(rows)} rows")
    if captions and [len(row) for row in captions] != [len(row) for row in rows]:
        raise ValueError("captions must be as many as images, row by row")


def _places(
    cells: Sequence[Sequence[_Cell]], heads: Sequence[Sequence[str]], sides: Sequence[Sequence[str]], cell_px: int
) -> tuple[list[int], list[int], tuple[int, int]]:
    """Return where columns and rows begin, and the width and height of the sheet, in pixels."""
    columns = max(len(row) for row in cells)
    pitch = cell_px + 2 * _FRAME_PX + _GAP_PX
    start = _GAP_PX + (_ROW_TITLE_PX + _GAP_PX if any(sides) else 0)
    lefts = [start + place * pitch for place in range(columns)]
    head_px = _LINE_PX * max((len(head) for head in heads), default=0)
    heights = [
        max(len(side) * _LINE_PX, *(cell.height_px for cell in row), 0) + _GAP_PX
        for side, row in zip(sides, cells, strict=True)
    ]
    *tops, bottom = itertools.accumulate(heights, initial=_GAP_PX + head_px)
    return lefts, tops, (lefts[-1] + pitch, bottom)


def _fitted(image: Picture, cell_px: int) -> Image.Image:
    """Return an image enlarged by a whole number, or reduced, so that its longer side fits."""
    picture = Image.fromarray(np.ascontiguousarray(image))
    longest = max(picture.size)
    if longest <= cell_px:
        factor = cell_px // longest
        return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    width, height = (max(1, round(side * cell_px / longest)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def _place(sheet: Image.Image, cell: _Cell, *, left: int, top: int) -> None:
    """Draw a framed image and the lines below it."""
    pen = ImageDraw.Draw(sheet)
    right, bottom = left + cell.image.width + _FRAME_PX, top + cell.image.height + _FRAME_PX
    pen.rectangle((left, top, right, bottom), outline=_FRAME, width=_FRAME_PX)
    sheet.paste(cell.image.convert("RGB"), (left + _FRAME_PX, top + _FRAME_PX))
    _write(pen, cell.lines, left=left, top=bottom + _FRAME_PX, ink=_SOFT_INK)


def _write(pen: ImageDraw.ImageDraw, lines: Sequence[str], *, left: int, top: int, ink: str) -> None:
    for number, line in enumerate(lines):
        pen.text((left, top + number * _LINE_PX), line, fill=ink, font=_font())


def _broken(text: str, width_px: int) -> tuple[str, ...]:
    """Break a text into lines that fit, at spaces where that is possible, and cut it after four of them."""
    lines = [line for paragraph in text.splitlines() for line in _wrapped(paragraph, width_px)]
    if len(lines) <= _MOST_CAPTION_LINES:
        return tuple(lines)
    last = lines[_MOST_CAPTION_LINES - 1]
    while last and _font().getlength(last + _ELLIPSIS) > width_px:
        last = last[:-1]
    return (*lines[: _MOST_CAPTION_LINES - 1], last + _ELLIPSIS)


def _wrapped(text: str, width_px: int) -> list[str]:
    """Fill lines word by word; a word that is longer than a line is broken inside."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if _font().getlength(longer) <= width_px:
            lines[-1:] = [longer]
        else:
            lines += _pieces(word, width_px)
    return lines


def _pieces(word: str, width_px: int) -> list[str]:
    """Break one word into pieces that fit, each of at least one letter."""
    pieces = [""]
    for letter in word:
        if pieces[-1] and _font().getlength(pieces[-1] + letter) > width_px:
            pieces.append("")
        pieces[-1] += letter
    return pieces


@functools.cache
def _font() -> ImageFont.FreeTypeFont:
    """Return DejaVu Sans, which has Latin, Greek, Cyrillic and signs such as µ, and comes with Matplotlib."""
    import matplotlib as mpl

    return ImageFont.truetype(Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", _TEXT_PX)
