"""One batch, divided among several processes, gives the step that one process makes from it.

In: the tickets of a batch, and the number of this process. Out: the rows that belong to it, and the dropout of the
whole batch on these rows. How losses and gradients are put together again is left to ``learning``; what cannot be
divided is refused.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, Final, final

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import TorchFunctionMode

from radpath.errors import DeviceError


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Share:
    """What one of several processes takes of every batch."""

    rank: int
    """Number of this process, from 0."""
    world_size: int
    """Number of processes."""

    def rows(self, batch_size: int) -> Int[np.ndarray, " own"]:
        """Return the rows of a batch that belong to this process; the first row where there are too few for all.

        >>> [Share(rank=rank, world_size=2).rows(5).tolist() for rank in (0, 1)]
        [[0, 1, 2], [3, 4]]
        """
        own: np.ndarray = np.array_split(np.arange(batch_size), self.world_size)[self.rank]
        return own if len(own) else np.zeros(1, dtype=np.int64)

    def counts(self, batch_size: int) -> bool:
        """Return False where this process only stands in, since others have all the images.

        >>> Share(rank=2, world_size=3).counts(2)
        False
        """
        return self.rank < batch_size


WHOLE: Final = Share(rank=0, world_size=1)
"""The share of a process that is alone."""


@final
class SharedDropout(TorchFunctionMode):
    """Context in which dropout draws for the whole batch and uses the rows of this process.

    All processes have to stand at the same place of their random numbers, and stay there together.
    """

    def __init__(self, share: Share, batch_size: int) -> None:
        """Draw for ``batch_size`` images."""
        super().__init__()
        self._rows, self._batch_size = torch.from_numpy(share.rows(batch_size)), batch_size

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,  # noqa: ANN401 - PyTorch's signature
        args: Any = (),  # noqa: ANN401 - as above
        kwargs: Any = None,  # noqa: ANN401 - as above
    ) -> Any:  # noqa: ANN401 - as above
        """Replace dropout, and let everything else through."""
        kwargs = kwargs or {}
        if func is not functional.dropout:
            return func(*args, **kwargs)
        return self._dropout(*args, **kwargs)

    def _dropout(self, values: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:  # noqa: ARG002, FBT001, FBT002 - PyTorch's signature
        if not training or len(values) != len(self._rows):
            return functional.dropout(values, p, training)
        ones = values.new_ones((self._batch_size, *values.shape[1:]))
        return values * functional.dropout(ones, p)[self._rows.to(values.device)]


def require_divisible(module: nn.Module) -> None:
    """Refuse a network, in training mode, that takes statistics from a batch: it would see only a part of each.

    Raises:
        DeviceError: naming what to set.
    """
    if any(isinstance(part, _BatchNorm) and part.training for part in module.modules()):
        raise DeviceError(
            "several devices divide each batch, and BatchNorm would take its statistics from a part of it; set "
            "model.norm_statistics = 'frozen' and model.head.kind = 'linear', or device.num_devices = 1 with "
            "device.launcher = 'own'"
        )
