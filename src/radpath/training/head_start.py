"""The head's first weights: logistic regression on the features of the backbone as it came.

In: features of the training images. Out: a head that is already the best linear one, from which fine-tuning starts
gently; with a frozen backbone it is nearly the end. A head that starts from nothing first spoils the backbone with its
large gradients (Kumar et al. 2022, "Fine-tuning can distort pretrained features").
"""

from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from radpath.errors import SettingsError
from radpath.models.classifier import Link
from radpath.training.ordinal import ordinal_log_probabilities

_ITERATIONS = 100
NEEDS_A_LINEAR_HEAD: Final = (
    "training.head_start is 'logistic', which fits linear heads only; set training.head_start to 'random', or "
    "model.head.kind to 'linear'"
)


def fit_head(
    head: nn.Module,
    features: Float[Tensor, "images features"],
    labels: Int[Tensor, " images"] | Float[Tensor, "images labels"],
    *,
    weights: Float[Tensor, " classes"] | Float[Tensor, "labels 2"],
    decay: float,
    link: Link = "softmax",
) -> float:
    """Set the head to the minimum of weighted cross-entropy + decay / 2 * squared weights; return the cross-entropy.

    Features are standardised, so that the decay means the same for every backbone; the standardisation is folded into
    the head. The minimum is unique and is found in float64 (L-BFGS), so the result depends on no seed.

    Args:
        head: a linear one; is changed.
        features: one row an image.
        labels: the class of each image, or 1 and 0 of each label, and NaN where that is not known.
        weights: of the classes in the loss, or of images without and with each label.
        decay: strength of the penalty, per image; above 0.
        link: what the head's logits mean; for "ordinal" and "sigmoid", each is a logistic regression of its own, and
            the latter's penalty counts for each label.

    Raises:
        SettingsError: the head has more than one layer.
    """
    if not isinstance(head, nn.Linear):
        raise SettingsError(NEEDS_A_LINEAR_HEAD)
    centre, spread = features.double().mean(0), features.double().std(0, correction=0) + 1e-6
    standard = (features.double() - centre) / spread
    slopes = torch.zeros(head.out_features, head.in_features, dtype=torch.float64, requires_grad=True)
    offsets = torch.zeros(head.out_features, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([slopes, offsets], max_iter=_ITERATIONS, line_search_fn="strong_wolfe")
    counts = _weights_of(labels, weights.double())
    # Each label has a regression of its own, of which the sum is minimised; each is a mean over its known images.
    balance, share = counts / counts.sum(dim=0), counts.sum(dim=0) / counts.sum()

    def cross_entropies() -> Tensor:
        logits = standard @ slopes.T + offsets
        if link == "ordinal":
            losses = functional.nll_loss(ordinal_log_probabilities(logits), labels, reduction="none")
        elif link == "sigmoid":
            known = torch.where(labels.isnan(), 0.0, labels).double()
            losses = functional.binary_cross_entropy_with_logits(logits, known, reduction="none")
        else:
            losses = functional.cross_entropy(logits, labels, reduction="none")
        return (losses * balance).sum(dim=0)

    def objective() -> float:
        optimiser.zero_grad()
        total = cross_entropies().sum() + decay / 2 * slopes.square().sum()
        total.backward()  # type: ignore[no-untyped-call] # PyTorch leaves it untyped
        return float(total.detach())

    optimiser.step(objective)  # type: ignore[no-untyped-call] # as above
    with torch.no_grad():
        # In float32 before they reach the device: Apple's GPUs have no float64.
        head.weight.copy_((slopes / spread).float())
        head.bias.copy_((offsets - (slopes / spread) @ centre).float())
        return float((cross_entropies() * share).sum())


def _weights_of(labels: Tensor, weights: Tensor) -> Tensor:
    """Return how much each image counts or, of several labels, each image for each label; 0 where it is not known."""
    if labels.dim() == 1:
        return weights[labels]
    return torch.where(labels.isnan(), 0.0, torch.where(labels == 1, weights[:, 1], weights[:, 0]))
