"""Two ways to the same logits: the whole network on images, or the head on features that were computed once.

A frozen backbone gives the same features in every epoch. Where the augmentation has only flips and no images are mixed,
an image has few views, whose features are computed once; drawing a view then costs nothing. The draws are the same as
those of the slow way, and so are the numbers, up to rounding.

Batches hold tickets (see ``sampling``): the position of an image, plus the number of images times how often it came
before in the epoch.
"""

import dataclasses
from typing import Protocol, final, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from lightning_fabric import Fabric
from torch import Tensor, nn

from radpath.data.augmentation.draws import draw_views
from radpath.data.augmentation.settings import AugmentationSettings
from radpath.data.augmentation.views import NUM_VIEWS
from radpath.data.batches import Batch, ImageSource
from radpath.models.classifier import Classifier
from radpath.seeding import generator_for
from radpath.training.losses import Targets
from radpath.training.mixing import MixSettings, mix_batch
from radpath.training.prediction import features_of_views
from radpath.training.sampling import Sampling, deal_batches
from radpath.training.sharing import WHOLE, Share


@dataclasses.dataclass(frozen=True, kw_only=True)
class Examples:
    """A batch, ready for the network."""

    inputs: tuple[Tensor, ...]
    """What the trained module takes."""
    targets: Targets
    """The class of each image or, where images are mixed, the share of each class; on the device of the inputs."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drawing:
    """How the examples of an epoch are drawn."""

    augmentation: AugmentationSettings
    seed: int
    sampling: Sampling
    mix: MixSettings


@runtime_checkable
class Learner(Protocol):
    """Gives the examples of each epoch."""

    module: nn.Module
    """What is trained."""
    features: list[Tensor] | None
    """The features of every view of every training image, where they are kept."""

    all_labels: Int[np.ndarray, " images"]
    """The class of every training image."""

    def batches(self, *, epoch: int) -> list[Int[np.ndarray, " batch"]]:
        """Return the epoch's batches of tickets."""
        ...

    def examples(self, tickets: Int[np.ndarray, " batch"], *, epoch: int, share: Share = WHOLE) -> Examples:
        """Return one batch for ``module``, or the share of it that belongs to this process."""
        ...


@final
class ImageLearner:
    """The whole network on augmented images."""

    def __init__(self, model: Classifier, source: ImageSource, drawing: Drawing) -> None:
        """Learn from ``source``."""
        self.module: nn.Module = model
        self.features: list[Tensor] | None = None
        self.all_labels = source.labels
        self._source, self._drawing, self._num_classes = source, drawing, model.num_classes

    def batches(self, *, epoch: int) -> list[Int[np.ndarray, " batch"]]:
        """Return batches of similar sizes."""
        return deal_batches(self._source, self._drawing.sampling, seed=self._drawing.seed, epoch=epoch)

    def examples(self, tickets: Int[np.ndarray, " batch"], *, epoch: int, share: Share = WHOLE) -> Examples:
        """Augment, pad and mix images."""
        drawing, device = self._drawing, next(self.module.parameters()).device
        rows = share.rows(len(tickets))
        if drawing.mix.kind == "none":
            batch = self._augmented(tickets[rows], epoch=epoch, device=device)
            inputs = (batch.images, batch.heights_px, batch.widths_px)
            return Examples(inputs=inputs, targets=batch.labels.to(device))
        # Partners are images of the whole batch, so that every process mixes it all and keeps its rows.
        rng = generator_for(drawing.seed, "mix", epoch, *tickets.tolist())
        whole = self._augmented(tickets, epoch=epoch, device=device)
        batch, targets = mix_batch(whole, drawing.mix, num_classes=self._num_classes, rng=rng)
        inputs = (batch.images[rows], batch.heights_px[rows], batch.widths_px[rows])
        return Examples(inputs=inputs, targets=targets[rows].to(device))

    def _augmented(self, tickets: Int[np.ndarray, " batch"], *, epoch: int, device: torch.device) -> Batch:
        drawing = self._drawing
        return self._source.assemble_augmented(
            tickets, drawing.augmentation, seed=drawing.seed, epoch=epoch, device=device
        )


@final
class FeatureLearner:
    """The head alone, on features of every view of every image."""

    def __init__(self, model: Classifier, source: ImageSource, drawing: Drawing, *, features: list[Tensor]) -> None:
        """Learn from ``features``, which belong to the images of ``source``."""
        self.module: nn.Module = model.head
        self.features: list[Tensor] | None = features
        self.all_labels = source.labels
        self._source, self._drawing = source, drawing
        self._stacked: Float[Tensor, "views images features"] = torch.stack(features)

    def batches(self, *, epoch: int) -> list[Int[np.ndarray, " batch"]]:
        """Return the batches that the images themselves would come in."""
        return deal_batches(self._source, self._drawing.sampling, seed=self._drawing.seed, epoch=epoch)

    def examples(self, tickets: Int[np.ndarray, " batch"], *, epoch: int, share: Share = WHOLE) -> Examples:
        """Look up the features of the drawn views."""
        tickets = tickets[share.rows(len(tickets))]
        drawing, device = self._drawing, next(self.module.parameters()).device
        views = draw_views(tickets, drawing.augmentation, seed=drawing.seed, epoch=epoch)
        positions = tickets % len(self._source)
        chosen = self._stacked[torch.from_numpy(views), torch.from_numpy(positions)]
        return Examples(
            inputs=(chosen.to(device),), targets=torch.from_numpy(self._source.labels[positions]).to(device)
        )


def build_learner(model: Classifier, source: ImageSource, drawing: Drawing, *, fabric: Fabric) -> Learner:
    """Return the fast learner where it gives the same numbers, the general one elsewhere."""
    if not model.features_are_fixed or not drawing.augmentation.flips_only or drawing.mix.kind != "none":
        return ImageLearner(model, source, drawing)
    views = range(NUM_VIEWS[drawing.augmentation.flips])
    features = features_of_views(model, source, views=views, fabric=fabric, what="computing features")
    return FeatureLearner(model, source, drawing, features=features)
