"""Backbone, dropout and a linear head: from pixels in 0..1 to logits, with freezing that freezes.

In: a padded batch. Out: logits; the softmax stands once, in ``training.prediction``. The normalisation of the
pixels is a part of the model, so that every user of a saved model applies the same one.
"""

import hashlib
from typing import Final, Literal, final

import torch
from jaxtyping import Float, Int
from pydantic import Field, model_validator
from torch import Tensor, nn

from radpath.models.backbones import Backbone, BackboneSettings, build_backbone

Link = Literal["softmax", "ordinal"]
"""What logits mean: softmax: one score a class; ordinal: one for each step from a class to the next higher one."""

_NORMALISATIONS: Final[dict[str, tuple[tuple[float, ...], tuple[float, ...]]]] = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),  # of timm and torchvision, in 0..1
    "caffe": ((103.939 / 255, 116.779 / 255, 123.68 / 255), (1 / 255, 1 / 255, 1 / 255)),  # blue first
    "none": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}


class ModelSettings(BackboneSettings):
    """The network that is trained."""

    freeze: Literal["all", "none"] = "none"
    """all: the backbone keeps its weights and BatchNorm statistics, only the head learns; none: everything learns."""
    norm_statistics: Literal["frozen", "batch"] = "frozen"
    """frozen: BatchNorm keeps the means and variances that it came with, so that training sees what prediction sees,
    whatever the batch; batch: they are estimated anew, which random weights (weights = "none") need."""
    normalisation: Literal["weights", "imagenet", "caffe", "none"] = "weights"
    """What is subtracted from the pixels, and what they are divided by. weights: as the weights were trained; imagenet:
    mean and deviation of ImageNet's colours; caffe: blue, green, red in 0 to 255 less ImageNet's means, for weights
    that come from Caffe or Keras; none: nothing, for pixels that pixels.intensity = "zscore" has centred already."""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    """Share of features that are zeroed in front of the head while training."""

    @model_validator(mode="after")
    def _random_weights_need_batch_statistics(self) -> "ModelSettings":
        if self.weights == "none" and self.norm_statistics == "frozen" and self.freeze == "none":
            raise ValueError(
                "model.weights = 'none' starts from random weights, whose BatchNorm has no statistics to keep; "
                "set model.norm_statistics = 'batch'"
            )
        return self


@final
class Classifier(nn.Module):
    """A backbone with global pooling, dropout and a linear head."""

    def __init__(
        self, backbone: Backbone, settings: ModelSettings, *, num_classes: int, link: Link = "softmax"
    ) -> None:
        """Put a new head, with zero bias, on a backbone."""
        super().__init__()
        self.backbone = backbone
        self.num_classes, self.link = num_classes, link
        self.dropout = nn.Dropout(settings.dropout)
        self.head = nn.Linear(backbone.num_features, num_classes - (link == "ordinal"))
        nn.init.zeros_(self.head.bias)
        self.freeze = settings.freeze
        self._keeps_statistics = settings.norm_statistics == "frozen"
        self.mean: Tensor
        self.std: Tensor
        mean, std = _NORMALISATIONS.get(settings.normalisation, (backbone.mean, backbone.std))
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)
        self._blue_first = settings.normalisation == "caffe"
        if settings.freeze == "all":
            backbone.requires_grad_(requires_grad=False)
        self.train(mode=True)

    def train(self, mode: bool = True) -> "Classifier":  # noqa: FBT001, FBT002 - PyTorch's signature
        """Set training mode; what is frozen stays in evaluation mode, or its BatchNorm statistics would drift."""
        super().train(mode)
        if self.freeze == "all":
            self.backbone.eval()
        elif self._keeps_statistics:
            for module in self.backbone.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):  # noqa: SLF001 - the common base has no other name
                    module.eval()
        return self

    def features(
        self,
        images: Float[Tensor, "batch channels height width"],
        heights_px: Int[Tensor, " batch"],
        widths_px: Int[Tensor, " batch"],
    ) -> Float[Tensor, "batch features"]:
        """Return the backbone's features of images in about 0..1; grey images are repeated to three channels."""
        colours = images.expand(-1, 3, -1, -1)
        normal = ((colours.flip(1) if self._blue_first else colours) - self.mean) / self.std
        normal = normal.contiguous(memory_format=torch.channels_last)
        features: Tensor = self.backbone(normal, heights_px, widths_px)
        return features

    def forward(
        self,
        images: Float[Tensor, "batch channels height width"],
        heights_px: Int[Tensor, " batch"],
        widths_px: Int[Tensor, " batch"],
    ) -> Float[Tensor, "batch outputs"]:
        """Return logits, which ``link`` explains."""
        logits: Tensor = self.head(self.dropout(self.features(images, heights_px, widths_px)))
        return logits

    def frozen_checksum(self) -> str:
        """Return a digest of all weights and buffers that training must not change; empty where none is frozen."""
        return checksum(self.backbone) if self.freeze == "all" else ""


def build_classifier(settings: ModelSettings, *, num_classes: int, seed: int, link: Link = "softmax") -> Classifier:
    """Build the network; the head's first weights follow the seed.

    Raises:
        SettingsError: the backbone's name or the choice of weights is wrong.
        WeightsError: the weights are missing or do not fit.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Classifier(build_backbone(settings), settings, num_classes=num_classes, link=link)


def checksum(module: nn.Module) -> str:
    """Return the BLAKE2b digest of all parameters and buffers, in the order of their names."""
    hasher = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(module.state_dict().items()):
        hasher.update(name.encode())
        hasher.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return hasher.hexdigest()


def changing_tensors(model: Classifier) -> dict[str, Tensor]:
    """Return the parameters and buffers that training may change."""
    tensors: dict[str, Tensor] = model.state_dict()
    if model.freeze == "all":
        return {name: value for name, value in tensors.items() if not name.startswith("backbone.")}
    return tensors
