"""What a wrong answer costs: cross-entropy, focal loss, a table of costs, or an order of classes; with class weights.

In: settings, the labels of the training side, and the names of the classes. Out: a ``Loss`` for batches of logits, with
labels or shares of classes as targets, and the same loss of probabilities for validation. How logits become class
probabilities for a prediction is left to ``prediction``.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal, final

import numpy as np
import torch
from jaxtyping import Float, Int
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn import functional

from radpath.errors import SettingsError
from radpath.models.classifier import Link
from radpath.settings import Settings
from radpath.training.ordinal import ordinal_log_probabilities

_LEAST_PROBABILITY = 1e-12  # of the true class in the validation loss, which one certain mistake must not make infinite

Targets = Int[Tensor, " batch"] | Float[Tensor, "batch classes"]
"""The class of each image, or the share of each class in it."""


class LossSettings(Settings):
    """What a wrong answer costs."""

    kind: Literal["cross_entropy", "focal", "cost_matrix", "ordinal"] = "cross_entropy"
    """cross_entropy: -ln p of the true class; focal: the same, times (1 - p)^gamma, so that easy images count less (Lin
    et al. 2017); cost_matrix: the expected cost of the probabilities, by loss.costs; ordinal: for classes with an order
    (data.class_order), the network answers "beyond this class?" step by step (CORN, Shi et al. 2023)."""
    class_weights: Literal["balanced", "effective_number", "given", "none"] = "balanced"
    """How much the images of a class count. balanced: the inverse of its frequency in training; effective_number: a
    milder form (Cui et al. 2019); given: loss.given_weights. All but none move the probabilities."""
    given_weights: dict[str, Annotated[float, Field(gt=0)]] = Field(default={})
    """For class_weights = "given": a weight for every class, for example {benign = 1.0, malignant = 4.0}."""
    effective_beta: float = Field(default=0.999, gt=0, lt=1)
    """For class_weights = "effective_number": a class of n images counts by (1 - beta) / (1 - beta^n)."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Share of each label that is spread over all classes; not in validation, nor in the costs of a cost_matrix."""
    focal_gamma: float = Field(default=2.0, ge=0)
    """For kind = "focal"; 0 is cross-entropy."""
    costs: dict[str, dict[str, Annotated[float, Field(ge=0)]]] = Field(default={})
    """For kind = "cost_matrix": what it costs to take an image of the first class for the second, for example
    {malignant = {benign = 10.0}}; a mistake that is not named costs 1, a right answer nothing."""
    cost_cross_entropy: float = Field(default=1.0, ge=0)
    """For kind = "cost_matrix": so much cross-entropy is added, since costs alone hardly move a network that is surely
    wrong; 0: the expected cost alone."""

    @model_validator(mode="after")
    def _names_are_used(self) -> "LossSettings":
        if bool(self.given_weights) != (self.class_weights == "given"):
            raise ValueError(
                f"class_weights is '{self.class_weights}' and given_weights names {len(self.given_weights)} classes; "
                "set class_weights = 'given' and a weight for every class, or neither"
            )
        if self.costs and self.kind != "cost_matrix":
            raise ValueError(f"costs are given, but kind is '{self.kind}'; set kind = 'cost_matrix', or take them out")
        return self

    @model_validator(mode="after")
    def _nothing_is_counted_twice(self) -> "LossSettings":
        if self.kind == "cost_matrix" and self.class_weights != "none":
            raise ValueError(
                f"kind is 'cost_matrix', whose costs class_weights = '{self.class_weights}' would multiply; "
                "set class_weights = 'none'"
            )
        if self.kind == "ordinal" and self.label_smoothing > 0:
            raise ValueError(
                "kind is 'ordinal', and label_smoothing spreads a label over all classes, however far; "
                "set label_smoothing = 0.0"
            )
        return self

    @property
    def link(self) -> Link:
        """What the network's logits mean under this loss."""
        return "ordinal" if self.kind == "ordinal" else "softmax"


def class_weights(
    labels: Int[np.ndarray, " images"],
    *,
    num_classes: int,
    kind: Literal["balanced", "effective_number", "none"],
    beta: float = 0.999,
) -> Float[Tensor, " classes"]:
    """Return one weight a class.

    balanced: ``images / (classes * images of the class)``, scikit-learn's "balanced". effective_number:
    ``(1 - beta) / (1 - beta ** images of the class)``, scaled to a mean of 1 over classes (Cui et al. 2019,
    "Class-balanced loss based on effective number of samples", equation 5). none: 1.
    """
    counts = np.bincount(labels, minlength=num_classes)
    if kind == "none":
        return torch.ones(num_classes)
    if kind == "balanced":
        return torch.from_numpy(len(labels) / (num_classes * counts)).float()
    inverse = (1 - beta) / (1 - beta**counts)
    return torch.from_numpy(inverse * num_classes / inverse.sum()).float()


def require_known_classes(settings: LossSettings, classes: Sequence[str]) -> None:
    """Refuse names in the settings that are no classes, and weights that leave a class out.

    Raises:
        SettingsError: naming the setting, the name, and the classes.
    """
    mistakes = [(true, decided) for true, row in settings.costs.items() for decided in row]
    _require_names("costs", [name for pair in mistakes for name in pair], classes)
    _require_names("given_weights", settings.given_weights, classes)
    right = [true for true, decided in mistakes if true == decided]
    if right:
        raise SettingsError(
            f"training.loss.costs gives a cost for '{right[0]}' taken for itself, which is right; take that entry out"
        )
    missing = [name for name in classes if name not in settings.given_weights]
    if settings.class_weights == "given" and missing:
        raise SettingsError(
            f"training.loss.given_weights has no weight for {', '.join(repr(name) for name in missing)}; "
            "give one for every class"
        )


def _require_names(setting: str, names: Iterable[str], classes: Sequence[str]) -> None:
    unknown = [name for name in names if name not in classes]
    if unknown:
        known = ", ".join(repr(name) for name in classes)
        raise SettingsError(f"training.loss.{setting} names '{unknown[0]}', which is no class; the classes are {known}")


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Loss:
    """The loss of one run, with its class weights and costs."""

    settings: LossSettings
    weights: Float[Tensor, " classes"]
    costs: Float[Tensor, "classes classes"]
    """By true class (row) and class that it is taken for (column)."""

    def to(self, device: torch.device) -> "Loss":
        """Return the loss with its numbers on a device."""
        return dataclasses.replace(self, weights=self.weights.to(device), costs=self.costs.to(device))

    def __call__(self, logits: Float[Tensor, "batch outputs"], targets: Targets) -> Float[Tensor, ""]:
        """Return the mean over the batch, each image weighted by its class: sum of weight x loss / sum of weights."""
        settings = self.settings
        if settings.kind == "cross_entropy" and targets.dim() == 1:
            smoothing = settings.label_smoothing
            return functional.cross_entropy(logits.float(), targets, weight=self.weights, label_smoothing=smoothing)
        shares = functional.one_hot(targets, len(self.weights)).float() if targets.dim() == 1 else targets
        if settings.link == "ordinal":
            log_probabilities = ordinal_log_probabilities(logits.float())
        else:
            log_probabilities = logits.float().log_softmax(dim=1)
        smooth = (1 - settings.label_smoothing) * shares + settings.label_smoothing / len(self.weights)
        losses = -(smooth * self.weights * self._focus(log_probabilities) * log_probabilities).sum(dim=1)
        if settings.kind == "cost_matrix":
            expected = ((shares @ self.costs) * log_probabilities.exp()).sum(dim=1)
            losses = expected + settings.cost_cross_entropy * losses
        return losses.sum() / self.total_weight(shares)

    def _focus(self, log_probabilities: Tensor) -> Tensor:
        """Return (1 - p)^gamma of each class for the focal loss, 1 for the others."""
        if self.settings.kind != "focal":
            return torch.ones_like(log_probabilities)
        # Not 1 - exp: that is 0 for sure answers, where the power has no gradient for gamma below 1.
        return (-torch.expm1(log_probabilities)).clamp_min(torch.finfo(torch.float32).tiny) ** self.settings.focal_gamma

    def total_weight(self, targets: Targets) -> Float[Tensor, ""]:
        """Return what the loss of a batch is divided by; batches are put together in this proportion."""
        return self.weights[targets].sum() if targets.dim() == 1 else (targets @ self.weights).sum()

    def of_equal_logits(self, labels: Int[np.ndarray, " images"]) -> float:
        """Return the loss of a network that knows nothing, and answers 0 everywhere; ln 2 of two classes, usually."""
        num_outputs = len(self.weights) - (self.settings.link == "ordinal")
        device = self.weights.device
        return float(self(torch.zeros(len(labels), num_outputs, device=device), torch.from_numpy(labels).to(device)))

    def of_probabilities(
        self, probabilities: Float[np.ndarray, "images classes"], labels: Int[np.ndarray, " images"]
    ) -> float:
        """Return the same loss, without smoothing, of predicted probabilities; one of the true class is at least 1e-12.

        This is how validation is measured, where probabilities are means over several views of an image.
        """
        weights = self.weights.cpu().double().numpy()[labels]  # in this order: Apple's GPUs have no float64
        likelihood = probabilities[np.arange(len(labels)), labels].clip(_LEAST_PROBABILITY)
        losses = -np.log(likelihood)
        if self.settings.kind == "focal":
            losses = (1 - likelihood) ** self.settings.focal_gamma * losses
        if self.settings.kind == "cost_matrix":
            expected = (self.costs.cpu().double().numpy()[labels] * probabilities).sum(axis=1)
            losses = expected + self.settings.cost_cross_entropy * losses
        return float((weights * losses).sum() / weights.sum())


def build_loss(settings: LossSettings, labels: Int[np.ndarray, " images"], *, classes: Sequence[str]) -> Loss:
    """Return the loss for training images with these labels.

    The cost of an image is the expected cost of its probabilities, ``sum over j of p_j * cost[true, j]``, plus
    ``cost_cross_entropy`` times its cross-entropy. It differs from a cross-entropy that is multiplied by the cost of
    the decided class: that one has no gradient for the decision, jumps where the decision changes, and counts an image
    twice where two classes are equally probable.

    Raises:
        SettingsError: a weight or a cost names no class.
    """
    require_known_classes(settings, classes)
    if settings.class_weights == "given":
        weights = torch.tensor([settings.given_weights[name] for name in classes])
    else:
        weights = class_weights(
            labels, num_classes=len(classes), kind=settings.class_weights, beta=settings.effective_beta
        )
    costs = [
        [0.0 if true == decided else settings.costs.get(true, {}).get(decided, 1.0) for decided in classes]
        for true in classes
    ]
    return Loss(settings=settings, weights=weights, costs=torch.tensor(costs))
