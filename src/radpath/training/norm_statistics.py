"""BatchNorm's means and variances for weights that no training step has seen, such as an average of weights.

In: a model with other weights than it was trained with, and its training images. Out: the same model, whose statistics
are those of one pass over the images. Frozen statistics stay as they are.
"""

import torch
from lightning_fabric import Fabric
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from radpath.models.classifier import Classifier
from radpath.progress import track
from radpath.seeding import derived_seed
from radpath.training.device import explained_memory_errors
from radpath.training.learners import Learner


@torch.no_grad()
def renew_statistics(model: Classifier, learner: Learner, *, epoch: int, seed: int, fabric: Fabric) -> None:
    """Set the running statistics of every BatchNorm that learns to the mean over an epoch's batches.

    Every device makes the whole pass, so that all end with the same numbers.
    """
    model.train()  # where statistics are frozen, this leaves their BatchNorm in evaluation mode
    norms = _norms(learner.module)
    if not norms:
        return
    torch.manual_seed(derived_seed(seed, "statistics", epoch))  # of the dropout in front of a head with BatchNorm
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # PyTorch's word for a plain mean
    batches = learner.batches(epoch=epoch)
    for tickets in track(batches, total=len(batches), what="averaging", unit="batches"):
        with explained_memory_errors(), fabric.autocast():
            learner.module(*learner.examples(tickets, epoch=epoch).inputs)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def _norms(module: nn.Module) -> list[_BatchNorm]:
    """Return every BatchNorm whose statistics are not frozen."""
    norms = [part for part in module.modules() if isinstance(part, _BatchNorm)]
    return [norm for norm in norms if norm.training and norm.track_running_stats]
