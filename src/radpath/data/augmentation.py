"""Random changes to training images that leave their class as it is.

In: one prepared image. Out: the same image, flipped, turned, moved, brightened. Each image is changed before it is
padded, so that nothing outside it is ever moved in, and each has its own draw, so that neither batch nor worker
matters.
"""

import math
from typing import Final, Literal

import numpy as np
import torch
from jaxtyping import Float, UInt8
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from radpath.data.preparation import Pixels
from radpath.settings import Settings

View = UInt8[np.ndarray, "view_height view_width channels"]
"""Pixels whose sides a quarter turn may have swapped."""

Flips = Literal["none", "horizontal", "dihedral"]

NUM_VIEWS: Final[dict[Flips, int]] = {"none": 1, "horizontal": 2, "dihedral": 8}
"""How many different images the flips of each kind make of one."""


class AugmentationSettings(Settings):
    """Random changes to training images; validation, test and prediction never see them."""

    flips: Flips = "horizontal"
    """horizontal: mirror left and right half of the time; dihedral: any of the eight flips and quarter turns, for
    images without an up, such as histology; none: never."""
    rotation_deg: float = Field(default=10.0, ge=0, le=180)
    """Images are turned about their centre by up to this angle, either way."""
    scale: float = Field(default=0.1, ge=0, lt=1)
    """Images are magnified or reduced by up to this share."""
    shift: float = Field(default=0.1, ge=0, lt=1)
    """Images are moved by up to this share of each side."""
    brightness: float = Field(default=0.1, ge=0, le=1)
    """Brightness is shifted by up to this share of the full range, either way."""
    contrast: float = Field(default=0.1, ge=0, lt=1)
    """Contrast about the image's mean is scaled by up to this share, either way."""

    @property
    def flips_only(self) -> bool:
        """True where an image has only the few views that flips make, so that their features can be kept."""
        return not any((self.rotation_deg, self.scale, self.shift, self.brightness, self.contrast))


def draw_view(flips: Flips, rng: np.random.Generator) -> int:
    """Draw one of the views that ``flips`` makes: 0 is the image as it is."""
    return int(rng.integers(NUM_VIEWS[flips]))


def view_of(image: Pixels, view: int) -> View:
    """Return a view: the last bit mirrors left and right, the bits before it count quarter turns."""
    turned = np.rot90(image, view // 2)
    return turned[:, ::-1] if view % 2 else turned


def augment(image: Pixels, settings: AugmentationSettings, *, rng: np.random.Generator) -> View:
    """Return the image changed at random: (height, width, channels), or sides swapped by a quarter turn."""
    flipped = view_of(image, draw_view(settings.flips, rng))
    if settings.flips_only:
        return flipped
    return _shift_levels(_move(flipped, settings, rng), settings, rng)


def _move(image: Pixels, settings: AugmentationSettings, rng: np.random.Generator) -> Pixels:
    """Turn, scale and shift in one bilinear resampling; what comes in from outside mirrors the image's edge."""
    if not any((settings.rotation_deg, settings.scale, settings.shift)):
        return image
    inverse = _inverse_affine(image.shape[0], image.shape[1], settings, rng)
    pixels = torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)[None]
    grid = functional.affine_grid(inverse[None], list(pixels.shape), align_corners=False)
    moved = functional.grid_sample(pixels, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    return moved[0].permute(1, 2, 0).round_().clamp_(0, 255).byte().numpy()


def _inverse_affine(
    height_px: int, width_px: int, settings: AugmentationSettings, rng: np.random.Generator
) -> Float[Tensor, "2 3"]:
    """Return where each output place reads, in coordinates of -1..1 a side, without distorting the aspect ratio."""
    angle = math.radians(rng.uniform(-settings.rotation_deg, settings.rotation_deg))
    size = 1 + rng.uniform(-settings.scale, settings.scale)
    right, down = rng.uniform(-settings.shift, settings.shift, 2) * 2
    aspect = height_px / width_px
    cosine, sine = math.cos(angle) / size, math.sin(angle) / size
    return torch.tensor([[cosine, -sine * aspect, right], [sine / aspect, cosine, down]], dtype=torch.float32)


def _shift_levels(image: Pixels, settings: AugmentationSettings, rng: np.random.Generator) -> Pixels:
    """Scale and shift the 256 levels through a table: the same for every channel, so that no colour is invented."""
    shift = rng.uniform(-settings.brightness, settings.brightness) * 255
    factor = 1 + rng.uniform(-settings.contrast, settings.contrast)
    if shift == 0 and factor == 1:
        return image
    mean = float(image.mean())
    table = np.clip((np.arange(256) - mean) * factor + mean + shift, 0, 255)
    shifted: Pixels = np.rint(table).astype(np.uint8)[image]
    return shifted
