"""``describe-model``: the stages of a network, what of it learns, and how large its head is; without any data."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final

import torch

from radpath.data.findings import counted
from radpath.errors import SettingsError
from radpath.models.backbones import build_backbone
from radpath.models.classifier import Classifier, ModelSettings
from radpath.models.heads import MOST_PARAMETERS_AN_IMAGE, HeadSettings, build_head, num_parameters
from radpath.models.stages import Stage
from radpath.models.weights import BUNDLED_BACKBONE
from radpath.recipes.telling import say_rows
from radpath.settings import override, parse_settings

_MOST_MODULES: Final = 6
_EXAMPLE_PX: Final = 224
_FRESH: Final = {"weights": "none", "norm_statistics": "batch"}
"""The layers are the same whatever the weights, and random ones are always there."""


def describe_model(backbone: str | None, *, assignments: Sequence[str], num_classes: int) -> None:
    """Print what ``model`` settings make of a backbone.

    Args:
        backbone: a name, as for model.backbone; None for the usual one, or that of ``assignments``.
        assignments: ``model.key=value`` settings.
        num_classes: of the head.

    Raises:
        SettingsError: a setting is wrong, or is none of the model's.
        WeightsError: weights were asked for, and are missing or do not fit.
    """
    settings = _settings(backbone, assignments)
    with torch.random.fork_rng(devices=[]):
        # The head that was asked for is counted and never built: it may be larger than the memory.
        plain = settings.model_copy(update={"head": HeadSettings()})
        model = Classifier(build_backbone(settings), plain, num_classes=num_classes)
    with torch.device("meta"):
        head = build_head(settings.head, num_features=model.backbone.num_features, num_classes=num_classes)
    say_rows(f"Stages of {model.backbone.name}", _stage_rows(model))
    say_rows("Model", _model_rows(model, settings, head_parameters=num_parameters(head), num_classes=num_classes))


def _settings(backbone: str | None, assignments: Sequence[str]) -> ModelSettings:
    given = override({}, list(assignments))
    others = sorted(set(given) - {"model"})
    if others:
        raise SettingsError(f"describe-model reads settings of [model] only, not of [{others[0]}]")
    asked: dict[str, Any] = given.get("model", {})
    if backbone is not None:
        asked = {**asked, "backbone": backbone}
    fresh = {} if asked.get("backbone", BUNDLED_BACKBONE) == BUNDLED_BACKBONE or "weights" in asked else _FRESH
    return parse_settings(ModelSettings, {**fresh, **asked}, source="--set")


def _stage_rows(model: Classifier) -> Iterator[tuple[str, ...]]:
    yield ("stage", "parameters", "learns", "modules")
    for place, stage in enumerate(model.stages):
        learns = "yes" if place >= model.frozen_stages else "no"
        yield (stage.name, f"{stage.num_parameters:,}", learns, _modules(model, stage))


def _modules(model: Classifier, stage: Stage) -> str:
    """Return the modules of a stage that have weights."""
    named = [name for name in stage.modules if num_parameters(model.backbone.network.get_submodule(name))]
    more = f", … ({len(named)} in all)" if len(named) > _MOST_MODULES else ""
    return ", ".join(named[:_MOST_MODULES]) + more


def _model_rows(
    model: Classifier, settings: ModelSettings, *, head_parameters: int, num_classes: int
) -> Iterator[tuple[str, str]]:
    backbone, head = model.backbone, settings.head
    yield "features", f"{backbone.num_features:,}" + (", by attention" if settings.pooling == "attention" else "")
    yield "head", f"{head.kind}, {counted(head_parameters, 'parameter')} for {num_classes} classes"
    images = math.ceil(head_parameters / MOST_PARAMETERS_AN_IMAGE)
    yield "", f"too large for fewer than {counted(images, 'training image')}"
    yield "model.freeze", f"{settings.freeze}: {model.learning_sentence()}"
    if model.freeze_note:
        yield "", model.freeze_note
    yield "kept features", _kept_features(model)
    yield "pixels", _pixels(model)
    problem = backbone.padding_problem
    yield "padding", "changes nothing" if problem is None else f"cannot be used: {problem}"
    required = backbone.required_size_px
    yield "size", f"{required} x {required} px only" if required else f"any, from {backbone.smallest_canvas_px} px"


def _kept_features(model: Classifier) -> str:
    """Say what a training could compute once and keep."""
    if not model.fixed_stages:
        return "none: everything changes"
    problem = model.cut_problem()
    if problem is not None:
        return f"cannot be kept: {problem}"
    backbone = model.backbone
    side = backbone.required_size_px or max(backbone.smallest_canvas_px, _EXAMPLE_PX)
    with torch.no_grad():
        kept = model.eval().until(torch.zeros(1, 1, side, side), torch.tensor([side]), torch.tensor([side])).values
    shape = " x ".join(str(size) for size in kept.shape[1:])
    return f"{shape} numbers of an image of {side} px ({kept.numel() * 4 / 1e6:.2f} MB)"


def _pixels(model: Classifier) -> str:
    mean, std = (", ".join(f"{value:.3g}" for value in tensor.flatten().tolist()) for tensor in (model.mean, model.std))
    return f"each channel less {mean}, divided by {std}"
