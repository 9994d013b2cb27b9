"""Random changes to training images that leave their class as it is.

In: one prepared image. Out: the same image, turned, flipped, brightened. Each image is changed before it is padded,
so that nothing outside it is ever moved in, and each has its own draw, so that neither batch nor worker matters.
"""

from typing import Literal

import numpy as np
from pydantic import Field

from radpath.data.preparation import Pixels
from radpath.settings import Settings


class AugmentationSettings(Settings):
    """Random changes to training images; validation, test and prediction never see them."""

    flips: Literal["none", "horizontal", "dihedral"] = "horizontal"
    """horizontal: mirror left and right half of the time; dihedral: any of the eight flips and quarter turns, for
    images without an up, such as histology."""
    brightness: float = Field(default=0.1, ge=0, le=1)
    """Brightness is shifted by up to this share of the full range, either way."""
    contrast: float = Field(default=0.1, ge=0, lt=1)
    """Contrast about the image's mean is scaled by up to this share, either way."""

    @property
    def changes_nothing(self) -> bool:
        """True where every image stays as it is."""
        return self.flips == "none" and self.brightness == 0 and self.contrast == 0


def augment(image: Pixels, settings: AugmentationSettings, *, rng: np.random.Generator) -> Pixels:
    """Return the image changed at random: (height, width, channels), or sides swapped by a quarter turn."""
    return _shift_levels(_flip(image, settings.flips, rng), settings, rng)


def _flip(image: Pixels, flips: Literal["none", "horizontal", "dihedral"], rng: np.random.Generator) -> Pixels:
    mirrored, quarter_turns = bool(rng.integers(2)), int(rng.integers(4))
    if flips == "none":
        return image
    turned = np.rot90(image, quarter_turns) if flips == "dihedral" else image
    return turned[:, ::-1] if mirrored else turned


def _shift_levels(image: Pixels, settings: AugmentationSettings, rng: np.random.Generator) -> Pixels:
    """Scale and shift the 256 levels through a table: the same for every channel, so that no colour is invented."""
    shift = rng.uniform(-settings.brightness, settings.brightness) * 255
    factor = 1 + rng.uniform(-settings.contrast, settings.contrast)
    if shift == 0 and factor == 1:
        return image
    mean = float(image.mean())
    table = np.clip((np.arange(256) - mean) * factor + mean + shift, 0, 255)
    return np.rint(table).astype(np.uint8)[image]
