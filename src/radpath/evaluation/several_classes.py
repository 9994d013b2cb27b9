"""One ROC AUC for more than two classes, where the plain mean of each class against the rest is not wanted.

In: a ``Sample`` and case weights. Out: one value a set of weights. Areas of single classes are in ``ranking``.
"""

import numpy as np
from jaxtyping import Float64

from radpath.evaluation.ranking import roc_auc_of, tally
from radpath.evaluation.sample import Sample


def weighted_roc_auc_of(
    sample: Sample, weights: Float64[np.ndarray, "cases replicates"]
) -> Float64[np.ndarray, "replicates 1"]:
    """Return the mean of the one-versus-rest AUCs, weighted by the classes' images; NaN where a class has none."""
    total = np.zeros((weights.shape[1], 1))
    for one_class in sample.rankings:
        counts = tally(one_class, weights)
        total[:, 0] += roc_auc_of(counts) * counts.positives.sum(axis=0)
    num_images: np.ndarray = sample.confusion_under(weights).sum(axis=(1, 2))
    return total / np.where(num_images > 0, num_images, 1)[:, None]


def pairwise_roc_auc_of(
    sample: Sample, weights: Float64[np.ndarray, "cases replicates"]
) -> Float64[np.ndarray, "replicates 1"]:
    """Return the mean AUC of pairs of classes (Hand and Till 2001, equation 7); NaN where a class has no images.

    On the images of two classes alone, those of the one are ranked by its own probability, and those of the other by
    the other's; both areas count. Unlike the areas against the rest, this does not depend on how common classes are.
    """
    areas = [roc_auc_of(tally(pair, weights)) for pair in sample.pair_rankings]
    mean: np.ndarray = np.mean(areas, axis=0)[:, None]
    return mean
