"""Opens slides with OpenSlide and answers what geometry they have; nothing else of a slide is ever read.

In: the path of a local file. Out: a ``Slide``, kept open with a few others. Labels, barcodes, overview images and the
properties that hold identities stay in the file: only the properties named here are asked for.
"""

import contextlib
import dataclasses
import functools
import math
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final, final

import numpy as np
from jaxtyping import UInt8

from radpath.data.slides.settings import SlideSettings
from radpath.errors import DataError, MissingExtraError

if TYPE_CHECKING:
    from openslide import OpenSlide

SLIDE_SUFFIXES: Final = (".bif", ".mrxs", ".ndpi", ".scn", ".svs", ".svslide", ".vms", ".vmu")
"""Names of files that are nothing but slides end so, in lower or upper case."""

_MOST_OPEN: Final = 16
"""Slides kept open; a slide that is dropped closes once no thread reads it any more."""
_CACHE_BYTES: Final = 64 << 20
"""Decoded tiles kept for neighbouring patches, for all open slides together."""

# What a microscope can have. TIFF files often carry the resolution of a print, for example 72 dots an inch, which is
# 353 micrometres per pixel and says nothing about the tissue.
_PLAUSIBLE_UM_PER_PX: Final = (0.02, 20.0)
_SQUARE_WITHIN: Final = 0.01
_WHITE: Final = (255, 255, 255)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Level:
    """One stored resolution of a slide."""

    width_px: int
    height_px: int
    downsample: float
    """Pixels of the full slide along one pixel of this level."""


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Slide:
    """An open slide; several threads may read it."""

    handle: "OpenSlide"
    levels: tuple[Level, ...]
    """The first is the full slide, each further one is coarser."""
    vendor: str
    """OpenSlide's name of the format: aperio, hamamatsu, dicom, generic-tiff, ..."""
    stated_um_per_px: float | None
    """What the file says of the full slide's resolution; None where it says nothing that a microscope can have."""

    @property
    def full(self) -> Level:
        """The level of the highest resolution."""
        return self.levels[0]

    def read(
        self, level: int, *, left_px: int, top_px: int, width_px: int, height_px: int
    ) -> UInt8[np.ndarray, "h w 3"]:
        """Return a region of a level as RGB; what lies outside the slide, or was not scanned, has the background.

        Args:
            level: index of ``levels``.
            left_px: in pixels of the level, as all of these.
            top_px: as ``left_px``.
            width_px: of the region.
            height_px: of the region.

        Raises:
            DataError: the slide is damaged there.
        """
        # OpenSlide takes places of the full slide, and blurs what falls between pixels of the level; the rounded place
        # falls on a pixel wherever the downsample is a whole number.
        downsample = self.levels[level].downsample
        place = (round(left_px * downsample), round(top_px * downsample))
        with explained_errors():
            region = np.asarray(self.handle.read_region(place, level, (width_px, height_px)))
        colours, opacity = region[:, :, :3], region[:, :, 3:]
        if opacity.min() == 255:
            return np.array(colours, order="C")
        share = opacity.astype(np.float32) / 255
        mixed = colours * share + np.array(self._background, dtype=np.float32) * (1 - share)
        return np.rint(mixed).astype(np.uint8)

    @functools.cached_property
    def _background(self) -> tuple[int, int, int]:
        """Return the colour that the file gives to what was not scanned; white, as empty glass, where it gives none."""
        text = self.handle.properties.get("openslide.background-color", "")
        return (int(text[:2], 16), int(text[2:4], 16), int(text[4:6], 16)) if len(text) == 6 else _WHITE


def open_slide(path: Path) -> Slide:
    """Return a slide, opened now or a moment ago.

    Raises:
        DataError: the file is no slide that OpenSlide reads, or is damaged.
        MissingExtraError: OpenSlide is not installed.
        OSError: there is no such file, or it cannot be read.
    """
    status = path.stat()
    return _opened(path, status.st_mtime_ns, status.st_size)


def openslide_library() -> ModuleType:
    """Import OpenSlide.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import openslide
    except ImportError as error:
        raise MissingExtraError(
            f"reading whole slides needs OpenSlide ({error}); run: pip install 'radpath[slides]'"
        ) from None
    return openslide


@contextlib.contextmanager
def explained_errors() -> Iterator[None]:
    """Turn what OpenSlide raises into a ``DataError``."""
    library = openslide_library()
    try:
        yield
    except library.OpenSlideUnsupportedFormatError:
        raise DataError("unsupported slide: OpenSlide does not know this format") from None
    except library.OpenSlideError as error:
        # OpenSlide refuses everything after an error, so that a handle that met one must not be used again.
        _opened.cache_clear()
        raise DataError(f"truncated or damaged: the slide cannot be read ({' '.join(str(error).split())})") from None


@functools.lru_cache(maxsize=_MOST_OPEN)
def _opened(path: Path, _modified_ns: int, _num_bytes: int) -> Slide:
    library = openslide_library()
    with explained_errors():
        handle = library.OpenSlide(path)
        handle.set_cache(_tile_cache())
        sizes = zip(handle.level_dimensions, handle.level_downsamples, strict=True)
        return Slide(
            handle=handle,
            levels=tuple(Level(width_px=w, height_px=h, downsample=downsample) for (w, h), downsample in sizes),
            vendor=handle.properties.get("openslide.vendor", ""),
            stated_um_per_px=_stated_um_per_px(handle),
        )


@functools.cache
def _tile_cache() -> object:
    return openslide_library().OpenSlideCache(_CACHE_BYTES)


def _stated_um_per_px(handle: "OpenSlide") -> float | None:
    """Return the resolution that the properties state, the mean of both axes.

    Raises:
        DataError: the pixels are not square, so that one number cannot say their size.
    """
    texts = [handle.properties.get(f"openslide.mpp-{axis}", "nan") for axis in "xy"]
    try:
        across, down = (float(text) for text in texts)
    except ValueError:
        return None
    lowest, highest = _PLAUSIBLE_UM_PER_PX
    if not (lowest <= across <= highest and lowest <= down <= highest):
        return None
    if abs(across / down - 1) > _SQUARE_WITHIN:
        raise DataError(f"pixels are not square: {across:g} x {down:g} um; export the slide with square pixels")
    return math.sqrt(across * down)


def um_per_px_of(slide: Slide, settings: SlideSettings) -> float:
    """Return the resolution of the full slide in micrometres per pixel.

    Raises:
        DataError: neither the file nor the settings say it.
    """
    if slide.stated_um_per_px is not None:
        return slide.stated_um_per_px
    if settings.assumed_um_per_px is not None:
        return settings.assumed_um_per_px
    raise DataError(
        "no resolution: the slide does not say how many micrometres a pixel has; set data.slides.assumed_um_per_px"
    )
