"""The settings of the loss; what they do is in ``losses`` and, for several labels an image, in ``label_loss``."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from radpath.models.classifier import Link
from radpath.settings import Settings


class LossSettings(Settings):
    """What a wrong answer costs."""

    kind: Literal["cross_entropy", "focal", "cost_matrix", "ordinal", "binary", "binary_focal"] = "cross_entropy"
    """cross_entropy: -ln p of the true class; focal: the same, times (1 - p)^gamma, so that easy images count less (Lin
    et al. 2017); cost_matrix: the expected cost of the probabilities, by loss.costs; ordinal: for classes with an order
    (data.class_order), the network answers "beyond this class?" step by step (CORN, Shi et al. 2023); binary: for
    several labels an image (data.label_sets), the cross-entropy of each label that is known; binary_focal: of these the
    focal loss."""
    class_weights: Literal["balanced", "effective_number", "given", "none"] = "balanced"
    """How much the images of a class count. balanced: the inverse of its frequency in training; effective_number: a
    milder form (Cui et al. 2019); given: loss.given_weights. All but none move the probabilities. Of several labels
    each has two weights, for images with it and for images without."""
    given_weights: dict[str, Annotated[float, Field(gt=0)]] = Field(default={})
    """For class_weights = "given": a weight for every class, for example {benign = 1.0, malignant = 4.0}; of several
    labels, that of the images with the label, where the others count 1."""
    effective_beta: float = Field(default=0.999, gt=0, lt=1)
    """For class_weights = "effective_number": a class of n images counts by (1 - beta) / (1 - beta^n)."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Share of each label that is spread over all classes; not in validation, nor in the costs of a cost_matrix."""
    focal_gamma: float = Field(default=2.0, ge=0)
    """For kind = "focal" and "binary_focal"; 0 is cross-entropy."""
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
        if self.kind in {"binary", "binary_focal"}:
            return "sigmoid"
        return "ordinal" if self.kind == "ordinal" else "softmax"
