"""A model and images become probabilities: the one place where logits become class probabilities.

In: a classifier and an ``ImageSource``. Out: one row of probabilities an image, in the source's order, whatever the
batches and however many devices shared the work.
"""

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

import numpy as np
import torch
from jaxtyping import Float, Int
from lightning_fabric import Fabric
from pydantic import Field
from torch import Tensor

from radpath.data.augmentation.settings import Flips
from radpath.data.augmentation.views import NUM_VIEWS
from radpath.data.batches import Batch, ImageSource
from radpath.models.classifier import Classifier, Link
from radpath.progress import track
from radpath.settings import Settings
from radpath.training.device import explained_memory_errors
from radpath.training.ordinal import ordinal_log_probabilities
from radpath.training.prefetch import ahead

Look = Callable[[Int[np.ndarray, " batch"]], Batch]
"""Returns the images at some positions, all in the same view."""


class PredictionSettings(Settings):
    """How a trained model looks at an image; the same in validation, test and later use."""

    flips: Flips = "horizontal"
    """Probabilities are averaged over these flipped views of an image; none: one look."""
    augmented_views: int = Field(default=0, ge=0, le=64)
    """They are averaged also over this many views that are changed at random, as [augmentation] says, the same way for
    every image and in every run; each costs as much as a flipped one. 0: none."""


def predict(
    model: Classifier, source: ImageSource, settings: PredictionSettings, *, fabric: Fabric, what: str = "predicting"
) -> Float[np.ndarray, "images classes"]:
    """Return the probabilities of every image of ``source``, float64, each row summing to 1."""
    return average_views(model, view_features(model, source, settings, fabric=fabric, what=what))


def view_features(
    model: Classifier, source: ImageSource, settings: PredictionSettings, *, fabric: Fabric, what: str
) -> list[Float[Tensor, "images features"]]:
    """Return the features of every image in each of the views that a prediction looks at."""
    looks = [partial(source.assemble, view=view) for view in range(NUM_VIEWS[settings.flips])]
    looks += [
        partial(source.assemble_random_view, number=number, device=fabric.device)
        for number in range(settings.augmented_views)
    ]
    return _features_of_looks(model, source, looks, fabric=fabric, what=what)


@torch.no_grad()
def average_views(
    model: Classifier, features: list[Float[Tensor, "images features"]]
) -> Float[np.ndarray, "images classes"]:
    """Return the mean of the probabilities of each view."""
    head, device, was_training = model.head, next(model.head.parameters()).device, model.head.training
    head.eval()
    views = [class_probabilities(head(view.to(device)), link=model.link) for view in features]
    head.train(was_training)
    return np.asarray(np.mean(views, axis=0))


def features_of_views(
    model: Classifier, source: ImageSource, *, views: range, fabric: Fabric, what: str
) -> list[Float[Tensor, "images features"]]:
    """Return the backbone's features of every image, for each of its flipped views, on the CPU."""
    looks = [partial(source.assemble, view=view) for view in views]
    return _features_of_looks(model, source, looks, fabric=fabric, what=what)


@torch.no_grad()
def _features_of_looks(
    model: Classifier, source: ImageSource, looks: Sequence[Look], *, fabric: Fabric, what: str
) -> list[Float[Tensor, "images features"]]:
    was_training = model.training
    model.eval()
    batches = source.in_order()[fabric.global_rank :: fabric.world_size]
    jobs = [(look, place, batch) for place, look in enumerate(looks) for batch in batches]
    features = torch.zeros(len(looks), len(source), model.backbone.num_features)
    with explained_memory_errors(), ahead(partial(_seen, fabric=fabric), jobs, device=fabric.device) as seen:
        for place, batch in track(seen, total=len(jobs), what=what, unit="batches"):
            features[place, torch.from_numpy(batch.positions)] = _features(model, batch, fabric).float().cpu()
    model.train(was_training)
    if fabric.world_size > 1:  # each device filled its own rows of zeros
        summed = fabric.all_reduce(features.to(fabric.device), reduce_op="sum")
        features = cast("Tensor", summed).cpu()
    return list(features)


def _seen(job: tuple[Look, int, Int[np.ndarray, " batch"]], *, fabric: Fabric) -> tuple[int, Batch]:
    look, place, positions = job
    batch = look(positions)
    return place, dataclasses.replace(batch, images=batch.images.to(fabric.device))


def _features(model: Classifier, batch: Batch, fabric: Fabric) -> Tensor:
    with fabric.autocast():
        return model.features(batch.images, batch.heights_px, batch.widths_px)


@torch.no_grad()
def class_probabilities(logits: Float[Tensor, "images outputs"], *, link: Link) -> Float[np.ndarray, "images classes"]:
    """Return probabilities in float64, so that the rows sum to 1 and near ties stay apart.

    Args:
        logits: of the model.
        link: what they mean; "softmax" or, for classes with an order, "ordinal".
    """
    exact = logits.detach().cpu().double()  # in this order: Apple's GPUs have no float64
    if link == "ordinal":
        return ordinal_log_probabilities(exact).exp().numpy()
    return exact.softmax(dim=1).numpy()
