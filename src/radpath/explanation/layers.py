"""Finds the feature map that a class activation map is made of: it is measured, not asked for.

In: a classifier. Out: the modules behind which each stage has its last feature map, found by running the network once.
A map is as fine as its layer: the deepest layer knows most of classes, but a small image has a single position there.
So the deepest layer is taken that still divides the image into some rows and columns.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from radpath.errors import SettingsError
from radpath.explanation.looking import Looked, run_empty
from radpath.models.classifier import Classifier
from radpath.models.valid_area import valid_sizes

FEWEST_CELLS: Final = 4
"""Rows and columns into which a layer has to divide an image; with fewer, a map could hardly point anywhere."""

_PROBED_PX: Final = 256  # a canvas on which the deepest stages still have several positions


@dataclasses.dataclass(frozen=True, kw_only=True)
class MapLayer:
    """A module whose output is a feature map."""

    module: str
    """Its name in the network."""
    stage: str
    """Of which it is the last."""
    stride_px: float
    """Pixels of the image between two positions of the map."""
    channels_last: bool
    """True where the map is (batch, height, width, channels), as some transformers have it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayerView:
    """What one layer knows of an image, without the padding."""

    activations: Float[Tensor, "channels rows columns"]
    gradients: Float[Tensor, "channels rows columns"]
    """Of the class's score by these activations."""
    rows_px: float
    """Height of a cell of the map, in pixels of the image."""
    columns_px: float


def map_layers(model: Classifier) -> tuple[MapLayer, ...]:
    """Return the last layer with a feature map of each stage, from the image to the features.

    None at all where the last stage has no map, as in transformers, whose tokens may still begin as one.
    """
    stage_of = {module: stage.name for stage in model.stages for module in stage.modules}
    calls: list[tuple[str, Tensor]] = []

    def note(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(_module: nn.Module, _inputs: object, output: object) -> None:
            if isinstance(output, Tensor) and output.dim() == 4:
                calls.append((name, output))

        return hook

    network = model.backbone.network
    handles = [network.get_submodule(name).register_forward_hook(note(name)) for name in stage_of]
    side = model.backbone.required_size_px or max(model.backbone.smallest_canvas_px, _PROBED_PX)
    try:
        run_empty(model, side)
    finally:
        for handle in handles:
            handle.remove()
    known = _channel_numbers(model)
    found = [_layer(name, stage_of[name], output, side, known) for name, output in calls]
    last = {layer.stage: layer for layer in found if layer is not None}
    if model.stages[-1].name not in last:
        return ()
    return tuple(last[stage.name] for stage in model.stages if stage.name in last)


def _channel_numbers(model: Classifier) -> set[int]:
    """Return how many channels the network's maps have, as far as it tells."""
    info: Any = getattr(model.backbone.network, "feature_info", None) or []
    told = {int(entry["num_chs"]) for entry in getattr(info, "info", info) if "num_chs" in entry}
    return told | {model.backbone.num_features}


def _layer(name: str, stage: str, output: Tensor, side_px: int, known: set[int]) -> MapLayer | None:
    """Return what a module's output says of its layer; None where it has a single position, as behind a pooling."""
    channels_last = output.shape[3] in known and output.shape[1] not in known
    rows = output.shape[1] if channels_last else output.shape[2]
    if rows <= 1:
        return None
    return MapLayer(module=name, stage=stage, stride_px=side_px / rows, channels_last=channels_last)


def choose_layer(layers: Sequence[MapLayer], height_px: int, width_px: int) -> MapLayer:
    """Return the deepest layer that divides an image into enough cells, or else the one that divides it most.

    >>> deep = MapLayer(module="layer4", stage="stage4", stride_px=32.0, channels_last=False)
    >>> fine = MapLayer(module="layer3", stage="stage3", stride_px=16.0, channels_last=False)
    >>> choose_layer([fine, deep], 224, 224).stage, choose_layer([fine, deep], 64, 90).stage
    ('stage4', 'stage3')
    """
    shorter = min(height_px, width_px)
    fine = [layer for layer in layers if math.ceil(shorter / layer.stride_px) >= FEWEST_CELLS]
    return fine[-1] if fine else min(layers, key=lambda layer: layer.stride_px)


def view_layer(model: Classifier, looked: Looked, column: int, layer: MapLayer) -> LayerView:
    """Return activations and gradients of one layer for one class; it does not matter what is frozen.

    The map is cut off from what comes before, so that its gradient exists also where no weight learns, and the graph
    reaches no further back than needed.

    Raises:
        SettingsError: the score of the class does not depend on this layer.
    """
    kept: list[tuple[Tensor, tuple[Tensor, Tensor] | None]] = []

    def cut(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        values = output.detach().requires_grad_()
        kept.append((values, None if layer.channels_last else valid_sizes(output)))
        return values.clone()  # what follows may change its input in place, which a leaf must not be

    handle = model.backbone.network.get_submodule(layer.module).register_forward_hook(cut)
    try:
        with torch.enable_grad():
            score = looked.scores(model, looked.canvas)[0, column]
    finally:
        handle.remove()
    values, sizes = kept[-1]
    (gradients,) = torch.autograd.grad(score, values, allow_unused=True)
    if gradients is None:
        raise SettingsError(
            f"backbone '{model.backbone.name}' does not make its features of the map behind '{layer.module}'; set "
            "--method occlusion or integrated_gradients"
        )
    return _within_image(looked, values.detach(), gradients, sizes, channels_last=layer.channels_last)


def _within_image(
    looked: Looked,
    values: Tensor,
    gradients: Tensor,
    sizes: tuple[Tensor, Tensor] | None,
    *,
    channels_last: bool,
) -> LayerView:
    """Return the part of a map that belongs to the image."""
    activations, gradients = (
        (tensor.permute(0, 3, 1, 2) if channels_last else tensor)[0] for tensor in (values, gradients)
    )
    rows_px, columns_px = (
        canvas / cells for canvas, cells in zip(looked.canvas.shape[2:], activations.shape[1:], strict=True)
    )
    if sizes is None:
        rows, columns = math.ceil(looked.height_px / rows_px), math.ceil(looked.width_px / columns_px)
    else:
        rows, columns = int(sizes[0][0]), int(sizes[1][0])
    return LayerView(
        activations=activations[:, :rows, :columns],
        gradients=gradients[:, :rows, :columns],
        rows_px=rows_px,
        columns_px=columns_px,
    )
