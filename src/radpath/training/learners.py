"""Two ways to the same logits: the whole network on images, or what learns of it on activations that are kept.

The frozen part of a network gives the same activations in every epoch for the same view of an image. Where an image has
few views (flips, or ``training.kept_views``) and images are not mixed, they are computed once, in ``feature_cache``;
drawing a view then costs nothing. The draws are the same as those of the slow way, and so are the numbers, up to
rounding.

Batches hold tickets (see ``sampling``): the position of an image, plus the number of images times how often it came
before in the epoch.
"""

import dataclasses
from typing import Protocol, final, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from radpath.data.augmentation.draws import draw_views
from radpath.data.augmentation.settings import AugmentationSettings
from radpath.data.augmentation.views import NUM_VIEWS
from radpath.data.batches import Batch, ImageSource
from radpath.models.classifier import Classifier
from radpath.models.cut import Activations
from radpath.models.heads import logits_of
from radpath.seeding import generator_for
from radpath.training.feature_cache import FeatureCache
from radpath.training.feature_shards import KeptActivations, together
from radpath.training.looks import KEPT_EPOCH, Look, flipped_look, kept_look, kept_tickets, shown_views
from radpath.training.losses import Targets
from radpath.training.mixing import MixSettings, mix_batch
from radpath.training.sampling import Sampling, deal_batches
from radpath.training.settings import TrainingSettings
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
    kept_views: int = 0
    """Each image has so many changed views, of which an epoch shows one; 0: it is changed anew in every epoch."""

    def views(self, tickets: Int[np.ndarray, " batch"], *, num_images: int, epoch: int) -> Int[np.ndarray, " batch"]:
        """Return which of ``training_looks`` each ticket shows in an epoch."""
        if self.kept_views:
            return shown_views(tickets, num_views=self.kept_views, num_images=num_images, seed=self.seed, epoch=epoch)
        return draw_views(tickets, self.augmentation, seed=self.seed, epoch=epoch)


def drawing_of(settings: TrainingSettings, augmentation: AugmentationSettings) -> Drawing:
    """Return how the settings say that examples are drawn."""
    return Drawing(
        augmentation=augmentation,
        seed=settings.seed,
        sampling=settings.sampling,
        mix=settings.mix,
        kept_views=settings.kept_views,
    )


def training_looks(source: ImageSource, drawing: Drawing, *, device: torch.device) -> list[Look]:
    """Return every look at the training images that an epoch may take; only where these are few."""
    if drawing.kept_views:
        numbers = range(drawing.kept_views)
        return [kept_look(source, number, drawing.augmentation, seed=drawing.seed, device=device) for number in numbers]
    return [flipped_look(source, view) for view in range(NUM_VIEWS[drawing.augmentation.flips])]


def looks_of_start(side: ImageSource, augmentation: AugmentationSettings) -> list[Look]:
    """Return the looks whose features the head's start is fitted to: every image as it is, and mirrored."""
    return [flipped_look(side, view) for view in range(min(NUM_VIEWS[augmentation.flips], 2))]


@runtime_checkable
class Learner(Protocol):
    """Gives the examples of each epoch."""

    module: nn.Module
    """What is trained."""
    all_labels: Int[np.ndarray, " images"] | Float[np.ndarray, "images labels"]
    """The class of every training image, or its labels."""

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
        drawing, num_images = self._drawing, len(self._source)
        if drawing.kept_views:
            numbers = drawing.views(tickets, num_images=num_images, epoch=epoch)
            tickets, epoch = kept_tickets(tickets % num_images, numbers, num_images=num_images), KEPT_EPOCH
        return self._source.assemble_augmented(
            tickets, drawing.augmentation, seed=drawing.seed, epoch=epoch, device=device
        )


@final
class FeatureLearner:
    """What learns of the network, on kept activations of every view of every image."""

    def __init__(self, model: Classifier, source: ImageSource, drawing: Drawing, *, cache: FeatureCache) -> None:
        """Learn from what ``cache`` keeps of the images of ``source``."""
        self.module: nn.Module = _HeadAlone(model.head) if model.features_are_fixed else _Onwards(model)
        self.all_labels = source.labels
        self._source, self._drawing, self._cache = source, drawing, cache
        self._fixed = model.features_are_fixed
        self._kept: list[KeptActivations] = []

    def batches(self, *, epoch: int) -> list[Int[np.ndarray, " batch"]]:
        """Return the batches that the images themselves would come in; the first time, compute what is not kept."""
        if not self._kept:
            looks = training_looks(self._source, self._drawing, device=next(self.module.parameters()).device)
            self._kept = [
                self._cache.activations(self._source, look, what=f"computing features, {place} of {len(looks)}")
                for place, look in enumerate(looks, 1)
            ]
        return deal_batches(self._source, self._drawing.sampling, seed=self._drawing.seed, epoch=epoch)

    def examples(self, tickets: Int[np.ndarray, " batch"], *, epoch: int, share: Share = WHOLE) -> Examples:
        """Look up the activations of the drawn views; only after ``batches``."""
        tickets = tickets[share.rows(len(tickets))]
        device, positions = next(self.module.parameters()).device, tickets % len(self._source)
        views = self._drawing.views(tickets, num_images=len(self._source), epoch=epoch)
        found = together(
            [self._kept[view].of_image(place) for view, place in zip(views.tolist(), positions.tolist(), strict=True)]
        )
        values = found.values.to(device)
        return Examples(
            inputs=(values,) if self._fixed else (values, found.heights, found.widths),
            targets=torch.from_numpy(self._source.labels[positions]).to(device),
        )


@final
class _HeadAlone(nn.Module):
    """A classifier behind its features."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits of features, as the whole classifier computes them."""
        return logits_of(self.head, features)


@final
class _Onwards(nn.Module):
    """A classifier from its freezing point on."""

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, values: Tensor, heights: Tensor, widths: Tensor) -> Tensor:
        """Return the logits of activations."""
        return self.model.onwards(Activations(values, heights, widths))


def build_learner(
    model: Classifier, source: ImageSource, drawing: Drawing, *, cache: FeatureCache | None = None
) -> Learner:
    """Return the fast learner where activations are kept, the general one elsewhere."""
    if cache is None:
        return ImageLearner(model, source, drawing)
    return FeatureLearner(model, source, drawing, cache=cache)
