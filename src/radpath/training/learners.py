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
from radpath.data.batches import ImageSource
from radpath.models.classifier import Classifier
from radpath.seeding import generator_for
from radpath.training.losses import Targets
from radpath.training.mixing import MixSettings, mix_batch
from radpath.training.prediction import features_of_views
from radpath.training.sampling import Sampling, deal_batches


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

    def examples(self, tickets: Int[np.ndarray, " batch"], *, epoch: int) -> Examples:
        """Return one batch for ``module``."""
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

    def examples(self, tickets: Int[np.ndarray, " batch"], *, epoch: int) -> Examples:
        """Augment, pad and mix images."""
        drawing, device = self._drawing, next(self.module.parameters()).device
        batch = self._source.assemble_augmented(
            tickets, drawing.augmentation, seed=drawing.seed, epoch=epoch, device=device
        )
        targets = batch.labels
        if drawing.mix.kind != "none":
            rng = generator_for(drawing.seed, "mix", epoch, *tickets.tolist())
            batch, targets = mix_batch(batch, drawing.mix, num_classes=self._num_classes, rng=rng)
        return Examples(inputs=(batch.images, batch.heights_px, batch.widths_px), targets=targets.to(device))


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

    def examples(self, tickets: Int[np.ndarray, " batch"], *, epoch: int) -> Examples:
        """Look up the features of the drawn views."""
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
