"""The settings that say which frames of a DICOM file become records, and how their grey values are shown.

In: the table ``[data.dicom]`` of the experiment. Out: ``DicomSettings``, whose window is read as ``WindowChoice``.
"""

import dataclasses
import math
import re
from pathlib import Path
from typing import Final

from pydantic import field_validator

from radpath.settings import Settings

CLINICAL_WINDOWS: Final[dict[str, tuple[float, float]]] = {
    "lung": (-600.0, 1500.0),
    "mediastinum": (50.0, 350.0),
    "abdomen": (50.0, 400.0),
    "soft tissue": (40.0, 400.0),
    "liver": (30.0, 150.0),
    "bone": (400.0, 1800.0),
    "temporal bone": (600.0, 2800.0),
    "brain": (40.0, 80.0),
    "subdural": (75.0, 215.0),
    "stroke": (40.0, 40.0),
}
"""Centre and width in Hounsfield units of the windows that radiologists name; CT only."""

_CHANNELS: Final = 3
_NUMBER: Final = r"-?[0-9]+(?:\.[0-9]+)?"
_CENTRE_AND_WIDTH: Final = re.compile(rf"({_NUMBER})\s*/\s*({_NUMBER})")


@dataclasses.dataclass(frozen=True, kw_only=True)
class WindowChoice:
    """Which grey values become black and which white, as a person asked for it."""

    text: str
    """As written, for messages."""
    of_file: int | str | None = None
    """The file's own: its number, from 0, or its explanation in lower case."""
    centre_and_width: tuple[float, float] | None = None
    """In the rescaled unit of the file, Hounsfield units in CT."""
    is_clinical: bool = False
    """A named window, which means something in CT only."""


class DicomSettings(Settings):
    """How DICOM files are read."""

    window: str = "file"
    """file: the first window (or VOI table) of the file, and where there is none the image's own range; file:1 or
    file:LUNG: another one of the file, by its number from 0 or its explanation; a window of CT by its name (lung,
    mediastinum, abdomen, soft tissue, liver, bone, temporal bone, brain, subdural, stroke); 40/400: centre and width;
    none: no window, values in the unit of the file (Hounsfield units in CT) as 32-bit numbers. Three of them joined by
    + (lung + soft tissue + bone) become the red, green and blue channels."""
    frames: str = "all"
    """Which frames of a file with several become images: all, each with a record of its own; first; middle; or a
    number, from 0."""
    key_file: Path | None = None
    """File of the secret key with which patient IDs become case names; not set: the one that the variable
    RADPATH_CASE_KEY_FILE names, else case.key in radpath's folder of your configuration, made when first needed."""

    @field_validator("window")
    @classmethod
    def _window_can_be_read(cls, window: str) -> str:
        read_windows(window)
        return window

    @field_validator("frames", mode="before")
    @classmethod
    def _frames_are_known(cls, frames: object) -> object:
        if isinstance(frames, int) and not isinstance(frames, bool):
            frames = str(frames)
        if isinstance(frames, str) and frames not in {"all", "first", "middle"} and not frames.isdecimal():
            raise ValueError(f"{frames!r} names no frames; write all, first, middle or a number from 0")
        return frames

    def chosen_frames(self, num_frames: int) -> range:
        """Return which frames of a file become records; empty where the file has no such frame.

        >>> DicomSettings(frames="middle").chosen_frames(9)
        range(4, 5)
        """
        if self.frames == "all":
            return range(num_frames)
        index = {"first": 0, "middle": num_frames // 2}.get(self.frames)
        index = int(self.frames) if index is None else index
        return range(index, min(index + 1, num_frames))


def read_windows(text: str) -> tuple[WindowChoice, ...]:
    """Return one window, three for the three channels, or none at all for "none".

    Raises:
        ValueError: a part names no window, or there are neither one nor three.

    >>> [choice.centre_and_width for choice in read_windows("lung + 40/400 + bone")]
    [(-600.0, 1500.0), (40.0, 400.0), (400.0, 1800.0)]
    """
    parts = [part.strip() for part in text.split("+")]
    if parts == ["none"]:
        return ()
    if len(parts) not in (1, _CHANNELS):
        raise ValueError(f"{text!r} joins {len(parts)} windows; one, or three as red, green and blue, can be shown")
    return tuple(_read_window(part) for part in parts)


def _read_window(text: str) -> WindowChoice:
    name = text.lower()
    if name in CLINICAL_WINDOWS:
        return WindowChoice(text=name, centre_and_width=CLINICAL_WINDOWS[name], is_clinical=True)
    source, colon, which = name.partition(":")
    if source == "file" and bool(colon) == bool(which):
        return WindowChoice(text=name, of_file=int(which) if which.isdecimal() else which.strip() or 0)
    match = _CENTRE_AND_WIDTH.fullmatch(name)
    if match is None:
        known = ", ".join(("file", "none", *CLINICAL_WINDOWS))
        raise ValueError(f"{text!r} is no window; known: {known}, or centre/width such as 40/400")
    centre, width = float(match[1]), float(match[2])
    if not (width >= 1 and math.isfinite(centre) and math.isfinite(width)):
        raise ValueError(f"the window {text!r} has width {match[2]}; it must be 1 or more")
    return WindowChoice(text=name, centre_and_width=(centre, width))
