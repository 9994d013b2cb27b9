"""A decoded image becomes what the store keeps: its channels, its size, its depth.

In: decoded pixels of any depth, and where it is wanted the typical stain of the training images. Out: codes of
8 or 16 bits with the line that turns them into levels. Where they are kept is in ``pixel_store``, how levels become the
network's numbers in ``intensity``, padding in ``batches``.
"""

import dataclasses
from collections.abc import Iterator
from typing import Final, Literal

import numpy as np
from jaxtyping import Float32, UInt8, UInt16
from pydantic import Field, model_validator

from radpath.data.intensity import Intensity, LevelStatistics, Rule, Scope, measure_levels
from radpath.data.morphology import StepSettings, apply_step, parse_step
from radpath.data.pixel_store import Codes
from radpath.data.pixels import Pixels, to_uint8
from radpath.data.stain.normalisation import StainReference, StainSettings, normalise
from radpath.settings import Settings

Planes = (
    UInt8[np.ndarray, "_height _width _channels"]
    | UInt16[np.ndarray, "_height _width _channels"]
    | Float32[np.ndarray, "_height _width _channels"]
)

_CODES_OF_FLOATS: Final = 65535


class PixelSettings(Settings):
    """How pixels reach the network; the same in training, validation, test and prediction."""

    size: Literal["fixed", "native"] = "fixed"
    """fixed: every image is scaled to fit into size_px x size_px, aspect ratio kept, the rest padded; native: images
    keep their size and are batched with images of similar height and width."""
    size_px: int = Field(default=224, ge=16, le=4096)
    """Side of the square that images are scaled to, in pixels (size = "fixed")."""
    max_side_px: int = Field(default=1024, ge=32, le=16384)
    """Images with a longer side are scaled down to it, in pixels (size = "native")."""
    channels: Literal["grey", "rgb"] = "rgb"
    """grey: one channel, repeated for the network; rgb: three channels."""
    intensity: Rule = "full"
    """Which levels become 0 and 1. full: the darkest and brightest that the file's type can hold (8 bits: division by
    255); minmax: the lowest and highest; percentile: two percentiles, so that a few odd pixels do not decide; zscore:
    mean and mean + standard deviation; range: two given levels. Nothing is clipped: levels beyond go past 0 and 1."""
    intensity_scope: Scope = "image"
    """image: each image has its own levels; training: training images fix the levels for all (the levels of "full" and
    "range" are fixed anyway)."""
    percentiles: tuple[float, float] = (5.0, 95.0)
    """The two percentiles of intensity = "percentile", in 0 to 100."""
    range: tuple[float, float] | None = None
    """The levels that become 0 and 1 with intensity = "range", for example [-1000, 400] for CT in Hounsfield units."""
    jpeg: Literal["whole", "scaled"] = "whole"
    """scaled: JPEG files at least 8 times larger than the target are decoded at 1/2, 1/4 or 1/8 of their size, which is
    faster and differs by at most 2 of 255 levels on photographs; identical pixels are then recognised among JPEG files
    only. Done where neither stain normalisation nor steps.before need every pixel. whole: every pixel is decoded."""
    stain: StainSettings = Field(default_factory=StainSettings)
    steps: StepSettings = Field(default_factory=StepSettings)

    @property
    def longest_side_px(self) -> int:
        """The side that larger images are scaled down to."""
        return self.size_px if self.size == "fixed" else self.max_side_px

    @property
    def allows_scaled_jpeg(self) -> bool:
        """Whether JPEG files may be decoded at a fraction of their size."""
        return self.jpeg == "scaled" and self.stain.method == "none" and not self.steps.before

    @model_validator(mode="after")
    def _pairs_ascend(self) -> "PixelSettings":
        low, high = self.percentiles
        if not 0 <= low < high <= 100:
            raise ValueError(f"percentiles is [{low:g}, {high:g}]; give two ascending numbers in 0 to 100")
        if self.range is not None and not self.range[0] < self.range[1]:
            raise ValueError(f"range is [{self.range[0]:g}, {self.range[1]:g}]; the second level must be the higher")
        if (self.intensity == "range") != (self.range is not None):
            raise ValueError("intensity = 'range' and range = [lowest, highest] belong together; set both or neither")
        return self


@dataclasses.dataclass(frozen=True, kw_only=True)
class PreparedImage:
    """One image as it is stored."""

    codes: Codes
    slope: float
    """Levels a code."""
    intercept: float
    """The level of code 0."""
    darkest: float
    """The lowest level that the decoded type can hold; NaN for floating-point numbers."""
    brightest: float
    stain_unchanged: str | None = None
    """Why its colours are as they were although a stain was asked for; None where they are not, or none was."""


def prepare_image(
    image: Pixels,
    settings: PixelSettings,
    *,
    stain: StainReference | None = None,
    whole_px: tuple[int, int] | None = None,
) -> PreparedImage:
    """Bring one decoded image to its stain, its channels and its size.

    Levels of 8 and 16 bits are kept as they are; floating-point levels are stored in 65,536 steps from the image's
    lowest to its highest.

    Args:
        image: as ``read_image`` returns it.
        settings: what is done to it.
        stain: the training images' typical stain, to which colour images are brought; None to leave colours alone.
        whole_px: height and width of the image in its file, where it was decoded at a fraction of them: its prepared
            size follows from these, so that rounding is the same either way.
    """
    unchanged = None
    if stain is not None:
        image, unchanged = bring_to_stain(image, stain)
    *_, (_, last) = stages(image, settings, whole_px=whole_px)
    ready = with_channels(last, settings.channels)
    if ready.dtype != np.float32:
        brightest = float(np.iinfo(ready.dtype).max)
        return PreparedImage(
            codes=ready, slope=1.0, intercept=0.0, darkest=0.0, brightest=brightest, stain_unchanged=unchanged
        )
    lowest, highest = float(ready.min()), float(ready.max())
    slope = (highest - lowest) / _CODES_OF_FLOATS or 1.0  # an image of one level is code 0 everywhere
    codes = np.rint((ready.astype(np.float64) - lowest) / slope).astype(np.uint16)
    unknown = float("nan")
    return PreparedImage(
        codes=codes, slope=slope, intercept=lowest, darkest=unknown, brightest=unknown, stain_unchanged=unchanged
    )


def colours_of(image: Pixels) -> UInt8[np.ndarray, "_height _width 3"] | None:
    """Return the colours in which stains are measured; None for grey and floating-point images, which have none."""
    if image.ndim == 2 or image.dtype == np.float32:
        return None
    return to_uint8(image, intensity="full")


def bring_to_stain(image: Pixels, stain: StainReference) -> tuple[Pixels, str | None]:
    """Return an image in the stain of the reference, or as it was with the reason."""
    colours = colours_of(image)
    if colours is None:
        return image, "no colours"
    brought = normalise(colours, stain)
    return (image if brought.unchanged else brought.image), brought.unchanged


def stages(
    image: Pixels,
    settings: PixelSettings,
    *,
    stain: StainReference | None = None,
    whole_px: tuple[int, int] | None = None,
) -> Iterator[tuple[str, Pixels]]:
    """Yield the image as it is decoded, and after each stage of ``prepare_image``, with the stage's name.

    Grey is (height, width) and colour (height, width, 3); the type is that of the stage.
    """
    yield "as decoded", image
    if stain is not None:
        image, _ = bring_to_stain(image, stain)
        yield f"stain {stain.typical.method}", image
    for text in settings.steps.before:
        image = apply_step(image, parse_step(text))
        yield text, image
    planes = with_channels(image, settings.channels)
    whole_height_px, whole_width_px = whole_px or planes.shape[:2]
    height_px, width_px = prepared_size(whole_height_px, whole_width_px, settings)
    image = _flat(resize(planes, height_px=height_px, width_px=width_px))
    yield "resized", image
    for text in settings.steps.after:
        image = apply_step(image, parse_step(text))
        yield text, image


def _flat(planes: Planes) -> Pixels:
    """Return grey as (height, width), colour as it is."""
    flat: Pixels = planes[:, :, 0] if planes.shape[2] == 1 else planes
    return flat


def level_statistics(prepared: PreparedImage, percentiles: tuple[float, float]) -> dict[str, float]:
    """Return what ``intensity`` needs to know of one image, by the names of ``STATISTICS``."""
    measured = measure_levels(
        prepared.codes, slope=prepared.slope, intercept=prepared.intercept, percentiles=percentiles
    )
    return {**measured, "darkest": prepared.darkest, "brightest": prepared.brightest}


def as_displayed(
    prepared: PreparedImage, intensity: Intensity, percentiles: tuple[float, float]
) -> UInt8[np.ndarray, "height width channels"]:
    """Return an image as the network gets it, for eyes: 0 is black, 1 is white, and what is beyond is cut off."""
    known = level_statistics(prepared, percentiles)
    zero, one = intensity.levels(LevelStatistics(**{name: np.array([value]) for name, value in known.items()}))
    numbers = (prepared.codes * prepared.slope + prepared.intercept - zero) / (one - zero)
    shown: np.ndarray = np.rint(numbers.clip(0, 1) * 255).astype(np.uint8)
    return shown


def prepared_size(height_px: int, width_px: int, settings: PixelSettings) -> tuple[int, int]:
    """Return the height and width that an image is scaled to.

    >>> prepared_size(1536, 2048, PixelSettings(size_px=256))
    (192, 256)
    """
    longest = max(height_px, width_px)
    if settings.size == "native" and longest <= settings.max_side_px:
        return height_px, width_px
    target = settings.longest_side_px
    return max(1, round(height_px * target / longest)), max(1, round(width_px * target / longest))


def with_channels(image: Pixels, channels: Literal["grey", "rgb"]) -> Planes:
    """Return (height, width, 1) or (height, width, 3); colour becomes grey by ITU-R BT.601 luma."""
    if image.ndim == 2:
        grey = image[:, :, None]
        return grey if channels == "grey" else np.repeat(grey, 3, axis=2)
    if channels == "rgb":
        return image
    luma = image.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    whole = luma if image.dtype == np.float32 else np.rint(luma).astype(image.dtype)
    return whole[:, :, None]


def resize(image: Planes, *, height_px: int, width_px: int) -> Planes:
    """Scale with a bicubic, antialiased filter; 8 bits stay 8 bits, several times faster than with Pillow.

    8 bits are within one level of Pillow's BICUBIC (two at one pixel in 10,000). Only where the filter overshoots
    0..255 may they differ more: in tall images the two passes come in the other order, and what overshoots is cut off
    between them. 16 bits are computed in floating point, and what overshoots their range is cut off.
    """
    if image.shape[:2] == (height_px, width_px):
        return image
    is_deep = image.dtype != np.uint8
    # Late: looking at headers needs no PyTorch, and its import takes longer than a small scan.
    import torch

    # Height, width, channels in memory is PyTorch's "channels last": no copy, and its fast path.
    planes = np.ascontiguousarray(image, dtype=np.float32 if is_deep else np.uint8)
    batch = torch.from_numpy(planes).permute(2, 0, 1)[None]
    scaled = torch.nn.functional.interpolate(batch, size=(height_px, width_px), mode="bicubic", antialias=True)
    result: np.ndarray = np.ascontiguousarray(scaled[0].permute(1, 2, 0).numpy())
    return np.rint(result).clip(0, 65535).astype(np.uint16) if image.dtype == np.uint16 else result
