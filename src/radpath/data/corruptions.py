"""An image gets worse in a stated way: other light, blur, noise, compression, a turn, each in five strengths.

In: a prepared image as the network gets it before its normalisation, in 0..1, and a generator. Out: the same image,
spoilt, of the same size. The strengths are those of ``CORRUPTIONS``; kinds and the idea of five levels follow
Hendrycks and Dietterich (2019), the numbers are ours, since theirs are for photographs. What it does to a model is
asked by ``evaluation.robustness``.
"""

import dataclasses
import io
from collections.abc import Callable
from typing import Final

import numpy as np
from jaxtyping import Float32
from PIL import Image
from scipy import ndimage

SpoiltImage = Float32[np.ndarray, "height width channels"]

_REFERENCE_PX: Final = 224
"""Blur is stated for images whose shorter side is this, and scaled with it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CorruptionKind:
    """One way to spoil an image."""

    name: str
    parameter: str
    """What the numbers of the levels are, for a reader."""
    levels: tuple[float, ...]
    """From the weakest to the strongest."""
    apply: Callable[[SpoiltImage, float, np.random.Generator], np.ndarray]


def corrupt(image: SpoiltImage, kind: CorruptionKind, level: int, generator: np.random.Generator) -> SpoiltImage:
    """Return the image, spoilt; what leaves 0..1 is cut off.

    Args:
        image: in 0..1, without padding.
        kind: one of ``CORRUPTIONS``.
        level: from 1, the weakest.
        generator: for what is drawn: noise, and the sign of what goes either way.
    """
    spoilt = kind.apply(image, kind.levels[level - 1], generator)
    return np.asarray(spoilt, dtype=np.float32).clip(0, 1)


def _sign(generator: np.random.Generator) -> int:
    return 1 if generator.random() < 0.5 else -1


def _brightness(image: SpoiltImage, shift: float, generator: np.random.Generator) -> np.ndarray:
    return image + np.float32(_sign(generator) * shift)


def _contrast(image: SpoiltImage, factor: float, _: np.random.Generator) -> np.ndarray:
    middle = image.mean(dtype=np.float64)
    changed: np.ndarray = (image - middle) * factor + middle
    return changed


def _blur(image: SpoiltImage, sigma_px: float, _: np.random.Generator) -> np.ndarray:
    own_px = sigma_px * min(image.shape[:2]) / _REFERENCE_PX
    blurred: np.ndarray = ndimage.gaussian_filter(image, (own_px, own_px, 0), mode="reflect")
    return blurred


def _noise(image: SpoiltImage, deviation: float, generator: np.random.Generator) -> np.ndarray:
    noisy: np.ndarray = image + deviation * generator.standard_normal(image.shape, dtype=np.float32)
    return noisy


def _jpeg(image: SpoiltImage, quality: float, _: np.random.Generator) -> np.ndarray:
    codes = np.rint(image * 255).astype(np.uint8)
    written = io.BytesIO()
    Image.fromarray(codes[:, :, 0] if codes.shape[2] == 1 else codes).save(written, format="JPEG", quality=int(quality))
    decoded = np.asarray(Image.open(written), dtype=np.float32) / 255
    return decoded[:, :, None] if decoded.ndim == 2 else decoded


def _rotation(image: SpoiltImage, degrees: float, generator: np.random.Generator) -> np.ndarray:
    angle = _sign(generator) * degrees
    # What turns in from outside is the mirrored image: black corners would be another test.
    turned: np.ndarray = ndimage.rotate(image, angle, axes=(0, 1), reshape=False, order=1, mode="mirror")
    return turned


CORRUPTIONS: Final[dict[str, CorruptionKind]] = {
    kind.name: kind
    for kind in (
        CorruptionKind(
            name="brightness",
            parameter="added to every pixel or taken from it, of 0 to 1",
            levels=(0.05, 0.1, 0.15, 0.2, 0.3),
            apply=_brightness,
        ),
        CorruptionKind(
            name="contrast",
            parameter="factor about the mean of the image",
            levels=(0.8, 0.65, 0.5, 0.35, 0.2),
            apply=_contrast,
        ),
        CorruptionKind(
            name="blur",
            parameter=f"standard deviation in px of an image whose shorter side is {_REFERENCE_PX} px",
            levels=(0.5, 1.0, 2.0, 3.0, 5.0),
            apply=_blur,
        ),
        CorruptionKind(
            name="noise",
            parameter="standard deviation of Gaussian noise, of 0 to 1",
            levels=(0.02, 0.04, 0.08, 0.12, 0.2),
            apply=_noise,
        ),
        CorruptionKind(
            name="jpeg",
            parameter="JPEG quality, of 100",
            levels=(80.0, 60.0, 40.0, 20.0, 10.0),
            apply=_jpeg,
        ),
        CorruptionKind(
            name="rotation",
            parameter="degrees either way, mirrored at the border",
            levels=(5.0, 10.0, 20.0, 30.0, 45.0),
            apply=_rotation,
        ),
    )
}
"""In the order in which they are shown."""
