"""Thresholds and morphology: named steps that turn a decoded image into a simpler one, before or after it is resized.

In: an image and the names of steps, ``["otsu", "opening(3)"]``. Out: an image of the same type and size. scikit-image
(extra ``morphology``) does the work; when the steps run is left to preparation. One rule holds for each kind of image:

- morphology works on each channel by itself, with the pixels outside the image left out;
- a threshold works on the brightness (luma) and gives a grey image of 0 and the greatest value: 255, 65535 or 1.0;
- brighter than the threshold is foreground; an image of one value has no Otsu threshold, and becomes 0 everywhere.
"""

import dataclasses
import difflib
import re
from collections.abc import Sequence
from typing import Annotated, Final, Literal

import numpy as np
from jaxtyping import Float32, UInt8, UInt16
from pydantic import AfterValidator

from radpath.errors import MissingExtraError
from radpath.settings import Settings

Image = (
    UInt8[np.ndarray, "_height _width"]
    | UInt16[np.ndarray, "_height _width"]
    | Float32[np.ndarray, "_height _width"]
    | UInt8[np.ndarray, "_height _width 3"]
    | UInt16[np.ndarray, "_height _width 3"]
    | Float32[np.ndarray, "_height _width 3"]
)

StepName = Literal["threshold", "otsu", "erosion", "dilation", "opening", "closing"]

CHOICES: Final[dict[str, str]] = {
    "threshold": "threshold(0.4)",
    "otsu": "otsu",
    "erosion": "erosion(1)",
    "dilation": "dilation(1)",
    "opening": "opening(3)",
    "closing": "closing(3)",
}
"""Each step's name with an example of how it is written."""

LARGEST_RADIUS_PX: Final = 50
"""Time grows with the square of the radius: at 50, a megapixel takes about 10 seconds."""

_WRITTEN: Final = re.compile(r"\s*(\w+)\s*(?:\((.*)\)\s*)?")
_LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


@dataclasses.dataclass(frozen=True, kw_only=True)
class Step:
    """One step, as its text says it."""

    name: StepName
    threshold: float = 0.0
    """For ``threshold``: share of the range, in (0, 1)."""
    radius_px: int = 0
    """For morphology: of the disk that is moved over the image."""


def parse_step(text: str) -> Step:
    """Read one step.

    Raises:
        ValueError: the text is no step; the message says how steps are written.

    >>> parse_step("opening(3)").radius_px
    3
    >>> parse_step("opning(3)")
    Traceback (most recent call last):
    ValueError: 'opning(3)' is no step; did you mean 'opening(3)'?
    """
    written = _WRITTEN.fullmatch(text)
    name, argument = written.groups() if written else (text, None)
    match name:
        case "otsu":
            if argument is not None:
                raise ValueError(f"{text!r}: otsu finds its threshold itself and takes no number; write otsu")
            return Step(name="otsu")
        case "threshold":
            return Step(name="threshold", threshold=_share(text, argument or ""))
        case "erosion" | "dilation" | "opening" | "closing":
            return Step(name=name, radius_px=_radius(text, argument or ""))
    close = difflib.get_close_matches(name, CHOICES, n=1)
    hint = f"did you mean '{CHOICES[close[0]]}'?" if close else f"known: {', '.join(CHOICES.values())}"
    raise ValueError(f"{text!r} is no step; {hint}")


def _share(text: str, argument: str) -> float:
    try:
        share = float(argument)
    except ValueError:
        share = -1.0
    if not 0 < share < 1:
        raise ValueError(f"{text!r} needs a share of the range between 0 and 1; write for example threshold(0.4)")
    return share


def _radius(text: str, argument: str) -> int:
    if not argument.strip().isdecimal() or not 1 <= int(argument) <= LARGEST_RADIUS_PX:
        raise ValueError(
            f"{text!r} needs a radius of 1 to {LARGEST_RADIUS_PX} whole pixels; write for example closing(3)"
        )
    return int(argument)


def _checked(steps: tuple[str, ...]) -> tuple[str, ...]:
    for step in steps:
        parse_step(step)
    return steps


Steps = Annotated[tuple[str, ...], AfterValidator(_checked)]
"""Steps as settings hold them, checked when they are read."""


class StepSettings(Settings):
    """Thresholds and morphology, in the order given; the same in training, validation, test and prediction."""

    before: Steps = ()
    """Steps on the decoded image, before it is resized: threshold(0.4), otsu, erosion(1), dilation(1), opening(3),
    closing(3); the number is a share of the range, or the radius of a disk in pixels of the file."""
    after: Steps = ()
    """Steps on the resized image; radii are in pixels of the network's input."""


def apply_steps(image: Image, steps: Sequence[str]) -> Image:
    """Return the image after all steps, in order; the type and the size stay, a threshold makes colour grey.

    Args:
        image: grey or RGB. Numbers in float32 may have any range, and are never NaN.
        steps: as ``parse_step`` reads them.

    Raises:
        MissingExtraError: scikit-image is not installed.
        ValueError: a text is no step.

    >>> apply_steps(np.array([[10, 12, 200]], np.uint8), ["otsu"]).tolist()
    [[0, 0, 255]]
    """
    for text in steps:
        image = apply_step(image, parse_step(text))
    return image


def apply_step(image: Image, step: Step) -> Image:
    """Return the image after one step.

    - ``threshold``: the share is of all values that the integer type holds, so that images can be compared; numbers in
      float32 have no such range, and the share is of the image's own, from its minimum to its maximum.
    - ``otsu``: the threshold that separates two groups of pixels best (Otsu 1979): over all levels of an integer type,
      over 256 equal steps between minimum and maximum for float32.
    - ``erosion`` and ``dilation``: the minimum and the maximum within a disk (``skimage.morphology.disk``); ``opening``
      is erosion, then dilation; ``closing`` the other way round.

    Raises:
        MissingExtraError: scikit-image is not installed.
    """
    if step.name == "threshold":
        grey = luma(image)
        lowest, highest = _range(grey)
        return _binary(grey, lowest + step.threshold * (highest - lowest))
    try:
        from skimage.filters import threshold_otsu
        from skimage.morphology import closing, dilation, disk, erosion, opening
    except ImportError:
        raise MissingExtraError(
            f"step '{step.name}' needs scikit-image, which is not installed; pip install 'radpath[morphology]'"
        ) from None
    if step.name == "otsu":
        grey = luma(image)
        # In 64 bits, so that 256 steps fit even between two neighbouring numbers of 32.
        levels = grey.astype(np.float64) if grey.dtype == np.float32 else grey
        return _binary(grey, float(threshold_otsu(levels)))
    operation = {"erosion": erosion, "dilation": dilation, "opening": opening, "closing": closing}[step.name]
    footprint = disk(step.radius_px)
    # A third axis of length 1 moves the disk over each channel by itself.
    changed: Image = operation(image, footprint if image.ndim == 2 else footprint[:, :, None])
    return changed


def luma(image: Image) -> Image:
    """Return the brightness of an image as a grey image of the same type: ITU-R BT.601, integers rounded.

    >>> luma(np.array([[[255, 0, 0]]], np.uint8)).tolist()
    [[76]]
    """
    if image.ndim == 2:
        return image
    grey = image.astype(np.float32) @ _LUMA
    brightness: Image = grey if image.dtype == np.float32 else np.rint(grey).astype(image.dtype)
    return brightness


def _range(grey: Image) -> tuple[float, float]:
    """Return the values that 0 and 1 of a share stand for."""
    if grey.dtype == np.float32:
        return float(grey.min()), float(grey.max())
    return 0.0, float(np.iinfo(grey.dtype).max)


def _binary(grey: Image, threshold: float) -> Image:
    greatest = 1.0 if grey.dtype == np.float32 else np.iinfo(grey.dtype).max
    binary: Image = np.where(grey > threshold, greatest, 0).astype(grey.dtype)
    return binary
