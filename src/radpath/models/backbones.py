"""A batch of images becomes one feature vector an image, whatever the padding beside it.

In: a network's name, where its weights come from, and what is added to it. Out: a ``Backbone``. Whether a backbone
really ignores padding is measured when it is built (``probes``), never assumed.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from radpath.data.batches import CANVAS_STEP_PX
from radpath.errors import DeviceError, SettingsError, first_line
from radpath.models import architectures, weights
from radpath.models.cbam import add_cbam
from radpath.models.grey import require_summable, sum_colours
from radpath.models.probes import padding_problem, run_empty, smallest_canvas
from radpath.models.valid_area import ValidArea
from radpath.settings import Settings


class BackboneSettings(Settings):
    """Which backbone, where its weights come from, and what is added to it."""

    backbone: str = weights.BUNDLED_BACKBONE
    """Name of a timm model, or simple_cnn, preact_resnet18, 34, 50, 101 or 152, which begin with random weights."""
    weights: Literal["bundled", "file", "hub", "none"] = "bundled"
    """bundled: the ImageNet weights that come with radpath (for tf_efficientnet_lite0); file: model.weights_file;
    hub: timm's weights of that name, which needs a network the first time; none: random."""
    weights_file: Path | None = None
    """A .safetensors file for weights = "file", with the names of timm, torchvision, RadImageNet or KimiaNet;
    `radpath convert-weights` makes one of a .pt or .pth file."""
    weights_sha256: str | None = None
    """The SHA-256 that model.weights_file must have."""
    attention: Literal["none", "cbam"] = "none"
    """cbam: attention to channels and positions behind each stage, which begins as no change; none: the network as it
    is."""
    grey: Literal["repeat", "sum"] = "repeat"
    """How grey images go into a network for colours. repeat: as three equal channels; sum: as one, with the first
    convolution's weights summed, which gives the same numbers with a third of that layer's work (pixels.channels must
    be "grey")."""

    def unfilled(self) -> "BackboneSettings":
        """Return settings of the same network for those who do not need its first weights, and may not have them.

        The bundled ones stay: they say how pixels are normalised, and are always there.
        """
        if self.weights == "bundled":
            return self
        return self.model_copy(update={"weights": "none", "weights_file": None, "weights_sha256": None})


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
        self._first_conv = config.get("first_conv")
        self.memory_format: torch.memory_format = torch.channels_last
        """How maps lie in memory: channels_last, or torch.contiguous_format; ``arrange`` changes it."""
        self._translated: Callable[[Tensor], Tensor] | None = None
        self.in_channels = 3
        """Channels of the images that go in: 3, or 1 behind ``sum_colours``."""
        self.padding_problem = padding_problem(network)
        """Why padded images cannot be used with this network; None where padding changes nothing."""
        self.required_size_px: int | None = config["input_size"][-1] if config.get("fixed_input_size") else None
        """The only side of a square image that this network takes; None where it takes any size."""
        self.smallest_canvas_px = CANVAS_STEP_PX if self.required_size_px else smallest_canvas(network)
        # Measured: timm's own num_features leaves out a last layer that some networks have behind the pooling.
        self.num_features = run_empty(network, self.required_size_px or self.smallest_canvas_px).shape[1]

    def forward(
        self,
        images: Float[Tensor, "batch channels height width"],
        heights_px: Int[Tensor, " batch"],
        widths_px: Int[Tensor, " batch"],
    ) -> Float[Tensor, "batch features"]:
        """Return features; where padding is followed they depend only on each image's valid area."""
        if self._translated is not None and self._needs_no_mask(images, heights_px, widths_px):
            with _explained_translation():
                return self._translated(images)
        return self.as_written(images, heights_px, widths_px)

    def as_written(
        self,
        images: Float[Tensor, "batch channels height width"],
        heights_px: Int[Tensor, " batch"],
        widths_px: Int[Tensor, " batch"],
    ) -> Float[Tensor, "batch features"]:
        """Return what ``forward`` returns, with each module run by itself, so that hooks on modules are heard."""
        if self._needs_no_mask(images, heights_px, widths_px):
            return self._features(images)
        with ValidArea(images, heights_px, widths_px):
            return self._features(images)

    def _needs_no_mask(self, images: Tensor, heights_px: Tensor, widths_px: Tensor) -> bool:
        if self.padding_problem is not None:
            return True
        return bool((heights_px == images.shape[-2]).all()) and bool((widths_px == images.shape[-1]).all())

    def _features(self, images: Tensor) -> Tensor:
        features: Tensor = self.network(images)
        return features

    def arrange(self, memory_format: torch.memory_format) -> None:
        """Let weights and maps lie in memory in another way; numbers change by rounding alone."""
        self.memory_format = memory_format
        self.network.to(memory_format=memory_format)  # type: ignore[call-overload] # PyTorch declares tensors' only

    def translate(self, backend: str = "inductor") -> None:
        """Let ``torch.compile`` translate the network for batches without padding; others run as written.

        The translation is made when a batch first needs it, and raises DeviceError where it cannot be.
        """
        self._translated = torch.compile(self._features, dynamic=True, backend=backend)

    def sum_colours(self, mean: tuple[float, ...], std: tuple[float, ...]) -> tuple[float, float]:
        """Make the network take one channel in the place of three equal ones; return that channel's mean and deviation.

        Raises:
            SettingsError: its first layer cannot be summed.
        """
        one = sum_colours(self.network, self._first_conv, mean=mean, std=std)
        self.in_channels = 1
        return one


@contextlib.contextmanager
def _explained_translation() -> Iterator[None]:
    """Turn a failure of ``torch.compile`` into an error that says what to set."""
    from torch._dynamo.exc import TorchDynamoException  # takes seconds, and few need it

    try:
        yield
    except TorchDynamoException as error:
        raise DeviceError(
            f"device.compile is on, but torch.compile cannot translate this network here ({first_line(error)}); set "
            "device.compile = false"
        ) from error


def build_backbone(settings: BackboneSettings) -> Backbone:
    """Create the network, load its weights strictly, and add what is asked for.

    Raises:
        SettingsError: nobody has a network of this name, it cannot have model.attention or model.grey, or the
            settings contradict each other.
        WeightsError: the weights are missing or do not fit.
    """
    _check(settings)
    network, config = architectures.create_network(settings.backbone, from_hub=settings.weights == "hub")
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
    if settings.grey == "sum":
        require_summable(network, config.get("first_conv"))
    if settings.attention == "cbam":
        side_px = config["input_size"][-1]
        add_cbam(network, name=settings.backbone, run=lambda network: run_empty(network, side_px))
    return Backbone(network, name=settings.backbone, report=report, config=config)


def _check(settings: BackboneSettings) -> None:
    architectures.require_known(settings.backbone)
    if settings.backbone in architectures.OWN and settings.weights in ("bundled", "hub"):
        raise SettingsError(
            f"model.weights is '{settings.weights}', but nobody publishes weights for '{settings.backbone}'; set it to "
            "'none', or to 'file' for your own"
        )
    if settings.weights == "file" and settings.weights_file is None:
        raise SettingsError("model.weights is 'file', but model.weights_file is not set")
    if settings.weights != "file" and settings.weights_file is not None:
        raise SettingsError(f"model.weights_file is set, but model.weights is '{settings.weights}'; set it to 'file'")
