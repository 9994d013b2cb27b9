"""Stain jitter for H&E: the amounts of the stains in a section vary, as between laboratories.

In: a batch of colour images and what was drawn. Out: the images as they would look with more or less of each stain.
Light through a section fades exponentially with the amount of stain (Beer and Lambert), so optical density is linear in
the amounts, and a jitter of amounts is one matrix an image there. After Tellez et al., "Whole-slide mitosis detection
in H&E breast histology using PHH3 as a reference to train distilled stain-invariant convolutional networks", IEEE
Transactions on Medical Imaging 37, 2018, section III-C: scaling by 1 +- sigma, shift by +- sigma.
"""

from typing import Final

import numpy as np
import torch
from jaxtyping import Float

from radpath.data.augmentation.colour import mix_channels
from radpath.data.augmentation.geometry import Images
from radpath.data.stain.optical_density import RGB_FROM_HED

_DARKEST: Final = 1 / 255  # added to the light, so that black has an optical density too


def jitter_stains(
    images: Images,
    factors: Float[np.ndarray, "batch 3"],
    offsets: Float[np.ndarray, "batch 3"],
    *,
    basis: Float[np.ndarray, "*batch 3 3"] = RGB_FROM_HED,
) -> Images:
    """Return the images with every amount of stain multiplied by its factor and raised by its offset; padding too.

    Args:
        images: red, green and blue; the light that comes through, 0..1, and cut off there.
        factors: one a stain.
        offsets: one a stain, in units of optical density, -ln of the light.
        basis: the colours of three stains as rows of optical densities, one matrix for all images or one for each;
            where only two are known, the third is any other colour, which takes up what they leave.
    """
    # Row vectors of optical density become amounts, are scaled and shifted, and become optical density again.
    scaled = np.linalg.inv(basis) @ (factors[:, :, None] * basis)
    shifted = np.einsum("bs,...sc->bc", offsets, basis) if basis.ndim == 2 else np.einsum("bs,bsc->bc", offsets, basis)
    matrices = torch.as_tensor(np.swapaxes(scaled, 1, 2), dtype=images.dtype).to(images.device)
    raised = torch.as_tensor(shifted[:, :, None], dtype=images.dtype).to(images.device)
    light = images.clamp(0, 1).add_(_DARKEST).div_(1 + _DARKEST)
    densities = mix_channels(light.log_().neg_(), matrices, raised)
    faded = densities.neg_().exp_()
    return faded.mul_(1 + _DARKEST).sub_(_DARKEST)
