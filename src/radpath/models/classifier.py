"""Backbone, pooling and head: from pixels in 0..1 to logits, with freezing that freezes.

In: a padded batch. Out: logits; the softmax stands once, in ``training.prediction``. The normalisation of the
pixels is a part of the model, so that every user of a saved model applies the same one. Stages of the backbone
(``models.stages``) are frozen from the stem upwards; head and pooling always learn. What the frozen stages compute can
be kept, and the rest run on it (``models.cut``).
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Annotated, Final, Literal, final

import torch
from jaxtyping import Float, Int
from pydantic import AfterValidator, Field, model_validator
from torch import Tensor, nn

from radpath.models.backbones import Backbone, BackboneSettings, build_backbone
from radpath.models.cut import Activations, Cut
from radpath.models.freezing import checked_freeze, learns_nothing_of_the_backbone, read_freeze
from radpath.models.heads import HeadSettings, build_head, logits_of
from radpath.models.pooling import attach_attention
from radpath.models.stages import Stage, place_of, stages_of

Link = Literal["softmax", "ordinal", "sigmoid"]
"""What logits mean: softmax: one score a class; ordinal: one for each step from a class to the next higher one;
sigmoid: one for each of several labels, by itself."""

_NORMALISATIONS: Final[dict[str, tuple[tuple[float, ...], tuple[float, ...]]]] = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),  # of timm and torchvision, in 0..1
    "caffe": ((103.939 / 255, 116.779 / 255, 123.68 / 255), (1 / 255, 1 / 255, 1 / 255)),  # blue first
    "none": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}


class ModelSettings(BackboneSettings):
    """The network that is trained."""

    freeze: Annotated[str, AfterValidator(checked_freeze)] = "none"
    """all: the backbone keeps its weights and BatchNorm statistics, only the head learns; none: everything learns;
    top-N, for example "top-1": the last N stages of the backbone learn too (radpath describe-model lists them)."""
    norm_statistics: Literal["frozen", "batch"] = "frozen"
    """frozen: BatchNorm keeps the means and variances that it came with, so that training sees what prediction sees,
    whatever the batch; batch: they are estimated anew, which random weights (weights = "none") need."""
    normalisation: Literal["weights", "imagenet", "caffe", "none"] = "weights"
    """What is subtracted from the pixels, and what they are divided by. weights: as the weights were trained; imagenet:
    mean and deviation of ImageNet's colours; caffe: blue, green, red in 0 to 255 less ImageNet's means, for weights
    that come from Caffe or Keras; none: nothing, for pixels that pixels.intensity = "zscore" has centred already."""
    pooling: Literal["mean", "attention"] = "mean"
    """How the positions of the last feature map become one vector. mean: by the network's own mean (a transformer's
    class token); attention: by a weighted mean whose weights are learned, and begin equal."""
    head: HeadSettings = Field(default_factory=HeadSettings)

    @model_validator(mode="after")
    def _attention_has_to_learn(self) -> "ModelSettings":
        if self.attention != "none" and learns_nothing_of_the_backbone(self.freeze):
            raise ValueError(
                f"model.attention = '{self.attention}' begins as no change, and with model.freeze = '{self.freeze}' it "
                "stays so; set model.freeze to 'none' or 'top-1', or model.attention to 'none'"
            )
        return self

    @model_validator(mode="after")
    def _random_weights_need_batch_statistics(self) -> "ModelSettings":
        if (
            self.weights == "none"
            and self.norm_statistics == "frozen"
            and not (learns_nothing_of_the_backbone(self.freeze))
        ):
            raise ValueError(
                "model.weights = 'none' starts from random weights, whose BatchNorm has no statistics to keep; "
                "set model.norm_statistics = 'batch'"
            )
        return self


@final
class Classifier(nn.Module):
    """A backbone with pooling and a head, some of whose stages may be frozen."""

    def __init__(
        self, backbone: Backbone, settings: ModelSettings, *, num_classes: int, link: Link = "softmax"
    ) -> None:
        """Put a new head on a backbone, which is changed: stages are frozen, and attention takes the mean's place.

        Raises:
            SettingsError: the backbone has no such stages or pooling, or the head does not fit its features.
        """
        super().__init__()
        self.backbone = backbone
        self.mean: Tensor
        self.std: Tensor
        mean, std = _normalisation(backbone, settings)
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)
        self._blue_first = settings.normalisation == "caffe"
        self.num_classes, self.link = num_classes, link
        self.stages: tuple[Stage, ...] = stages_of(backbone.network)
        freezing = read_freeze(settings.freeze, self.stages, backbone=backbone.name)
        self.frozen_stages = freezing.num_frozen
        """So many stages, counted from the stem, keep their weights and statistics now."""
        self.fixed_stages = freezing.num_frozen
        """So many stages never learn in this training; fewer than ``frozen_stages`` where some are to be thawed."""
        self.freeze_note = freezing.explanation
        """What an older name in model.freeze meant; empty for radpath's own names."""
        self._first_frozen = freezing.num_frozen
        self._cuts: dict[int, Cut] = {}
        self._pooling = (
            attach_attention(backbone.network, _empty_canvas(backbone)) if settings.pooling != "mean" else None
        )
        num_outputs = num_classes - (link == "ordinal")
        self.head = build_head(settings.head, num_features=backbone.num_features, num_classes=num_outputs)
        self._keeps_statistics = settings.norm_statistics == "frozen"
        self._learnable = {name for name, parameter in self.named_parameters() if parameter.requires_grad}
        self._places = {name: self._place(name) for name in self.state_dict()}
        self.thaw(0)

    def train(self, mode: bool = True) -> "Classifier":  # noqa: FBT001, FBT002 - PyTorch's signature
        """Set training mode; what is frozen stays in evaluation mode, or its BatchNorm statistics would drift."""
        super().train(mode)
        if self.fixed_stages == len(self.stages):
            self.backbone.eval()
        for module in self._frozen_modules():
            module.eval()
        if self._keeps_statistics:
            for module in self.backbone.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):  # noqa: SLF001 - the common base has no other name
                    module.eval()
        return self

    def _frozen_modules(self) -> Iterator[nn.Module]:
        for stage in self.stages[: self.frozen_stages]:
            yield from (self.backbone.network.get_submodule(name) for name in stage.modules)

    def learning_sentence(self) -> str:
        """Return what learns, for a person: "stage4 and the head learn"."""
        names = [stage.name for stage in self.stages[self.frozen_stages :]]
        names += ["pooling", "the head"] if self._pooling else ["the head"]
        subject = " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
        sentence = f"{subject} learn{'s' * (len(names) == 1)}" if self.frozen_stages else "everything learns"
        later = [stage.name for stage in self.stages[self.fixed_stages : self.frozen_stages]]
        return sentence + (f", later {', '.join(reversed(later))} too" if later else "")

    @property
    def features_are_fixed(self) -> bool:
        """True where nothing in front of the head ever learns, so that an image's features are always the same."""
        return self.fixed_stages == len(self.stages) and self._pooling is None

    def plan_thaw(self, num_stages: int) -> None:
        """Say, before a training, that ``thaw`` will let up to so many of the frozen stages learn.

        From then on they belong to ``changing_tensors``, and not to ``frozen_checksum``.
        """
        self.fixed_stages = max(self._first_frozen - num_stages, 0)

    def thaw(self, num_stages: int) -> None:
        """Let so many of the stages that ``model.freeze`` froze learn from now on, the last first; 0: as at first."""
        self.frozen_stages = max(self._first_frozen - num_stages, 0)
        self.fixed_stages = min(self.fixed_stages, self.frozen_stages)
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(name in self._learnable and self._places[name] >= self.frozen_stages)
        self.train(self.training)

    def stage_index(self, name: str) -> int:
        """Return the place of a parameter or buffer: 0 in the stem, ..., behind the last stage in pooling and head.

        Raises:
            KeyError: this classifier has nothing of the name.
        """
        return self._places[name]

    def _place(self, name: str) -> int:
        inner = name.removeprefix("backbone.network.")
        if inner == name or (self._pooling is not None and inner.startswith(f"{self._pooling}.")):
            return len(self.stages)
        return place_of(inner, self.stages)

    def features(
        self,
        images: Float[Tensor, "batch channels height width"],
        heights_px: Int[Tensor, " batch"],
        widths_px: Int[Tensor, " batch"],
    ) -> Float[Tensor, "batch features"]:
        """Return the backbone's features of images in about 0..1; grey ones go in as ``model.grey`` says."""
        features: Tensor = self.backbone(self._normal(images), heights_px, widths_px)
        return features

    def _normal(self, images: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch seen height width"]:
        """Return pixels as the backbone's weights want them."""
        colours = images.expand(-1, self.backbone.in_channels, -1, -1)
        normal = ((colours.flip(1) if self._blue_first else colours) - self.mean) / self.std
        # Not contiguous(): it leaves one channel as it is, and all layers behind would be laid out the slower way.
        return normal.to(memory_format=self.backbone.memory_format)

    def forward(
        self,
        images: Float[Tensor, "batch channels height width"],
        heights_px: Int[Tensor, " batch"],
        widths_px: Int[Tensor, " batch"],
    ) -> Float[Tensor, "batch outputs"]:
        """Return logits, which ``link`` explains."""
        return logits_of(self.head, self.features(images, heights_px, widths_px))

    def cut_problem(self) -> str | None:
        """Measure whether ``until`` and ``onwards`` give what the whole gives; return the reason why not, or None."""
        return None if self.features_are_fixed else self._cut().problem()

    def until(
        self,
        images: Float[Tensor, "batch channels height width"],
        heights_px: Int[Tensor, " batch"],
        widths_px: Int[Tensor, " batch"],
    ) -> Activations:
        """Return what never changes in this training: the activations behind the fixed stages, or the features.

        Only where ``cut_problem`` finds none.
        """
        if self.features_are_fixed:
            ones = torch.ones(len(images), dtype=torch.long)
            return Activations(self.features(images, heights_px, widths_px), ones, ones)
        return self._cut().until(self._normal(images), heights_px, widths_px)

    def features_onwards(self, activations: Activations) -> Float[Tensor, "batch features"]:
        """Return the features that belong to what ``until`` returned."""
        return activations.values if self.features_are_fixed else self._cut().onwards(activations)

    def onwards(self, activations: Activations) -> Float[Tensor, "batch outputs"]:
        """Return the logits that belong to what ``until`` returned."""
        return logits_of(self.head, self.features_onwards(activations))

    def _cut(self) -> Cut:
        """Return the cut behind the fixed stages; found once for each number of them."""
        if self.fixed_stages not in self._cuts:
            pieces = [name for stage in self.stages for name in stage.modules]
            self._cuts[self.fixed_stages] = Cut(self.backbone, pieces, fixed=self._is_fixed)
        return self._cuts[self.fixed_stages]

    def _is_fixed(self, piece: str) -> bool:
        pools = self._pooling is not None and f"{self._pooling}.".startswith(f"{piece}.")
        return place_of(piece, self.stages) < self.fixed_stages and not pools

    def frozen_checksum(self) -> str:
        """Return a digest of all weights and buffers that training must not change; empty where there are none."""
        tensors = {name: value for name, value in self.state_dict().items() if self._places[name] < self.fixed_stages}
        return digest_of(tensors) if tensors else ""


def _normalisation(backbone: Backbone, settings: ModelSettings) -> tuple[Tensor, Tensor]:
    """Return mean and deviation of each channel that goes in; the backbone is changed where that is to be one."""
    mean, std = _NORMALISATIONS.get(settings.normalisation, (backbone.mean, backbone.std))
    if settings.grey == "sum":
        one_mean, one_std = backbone.sum_colours(mean, std)
        mean, std = (one_mean,), (one_std,)
    return torch.tensor(mean).view(1, -1, 1, 1), torch.tensor(std).view(1, -1, 1, 1)


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
    """Return the digest of all parameters and buffers."""
    return digest_of(module.state_dict())


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """Return the BLAKE2b digest of named tensors, in the order of their names."""
    hasher = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(tensors.items()):
        hasher.update(name.encode())
        hasher.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return hasher.hexdigest()


def changing_tensors(model: Classifier) -> dict[str, Tensor]:
    """Return the parameters and buffers that training may change."""
    return {name: value for name, value in model.state_dict().items() if model.stage_index(name) >= model.fixed_stages}


def _empty_canvas(backbone: Backbone) -> Float[Tensor, "1 channels side side"]:
    side = backbone.required_size_px or backbone.smallest_canvas_px
    return next(backbone.parameters()).new_zeros(1, backbone.in_channels, side, side)
