"""A model and images become probabilities: the one place where logits pass through a softmax.

In: a classifier and an ``ImageSource``. Out: one row of probabilities an image, in the source's order, whatever the
batches and however many devices shared the work.
"""

from typing import cast

import numpy as np
import torch
from jaxtyping import Float
from lightning_fabric import Fabric
from torch import Tensor

from radpath.data.augmentation.settings import Flips
from radpath.data.augmentation.views import NUM_VIEWS
from radpath.data.batches import Batch, ImageSource
from radpath.models.classifier import Classifier
from radpath.progress import track
from radpath.settings import Settings
from radpath.training.device import explained_memory_errors


class PredictionSettings(Settings):
    """How a trained model looks at an image; the same in validation, test and later use."""

    flips: Flips = "horizontal"
    """Probabilities are averaged over these flipped views of an image; none: one look."""


def predict(
    model: Classifier, source: ImageSource, settings: PredictionSettings, *, fabric: Fabric, what: str = "predicting"
) -> Float[np.ndarray, "images classes"]:
    """Return the probabilities of every image of ``source``, float64, each row summing to 1."""
    return average_views(model, view_features(model, source, settings, fabric=fabric, what=what))


def view_features(
    model: Classifier, source: ImageSource, settings: PredictionSettings, *, fabric: Fabric, what: str
) -> list[Float[Tensor, "images features"]]:
    """Return the features of every image in each of the views that a prediction looks at."""
    return features_of_views(model, source, views=range(NUM_VIEWS[settings.flips]), fabric=fabric, what=what)


@torch.no_grad()
def average_views(
    model: Classifier, features: list[Float[Tensor, "images features"]]
) -> Float[np.ndarray, "images classes"]:
    """Return the mean of the probabilities of each view."""
    head = model.head
    views = [softmax(head(view.to(head.weight.device))) for view in features]
    return np.asarray(np.mean(views, axis=0))


@torch.no_grad()
def features_of_views(
    model: Classifier, source: ImageSource, *, views: range, fabric: Fabric, what: str
) -> list[Float[Tensor, "images features"]]:
    """Return the backbone's features of every image, for each of its flipped views, on the CPU."""
    was_training = model.training
    model.eval()
    batches = source.in_order()[fabric.global_rank :: fabric.world_size]
    jobs = track(
        [(view, batch) for view in views for batch in batches],
        total=len(views) * len(batches),
        what=what,
        unit="batches",
    )
    features = torch.zeros(len(views), len(source), model.backbone.num_features)
    with explained_memory_errors():
        for view, positions in jobs:
            batch = source.assemble(positions, view=view)
            features[view, torch.from_numpy(positions)] = _features(model, batch, fabric).float().cpu()
    model.train(was_training)
    if fabric.world_size > 1:  # each device filled its own rows of zeros
        summed = fabric.all_reduce(features.to(fabric.device), reduce_op="sum")
        features = cast("Tensor", summed).cpu()
    return list(features)


def _features(model: Classifier, batch: Batch, fabric: Fabric) -> Tensor:
    with fabric.autocast():
        return model.features(batch.images.to(fabric.device), batch.heights_px, batch.widths_px)


@torch.no_grad()
def softmax(logits: Float[Tensor, "images classes"]) -> Float[np.ndarray, "images classes"]:
    """Return probabilities in float64, so that the rows sum to 1 and near ties stay apart."""
    return logits.detach().cpu().double().softmax(dim=1).numpy()  # this order: Apple's GPUs have no float64
