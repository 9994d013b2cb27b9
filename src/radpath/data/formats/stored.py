"""What an image file holds, in the words that all formats share, and the ways to refuse one.

Every refusal is a ``DataError`` whose words before the first colon are a reason that can be counted ("truncated or
damaged", "unsupported", ...); the file's path is left to the caller, who knows it.
"""

import dataclasses
import io
from typing import Final, Literal

import numpy as np
from jaxtyping import Float32, UInt8, UInt16

from radpath.errors import DataError

Mode = Literal[
    "bilevel",
    "grey",
    "grey+alpha",
    "grey+alpha premultiplied",
    "RGB",
    "RGBA",
    "RGBA premultiplied",
    "palette",
    "palette+alpha",
    "CMYK",
]
"""What a file's samples mean. "premultiplied": the colours were already multiplied by their opacity (TIFF only)."""

GREY_MODES: Final[tuple[Mode, ...]] = ("bilevel", "grey", "grey+alpha", "grey+alpha premultiplied")

Samples = (
    UInt8[np.ndarray, "_height _width"]
    | UInt16[np.ndarray, "_height _width"]
    | UInt8[np.ndarray, "_height _width _samples"]
    | UInt16[np.ndarray, "_height _width _samples"]
    | Float32[np.ndarray, "_height _width"]
    | Float32[np.ndarray, "_height _width _samples"]
)
"""Pixels as stored, before turning and blending: (height, width) for grey, else with 2 (grey and opacity), 3 (RGB) or
4 samples (RGB and opacity, or CMYK with 0 for no ink). Palettes are looked up, fewer than 8 bits are scaled to 8, and
10 to 14 bits to 16; floating-point numbers (grey or RGB) are finite."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoredImage:
    """What a file's header says."""

    width_px: int
    """As stored, before the orientation is applied."""
    height_px: int
    mode: Mode
    bit_depth: Literal[8, 16, 32]
    """As decoded: fewer than 8 bits are scaled to 8, and 10 to 14 bits to 16; 32 are floating-point numbers."""
    format: Literal["PNG", "JPEG", "TIFF"]
    orientation: int = 1
    """EXIF's number, 1 to 8, for how the stored pixels are turned and mirrored to be looked at; 1 is as they are."""


def damaged(detail: str) -> DataError:
    """Return the error for a file that is not whole."""
    return DataError(f"truncated or damaged: {detail}")


def unsupported(detail: str) -> DataError:
    """Return the error for a file that may be whole, and is of a kind that radpath does not read."""
    return DataError(f"unsupported: {detail}")


def read_exactly(stream: io.BufferedIOBase, num_bytes: int) -> bytes:
    """Read ``num_bytes``.

    Raises:
        DataError: the file ends before.
    """
    content = stream.read(num_bytes)
    if len(content) < num_bytes:
        raise damaged("the file ends too early")
    return content


def look_up(
    indices: UInt8[np.ndarray, "height width"], palette: UInt8[np.ndarray, "colours samples"]
) -> UInt8[np.ndarray, "height width samples"]:
    """Return the palette's colour at every pixel.

    Raises:
        DataError: a pixel points behind the end of the palette.
    """
    if int(indices.max()) >= len(palette):
        raise damaged(f"a pixel has colour {int(indices.max())} of a palette of {len(palette)}")
    colours: UInt8[np.ndarray, "height width samples"] = palette[indices]
    return colours
