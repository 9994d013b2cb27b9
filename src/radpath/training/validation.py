"""The numbers by which epochs are compared, measured on the validation side.

In: a model. Out: its loss and the ranking and confusion metrics of ``evaluation``. Features are computed once where the
backbone is frozen.
"""

from typing import Any, final

import numpy as np
from jaxtyping import Float
from lightning_fabric import Fabric
from torch import Tensor

from radpath.data.batches import ImageSource
from radpath.evaluation import confusion
from radpath.evaluation.ranking import macro_roc_auc, roc_auc
from radpath.evaluation.undefined import number_or_none
from radpath.models.classifier import Classifier
from radpath.training.feature_cache import FeatureCache
from radpath.training.losses import Loss
from radpath.training.prediction import PredictionSettings, average_views, view_features
from radpath.training.watch import SpoiltEpochError


@final
class Validation:
    """The validation side of one training."""

    def __init__(
        self,
        side: ImageSource,
        prediction: PredictionSettings,
        loss: Loss,
        fabric: Fabric,
        cache: FeatureCache | None = None,
    ) -> None:
        """Measure on ``side``; what the frozen part computes is kept in ``cache``."""
        self._cache = cache
        self._side, self._prediction, self._loss, self._fabric = side, prediction, loss, fabric
        self._features: list[Tensor] | None = None

    def measure(self, model: Classifier, *, epoch: int) -> dict[str, Any]:
        """Return the columns of ``history.csv`` that begin with "validation".

        Raises:
            SpoiltEpochError: the last steps of the epoch spoilt the weights.
        """
        features = self._features or view_features(
            model, self._side, self._prediction, fabric=self._fabric, what="validating", cache=self._cache
        )
        if model.features_are_fixed:
            self._features = features
        probabilities = average_views(model, features)
        if not np.isfinite(probabilities).all():
            raise SpoiltEpochError(f"the probabilities are not numbers any more after epoch {epoch}")
        labels = self._side.labels
        loss = self._loss.of_probabilities(probabilities, labels)
        if labels.ndim > 1:
            return {"validation_loss": loss, **label_metrics(probabilities, labels)}
        return {
            "validation_loss": loss,
            "validation_auc": macro_roc_auc(probabilities, labels),
            **decision_metrics(probabilities, labels),
        }


def decision_metrics(probabilities: Float[np.ndarray, "images classes"], labels: np.ndarray) -> dict[str, float | None]:
    """Return what the most probable classes get right; None where a class is not there to be recognised.

    >>> decision_metrics(np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), np.array([0, 1, 1]))["validation_sensitivity"]
    0.5
    """
    num_classes = probabilities.shape[1]
    decisions = probabilities.argmax(axis=1)
    matrix = confusion.confusion_matrix(labels, decisions, num_classes=num_classes)[None].astype(np.float64)
    values = {
        "validation_accuracy": confusion.accuracy_of(matrix)[0, 0],
        "validation_balanced_accuracy": confusion.balanced_accuracy_of(matrix)[0, 0],
        "validation_f1": confusion.f1_of(matrix).mean(),
        "validation_sensitivity": confusion.sensitivity_of(matrix).min(),
        "validation_top_share": np.bincount(decisions).max() / len(labels) if len(np.unique(labels)) > 1 else np.nan,
    }
    return {name: number_or_none(float(value)) for name, value in values.items()}


def label_metrics(
    probabilities: Float[np.ndarray, "images labels"], labels: Float[np.ndarray, "images labels"]
) -> dict[str, float | None]:
    """Return the same for several labels an image: means over the labels of which validation knows both answers.

    Each label is decided at a probability of 0.5; a label that is not known is left out of its image.

    >>> known = np.array([[1.0, np.nan], [0.0, 1.0]])
    >>> label_metrics(np.array([[0.9, 0.3], [0.2, 0.1]]), known)["validation_auc"]
    1.0
    """
    of_label = [_of_one_label(*pair) for pair in zip(probabilities.T, labels.T, strict=True)]
    both = [values for values in of_label if values is not None]
    known = ~np.isnan(labels)
    right = (probabilities >= 0.5) == (labels == 1)
    sensitivities = [values["sensitivity"] for values in both]
    return {
        "validation_auc": _mean([values["auc"] for values in both]),
        "validation_accuracy": number_or_none(float(right[known].mean())) if known.any() else None,
        "validation_balanced_accuracy": _mean([values["balanced_accuracy"] for values in both]),
        "validation_f1": _mean([values["f1"] for values in both]),
        "validation_sensitivity": min(sensitivities) if sensitivities else None,
        "validation_top_share": None,
    }


def _of_one_label(
    probabilities: Float[np.ndarray, " images"], labels: Float[np.ndarray, " images"]
) -> dict[str, float] | None:
    """Return the numbers of one label; None where validation lacks images with it, or without it."""
    known = ~np.isnan(labels)
    there = labels[known] == 1
    scores = probabilities[known].astype(np.float64)
    area = roc_auc(scores, there)
    if area is None:
        return None
    matrix = confusion.confusion_matrix(there.astype(np.int64), (scores >= 0.5).astype(np.int64), num_classes=2)
    matrices = matrix[None].astype(np.float64)
    values = {
        "auc": area,
        "balanced_accuracy": confusion.balanced_accuracy_of(matrices)[0, 0],
        "f1": confusion.f1_of(matrices)[0, 1],
        "sensitivity": confusion.sensitivity_of(matrices)[0, 1],
    }
    return {name: float(value) for name, value in values.items()}


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
