"""The two doors to DICOM: what a file says of each image in it, and the pixels of one of them.

In: a file and the settings. Out: ``DicomRecord``s, from the header alone, or the pixels of one, which agree with what
its record promised. ``headers`` and ``reading`` of the folder above are the callers.
"""

import dataclasses
import io
import re
from typing import Final, Literal

import numpy as np

from radpath.data.dicom.acquisition import facts_of
from radpath.data.dicom.colour import Colours, colour_depth, show_colours
from radpath.data.dicom.frames import decode_frame
from radpath.data.dicom.grey import GreyTransform, Shown, read_transform, show
from radpath.data.dicom.identity import case_of, read_key
from radpath.data.dicom.image import StoredPixels, describe
from radpath.data.dicom.parsing import ParsedFile, parse, quiet
from radpath.data.dicom.settings import DicomSettings, read_windows
from radpath.data.formats.stored import Mode, damaged
from radpath.errors import DataError

_MEMBER: Final = re.compile(r"frame\[([0-9]+)\]")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DicomRecord:
    """One image of a DICOM file, as ``read_pixels`` will return it."""

    member: str
    """"" where the file gives one image, else for example "frame[3]", counted from 0."""
    width_px: int
    height_px: int
    channels: Literal[1, 3]
    bit_depth: Literal[8, 16, 32]
    mode: Mode
    facts: dict[str, str | float]
    """Values for columns of the manifest."""


def read_records(stream: io.BufferedIOBase, settings: DicomSettings) -> list[DicomRecord]:
    """Return what a file says of each image that it holds, without decoding any.

    Raises:
        DataError: the file holds no image, or is malformed, or of a kind that is not read; no message holds a value
            that could name a person.
        MissingExtraError: pydicom is not installed.
    """
    with quiet():
        parsed = parse(stream)
        stored = describe(parsed)
        chosen = settings.chosen_frames(stored.num_frames)
        if not chosen:
            raise DataError(f"no such frame: data.dicom.frames = {settings.frames}, the file has {stored.num_frames}")
        case = case_of(parsed.dataset, read_key(settings))
        return [_record(parsed, stored, settings, index=index, case=case) for index in chosen]


def _record(
    parsed: ParsedFile, stored: StoredPixels, settings: DicomSettings, *, index: int, case: str | None
) -> DicomRecord:
    channels, depth = _promise(stored, _transform(parsed, stored, settings, index), parsed)
    facts = facts_of(parsed.dataset, stored, index)
    return DicomRecord(
        member=f"frame[{index}]" if stored.num_frames > 1 and settings.frames == "all" else "",
        width_px=stored.width_px,
        height_px=stored.height_px,
        channels=channels,
        bit_depth=depth,
        mode="grey" if stored.is_grey else "palette" if stored.photometric == "PALETTE COLOR" else "RGB",
        facts={**facts, "case": case} if case else facts,
    )


def _promise(
    stored: StoredPixels, transform: GreyTransform | None, parsed: ParsedFile
) -> tuple[Literal[1, 3], Literal[8, 16, 32]]:
    """Return channels and depth of the pixels, from the header alone."""
    if transform is None:
        return 3, colour_depth(parsed.dataset, stored)
    return 3 if len(transform.windows) == 3 else 1, transform.depth


def _transform(parsed: ParsedFile, stored: StoredPixels, settings: DicomSettings, index: int) -> GreyTransform | None:
    """Return how grey values are shown; None for colours."""
    if not stored.is_grey:
        return None
    return read_transform(parsed.dataset, stored, index, read_windows(settings.window))


def read_pixels(stream: io.BufferedIOBase, member: str, settings: DicomSettings, *, max_pixels: int) -> Shown | Colours:
    """Return the pixels of one image of a DICOM file.

    Args:
        stream: the open file.
        member: as in its ``DicomRecord``.
        settings: the same as for the records.
        max_pixels: an image of more (width times height) is refused from its header.

    Raises:
        DataError: the image is damaged, refused, or not there.
        MissingExtraError: pydicom or a decoder is not installed.
    """
    with quiet():
        parsed = parse(stream)
        stored = describe(parsed)
        if stored.width_px * stored.height_px > max_pixels:
            raise DataError(
                f"over the pixel limit: {stored.width_px} x {stored.height_px} px are more than {max_pixels}"
            )
        index = _index_of(member, settings, stored.num_frames)
        transform = _transform(parsed, stored, settings, index)
        channels, depth = _promise(stored, transform, parsed)
        values = decode_frame(parsed, stored, index)
        shown = show_colours(values, parsed.dataset, stored) if transform is None else show(values, transform, stored)
        expected = (stored.height_px, stored.width_px) + (() if channels == 1 else (3,))
        if shown.shape != expected or shown.dtype.itemsize * 8 != depth:
            raise damaged(f"the pixels are {shown.dtype} of shape {shown.shape}, the header promised {depth} bits")
        return np.ascontiguousarray(shown)


def _index_of(member: str, settings: DicomSettings, num_frames: int) -> int:
    match = _MEMBER.fullmatch(member)
    index = int(match[1]) if match else next(iter(settings.chosen_frames(num_frames)), num_frames)
    if (member and not match) or index >= num_frames:
        raise DataError(f"no such frame: the file has {num_frames} frames; run `radpath scan` again")
    return index
