"""Work on many files is spread over the machines of a Ray cluster where the settings name one.

In: a function and the pieces of work. Out: their results in the order of the pieces, as on one machine. All machines
must see the images and the folder of the run under the same paths (or the images behind an address). The function and
its results travel between machines, so both are plain; whoever calls decides how large a piece is.
"""

import collections
import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeVar

from radpath.errors import DeviceError, MissingExtraError

Piece = TypeVar("Piece")
Result = TypeVar("Result")

_AHEAD: Final = 2  # pieces in work or waiting for each processor, so that none is idle and memory stays bounded
_THIS_MACHINE: Final = "local"


def spread(function: Callable[[Piece], Result], pieces: Iterable[Piece], *, address: str) -> Iterator[Result]:
    """Yield the result of every piece, in order; a piece whose worker dies is done again by another.

    Args:
        function: a pure function of the top level of a module, or a partial one.
        pieces: what to call it with, one after another.
        address: "local" for the processors of this machine, "auto" for the cluster that this machine belongs to, or
            an address of Ray such as "ray://head:10001".

    Raises:
        MissingExtraError: Ray is not installed.
        DeviceError: the cluster cannot be reached.
    """
    with _cluster(address) as ray:
        remote, shared = ray.remote(_call), ray.put(function)  # Ray takes no partial functions as they are
        most = _AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1)))
        waiting: collections.deque[Any] = collections.deque()
        for piece in pieces:
            waiting.append(remote.remote(shared, piece))
            if len(waiting) >= most:
                yield ray.get(waiting.popleft())
        while waiting:
            yield ray.get(waiting.popleft())


def _call(function: Callable[[Piece], Result], piece: Piece) -> Result:
    return function(piece)


@contextlib.contextmanager
def _cluster(address: str) -> Iterator[Any]:
    """Yield Ray, connected; a connection that was there before stays."""
    try:
        import ray
    except ImportError:
        raise MissingExtraError("data.ray is set, but Ray is missing: pip install 'radpath[ray]'") from None
    if ray.is_initialized():
        yield ray
        return
    where = None if address == _THIS_MACHINE else address
    try:
        ray.init(where, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise DeviceError(f"no Ray cluster at '{address}': {reason}; start one, or leave data.ray unset") from None
    try:
        yield ray
    finally:
        ray.shutdown()
