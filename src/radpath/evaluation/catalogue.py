"""The catalogue of metrics: their names in words, their formulas, and the function that computes each.

In: nothing. Out: ``METRICS``. How a metric is applied to a sample, and which ones are, is in ``metrics``. To add one: a
function in ``ranking``, ``confusion``, ``probability`` or ``several_classes``, and an entry here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from radpath.evaluation import confusion, probability, ranking, several_classes


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric; the key in ``METRICS`` is its stable short name."""

    title: str
    formula: str
    """In words and symbols, for the report."""
    undefined_when: str
    """When the number does not exist."""
    best: Literal["highest", "lowest", "neither"]
    source: Literal["ranking", "confidence", "confusion", "losses", "sample"]
    """What ``compute`` takes: the ranked counts of one class, those of the confidence in the decision (of two classes,
    in the positive one), confusion matrices, the sample (giving a loss an image), or sample and weights."""
    scope: Literal["whole", "class", "class and macro"]
    """One number, or one a class, or also their plain mean. A ranking of two classes is of the positive class alone."""
    compute: Callable[..., np.ndarray]
    needs: Literal["any classes", "several classes", "ordered classes"] = "any classes"
    """Several are more than two."""
    at: str | None = None
    """The setting of ``evaluation.metrics`` that ``compute`` takes as its last argument."""
    titled_at: str | None = None
    """The title with a place for the value of that setting."""

    def title_at(self, value: float | None) -> str:
        """Return the title, with the value of its setting where there is one.

        >>> METRICS["f_beta"].title_at(0.5), METRICS["f1"].title_at(None)
        ('F0.5', 'F1')
        """
        return self.title if value is None or self.titled_at is None else self.titled_at.format(value)


METRICS: Final[dict[str, Metric]] = {
    "roc_auc": Metric(
        title="ROC AUC",
        formula="share of pairs, one image of the class and one of the rest, in the right order; ties count 1/2",
        undefined_when="the class or the rest has no images",
        best="highest",
        source="ranking",
        scope="class and macro",
        compute=ranking.roc_auc_of,
    ),
    "average_precision": Metric(
        title="Average precision",
        formula="sum over thresholds of (gain in recall) x precision, without interpolation",
        undefined_when="the class has no images",
        best="highest",
        source="ranking",
        scope="class and macro",
        compute=ranking.average_precision_of,
    ),
    "accuracy": Metric(
        title="Accuracy",
        formula="right decisions / images",
        undefined_when="there are no images",
        best="highest",
        source="confusion",
        scope="whole",
        compute=confusion.accuracy_of,
    ),
    "balanced_accuracy": Metric(
        title="Balanced accuracy",
        formula="mean of the classes' sensitivities",
        undefined_when="a class has no images",
        best="highest",
        source="confusion",
        scope="whole",
        compute=confusion.balanced_accuracy_of,
    ),
    "sensitivity": Metric(
        title="Sensitivity (recall)",
        formula="TP / (TP + FN); the macro average is the balanced accuracy",
        undefined_when="the class has no images",
        best="highest",
        source="confusion",
        scope="class",
        compute=confusion.sensitivity_of,
    ),
    "specificity": Metric(
        title="Specificity",
        formula="TN / (TN + FP)",
        undefined_when="the other classes have no images",
        best="highest",
        source="confusion",
        scope="class and macro",
        compute=confusion.specificity_of,
    ),
    "precision": Metric(
        title="Precision (positive predictive value)",
        formula="TP / (TP + FP)",
        undefined_when="no image was decided for the class",
        best="highest",
        source="confusion",
        scope="class and macro",
        compute=confusion.precision_of,
    ),
    "f1": Metric(
        title="F1",
        formula="2 TP / (2 TP + FP + FN)",
        undefined_when="the class has no images and none was decided for it",
        best="highest",
        source="confusion",
        scope="class and macro",
        compute=confusion.f1_of,
    ),
    "brier": Metric(
        title="Brier score",
        formula="mean of (p - y)^2 of the positive class, 0 to 1; with more than two classes summed over them, 0 to 2",
        undefined_when="there are no images",
        best="lowest",
        source="losses",
        scope="whole",
        compute=lambda sample: probability.brier_losses(sample.probabilities, sample.truth, positive=sample.positive),
    ),
    "log_loss": Metric(
        title="Log loss",
        formula="mean of -ln p of the true class, where p is at least 2.2e-16",
        undefined_when="there are no images",
        best="lowest",
        source="losses",
        scope="whole",
        compute=lambda sample: probability.log_losses(sample.probabilities, sample.truth),
    ),
    "weighted_roc_auc": Metric(
        title="ROC AUC, weighted by class size",
        formula="mean of the classes' ROC AUCs against the rest, weighted by their numbers of images",
        undefined_when="a class has no images",
        best="highest",
        source="sample",
        scope="whole",
        needs="several classes",
        compute=several_classes.weighted_roc_auc_of,
    ),
    "pairwise_roc_auc": Metric(
        title="ROC AUC of pairs of classes (Hand and Till)",
        formula="mean over pairs of classes i, j of the ROC AUCs of p(i) and of p(j) on the images of the two",
        undefined_when="a class has no images",
        best="highest",
        source="sample",
        scope="whole",
        needs="several classes",
        compute=several_classes.pairwise_roc_auc_of,
    ),
    "partial_roc_auc": Metric(
        title="Partial ROC AUC (McClish)",
        titled_at="Partial ROC AUC up to FPR {:g}",
        formula="area below the ROC curve up to a set false-positive rate, scaled so that 0.5 is chance and 1 perfect",
        undefined_when="the class or the rest has no images",
        best="highest",
        source="ranking",
        scope="class and macro",
        at="largest_false_positive_rate",
        compute=ranking.partial_roc_auc_of,
    ),
    "sensitivity_at_specificity": Metric(
        title="Sensitivity at a set specificity",
        titled_at="Sensitivity at specificity {:g}",
        formula="highest TP / (TP + FN) of any threshold whose specificity, on these images, is at least the set one",
        undefined_when="the class or the rest has no images",
        best="highest",
        source="ranking",
        scope="class and macro",
        at="at_specificity",
        compute=ranking.sensitivity_at_specificity_of,
    ),
    "specificity_at_sensitivity": Metric(
        title="Specificity at a set sensitivity",
        titled_at="Specificity at sensitivity {:g}",
        formula="highest TN / (TN + FP) of any threshold whose sensitivity, on these images, is at least the set one",
        undefined_when="the class or the rest has no images",
        best="highest",
        source="ranking",
        scope="class and macro",
        at="at_sensitivity",
        compute=ranking.specificity_at_sensitivity_of,
    ),
    "net_benefit": Metric(
        title="Net benefit",
        titled_at="Net benefit at {:g}",
        formula="TP / images - FP / images x t / (1 - t), where images are called positive from the set p = t on",
        undefined_when="there are no images",
        best="highest",
        source="ranking",
        scope="class",
        at="threshold_probability",
        compute=ranking.net_benefit_of,
    ),
    "f_beta": Metric(
        title="F-beta",
        titled_at="F{:g}",
        formula="(1 + b^2) TP / ((1 + b^2) TP + b^2 FN + FP)",
        undefined_when="the class has no images and none was decided for it",
        best="highest",
        source="confusion",
        scope="class and macro",
        at="beta",
        compute=confusion.f_beta_of,
    ),
    "mcc": Metric(
        title="Matthews correlation coefficient",
        formula="correlation of truth and decision, -1 to 1; for several classes that of Gorodkin",
        undefined_when="all images have one class or were decided for one",
        best="highest",
        source="confusion",
        scope="whole",
        compute=confusion.mcc_of,
    ),
    "kappa": Metric(
        title="Cohen's kappa",
        formula="(agreement - agreement by chance) / (1 - agreement by chance), -1 to 1",
        undefined_when="all images have one class and were decided for it",
        best="highest",
        source="confusion",
        scope="whole",
        compute=confusion.kappa_of,
    ),
    "linear_kappa": Metric(
        title="Cohen's kappa, linear weights",
        formula="1 - cost / cost by chance, where an error costs as much as it is classes wide",
        undefined_when="all images have one class and were decided for it",
        best="highest",
        source="confusion",
        scope="whole",
        needs="ordered classes",
        compute=confusion.linear_kappa_of,
    ),
    "quadratic_kappa": Metric(
        title="Cohen's kappa, quadratic weights",
        formula="1 - cost / cost by chance, where an error costs the square of how many classes wide it is",
        undefined_when="all images have one class and were decided for it",
        best="highest",
        source="confusion",
        scope="whole",
        needs="ordered classes",
        compute=confusion.quadratic_kappa_of,
    ),
    "mean_absolute_error": Metric(
        title="Mean absolute error in classes",
        formula="mean of by how many classes the decision is wrong",
        undefined_when="there are no images",
        best="lowest",
        source="confusion",
        scope="whole",
        needs="ordered classes",
        compute=confusion.mean_absolute_error_of,
    ),
    "calibration_error": Metric(
        title="Expected calibration error",
        titled_at="Expected calibration error, {:g} bins",
        formula="mean absolute difference of mean p and frequency in bins of equal size, above 0 even for a calibrated "
        "model; of more than two classes, p is the highest one",
        undefined_when="there are no images",
        best="lowest",
        source="confidence",
        scope="whole",
        at="calibration_bins",
        compute=probability.calibration_error_of,
    ),
    "chance_calibration_error": Metric(
        title="Expected calibration error by chance",
        titled_at="Calibration error by chance, {:g} bins",
        formula="what the expected calibration error would be on average, were all these p true and images independent",
        undefined_when="there are no images",
        best="neither",
        source="confidence",
        scope="whole",
        at="calibration_bins",
        compute=probability.chance_calibration_error_of,
    ),
}
