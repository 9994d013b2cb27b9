"""Classes with an order: the network answers "further than this class?" once for each step, not "which class?".

In: K - 1 logits for K ordered classes. Out: log probabilities of the classes. Logit k is that of "beyond class k",
given that class k was reached; the chance of getting beyond class k is the product of the answers so far, so that it
falls from class to class whatever the network says. This is the continuation-ratio model of statistics, and CORN (Shi,
Cao and Raschka 2023, "Deep neural networks for rank-consistent ordinal regression based on conditional probabilities").
Training each logit on the images that reached its class is the likelihood of the class; CORN divides the sum by the
number of answers, here it is the weighted mean over images, as for the other losses.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def ordinal_log_probabilities(logits: Float[Tensor, "images steps"]) -> Float[Tensor, "images classes"]:
    """Return the logarithm of each class's probability, lowest class first; there is one class more than logits.

    >>> ordinal_log_probabilities(torch.zeros(1, 2)).exp().tolist()
    [[0.5, 0.25, 0.25]]
    """
    origin = logits.new_zeros(len(logits), 1)
    reached = torch.cat([origin, functional.logsigmoid(logits).cumsum(dim=1)], dim=1)
    stopped = torch.cat([functional.logsigmoid(-logits), origin], dim=1)
    return reached + stopped
