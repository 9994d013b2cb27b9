"""What stored grey values mean and how they are shown: rescaling, a window, inversion (PS3.3 C.11, PS3.4 N.2).

In: the stored values of a frame, and its elements. Out: ``GreyTransform``, which is read from the header alone and says
which depth the shown pixels will have, and those pixels. Windows by name come from ``settings``.
"""

import dataclasses
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from jaxtyping import Float32, Float64, UInt8, UInt16

from radpath.data.dicom.frames import Values
from radpath.data.dicom.image import StoredPixels
from radpath.data.dicom.lookup import LookupTable, Window, read_table, read_windows_of
from radpath.data.dicom.parsing import functional_group, items, numbers, text
from radpath.data.dicom.settings import WindowChoice
from radpath.data.formats.stored import damaged
from radpath.data.formats.tiff_pixels import to_float32
from radpath.errors import DataError

if TYPE_CHECKING:
    from pydicom import Dataset

Shown = (
    UInt8[np.ndarray, "_height _width"]
    | UInt16[np.ndarray, "_height _width"]
    | UInt16[np.ndarray, "_height _width 3"]
    | Float32[np.ndarray, "_height _width"]
)
"""Grey pixels as a viewer would show them, or (32 bits) in the unit of the file."""

_WHITE: Final = 65535
_HIGHEST: Final = float(np.finfo(np.float32).max) / 2  # so that no sum or difference of two is infinite
_TABLE_BITS: Final = 16  # up to here every possible stored value has an entry in a table: exact, fast, small


@dataclasses.dataclass(frozen=True, kw_only=True)
class GreyTransform:
    """From the stored values of one frame to what is shown."""

    rescale: LookupTable | tuple[float, float]
    """The Modality LUT: a table, or slope and intercept."""
    windows: tuple[Window | LookupTable | None, ...]
    """One, or three for the channels; None stands for the image's own range. Empty: no window at all."""
    is_inverted: bool
    """Whether the lowest values are white."""
    padding: tuple[float, float] | None
    """Stored values, lowest to highest, that are background and no measurement; shown black."""
    depth: Literal[8, 16, 32]
    """Of the result, in bits: 8 as stored, 16 as shown through a window, 32 in the file's unit."""


def read_transform(
    dataset: "Dataset", stored: StoredPixels, index: int, choices: tuple[WindowChoice, ...]
) -> GreyTransform:
    """Return how the grey values of a frame are to be shown.

    A frame's own elements go before those that all frames share, and these before the file's.

    Args:
        dataset: the elements of the file.
        stored: how its pixels are stored.
        index: of the frame, from 0.
        choices: the windows that the settings ask for.

    Raises:
        DataError: an element is malformed, or the frame has no such window.
    """
    rescale = _read_rescale(functional_group(dataset, index, "PixelValueTransformationSequence"), dataset, stored)
    voi = functional_group(dataset, index, "FrameVOILUTSequence")
    has_signed_values = isinstance(rescale, tuple) and (stored.is_signed or min(rescale) < 0)
    found: list[LookupTable | Window] = []
    if choices:
        found = [*_voi_tables(voi, is_signed=has_signed_values), *read_windows_of(voi)]
    windows = tuple(_choose(choice, found, dataset) for choice in choices)
    shape = text(dataset, "PresentationLUTShape").upper()
    is_plain = stored.bits_stored <= 8 and not stored.is_signed and not stored.is_float and rescale == (1.0, 0.0)
    asks_nothing = windows in ((), (None,))
    depth: Literal[8, 16, 32] = 8 if is_plain and asks_nothing else 16 if windows else 32
    return GreyTransform(
        rescale=rescale,
        windows=windows,
        is_inverted=stored.photometric == "MONOCHROME1" or shape == "INVERSE",
        padding=_read_padding(dataset, stored),
        depth=depth,
    )


def show(values: Values, transform: GreyTransform, stored: StoredPixels) -> Shown:
    """Return the pixels of a frame as the transform shows them.

    - 8 bits: as stored, spread to 0..255 where fewer bits are.
    - 16 bits: black is 0, white 65535, rounded to the nearest.
    - 32 bits: the file's unit; where the lowest values are white, lowest + highest possible - value. Background has the
      lowest value of the image.
    """
    if stored.is_float or stored.bits_stored > _TABLE_BITS:
        is_background = _is_padding(values, transform)
        with np.errstate(invalid="ignore"):  # a signalling NaN, which is refused below like any other
            wide = values.astype(np.float64)
        return _shown(wide, is_background, transform, stored)
    lowest = -(1 << (stored.bits_stored - 1)) if stored.is_signed else 0
    possible = np.arange(lowest, lowest + (1 << stored.bits_stored))
    positions = values.astype(np.int32) - lowest
    if positions.min() < 0 or positions.max() >= len(possible):
        raise damaged(f"a value needs more than {stored.bits_stored} bits")
    is_there = np.bincount(positions.ravel(), minlength=len(possible)) > 0
    present = possible[is_there]
    table = np.zeros((len(possible), *((3,) if len(transform.windows) == 3 else ())), f"=u{transform.depth // 8}")
    table = table.view(np.float32) if transform.depth == 32 else table
    table[is_there] = _shown(
        present[None].astype(np.float64), _is_padding(present[None], transform), transform, stored
    )[0]
    shown: Shown = table[positions]
    return shown


def _shown(
    values: Float64[np.ndarray, "height width"],
    is_background: np.ndarray,
    transform: GreyTransform,
    stored: StoredPixels,
) -> Shown:
    """Apply the transform to stored values, each on its own except for the image's own range."""
    if transform.depth == 8:
        white = (1 << stored.bits_stored) - 1
        spread = np.floor(values * 255 / white + 0.5)
        return np.where(is_background, 0, 255 - spread if transform.is_inverted else spread).astype(np.uint8)
    with np.errstate(over="ignore", invalid="ignore"):
        rescaled = _rescaled(values, transform.rescale)
    if not (np.abs(rescaled) <= _HIGHEST).all():
        raise DataError("not finite: some pixels are NaN, infinite, or beyond what 32-bit numbers hold")
    measured = rescaled[~is_background]
    lowest, highest = (measured.min(), measured.max()) if measured.size else (0.0, 0.0)
    if transform.depth == 32:
        if transform.is_inverted:
            rescaled = sum(_possible_range(transform, stored)) - rescaled
            lowest = rescaled[~is_background].min() if measured.size else 0.0
        return to_float32(np.where(is_background, lowest, rescaled))
    own_range = Window.between(float(lowest), float(highest))
    channels = [(window or own_range).apply(rescaled) for window in transform.windows]
    lights = [1 - light if transform.is_inverted else light for light in channels]
    levels = [np.where(is_background, 0, np.floor(light * _WHITE + 0.5)).astype(np.uint16) for light in lights]
    return levels[0] if len(levels) == 1 else np.stack(levels, axis=-1)


def _rescaled(
    values: Float64[np.ndarray, "*shape"], rescale: LookupTable | tuple[float, float]
) -> Float64[np.ndarray, "*shape"]:
    if isinstance(rescale, LookupTable):
        return rescale.look_up(values)
    slope, intercept = rescale
    return values * slope + intercept


def _possible_range(transform: GreyTransform, stored: StoredPixels) -> tuple[float, float]:
    """Return the rescaled values of the lowest and the highest value that can be stored; 0 and 0 for floats."""
    if stored.is_float:
        return 0.0, 0.0
    lowest = -(1 << (stored.bits_stored - 1)) if stored.is_signed else 0
    ends = np.array([lowest, lowest + (1 << stored.bits_stored) - 1], np.float64)
    if isinstance(transform.rescale, LookupTable):
        return 0.0, transform.rescale.highest
    first, last = _rescaled(ends, transform.rescale)
    return float(first), float(last)


def _is_padding(values: np.ndarray, transform: GreyTransform) -> np.ndarray:
    if transform.padding is None:
        return np.zeros(values.shape, bool)
    lowest, highest = transform.padding
    return (values >= lowest) & (values <= highest)


def _read_rescale(group: "Dataset", dataset: "Dataset", stored: StoredPixels) -> LookupTable | tuple[float, float]:
    tables = items(dataset, "ModalityLUTSequence")
    if tables:
        return read_table(tables[0], is_signed=stored.is_signed)
    slope, intercept = (numbers(group, f"Rescale{name}")[:1] for name in ("Slope", "Intercept"))
    if slope == [0.0]:
        raise damaged("RescaleSlope is 0")
    return (slope or [1.0])[0], (intercept or [0.0])[0]


def _voi_tables(group: "Dataset", *, is_signed: bool) -> list[LookupTable]:
    return [read_table(item, is_signed=is_signed) for item in items(group, "VOILUTSequence")]


def _choose(choice: WindowChoice, found: list[LookupTable | Window], dataset: "Dataset") -> Window | LookupTable | None:
    """Return the window that was asked for; None for the image's own range, where "file" finds none."""
    if choice.centre_and_width is not None:
        if choice.is_clinical:
            _require_hounsfield(dataset, choice)
        centre, width = choice.centre_and_width
        return Window(centre=centre, width=width)
    if isinstance(choice.of_file, int):
        if choice.of_file < len(found):
            return found[choice.of_file]
        if choice.of_file == 0:
            return None
    by_name = [window for window in found if window.explanation == choice.of_file]
    if not by_name:
        raise DataError(f"no such window: data.dicom.window asks for {choice.text}, the file has {len(found)}")
    return by_name[0]


def _require_hounsfield(dataset: "Dataset", choice: WindowChoice) -> None:
    if text(dataset, "Modality").upper() != "CT" or text(dataset, "RescaleType").upper() not in ("", "HU"):
        raise DataError(f"no such window: {choice.text} is for CT in Hounsfield units, which this file is not")


def _read_padding(dataset: "Dataset", stored: StoredPixels) -> tuple[float, float] | None:
    """Return the range of padding values; in signed files, some writers give them as unsigned."""
    ends = [*numbers(dataset, "PixelPaddingValue")[:1], *numbers(dataset, "PixelPaddingRangeLimit")[:1]]
    if not numbers(dataset, "PixelPaddingValue") or stored.is_float:
        return None
    half = 1 << (stored.bits_allocated - 1)
    if stored.is_signed:
        ends = [end - 2 * half if end >= half else end for end in ends]
    return min(ends), max(ends)
