"""The next batch is made while the device computes with this one; the order and every number stay the same.

In: what makes a batch, and the items to make them from. Out: the batches, one after another. One thread works ahead
where the network runs on a device of its own; on a CPU it would only take the cores from the network.
"""

import contextlib
import queue
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Final, Generic, TypeVar, final

import torch
from torch import Tensor

Item = TypeVar("Item")
Made = TypeVar("Made")

_DEPTH: Final = 2  # one batch that waits while another is made; more would only fill the memory
_POLL_S: Final = 0.1


def depth_for(device: torch.device) -> int:
    """Return how many batches are made ahead: none where the network runs on the CPU.

    >>> depth_for(torch.device("cpu")), depth_for(torch.device("cuda"))
    (0, 2)
    """
    return 0 if device.type == "cpu" else _DEPTH


@contextlib.contextmanager
def ahead(
    make: Callable[[Item], Made], items: Sequence[Item], *, device: torch.device
) -> Generator[Iterator[Made], None, None]:
    """Give ``make(item)`` of every item in their order; made by a thread where ``depth_for`` says so.

    An error of ``make`` is raised where its result would come. The thread ends with the ``with`` block, however that
    ends.
    """
    depth = depth_for(device)
    if depth == 0:
        yield (make(item) for item in items)
        return
    worker = _Worker(make, items, device=device, depth=depth)
    try:
        yield worker.results()
    finally:
        worker.stop()


@final
class _Worker(Generic[Item, Made]):
    """A thread that makes results ahead, and the queue that it fills."""

    def __init__(
        self, make: Callable[[Item], Made], items: Sequence[Item], *, device: torch.device, depth: int
    ) -> None:
        """Begin at once."""
        self._full: queue.Queue[tuple[Made, None] | tuple[None, BaseException]] = queue.Queue(maxsize=depth)
        self._stopped = threading.Event()
        self._count = len(items)
        # A stream of its own, so that copies of the next batch do not wait for the network's kernels.
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call] # so it is
        self._thread = threading.Thread(target=self._run, args=(make, items), name="radpath-ahead", daemon=True)
        self._thread.start()

    def results(self) -> Iterator[Made]:
        """Yield the results in order, ready for the stream of the caller."""
        for _ in range(self._count):
            made = self._full.get()
            if made[1] is not None:
                raise made[1]
            if self._stream is not None:
                hand_over(made[0], torch.cuda.current_stream())
            yield made[0]

    def stop(self) -> None:
        """Let the thread end after the result that it is making, and wait for it."""
        self._stopped.set()
        self._thread.join()

    def _run(self, make: Callable[[Item], Made], items: Sequence[Item]) -> None:
        with torch.cuda.stream(self._stream) if self._stream is not None else contextlib.nullcontext():
            for item in items:
                try:
                    made: tuple[Made, None] | tuple[None, BaseException] = (make(item), None)
                except BaseException as error:  # noqa: BLE001 - it is raised where the result would come
                    made = (None, error)
                if self._stream is not None:
                    self._stream.synchronize()
                if not self._put(made) or made[1] is not None:
                    return

    def _put(self, made: tuple[Made, None] | tuple[None, BaseException]) -> bool:
        """Wait for room; return False where nobody wants results any more."""
        while not self._stopped.is_set():
            with contextlib.suppress(queue.Full):
                self._full.put(made, timeout=_POLL_S)
                return True
        return False


def hand_over(result: object, stream: torch.cuda.Stream) -> None:
    """Tell PyTorch that another stream uses the tensors of a result now, so that their memory lives until then."""
    if isinstance(result, Tensor):
        if result.is_cuda:
            result.record_stream(stream)
    elif isinstance(result, (tuple, list)):
        for part in result:
            hand_over(part, stream)
    elif hasattr(result, "__dataclass_fields__"):
        hand_over(tuple(vars(result).values()), stream)
