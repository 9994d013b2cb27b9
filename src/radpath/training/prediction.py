"""A model and images become probabilities: the one place where logits become class probabilities.

In: a classifier and an ``ImageSource``. Out: one row of probabilities an image, in the source's order, whatever the
batches and however many devices shared the work.
"""

import contextlib
import dataclasses
from collections.abc import Generator, Sequence
from functools import partial
from typing import Final, cast

import numpy as np
import torch
from jaxtyping import Float
from lightning_fabric import Fabric
from pydantic import Field
from torch import Tensor, nn

from radpath.data.augmentation.settings import Flips
from radpath.data.augmentation.views import NUM_VIEWS
from radpath.data.batches import Batch, ImageSource
from radpath.evaluation.distance import DistanceSettings
from radpath.models.classifier import Classifier, Link
from radpath.models.heads import logits_of
from radpath.progress import track
from radpath.settings import Settings
from radpath.training.device import explained_memory_errors
from radpath.training.feature_cache import FeatureCache
from radpath.training.feature_shards import KeptActivations
from radpath.training.looks import Look, flipped_look, random_look
from radpath.training.ordinal import ordinal_log_probabilities
from radpath.training.prefetch import ahead

_Job = tuple[int, np.ndarray]
"""The place of a look, and the images to look at."""

_Found = tuple[int, np.ndarray, Tensor]
"""As a job, with the features."""


_FEATURES_AT_ONCE: Final = 256
"""Images whose features go through the head together: heads of filters hold features times filters for each."""


class PredictionSettings(Settings):
    """How a trained model looks at an image; the same in validation, test and later use."""

    flips: Flips = "horizontal"
    """Probabilities are averaged over these flipped views of an image; none: one look."""
    augmented_views: int = Field(default=0, ge=0, le=64)
    """They are averaged also over this many views that are changed at random, as [augmentation] says, the same way for
    every image and in every run; each costs as much as a flipped one. 0: none."""
    distance: DistanceSettings = Field(default_factory=DistanceSettings)
    """How the distance of new images to the training data is measured."""


def predict(
    model: Classifier,
    source: ImageSource,
    settings: PredictionSettings,
    *,
    fabric: Fabric,
    what: str = "predicting",
    cache: FeatureCache | None = None,
) -> Float[np.ndarray, "images classes"]:
    """Return the probabilities of every image of ``source``, float64; of classes, each row sums to 1.

    Where there is a ``cache``, which must be the model's, the frozen part is computed once for all predictions.
    """
    return average_views(model, view_features(model, source, settings, fabric=fabric, what=what, cache=cache))


def prediction_looks(source: ImageSource, settings: PredictionSettings, *, device: torch.device) -> list[Look]:
    """Return the looks at each image whose probabilities are averaged."""
    flipped = [flipped_look(source, view) for view in range(NUM_VIEWS[settings.flips])]
    return flipped + [random_look(source, number, device=device) for number in range(settings.augmented_views)]


def view_features(
    model: Classifier,
    source: ImageSource,
    settings: PredictionSettings,
    *,
    fabric: Fabric,
    what: str,
    cache: FeatureCache | None = None,
) -> list[Float[Tensor, "images features"]]:
    """Return the features of every image in each of the views that a prediction looks at."""
    looks = prediction_looks(source, settings, device=fabric.device)
    return features_of_looks(model, source, looks, fabric=fabric, what=what, cache=cache)


def average_views(
    model: Classifier, features: list[Float[Tensor, "images features"]]
) -> Float[np.ndarray, "images classes"]:
    """Return the mean of the probabilities of each view."""
    return np.asarray(view_probabilities(model, features).mean(axis=0))


@torch.no_grad()
def view_probabilities(
    model: Classifier, features: list[Float[Tensor, "images features"]]
) -> Float[np.ndarray, "views images classes"]:
    """Return the probabilities that each view gives."""
    head, was_training = model.head, model.head.training
    head.eval()
    views = [class_probabilities(_logits(head, view), link=model.link) for view in features]
    head.train(was_training)
    return np.stack(views)


def _logits(head: nn.Module, features: Float[Tensor, "images features"]) -> Float[Tensor, "images outputs"]:
    """Return a head's answers, on the CPU, from some images at a time."""
    device = next(head.parameters()).device
    return torch.cat([logits_of(head, some.to(device)).cpu() for some in torch.split(features, _FEATURES_AT_ONCE)])


@torch.no_grad()
def features_of_looks(
    model: Classifier,
    source: ImageSource,
    looks: Sequence[Look],
    *,
    fabric: Fabric,
    what: str,
    cache: FeatureCache | None = None,
) -> list[Float[Tensor, "images features"]]:
    """Return the backbone's features of every image, for each look, on the CPU."""
    was_training = model.training
    model.eval()
    jobs = [
        (place, batch)
        for place in range(len(looks))
        for batch in source.in_order()[fabric.global_rank :: fabric.world_size]
    ]
    features = torch.zeros(len(looks), len(source), model.backbone.num_features)
    if cache is None:
        found = _from_images(model, looks, jobs, fabric=fabric, what=what)
    else:
        kept = [cache.activations(source, look, what=what) for look in looks]
        found = _from_kept(cache, kept, jobs, fabric=fabric, what=what)
    with explained_memory_errors(), contextlib.closing(found):
        for place, positions, values in found:
            features[place, torch.from_numpy(positions)] = values.float().cpu()
    model.train(was_training)
    if fabric.world_size > 1:  # each device filled its own rows of zeros
        summed = fabric.all_reduce(features.to(fabric.device), reduce_op="sum")
        features = cast("Tensor", summed).cpu()
    return list(features)


def _from_images(
    model: Classifier, looks: Sequence[Look], jobs: Sequence[_Job], *, fabric: Fabric, what: str
) -> Generator[_Found, None, None]:
    """Yield the features of each batch in each look; the next batch is made meanwhile."""
    with ahead(partial(_seen, looks=looks, fabric=fabric), jobs, device=fabric.device) as seen:
        for place, batch in track(seen, total=len(jobs), what=what, unit="batches"):
            yield place, batch.positions, _features(model, batch, fabric)


def _from_kept(
    cache: FeatureCache, kept: Sequence[KeptActivations], jobs: Sequence[_Job], *, fabric: Fabric, what: str
) -> Generator[_Found, None, None]:
    """Yield the same, from what is kept of each look."""
    for place, positions in track(jobs, total=len(jobs), what=what, unit="batches"):
        with fabric.autocast():
            values = cache.onwards(kept[place], positions)
        yield place, positions, values


def _seen(job: _Job, *, looks: Sequence[Look], fabric: Fabric) -> tuple[int, Batch]:
    place, positions = job
    batch = looks[place].assemble(positions)
    return place, dataclasses.replace(batch, images=batch.images.to(fabric.device))


def _features(model: Classifier, batch: Batch, fabric: Fabric) -> Tensor:
    with fabric.autocast():
        return model.features(batch.images, batch.heights_px, batch.widths_px)


@torch.no_grad()
def class_probabilities(logits: Float[Tensor, "images outputs"], *, link: Link) -> Float[np.ndarray, "images classes"]:
    """Return probabilities in float64, so that the rows sum to 1 and near ties stay apart.

    Args:
        logits: of the model.
        link: what they mean; "softmax", for classes with an order "ordinal", or for several labels "sigmoid", whose
            rows are probabilities of their own and have no sum.
    """
    exact = logits.detach().cpu().double()  # in this order: Apple's GPUs have no float64
    if link == "ordinal":
        return ordinal_log_probabilities(exact).exp().numpy()
    if link == "sigmoid":
        return exact.sigmoid().numpy()
    return exact.softmax(dim=1).numpy()
