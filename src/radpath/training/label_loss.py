"""What wrong answers cost where an image has several labels: binary cross-entropy of each label that is known.

In: logits, one a label, and targets: 1 where the label is there, 0 where not, a share where images are mixed, NaN where
nobody knows. Out: one number, to which unknown labels add nothing, so that no gradient comes from them. Losses of
images with one class are in ``losses``.
"""

import dataclasses
from collections.abc import Sequence
from typing import final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from radpath.training.loss_settings import LossSettings

_LEAST_PROBABILITY = 1e-12  # as in the losses of classes: one certain mistake must not make the loss infinite


def label_weights(
    settings: LossSettings, labels: Float[np.ndarray, "images labels"], *, names: Sequence[str]
) -> Float[Tensor, "labels 2"]:
    """Return, for each label, how much an image without it and an image with it count.

    balanced: half of the known images over those without, and over those with the label. effective_number: as for two
    classes. given: 1, and the label's weight.
    """
    without, there = (labels == 0).sum(axis=0), (labels == 1).sum(axis=0)
    counts = np.stack([without, there], axis=1).clip(1)  # an answer that nobody has weighs on nothing
    if settings.class_weights == "balanced":
        weights = counts.sum(axis=1, keepdims=True) / (2 * counts)
    elif settings.class_weights == "effective_number":
        inverse = (1 - settings.effective_beta) / (1 - settings.effective_beta**counts)
        weights = 2 * inverse / inverse.sum(axis=1, keepdims=True)
    elif settings.class_weights == "given":
        weights = np.array([[1.0, settings.given_weights[name]] for name in names])
    else:
        weights = np.ones(counts.shape)
    return torch.from_numpy(weights).float()


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelLoss:
    """The loss of one run on images with several labels."""

    settings: LossSettings
    weights: Float[Tensor, "labels 2"]
    """Of the images without each label, and of those with it."""

    def to(self, device: torch.device) -> "LabelLoss":
        """Return the loss with its numbers on a device."""
        return dataclasses.replace(self, weights=self.weights.to(device))

    def __call__(
        self, logits: Float[Tensor, "batch labels"], targets: Float[Tensor, "batch labels"]
    ) -> Float[Tensor, ""]:
        """Return the weighted mean over all labels of all images that are known; 0 where none is."""
        known = ~targets.isnan()
        answers = torch.where(known, targets, 0.0)
        smoothing = self.settings.label_smoothing
        shares = (1 - smoothing) * answers + smoothing / 2
        with_label, without = functional.logsigmoid(logits.float()), functional.logsigmoid(-logits.float())
        losses = -self.weights[:, 1] * shares * self._focus(with_label) * with_label
        losses = losses - self.weights[:, 0] * (1 - shares) * self._focus(without) * without
        return torch.where(known, losses, 0.0).sum() / self.total_weight(targets)

    def _focus(self, log_probabilities: Tensor) -> Tensor:
        """Return (1 - p)^gamma for the focal loss (Lin et al. 2017, for each label by itself), 1 for the other."""
        if self.settings.kind != "binary_focal":
            return torch.ones_like(log_probabilities)
        # Not 1 - exp: that is 0 for sure answers, where the power has no gradient for gamma below 1.
        return (-torch.expm1(log_probabilities)).clamp_min(torch.finfo(torch.float32).tiny) ** self.settings.focal_gamma

    def total_weight(self, targets: Float[Tensor, "batch labels"]) -> Float[Tensor, ""]:
        """Return what the loss of a batch is divided by; batches are put together in this proportion."""
        weights = targets * self.weights[:, 1] + (1 - targets) * self.weights[:, 0]
        return weights.nansum().clamp_min(torch.finfo(torch.float32).tiny)  # mixing may leave nothing that is known

    def of_equal_logits(self, labels: Float[np.ndarray, "images labels"]) -> float:
        """Return the loss of a network that knows nothing, and answers 0 everywhere; ln 2 of binary."""
        targets = torch.from_numpy(labels).to(self.weights.device)
        return float(self(torch.zeros_like(targets), targets))

    def of_probabilities(
        self, probabilities: Float[np.ndarray, "images labels"], labels: Float[np.ndarray, "images labels"]
    ) -> float:
        """Return the same loss, without smoothing, of predicted probabilities; that of the truth is at least 1e-12."""
        weights = self.weights.cpu().double().numpy()  # in this order: Apple's GPUs have no float64
        weights = np.where(labels == 1, weights[:, 1], weights[:, 0])
        likelihood = np.where(labels == 1, probabilities, 1 - probabilities).clip(_LEAST_PROBABILITY)
        losses = -np.log(likelihood)
        if self.settings.kind == "binary_focal":
            losses = (1 - likelihood) ** self.settings.focal_gamma * losses
        known = ~np.isnan(labels)
        return float((weights * losses)[known].sum() / weights[known].sum())
