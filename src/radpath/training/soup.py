"""Several models of one architecture become one: the mean of their weights (Wortsman et al. 2022, "Model soups").

In: the tensors of trained models, best first, and a way to measure a model. Out: the tensors of a greedy soup, and who
is in it. Which models may be mixed is left to the recipe: weights can be averaged only where training began at the same
place.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from radpath.errors import WeightsError

Tensors = Mapping[str, Tensor]
Merit = TypeVar("Merit", bound=tuple[float, ...])


def mean_of_tensors(models: Sequence[Tensors]) -> dict[str, Tensor]:
    """Return the mean of each tensor, BatchNorm's statistics included; counters are the first model's.

    Raises:
        WeightsError: the models have different tensors.

    >>> mean_of_tensors([{"w": torch.tensor([1.0, 2.0])}, {"w": torch.tensor([3.0, 2.0])}])["w"].tolist()
    [2.0, 2.0]
    """
    first = models[0]
    for other in models[1:]:
        differing = sorted({*_shapes(first).items()} ^ {*_shapes(other).items()})
        if differing:
            raise WeightsError(
                f"the models have other layers or shapes, beginning with '{differing[0][0]}', so their weights have no "
                "mean; mix runs of one architecture, or average their predictions with `radpath ensemble`"
            )
    return {name: _mean([model[name] for model in models]) for name in first}


def _shapes(tensors: Tensors) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in tensors.items()}


def _mean(tensors: Sequence[Tensor]) -> Tensor:
    first = tensors[0]
    if not first.is_floating_point():
        return first.clone()
    total = torch.stack([tensor.double() for tensor in tensors]).mean(0)  # exact where all are equal
    return total.to(first.dtype)


def greedy_soup(models: Sequence[Tensors], *, measure: Callable[[Tensors], Merit]) -> tuple[list[int], Merit]:
    """Return which models are in the soup, and its merit: each next one stays in where the mean is not worse with it.

    Args:
        models: the best first, as each is by itself (recipe 1 of the paper).
        measure: on validation images, never on test images; higher is better.
    """
    chosen, best = [0], measure(models[0])
    for number in range(1, len(models)):
        merit = measure(mean_of_tensors([models[place] for place in (*chosen, number)]))
        if merit >= best:
            chosen, best = [*chosen, number], merit
    return chosen, best
