"""Windows and lookup tables: from a rescaled grey value to a share of white, in [0, 1] (PS3.3 C.11.1 and C.11.2).

In: items of a DICOM file. Out: ``Window`` and ``LookupTable``. Which of them is used is chosen in ``grey``.
"""

import dataclasses
from typing import TYPE_CHECKING, Final, Literal, cast

import numpy as np
from jaxtyping import Float64

from radpath.data.dicom.parsing import explained, numbers, text, texts
from radpath.data.formats.stored import damaged, unsupported

if TYPE_CHECKING:
    from pydicom import Dataset

Function = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]

_FUNCTIONS: Final = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
_MOST_ENTRIES: Final = 1 << 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class Window:
    """A range of grey values that is spread from black to white."""

    centre: float
    width: float
    function: Function = "LINEAR"
    explanation: str = dataclasses.field(default="", repr=False)
    """What the file calls it, in lower case; for comparison only, never for an output."""

    @classmethod
    def between(cls, lowest: float, highest: float) -> "Window":
        """Return the window from black at ``lowest`` to white at ``highest``; where they are equal, all is black."""
        width = highest - lowest
        return cls(centre=(lowest + highest) / 2, width=width, function="LINEAR_EXACT")

    def apply(self, values: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
        """Return the share of white at each rescaled value (PS3.3 C.11.2.1.2 and C.11.2.1.3).

        >>> Window(centre=40.0, width=400.0).apply(np.array([-160.0, 39.5, 239.0])).tolist()
        [0.0, 0.5, 1.0]
        """
        if self.function == "SIGMOID":
            # Written with tanh, which cannot overflow: 1 / (1 + exp(-4 x)) = (1 + tanh(2 x)) / 2.
            return (1 + np.tanh(2 * (values - self.centre) / self.width)) / 2
        if self.function == "LINEAR_EXACT":
            if self.width == 0:
                return np.zeros_like(values)
            return ((values - self.centre) / self.width + 0.5).clip(0, 1)
        if self.width == 1:  # one step: the general formula would divide by zero
            return (values > self.centre - 0.5).astype(np.float64)
        return ((values - (self.centre - 0.5)) / (self.width - 1) + 0.5).clip(0, 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LookupTable:
    """A table of output values for consecutive inputs; those before and behind it get its ends."""

    first: int
    """The input of the first entry."""
    entries: Float64[np.ndarray, " entries"]
    highest: float
    """The highest output that the table's depth can hold; white."""
    explanation: str = dataclasses.field(default="", repr=False)
    """As of ``Window``."""

    def look_up(self, values: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
        """Return the entry at each value, rounded to the nearest input."""
        places = np.floor(values - self.first + 0.5).clip(0, len(self.entries) - 1).astype(np.int64)
        found: Float64[np.ndarray, "*shape"] = self.entries[places]
        return found

    def apply(self, values: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
        """Return the share of white at each value."""
        return (self.look_up(values) / self.highest).clip(0, 1)


def read_table(item: "Dataset", *, is_signed: bool) -> LookupTable:
    """Return the table of an item of a Modality or VOI LUT Sequence.

    Args:
        item: holds LUT Descriptor (number of entries, first input, bits) and LUT Data.
        is_signed: whether the first input may be negative.

    Raises:
        DataError: the table is malformed.
    """
    descriptor = numbers(item, "LUTDescriptor")
    if len(descriptor) != 3 or not 1 <= descriptor[2] <= 16:
        raise damaged("LUTDescriptor is malformed")
    count, first, bits = (int(number) for number in descriptor)
    count = count % _MOST_ENTRIES or _MOST_ENTRIES  # 0 stands for 65536, and a signed reading of the rest is undone
    first = (first + 0x8000) % _MOST_ENTRIES - 0x8000 if is_signed else first % _MOST_ENTRIES
    entries = _table_entries(item, count, bits)
    if len(entries) < count:
        raise damaged(f"LUTData has {len(entries)} entries, LUTDescriptor says {count}")
    highest = float((1 << bits) - 1)
    return LookupTable(
        first=first, entries=entries[:count], highest=highest, explanation=text(item, "LUTExplanation").lower()
    )


def _table_entries(item: "Dataset", count: int, bits: int) -> Float64[np.ndarray, " entries"]:
    """Return the entries of a table, which files hold as numbers, or as bytes of one or two for each."""
    with explained("reading LUTData"):
        data = item["LUTData"].value
        if isinstance(data, bytes):
            is_bytewise = bits <= 8 and len(data) <= count + 1
            order = ">" if item.original_encoding[1] is False else "<"
            return np.frombuffer(data, np.uint8 if is_bytewise else f"{order}u2").astype(np.float64)
        return np.atleast_1d(np.asarray(data)).astype(np.float64) % _MOST_ENTRIES


def read_windows_of(group: "Dataset") -> list[Window]:
    """Return the windows of a file or functional group that can be applied; widths below 1 (LINEAR) or 0 cannot.

    Raises:
        DataError: a number is malformed, or the function is none of the standard's.
    """
    function = text(group, "VOILUTFunction").upper() or "LINEAR"
    if function not in _FUNCTIONS:
        raise unsupported("a VOI LUT function other than " + ", ".join(_FUNCTIONS))
    centres, widths = numbers(group, "WindowCenter"), numbers(group, "WindowWidth")
    names = [*texts(group, "WindowCenterWidthExplanation"), *[""] * len(centres)]
    return [
        Window(centre=centre, width=width, function=cast("Function", function), explanation=name.lower())
        for centre, width, name in zip(centres, widths, names, strict=False)
        if (width >= 1 if function == "LINEAR" else width > 0)
    ]
