"""Two ways to the same logits: the whole network on images, or the head on features that were computed once.

A frozen backbone gives the same features in every epoch. Where the augmentation has only flips, an image has few
views, whose features are computed once; drawing a view then costs nothing. The draws are the same as those of the
slow way, and so are the numbers, up to rounding.
"""

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
from radpath.training.prediction import features_of_views


@runtime_checkable
class Learner(Protocol):
    """Gives logits for the images at some positions of the training side."""

    module: nn.Module
    """What is trained."""
    features: list[Tensor] | None
    """The features of every view of every training image, where they are kept."""

    all_labels: Int[np.ndarray, " images"]
    """The class of every training image."""

    def batches(self, *, epoch: int) -> list[Int[np.ndarray, " batch"]]:
        """Return the epoch's batches."""
        ...

    def labels(self, positions: Int[np.ndarray, " batch"]) -> Int[Tensor, " batch"]:
        """Return the classes of the images at ``positions``."""
        ...

    def logits(self, trained: nn.Module, positions: Int[np.ndarray, " batch"], *, epoch: int) -> Tensor:
        """Return logits (batch, classes), through ``trained``: the module as Fabric wrapped it."""
        ...


@final
class ImageLearner:
    """The whole network on augmented images."""

    def __init__(
        self, model: Classifier, source: ImageSource, augmentation: AugmentationSettings, *, seed: int
    ) -> None:
        """Learn from ``source``."""
        self.module: nn.Module = model
        self.features: list[Tensor] | None = None
        self.all_labels = source.labels
        self._source, self._augmentation, self._seed = source, augmentation, seed

    def batches(self, *, epoch: int) -> list[Int[np.ndarray, " batch"]]:
        """Return batches of similar sizes."""
        return self._source.shuffled(seed=self._seed, epoch=epoch)

    def labels(self, positions: Int[np.ndarray, " batch"]) -> Int[Tensor, " batch"]:
        """Return the source's labels."""
        return torch.from_numpy(self._source.labels[positions])

    def logits(self, trained: nn.Module, positions: Int[np.ndarray, " batch"], *, epoch: int) -> Tensor:
        """Augment, pad and run the network."""
        device = next(trained.parameters()).device
        batch = self._source.assemble_augmented(
            positions, self._augmentation, seed=self._seed, epoch=epoch, device=device
        )
        logits: Tensor = trained(batch.images, batch.heights_px, batch.widths_px)
        return logits


@final
class FeatureLearner:
    """The head alone, on features of every view of every image."""

    def __init__(
        self,
        model: Classifier,
        source: ImageSource,
        augmentation: AugmentationSettings,
        *,
        seed: int,
        features: list[Tensor],
    ) -> None:
        """Learn from ``features``, which belong to the images of ``source``."""
        self.module: nn.Module = nn.Sequential(model.dropout, model.head)
        self.features: list[Tensor] | None = features
        self.all_labels = source.labels
        self._source, self._augmentation, self._seed = source, augmentation, seed
        self._stacked: Float[Tensor, "views images features"] = torch.stack(features)

    def batches(self, *, epoch: int) -> list[Int[np.ndarray, " batch"]]:
        """Return the batches that the images themselves would come in."""
        return self._source.shuffled(seed=self._seed, epoch=epoch)

    def labels(self, positions: Int[np.ndarray, " batch"]) -> Int[Tensor, " batch"]:
        """Return the source's labels."""
        return torch.from_numpy(self._source.labels[positions])

    def logits(self, trained: nn.Module, positions: Int[np.ndarray, " batch"], *, epoch: int) -> Tensor:
        """Look up the features of the drawn views and run the head."""
        views = draw_views(positions, self._augmentation, seed=self._seed, epoch=epoch)
        chosen = self._stacked[torch.from_numpy(views), torch.from_numpy(positions)]
        logits: Tensor = trained(chosen.to(next(trained.parameters()).device))
        return logits


def build_learner(
    model: Classifier, source: ImageSource, augmentation: AugmentationSettings, *, seed: int, fabric: Fabric
) -> Learner:
    """Return the fast learner where it gives the same numbers, the general one elsewhere."""
    if model.freeze == "none" or not augmentation.flips_only:
        return ImageLearner(model, source, augmentation, seed=seed)
    views = range(NUM_VIEWS[augmentation.flips])
    features = features_of_views(model, source, views=views, fabric=fabric, what="computing features")
    return FeatureLearner(model, source, augmentation, seed=seed, features=features)
