"""Two images in one: mixup lays one over the other, CutMix pastes a rectangle of one into the other.

In: an augmented batch. Out: the batch with each image mixed with another of the same batch, which lies on the same
canvas, and the share of each class in it. An image keeps its own valid area; what is mixed lies where both images have
pixels, so that padding is never laid over an image. The label follows what can be seen: the partner's share is its
share of the pixels of the image.

Zhang et al. 2018, "mixup: Beyond empirical risk minimization"; Yun et al. 2019, "CutMix: Regularization strategy to
train strong classifiers with localizable features". As in both, one proportion is drawn for a batch. Unlike CutMix, a
rectangle lies wholly inside instead of being cut off at the border.
"""

import dataclasses
import math
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from radpath.data.batches import Batch
from radpath.settings import Settings


class MixSettings(Settings):
    """Training on two images in one."""

    kind: Literal["none", "mixup", "cutmix"] = "none"
    """mixup: each image is laid over another (Zhang et al. 2018); cutmix: a rectangle of another is pasted into it (Yun
    et al. 2019). Labels are mixed alike. What frozen stages compute is then not kept, but computed in every
    epoch."""
    alpha: float = Field(default=0.2, gt=0)
    """The proportion is drawn from Beta(alpha, alpha): mostly near 0 or 1 for small values. Usual are 0.1 to 0.4 for
    mixup, and 1 for cutmix."""


def mix_batch(
    batch: Batch, settings: MixSettings, *, num_classes: int, rng: np.random.Generator
) -> tuple[Batch, Float[Tensor, "batch classes"]]:
    """Mix each image with another one; return the batch and the share of each class in each image.

    Args:
        batch: labelled images on one canvas.
        settings: mixup or cutmix.
        num_classes: the number of classes.
        rng: of this batch of this epoch.
    """
    partners = torch.from_numpy(rng.permutation(len(batch.labels)))
    kept = float(rng.beta(settings.alpha, settings.alpha))
    heights, widths = (torch.minimum(sides, sides[partners]) for sides in (batch.heights_px, batch.widths_px))
    if settings.kind == "cutmix":
        heights, widths = ((sides * math.sqrt(1 - kept)).round().long() for sides in (heights, widths))
        kept_inside = 0.0
    else:
        kept_inside = kept
    inside = _rectangles(batch, heights, widths, rng=rng, partners=partners)
    images = batch.images
    other = kept_inside * images + (1 - kept_inside) * images[partners.to(images.device)]
    areas = (batch.heights_px * batch.widths_px).double()
    taken = ((1 - kept_inside) * heights * widths / areas).float()[:, None]
    # Of several labels each is there or not; where one image's is not known, the mixture's is not either.
    own = batch.labels if batch.labels.dim() > 1 else functional.one_hot(batch.labels, num_classes).float()
    targets = (1 - taken) * own + taken * own[partners]
    return dataclasses.replace(batch, images=torch.where(inside, other, images)), targets


def _rectangles(batch: Batch, heights: Tensor, widths: Tensor, *, rng: np.random.Generator, partners: Tensor) -> Tensor:
    """Return (batch, 1, height, width): True in a rectangle of these sides somewhere in the area of both images."""
    device = batch.images.device

    def between(sides: Tensor, all_sides: Tensor, length: int) -> Tensor:
        free = torch.minimum(all_sides, all_sides[partners]) - sides
        first = (torch.from_numpy(rng.random(len(sides))) * (free + 1)).long()
        places = torch.arange(length)
        return ((places >= first[:, None]) & (places < (first + sides)[:, None])).to(device)

    rows = between(heights, batch.heights_px, batch.images.shape[2])
    columns = between(widths, batch.widths_px, batch.images.shape[3])
    return rows[:, None, :, None] & columns[:, None, None, :]
