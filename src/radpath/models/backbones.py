"""A batch of images becomes one feature vector an image, whatever the padding beside it.

In: a timm model's name and where its weights come from. Out: a ``Backbone``. Whether a backbone really ignores
padding is measured when it is built, never assumed.
"""

import contextlib
import copy
import difflib
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from radpath.data.batches import CANVAS_STEP_PX
from radpath.errors import SettingsError, WeightsError
from radpath.models import torchvision_compat, weights
from radpath.models.valid_area import UnfollowedPaddingError, ValidArea
from radpath.settings import Settings

_PADDING_TOLERANCE: Final = 1e-6  # relative, in float64, where rounding is near 1e-13 and a real dependence above 1e-4
_NEARLY_NOTHING: Final = 0.01  # a weight matrix without a larger value begins as "no change"; drawn ones reach above
_LARGEST_SMALLEST_CANVAS_PX: Final = 512
_REFUSALS: Final = (UnfollowedPaddingError, RuntimeError, AssertionError, ValueError, IndexError)
"""What a network raises on a canvas that does not suit it."""


class BackboneSettings(Settings):
    """Which backbone, and where its weights come from."""

    backbone: str = weights.BUNDLED_BACKBONE
    """Name of a timm model."""
    weights: Literal["bundled", "file", "hub", "none"] = "bundled"
    """bundled: the ImageNet weights that come with radpath (for tf_efficientnet_lite0); file: model.weights_file;
    hub: timm's weights of that name, which needs a network the first time; none: random."""
    weights_file: Path | None = None
    """A .safetensors file with timm's names, for weights = "file"."""
    weights_sha256: str | None = None
    """The SHA-256 that model.weights_file must have."""


@final
class Backbone(nn.Module):
    """A timm network without its classifier, which follows the valid area of each image where it can."""

    def __init__(self, network: nn.Module, *, name: str, report: weights.LoadReport, config: Mapping[str, Any]) -> None:
        """Wrap a timm model that was created without a classifier; ``config`` is timm's ``default_cfg`` for it."""
        super().__init__()
        self.network = network
        self.name = name
        self.report = report
        self.mean: tuple[float, ...] = tuple(config["mean"])
        self.std: tuple[float, ...] = tuple(config["std"])
        self.padding_problem = padding_problem(network)
        """Why padded images cannot be used with this network; None where padding changes nothing."""
        self.required_size_px: int | None = config["input_size"][-1] if config.get("fixed_input_size") else None
        """The only side of a square image that this network takes; None where it takes any size."""
        self.smallest_canvas_px = CANVAS_STEP_PX if self.required_size_px else smallest_canvas(network)
        # Measured: timm's own num_features leaves out a last layer that some networks have behind the pooling.
        self.num_features = _run(network, self.required_size_px or self.smallest_canvas_px).shape[1]

    def forward(
        self,
        images: Float[Tensor, "batch 3 height width"],
        heights_px: Int[Tensor, " batch"],
        widths_px: Int[Tensor, " batch"],
    ) -> Float[Tensor, "batch features"]:
        """Return features; where padding is followed they depend only on each image's valid area."""
        full = bool((heights_px == images.shape[-2]).all()) and bool((widths_px == images.shape[-1]).all())
        if full or self.padding_problem is not None:
            return self._features(images)
        with ValidArea(images, heights_px, widths_px):
            return self._features(images)

    def _features(self, images: Tensor) -> Tensor:
        features: Tensor = self.network(images)
        return features


def build_backbone(settings: BackboneSettings) -> Backbone:
    """Create the network and load its weights strictly.

    Raises:
        SettingsError: no timm model has this name, or weights_file and weights contradict each other.
        WeightsError: the weights are missing or do not fit.
    """
    torchvision_compat.ensure_importable()
    import timm

    _check_names(settings, timm.list_models())
    network, config = _create(settings)
    if settings.weights == "bundled":
        report = weights.load_bundled(network, settings.backbone)
        # The package's weights were trained on pixels scaled to -1..1; its README shows ImageNet's mean, wrongly.
        config |= {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
    elif settings.weights == "file" and settings.weights_file is not None:
        report = weights.load_file(
            network,
            settings.weights_file,
            sha256=settings.weights_sha256,
            classifier=str(config.get("classifier", "classifier")),
        )
    else:
        origin = f"timm hub {settings.backbone}" if settings.weights == "hub" else "random"
        loaded = len(network.state_dict()) if settings.weights == "hub" else 0
        report = weights.LoadReport(source=settings.weights, origin=origin, sha256="", loaded=loaded, left_over=())
    return Backbone(network, name=settings.backbone, report=report, config=config)


def _check_names(settings: BackboneSettings, known: list[str]) -> None:
    if settings.backbone.split(".")[0] not in known:
        close = difflib.get_close_matches(settings.backbone, known, n=3)
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        raise SettingsError(f"model.backbone is '{settings.backbone}', which timm does not know{hint}")
    if settings.weights == "file" and settings.weights_file is None:
        raise SettingsError("model.weights is 'file', but model.weights_file is not set")
    if settings.weights != "file" and settings.weights_file is not None:
        raise SettingsError(f"model.weights_file is set, but model.weights is '{settings.weights}'; set it to 'file'")


def _create(settings: BackboneSettings) -> tuple[nn.Module, dict[str, Any]]:
    """Create the timm model and its configuration; only weights = "hub" reaches a network."""
    import timm

    try:
        network = timm.create_model(settings.backbone, pretrained=settings.weights == "hub", num_classes=0)
    except (RuntimeError, OSError) as error:
        raise WeightsError(
            f"timm cannot provide '{settings.backbone}' with model.weights = '{settings.weights}': "
            f"{_first_line(error)}; without a network use 'bundled', 'file' or 'none'"
        ) from None
    return network, dict(network.default_cfg)


def padding_problem(network: nn.Module) -> str | None:
    """Measure whether padding changes a network's features; return the reason if so, None if not.

    One image, whose height is odd after each of five halvings, is put on two canvases. The network is copied, and what
    would hide a branch is drawn anew.
    """
    probe = copy.deepcopy(network).double().eval()
    random = torch.Generator().manual_seed(0)
    _reveal_branches(probe, random)
    image = torch.rand(1, 3, 2 * CANVAS_STEP_PX + 1, 3 * CANVAS_STEP_PX - 14, generator=random, dtype=torch.float64)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a network that is about to be refused may warn first
            small, large = (_probe_features(probe, image, steps) for steps in (3, 5))
    except _REFUSALS as error:
        return f"it does not run on padded images of any size ({_first_line(error)})"
    difference = float((small - large).abs().max() / small.abs().max().clamp(min=1e-12))
    if difference > _PADDING_TOLERANCE:
        return f"padding changes its features by a relative {difference:.1g} although it is masked"
    return None


def _reveal_branches(probe: nn.Module, random: torch.Generator) -> None:
    """Draw anew the parameters that begin at or near zero, and all gains and offsets.

    Freshly built networks multiply some of their branches by almost nothing, which would hide what these branches do.
    """
    probe.requires_grad_(requires_grad=False)
    for parameter in probe.parameters():
        if parameter.numel() == max(parameter.shape, default=1):  # one number a channel
            # Not larger: a softmax over positions that is all but one-hot would hide what the others do.
            parameter.data = 0.2 + 0.2 * torch.rand(parameter.shape, generator=random, dtype=torch.float64)
        elif float(parameter.abs().max()) < _NEARLY_NOTHING:
            parameter.data = 0.1 * torch.randn(parameter.shape, generator=random, dtype=torch.float64)


def smallest_canvas(network: nn.Module) -> int:
    """Measure the smallest square canvas on which a network runs, in pixels.

    Raises:
        SettingsError: it runs on none up to 512 px.
    """
    sides = range(CANVAS_STEP_PX, _LARGEST_SMALLEST_CANVAS_PX + 1, CANVAS_STEP_PX)
    for side in sides:
        with contextlib.suppress(*_REFUSALS):  # for example: "kernel size can't be greater than actual input size"
            _run(network, side)
            return side
    raise SettingsError(f"model.backbone runs on no canvas of {sides[0]} to {sides[-1]} px; choose another")


def _run(network: nn.Module, side_px: int) -> Float[Tensor, "1 features"]:
    """Return the features of an empty canvas."""
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            return _as_vectors(network(torch.zeros(1, 3, side_px, side_px)))
    finally:
        network.train(was_training)


def _probe_features(probe: nn.Module, image: Tensor, steps: int) -> Tensor:
    """Return the features of one image on a canvas of ``steps`` steps, with rubbish in the padding."""
    side = steps * CANVAS_STEP_PX
    canvas = torch.full((1, 3, side, side), 7.0, dtype=image.dtype)
    canvas[..., : image.shape[-2], : image.shape[-1]] = image
    with ValidArea(canvas, torch.tensor([image.shape[-2]]), torch.tensor([image.shape[-1]])):
        features: Tensor = probe(canvas)
    return _as_vectors(features)


def _as_vectors(features: Tensor) -> Tensor:
    if features.dim() != 2:
        raise UnfollowedPaddingError(f"its features have {features.dim()} dimensions, not 2")
    return features


def _first_line(error: Exception) -> str:
    """Return the beginning of a message that other programmers wrote, or the error's name where it has none."""
    return next(iter(str(error).splitlines()), type(error).__name__)[:200]
