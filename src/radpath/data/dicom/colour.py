"""Colours of a frame at the depth of its file: palettes are looked up, odd depths are spread to 8 or 16 bits.

In: stored values as ``frames`` decodes them, and the file's elements. Out: RGB. Colours are not rescaled or windowed,
and embedded colour profiles are not applied, as in other image files.
"""

from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import UInt8, UInt16

from radpath.data.dicom.frames import Values
from radpath.data.dicom.image import StoredPixels
from radpath.data.dicom.parsing import explained, numbers
from radpath.data.formats.stored import damaged, unsupported

if TYPE_CHECKING:
    from pydicom import Dataset

Colours = UInt8[np.ndarray, "_height _width 3"] | UInt16[np.ndarray, "_height _width 3"]
"""RGB, over the whole range of its depth."""


def colour_depth(dataset: "Dataset", stored: StoredPixels) -> Literal[8, 16]:
    """Return the depth of the shown colours, from the header alone.

    Raises:
        DataError: the palette's description is malformed.
    """
    if stored.photometric != "PALETTE COLOR":
        return 8 if stored.bits_stored <= 8 else 16
    descriptors = [numbers(dataset, f"{ink}PaletteColorLookupTableDescriptor") for ink in ("Red", "Green", "Blue")]
    depths = {descriptor[2] for descriptor in descriptors if len(descriptor) == 3}
    if any(len(descriptor) != 3 for descriptor in descriptors) or len(depths) != 1:
        raise damaged("the palette's descriptors are missing or differ")
    if depths == {8.0}:
        return 8
    if depths == {16.0}:
        return 16
    raise unsupported("a palette with entries of other than 8 or 16 bits")


def show_colours(values: Values, dataset: "Dataset", stored: StoredPixels) -> Colours:
    """Return the colours of a frame.

    Indices before and behind the palette get the colours of its ends (PS3.3 C.7.6.3.1.5). More than 16 bits are
    rounded to 16.

    Raises:
        DataError: the palette is damaged.
    """
    depth = colour_depth(dataset, stored)
    white = 255 if depth == 8 else 65535
    if stored.photometric == "PALETTE COLOR":
        from pydicom.pixels.processing import apply_color_lut

        with explained("looking up the palette"):
            colours: Colours = apply_color_lut(values, dataset)[:, :, :3].astype(f"=u{depth // 8}")
        return colours
    highest = (1 << stored.bits_stored) - 1
    if highest == white:
        return values
    spread = (values.astype(np.uint64) * white + highest // 2) // highest
    return spread.astype(f"=u{depth // 8}")
