"""One map an image: where the evidence for a class lies, by one of several methods.

In: a classifier, images, and for each the class to explain. Out: float32 arrays of the size that the network saw the
image in, without padding; the larger a number, the more a pixel speaks for the class, 0 is none, and below it a pixel
speaks against the class (not in Grad-CAM, Grad-CAM++ and rollout). Numbers of different images or methods do not
compare.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Final, final

import numpy as np
from jaxtyping import Float32

from radpath.data.batches import Batch
from radpath.errors import SettingsError
from radpath.explanation.class_activation import CAMS, activation_map
from radpath.explanation.layers import MapLayer, choose_layer, map_layers
from radpath.explanation.looking import Looked, evaluating, images_of
from radpath.explanation.pixels import integrated_gradients, occlusion
from radpath.explanation.rollout import attends_globally, attention_rollout
from radpath.explanation.settings import ExplanationSettings, Method
from radpath.models.classifier import Classifier

EvidenceMap = Float32[np.ndarray, "_height _width"]


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Explainer:
    """A method that fits a model; it changes nothing of it."""

    model: Classifier
    settings: ExplanationSettings
    layers: tuple[MapLayer, ...]
    """Where feature maps are; empty where the method needs none."""

    def maps(self, batch: Batch, columns: Sequence[int]) -> Iterator[EvidenceMap]:
        """Yield the map of each image of a batch, for the class in the given column.

        Raises:
            MissingExtraError: the method needs captum, which is not installed.
        """
        device = next(self.model.parameters()).device
        for looked, column in zip(images_of(batch, device), columns, strict=True):
            with evaluating(self.model):
                found = self._map(looked, column)
            yield found

    def layer_of(self, height_px: int, width_px: int) -> str:
        """Return the stage whose map explains an image of this size; empty where the method needs none."""
        return choose_layer(self.layers, height_px, width_px).stage if self.layers else ""

    def with_model(self, model: Classifier) -> "Explainer":
        """Return the same for another model of the same architecture."""
        return dataclasses.replace(self, model=model)

    def _map(self, looked: Looked, column: int) -> EvidenceMap:
        method = self.settings.method
        if method in CAMS:
            layer = choose_layer(self.layers, looked.height_px, looked.width_px)
            return activation_map(self.model, looked, column, layer=layer, cells_of=CAMS[method])
        if method == "integrated_gradients":
            return integrated_gradients(self.model, looked, column, self.settings)
        if method == "occlusion":
            return occlusion(self.model, looked, column, self.settings)
        return attention_rollout(self.model, looked)


def make_explainer(model: Classifier, settings: ExplanationSettings) -> Explainer:
    """Return a method for a model.

    Raises:
        SettingsError: the method cannot explain such a network; the message names those that can.
    """
    possible = possible_methods(model)
    if settings.method not in possible:
        raise SettingsError(
            f"explanation.method is '{settings.method}', which needs {_NEEDS[settings.method]}; backbone "
            f"'{model.backbone.name}' has none: choose one of {', '.join(possible)}"
        )
    with evaluating(model):
        layers = map_layers(model) if settings.method in CAMS else ()
    return Explainer(model=model, settings=settings, layers=layers)


_NEEDS: Final[dict[str, str]] = {
    **dict.fromkeys(CAMS, "feature maps"),
    "attention_rollout": "attention between all patches of an image",
}


def possible_methods(model: Classifier) -> tuple[Method, ...]:
    """Return the methods that can explain a model."""
    with evaluating(model):
        cams: tuple[Method, ...] = ("grad_cam", "grad_cam_pp", "hires_cam") if map_layers(model) else ()
        rollout: tuple[Method, ...] = ("attention_rollout",) if attends_globally(model) else ()
    return (*cams, "integrated_gradients", "occlusion", *rollout)
