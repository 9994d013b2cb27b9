"""From one feature vector an image to logits: the heads of the RadImageNet study (Mei et al. 2022), every option real.

In: the pooled features of a backbone. Out: logits, one a class; no head applies a softmax. All weights of layers begin
drawn by He et al. (2015, equation 10), all offsets at zero. The convolutional heads read the feature vector as a
sequence with one channel, whose order means nothing; they have far more parameters than most studies have images, which
``too_large`` says.
"""

from typing import ClassVar, Final, Literal, final

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from radpath.errors import SettingsError
from radpath.settings import Settings

MOST_PARAMETERS_AN_IMAGE: Final = 100
"""A head with more could learn the training images by heart."""
_LEAK: Final = 0.01  # slope of LeakyReLU below zero

HeadKind = Literal["linear", "nonlinear", "conv", "conv_skip"]


class HeadSettings(Settings):
    """What turns features into logits."""

    kind: HeadKind = "linear"
    """linear: one layer. nonlinear: a hidden layer with BatchNorm. conv: a convolution over the feature vector, then a
    hidden layer. conv_skip: as conv, with a learned projection of the features added to the convolution's output."""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    """Share of values that are zeroed while training: the features in front of a linear head, what follows each
    activation in the others."""
    hidden_ratio: float = Field(default=0.5, gt=0, le=4)
    """Width of the hidden layer, as a share of what enters it; not for kind = "linear"."""
    num_filters: int = Field(default=4, ge=1)
    """Filters of the convolution; only for kind = "conv" and "conv_skip"."""
    kernel_size: int = Field(default=2, ge=1)
    """Length of the convolution over the feature vector; only for kind = "conv" and "conv_skip"."""

    _UNUSED: ClassVar[dict[str, tuple[str, ...]]] = {
        "linear": ("hidden_ratio", "num_filters", "kernel_size"),
        "nonlinear": ("num_filters", "kernel_size"),
    }

    @model_validator(mode="after")
    def _every_option_does_something(self) -> "HeadSettings":
        for name in self._UNUSED.get(self.kind, ()):
            value = getattr(self, name)
            if value != type(self).model_fields[name].default:
                raise ValueError(
                    f"model.head.{name} is {value}, which a head of kind '{self.kind}' has no use for; leave it out, "
                    "or set another model.head.kind"
                )
        return self


@final
class LinearHead(nn.Linear):
    """Dropout and one layer."""

    def __init__(self, num_features: int, num_classes: int, *, dropout: float) -> None:
        """Begin with a drawn weight and no offset."""
        super().__init__(num_features, num_classes)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Float[Tensor, "batch features"]) -> Float[Tensor, "batch classes"]:
        """Return logits."""
        return super().forward(self.dropout(features))


@final
class HiddenHead(nn.Module):
    """A convolution over the features where there is one, a hidden layer, and an output layer."""

    def __init__(self, num_features: int, num_classes: int, settings: HeadSettings) -> None:
        """Build the layers of kind nonlinear, conv or conv_skip.

        Raises:
            SettingsError: the convolution is longer than the feature vector, or the hidden layer has no place.
        """
        super().__init__()
        self.convolution: nn.Module = nn.Identity()
        self.projection: nn.Module | None = None
        width = num_features
        if settings.kind != "nonlinear":
            width = settings.num_filters * _length_after(num_features, settings.kernel_size)
            self.convolution = _Convolution(settings)
        if settings.kind == "conv_skip":
            self.projection = nn.Sequential(
                nn.Linear(num_features, width, bias=False), SteadyBatchNorm1d(width), nn.ReLU()
            )
        hidden = _hidden_width(width, settings.hidden_ratio)
        self.hidden = nn.Sequential(nn.Linear(width, hidden, bias=False), *_activation(hidden, settings.dropout))
        self.output = nn.Linear(hidden, num_classes)

    @property
    def weight(self) -> Tensor:
        """The last layer's, as a linear head has it."""
        return self.output.weight

    @property
    def bias(self) -> Tensor:
        """The last layer's."""
        return self.output.bias

    def forward(self, features: Float[Tensor, "batch features"]) -> Float[Tensor, "batch classes"]:
        """Return logits."""
        seen: Tensor = self.convolution(features)
        if self.projection is not None:
            seen = seen + self.projection(features)
        logits: Tensor = self.output(self.hidden(seen))
        return logits


@final
class SteadyBatchNorm1d(nn.BatchNorm1d):
    """BatchNorm that takes the statistics it has gathered where a batch has a single value, and none of its own."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - PyTorch's name
        """Normalise each channel."""
        if not self.training or input.numel() > input.shape[1]:
            return super().forward(input)
        return nn.functional.batch_norm(
            input, self.running_mean, self.running_var, self.weight, self.bias, training=False, eps=self.eps
        )


class _Convolution(nn.Sequential):
    """A feature vector as a sequence with one channel, filtered, and flattened again."""

    def __init__(self, settings: HeadSettings) -> None:
        filters = settings.num_filters
        super().__init__(
            nn.Unflatten(1, (1, -1)),
            nn.Conv1d(1, filters, settings.kernel_size, bias=False),
            *_activation(filters, settings.dropout),
            nn.Flatten(),
        )


def _activation(width: int, dropout: float) -> tuple[nn.Module, ...]:
    return SteadyBatchNorm1d(width), nn.LeakyReLU(_LEAK), nn.Dropout(dropout)


def _length_after(num_features: int, kernel_size: int) -> int:
    if kernel_size > num_features:
        raise SettingsError(
            f"model.head.kernel_size is {kernel_size}, but the backbone gives only {num_features} features; set a "
            "smaller one"
        )
    return num_features - kernel_size + 1


def _hidden_width(width: int, ratio: float) -> int:
    hidden = int(width * ratio)
    if hidden < 1:
        raise SettingsError(
            f"model.head.hidden_ratio is {ratio}, which leaves nothing of {width} values; set at least {1 / width:.2g}"
        )
    return hidden


def build_head(settings: HeadSettings, *, num_features: int, num_classes: int) -> LinearHead | HiddenHead:
    """Return a new head; its first weights follow PyTorch's global generator.

    Raises:
        SettingsError: an option does not fit the number of features.

    >>> import torch
    >>> with torch.device("meta"):
    ...     head = build_head(HeadSettings(kind="conv_skip", num_filters=16), num_features=2048, num_classes=2)
    >>> f"{num_parameters(head) / 1e6:.1f} M"
    '603.6 M'
    """
    head = (
        LinearHead(num_features, num_classes, dropout=settings.dropout)
        if settings.kind == "linear"
        else HiddenHead(num_features, num_classes, settings)
    )
    for layer in head.modules():
        if isinstance(layer, nn.Linear | nn.Conv1d):
            nn.init.kaiming_normal_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return head


def logits_of(head: nn.Module, features: Float[Tensor, "batch features"]) -> Float[Tensor, "batch outputs"]:
    """Return what a head gives, computed in its weights' own floats, whatever ``device.precision`` is around it.

    So training sees the same logits as validation and prediction, and near ties stay apart. It costs next to nothing.
    """
    with torch.autocast(features.device.type, enabled=False):
        logits: Tensor = head(features.to(next(head.parameters()).dtype))
    return logits


def num_parameters(module: nn.Module) -> int:
    """Return how many numbers a module learns."""
    return sum(parameter.numel() for parameter in module.parameters())


def too_large(head: nn.Module, *, num_images: int) -> str | None:
    """Return a warning where a head could learn the training images by heart; None where it is small enough.

    >>> head = nn.Linear(2048, 2)
    >>> too_large(head, num_images=1000)
    >>> print(too_large(head, num_images=20))
    the head has 4,098 parameters, 204 for each of 20 training images, and can learn these by heart
    """
    found = num_parameters(head)
    if found <= MOST_PARAMETERS_AN_IMAGE * num_images:
        return None
    remedy = "" if isinstance(head, nn.Linear) else "; model.head.kind = 'linear' is safer"
    return (
        f"the head has {found:,} parameters, {found // max(num_images, 1):,} for each of {num_images:,} training "
        f"images, and can learn these by heart{remedy}"
    )
