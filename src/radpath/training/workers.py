"""The processes that torchrun starts beside the first one, on one machine or on several: they wait for work.

In: what the first process hands out through the key-value store of torchrun. Out: nothing; a share of the work is done.
The first process runs the command as if it were alone, so that whatever comes before and after the work needs no
thought for the others, and only the work has to be picklable, as for processes that radpath starts itself.
"""

import datetime as dt
import itertools
import os
import pickle
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Final

import torch

from radpath.errors import DeviceError

_PATIENCE: Final = dt.timedelta(days=30)  # the first process may read images for hours before there is work


def is_started_by_torchrun() -> bool:
    """Return True in a process that torchrun started, unless it started only one."""
    return "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


def is_helper() -> bool:
    """Return True in a process that torchrun started and that is not the first one."""
    return is_started_by_torchrun() and os.environ.get("RANK") != "0"


def processes_here() -> int:
    """Return how many processes torchrun started on this machine."""
    return int(os.environ["LOCAL_WORLD_SIZE"])


def num_machines() -> int:
    """Return on how many machines torchrun started processes."""
    return int(os.environ["WORLD_SIZE"]) // processes_here()


def hand_out(job: Callable[[], object]) -> None:
    """Give every other process a job, which they do as ``job()``."""
    _store().set(next(_numbered_keys()), pickle.dumps(job))


def dismiss() -> None:
    """Let the other processes end."""
    _store().set(next(_numbered_keys()), pickle.dumps(None))
    leave()


def serve() -> None:
    """Do the jobs that the first process hands out, until it dismisses us."""
    for key in _numbered_keys():
        _store().wait([key], _PATIENCE)
        job: Callable[[], object] | None = pickle.loads(_store().get(key))  # noqa: S301 - of our own first process
        if job is None:
            leave()
            return
        job()


def leave() -> None:
    """Say goodbye to the other processes, where this one ever talked to them."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


@cache
def _numbered_keys() -> Iterator[str]:
    """Return the names of the jobs in their order; one iterator for the whole process."""
    start = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return (f"radpath/{start}/{number}" for number in itertools.count())


@cache
def _store() -> Any:  # noqa: ANN401 - PyTorch's store is untyped
    """Return the key-value store that torchrun keeps for its processes.

    Raises:
        DeviceError: this torchrun keeps none.
    """
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        raise DeviceError(
            "this torchrun keeps no store for its processes; start it with --standalone on one machine, or with "
            "--master-addr and --master-port on several, and without TORCH_DISABLE_SHARE_RDZV_TCP_STORE"
        )
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    return torch.distributed.TCPStore(host, port, is_master=False, timeout=_PATIENCE)  # type: ignore[attr-defined] # it is there
