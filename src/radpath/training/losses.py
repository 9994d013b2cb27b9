"""What a wrong answer costs: cross-entropy, focal loss, a table of costs, or an order of classes; with class weights.

In: settings, the labels of the training side, and the names of the classes. Out: a ``Loss`` for batches of logits, with
labels or shares of classes as targets, and the same loss of probabilities for validation. Where an image has several
labels, the loss is that of ``label_loss``. How logits become class probabilities for a prediction is left to
``prediction``.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Literal, final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from radpath.errors import SettingsError
from radpath.training.label_loss import LabelLoss, label_weights
from radpath.training.loss_settings import LossSettings
from radpath.training.ordinal import ordinal_log_probabilities

_LEAST_PROBABILITY = 1e-12  # of the true class in the validation loss, which one certain mistake must not make infinite

Targets = Int[Tensor, " batch"] | Float[Tensor, "batch classes"]
"""The class of each image, or the share of each class in it; of several labels the answer to each, or NaN."""


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


def require_fitting_loss(settings: LossSettings, *, has_several_labels: bool) -> None:
    """Refuse a loss of classes for images with several labels, and the reverse.

    Raises:
        SettingsError: naming the loss to set.
    """
    if has_several_labels == (settings.link == "sigmoid"):
        return
    found = "several labels" if has_several_labels else "one class each"
    wanted = "'binary' or 'binary_focal'" if has_several_labels else "'cross_entropy', or see data.label_sets"
    raise SettingsError(f"training.loss.kind is '{settings.kind}', but the images have {found}; set it to {wanted}")


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassLoss:
    """The loss of one run on images of one class each, with its class weights and costs."""

    settings: LossSettings
    weights: Float[Tensor, " classes"]
    costs: Float[Tensor, "classes classes"]
    """By true class (row) and class that it is taken for (column)."""

    def to(self, device: torch.device) -> "ClassLoss":
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


Loss = ClassLoss | LabelLoss
"""The loss of one run."""


def build_loss(
    settings: LossSettings,
    labels: Int[np.ndarray, " images"] | Float[np.ndarray, "images labels"],
    *,
    classes: Sequence[str],
) -> Loss:
    """Return the loss for training images with these labels.

    The cost of an image is the expected cost of its probabilities, ``sum over j of p_j * cost[true, j]``, plus
    ``cost_cross_entropy`` times its cross-entropy. It differs from a cross-entropy that is multiplied by the cost of
    the decided class: that one has no gradient for the decision, jumps where the decision changes, and counts an image
    twice where two classes are equally probable.

    Raises:
        SettingsError: a weight or a cost names no class.
    """
    require_known_classes(settings, classes)
    require_fitting_loss(settings, has_several_labels=labels.ndim > 1)
    if labels.ndim > 1:
        return LabelLoss(settings=settings, weights=label_weights(settings, labels, names=classes))
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
    return ClassLoss(settings=settings, weights=weights, costs=torch.tensor(costs))
