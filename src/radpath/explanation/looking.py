"""One image on its canvas, and how strongly a model speaks for each class there.

In: a batch and a classifier. Out: each image alone, so that its map depends on no other image, and class scores through
which gradients flow. What becomes of the scores is left to the methods.
"""

import contextlib
import dataclasses
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from radpath.data.batches import Batch
from radpath.models.classifier import Classifier
from radpath.training.ordinal import ordinal_log_probabilities


@dataclasses.dataclass(frozen=True, kw_only=True)
class Looked:
    """One image in the upper left corner of a canvas; the rest of it is padding."""

    canvas: Float[Tensor, "1 channels height width"]
    height_px: int
    width_px: int

    @property
    def visible(self) -> Float[Tensor, "1 channels image_height image_width"]:
        """The image without padding."""
        return self.canvas[:, :, : self.height_px, : self.width_px]

    def scores(
        self, model: Classifier, canvases: Float[Tensor, "looks channels height width"]
    ) -> Float[Tensor, "looks classes"]:
        """Return the class scores of changed copies of this image, whose size is the same."""
        heights, widths = (torch.full((len(canvases),), side) for side in (self.height_px, self.width_px))
        return class_scores(model, model(canvases, heights, widths))


def images_of(batch: Batch, device: torch.device) -> Iterator[Looked]:
    """Yield the images of a batch one by one, each still on the batch's canvas."""
    sizes = zip(batch.heights_px.tolist(), batch.widths_px.tolist(), strict=True)
    for place, (height, width) in enumerate(sizes):
        yield Looked(canvas=batch.images[place : place + 1].to(device), height_px=height, width_px=width)


def class_scores(model: Classifier, logits: Float[Tensor, "looks outputs"]) -> Float[Tensor, "looks classes"]:
    """Return what is explained: each class's logit; for classes with an order, the logarithm of its probability."""
    return ordinal_log_probabilities(logits) if model.link == "ordinal" else logits


@contextlib.contextmanager
def evaluating(model: Classifier) -> Iterator[None]:
    """Let a model compute as in prediction, and leave it in the mode that it was in."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def smallest_side_px(model: Classifier) -> int:
    """Return the side of the smallest canvas that a model takes."""
    return model.backbone.required_size_px or model.backbone.smallest_canvas_px


def run_empty(model: Classifier, side_px: int) -> None:
    """Let a model's network look once at a square canvas with nothing on it."""
    network = model.backbone.network
    with torch.no_grad():
        network(next(network.parameters()).new_zeros(1, model.backbone.in_channels, side_px, side_px))
