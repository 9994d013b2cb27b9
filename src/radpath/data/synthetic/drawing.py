"""Draws one image of tissue: a cartoon of a stained section, at a fixed physical scale.

In: a kind of tissue, a size, a stain, a tint and a random generator. Out: pixels, the same on every machine. What sets
the kinds apart is in ``tissue``; which images a study has is left to ``planning``.
"""

import dataclasses
from typing import Final, Literal, TypeAlias, get_args

import numpy as np
from jaxtyping import Float32, UInt8

from radpath.data.synthetic.exact import Clouds, spread, uniform
from radpath.data.synthetic.glands import Glands
from radpath.data.synthetic.nuclei import coverage, epithelial_nuclei, stromal_nuclei
from radpath.data.synthetic.stroma import Stroma
from radpath.data.synthetic.tissue import KINDS, Kind, architecture_of
from radpath.errors import SettingsError

Stain = Literal["he", "melan", "sox10"]
"""Haematoxylin and eosin; Melan-A, brown in the cytoplasm; SOX10, brown in the nucleus."""

STAINS: Final[tuple[Stain, ...]] = get_args(Stain)

Colour: TypeAlias = tuple[float, float, float]
"""Red, green and blue, from 0 to 255."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Palette:
    """The colours that a stain gives to the parts of tissue."""

    stroma: Colour
    fibre: Colour
    cytoplasm: Colour
    lumen: Colour
    epithelial_nucleus: Colour
    stromal_nucleus: Colour
    mean: Colour
    """The mean colour of an image without tint, the same for every kind of tissue."""


PALETTES: Final[dict[Stain, Palette]] = {
    "he": Palette(
        stroma=(238.0, 178.0, 205.0),
        fibre=(214.0, 135.0, 175.0),
        cytoplasm=(206.0, 150.0, 198.0),
        lumen=(250.0, 246.0, 250.0),
        epithelial_nucleus=(92.0, 58.0, 138.0),
        stromal_nucleus=(110.0, 70.0, 145.0),
        mean=(194.0, 141.0, 183.0),
    ),
    "melan": Palette(
        stroma=(222.0, 224.0, 234.0),
        fibre=(196.0, 202.0, 222.0),
        cytoplasm=(188.0, 134.0, 92.0),
        lumen=(250.0, 250.0, 250.0),
        epithelial_nucleus=(96.0, 104.0, 160.0),
        stromal_nucleus=(105.0, 120.0, 175.0),
        mean=(186.0, 176.0, 178.0),
    ),
    "sox10": Palette(
        stroma=(224.0, 226.0, 236.0),
        fibre=(198.0, 204.0, 224.0),
        cytoplasm=(214.0, 208.0, 214.0),
        lumen=(250.0, 250.0, 250.0),
        epithelial_nucleus=(110.0, 62.0, 30.0),
        stromal_nucleus=(105.0, 120.0, 175.0),
        mean=(188.0, 180.0, 184.0),
    ),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tint:
    """How a laboratory's staining and scanner change colours: the mean of each channel, and the contrast around it."""

    red: float = 1.0
    green: float = 1.0
    blue: float = 1.0
    contrast: float = 1.0

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> "Tint":
        """Return a random tint."""
        brightness = uniform(rng, 0.88, 1.02)
        return cls(
            red=brightness * uniform(rng, 0.97, 1.03),
            green=brightness * uniform(rng, 0.95, 1.05),
            blue=brightness * uniform(rng, 0.96, 1.04),
            contrast=uniform(rng, 0.75, 1.0),
        )


def draw_tissue(
    kind: Kind,
    *,
    height_px: int,
    width_px: int,
    stain: Stain,
    rng: np.random.Generator,
    tint: Tint | None = None,
    drift: float = 0.0,
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw one image, as red, green and blue from 0 to 255.

    A gland is about 40 px across whatever the size of the image; a small image shows a part of one. The mean colour
    depends on the stain and the tint alone, never on the kind of tissue.

    Args:
        kind: the tissue.
        height_px: at least 1.
        width_px: at least 1.
        stain: the palette.
        rng: where all randomness comes from.
        tint: no change of colours if left out.
        drift: in [-1, 1]; how far the tissue resembles the kind before (negative) or after (positive) its own.

    Raises:
        SettingsError: an unknown kind or stain, or a number out of its range.

    >>> draw_tissue("benign", height_px=30, width_px=40, stain="he", rng=np.random.default_rng(1)).shape
    (30, 40, 3)
    """
    _check(kind=kind, stain=stain, height_px=height_px, width_px=width_px, drift=drift)
    architecture = architecture_of(kind, drift=drift)
    glands = Glands(architecture, height_px=height_px, width_px=width_px, rng=rng)
    stroma = Stroma(architecture, rng=rng)
    palette = PALETTES[stain]
    picture = _ground(glands, stroma, palette, height_px=height_px, width_px=width_px, rng=rng)
    cells = epithelial_nuclei(architecture, glands, stroma, height_px=height_px, width_px=width_px, rng=rng)
    picture = _over(picture, palette.epithelial_nucleus, coverage(cells, height_px=height_px, width_px=width_px))
    fibrocytes = stromal_nuclei(glands, stroma, height_px=height_px, width_px=width_px, rng=rng)
    picture = _over(picture, palette.stromal_nucleus, coverage(fibrocytes, height_px=height_px, width_px=width_px))
    return _tinted(_photographed(picture, rng), palette.mean, tint or Tint())


def _check(*, kind: str, stain: str, height_px: int, width_px: int, drift: float) -> None:
    if kind not in KINDS:
        raise SettingsError(f"unknown kind of tissue '{kind}'; known: {', '.join(KINDS)}")
    if stain not in STAINS:
        raise SettingsError(f"unknown stain '{stain}'; known: {', '.join(STAINS)}")
    if min(height_px, width_px) < 1:
        raise SettingsError(f"an image of {height_px} x {width_px} px cannot be drawn; both sides must be at least 1")
    if not -1 <= drift <= 1:
        raise SettingsError(f"drift is {drift}; it must lie between -1 and 1")


def _ground(
    glands: Glands, stroma: Stroma, palette: Palette, *, height_px: int, width_px: int, rng: np.random.Generator
) -> Float32[np.ndarray, "height width 3"]:
    """Return everything but the nuclei."""
    y, x = np.indices((height_px, width_px), dtype=np.float32)
    place = glands.at(y, x)
    fibre, cleft = stroma.weave(y, x)
    plain = np.broadcast_to(np.array(palette.stroma, np.float32), (height_px, width_px, 3))
    torn = _over(_over(plain, palette.fibre, fibre), palette.lumen, cleft)
    invasion = stroma.invasion(y, x, gland_depth_px=place.depth_px)
    cells = np.maximum(np.clip(place.depth_px + 0.5, 0, 1), np.clip(invasion * 8 + 0.5, 0, 1) * 0.8)
    grain = 1 + 0.08 * Clouds(rng).at(y / 4, x / 4)
    return _over(
        _over(torn, palette.cytoplasm, cells) * grain[..., None], palette.lumen, np.clip(place.lumen_px + 0.5, 0, 1)
    )


def _over(
    picture: Float32[np.ndarray, "height width 3"], colour: Colour, share: Float32[np.ndarray, "height width"]
) -> Float32[np.ndarray, "height width 3"]:
    """Lay a colour over the picture, as densely as ``share`` says, from 0 to 1."""
    laid: Float32[np.ndarray, "height width 3"] = picture + (np.array(colour, np.float32) - picture) * share[..., None]
    return laid


def _photographed(
    picture: Float32[np.ndarray, "height width 3"], rng: np.random.Generator
) -> Float32[np.ndarray, "height width 3"]:
    """Return the picture a little out of focus, with the noise of a camera."""
    soft = np.pad(picture, ((1, 1), (1, 1), (0, 0)), mode="edge")
    soft = (soft[:-2] + 2 * soft[1:-1] + soft[2:]) / 4
    soft = (soft[:, :-2] + 2 * soft[:, 1:-1] + soft[:, 2:]) / 4
    height_px, width_px, _ = picture.shape
    noise = spread(rng, -5.0, 5.0, shape=(height_px, width_px, 1)) + spread(rng, -2.0, 2.0, shape=picture.shape)
    photograph: Float32[np.ndarray, "height width 3"] = picture + (soft - picture) * uniform(rng, 0.0, 0.8) + noise
    return photograph


def _tinted(
    picture: Float32[np.ndarray, "height width 3"], mean: Colour, tint: Tint
) -> UInt8[np.ndarray, "height width 3"]:
    """Return the picture with the mean colour that stain and tint give, so that colour says nothing of the tissue.

    A picture that is too bright gets less light; one that is too dark gets less stain. Neither cuts off a level.
    """
    wanted = np.clip(np.array(mean) * np.array((tint.red, tint.green, tint.blue)), 1, 254)
    picture = np.clip(picture, 0, 255)
    # Whole numbers add up to the same sum in any order; floats do not.
    found = np.rint(picture).astype(np.int64).sum(axis=(0, 1)) / (picture.shape[0] * picture.shape[1])
    light = np.minimum(wanted / np.maximum(found, 1), 1).astype(np.float32)
    stain = np.minimum((255 - wanted) / np.maximum(255 - found, 1), 1).astype(np.float32)
    balanced = 255 - (255 - picture * light) * stain
    middle = wanted.astype(np.float32)
    levels = np.rint(middle + (balanced - middle) * tint.contrast)
    pixels: UInt8[np.ndarray, "height width 3"] = np.clip(levels, 0, 255).astype(np.uint8)
    return pixels
