"""Where and how precisely the network computes: Lightning Fabric, set up once, with errors a user can act on.

In: settings and the work. Out: the work's result, from this process or, with several devices, from one process for
each: a new one, or one that torchrun started. Only the work runs there, so that whatever comes before and after it
needs no thought for them.
"""

import contextlib
import io
import logging
import multiprocessing
import os
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.queues import SimpleQueue
from typing import Final, Literal, TypeVar, get_args

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from pydantic import Field
from torch.multiprocessing.spawn import ProcessException

from radpath.errors import DeviceError, RadpathError
from radpath.models import torchvision_compat
from radpath.models.classifier import Classifier
from radpath.settings import Settings
from radpath.training import workers
from radpath.training.memory import keep_freed_memory

# Here and not in a function, since Fabric talks in every new process before it calls anything of ours.
for talkative in ("lightning_fabric", "torch.multiprocessing.spawn"):
    logging.getLogger(talkative).setLevel(logging.ERROR)

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]
"""What a network computes in; "auto" in the settings stands for one of them."""
MemoryFormat = Literal["channels_last", "contiguous"]
"""How maps lie in memory: all channels of a position side by side, or all positions of a channel."""
_FORMATS: Final[dict[str, torch.memory_format]] = {
    "channels_last": torch.channels_last,
    "contiguous": torch.contiguous_format,
}


class DeviceSettings(Settings):
    """Where the network runs; an interrupted run may be continued elsewhere."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """auto: a CUDA GPU, else Apple's GPU, else the CPU."""
    num_devices: int = Field(default=1, ge=1)
    """How many of them on each machine. They divide every batch, so that the result is that of one, up to rounding."""
    launcher: Literal["own", "torchrun"] = "own"
    """Who starts a process for each device. own: radpath, on this machine; torchrun: torchrun did, on one machine or on
    several, which see the same files."""
    precision: Literal["auto", Precision] = "32-true"
    """The same in training and evaluation; heads compute in 32 bits in any of them. 16-mixed needs a CUDA GPU. auto:
    bf16-mixed where a measurement of some seconds, when the run begins, finds it more than 1.3 times as fast, else
    32-true; precision.json in the run folder says which, and the run keeps it."""
    memory_format: Literal["auto", MemoryFormat] = "channels_last"
    """How maps lie in memory, which changes numbers by rounding alone. auto: contiguous where the same measurement
    finds it more than 1.15 times as fast, else channels_last."""
    compile: bool = False
    """Let torch.compile translate the network, for batches without padding; it needs a C++ compiler and, once for each
    network and machine, minutes. Worth it on a GPU and in long runs."""


Result = TypeVar("Result")


def is_settled(settings: DeviceSettings) -> bool:
    """Return True where nothing is left to a measurement."""
    return "auto" not in (settings.precision, settings.memory_format)


def settled(settings: DeviceSettings, *, precision: str, memory_format: str) -> DeviceSettings:
    """Return the settings with what was measured in the place of "auto".

    Raises:
        ValueError: there is no such precision or memory format.
    """
    if precision not in get_args(Precision):
        raise ValueError(f"no precision is called '{precision}'")
    if memory_format not in _FORMATS:
        raise ValueError(f"no memory format is called '{memory_format}'")
    measured = {"precision": precision, "memory_format": memory_format}
    return settings.model_copy(update={name: measured[name] for name in measured if getattr(settings, name) == "auto"})


def arrange(model: Classifier, settings: DeviceSettings) -> Classifier:
    """Lay a network out in memory, and have it translated, as the settings want it; "auto" is channels_last here."""
    model.backbone.arrange(_FORMATS.get(settings.memory_format, torch.channels_last))
    if settings.compile:
        model.backbone.translate()
    return model


def on_devices(settings: DeviceSettings, work: Callable[[Fabric], Result]) -> Result:
    """Return ``work(fabric)``, computed on the requested devices with deterministic kernels.

    Several devices share the work: each has a process of its own, which gets a copy of ``work``. The first of them
    writes files (``fabric.is_global_zero``), is the only one that is heard, and returns the result.

    Args:
        settings: which devices.
        work: a function of a module, or a ``functools.partial`` of one, since it has to travel to other processes.

    Raises:
        DeviceError: the device, the number of devices or the precision is not available.
        RadpathError: whatever ``work`` raises, from any of the processes.
    """
    if settings.launcher == "torchrun":
        _require_launched(settings)
        workers.hand_out(partial(_work_as_helper, settings, work))
    elif workers.is_started_by_torchrun():
        raise DeviceError(
            "torchrun started several processes, but device.launcher is 'own'; add --set device.launcher=torchrun, or "
            "start radpath without torchrun"
        )
    fabric = connect(settings)
    if settings.num_devices == 1 or settings.launcher == "torchrun":
        fabric.launch()
        return work(fabric)
    refusals: SimpleQueue[RadpathError] = multiprocessing.get_context("spawn").SimpleQueue()
    try:
        result: Result = fabric.launch(partial(_in_own_process, refusals, work))
    except ProcessException:
        if refusals.empty():
            raise
        raise refusals.get() from None
    return result


def _require_launched(settings: DeviceSettings) -> None:
    if not workers.is_started_by_torchrun():
        raise DeviceError(
            "device.launcher is 'torchrun', but torchrun did not start this process; start radpath with, for example, "
            "torchrun --standalone --nproc-per-node 2 -m radpath train ..., or set device.launcher to 'own'"
        )
    if settings.num_devices != workers.processes_here():
        raise DeviceError(
            f"device.num_devices is {settings.num_devices}, but torchrun started {workers.processes_here()} processes "
            "on this machine; make both the same"
        )


def _work_as_helper(settings: DeviceSettings, work: Callable[[Fabric], object]) -> None:
    """Do the work in a process that torchrun started beside the first one."""
    fabric = connect(settings)
    fabric.launch()
    with _silence():
        work(fabric)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def _in_own_process(refusals: "SimpleQueue[RadpathError]", work: Callable[[Fabric], Result], fabric: Fabric) -> Result:
    """Do the work in one of several processes; an error that a user can act on travels back as it is."""
    _prepare_process(fabric)
    try:
        with contextlib.nullcontext() if fabric.is_global_zero else _silence():
            return work(fabric)
    except RadpathError as error:
        refusals.put(error)
        raise


def connect(settings: DeviceSettings) -> Fabric:
    """Return Fabric for the requested devices, before any process is started.

    Raises:
        DeviceError: the device, the number of devices or the precision is not available.
    """
    if settings.precision == "auto" or not is_settled(settings):  # a defect of radpath, never a user's
        raise AssertionError("device.precision and memory_format have to be settled before anything is computed")
    torchvision_compat.ensure_importable()  # Fabric looks at torchvision too
    launched = settings.launcher == "torchrun" and workers.is_started_by_torchrun()
    fabric = Fabric(
        accelerator=require_device(settings),
        devices=settings.num_devices,
        num_nodes=workers.num_machines() if launched else 1,
        strategy="ddp" if launched else "auto" if settings.num_devices == 1 else "ddp_spawn",
        precision=settings.precision,
        # A cluster's variables never decide what a run does, unless device.launcher says so.
        plugins=[TorchElasticEnvironment() if launched else LightningEnvironment()],
    )
    _prepare_process(fabric)
    return fabric


def _prepare_process(fabric: Fabric) -> None:
    """Choose deterministic kernels, for this process."""
    if fabric.world_size > 1:  # of depthwise kernels; it costs next to nothing
        warnings.filterwarnings("ignore", message="Grad strides do not match")
    if fabric.device.type == "cpu":
        keep_freed_memory()
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it CUDA's matrix products may differ


def require_device(settings: DeviceSettings) -> str:
    """Return the accelerator that the settings mean, without starting anything.

    Raises:
        DeviceError: the device, the number of devices or the precision is not available.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    mps = torch.backends.mps.is_available()
    device = settings.device
    if device == "auto":
        device = "cuda" if gpus else "mps" if mps else "cpu"
    if device == "cuda" and gpus < settings.num_devices:
        raise DeviceError(
            f"device.device is 'cuda' with device.num_devices = {settings.num_devices}, but PyTorch sees {gpus} CUDA "
            "GPUs; set device.device to 'cpu' or 'auto', or see `radpath doctor`"
        )
    if device == "mps" and not mps:
        raise DeviceError("device.device is 'mps', but there is no Apple GPU here; set it to 'cpu' or 'auto'")
    if device == "mps" and settings.num_devices > 1:
        raise DeviceError(f"device.num_devices is {settings.num_devices}, but an Apple GPU works alone; set it to 1")
    if settings.compile and (device == "mps" or settings.num_devices > 1):
        where = "an Apple GPU" if device == "mps" else f"device.num_devices = {settings.num_devices}"
        raise DeviceError(f"device.compile is not supported with {where}; set device.compile = false")
    if settings.precision == "16-mixed" and device != "cuda":
        raise DeviceError(f"device.precision is '16-mixed', which needs a CUDA GPU, not '{device}'; set '32-true'")
    return device


@contextlib.contextmanager
def explained_memory_errors() -> Iterator[None]:
    """Turn "out of GPU memory" into an error that says what to lower."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise DeviceError(
            "the GPU's memory is used up; lower batches.size (or batches.max_megapixels, pixels.size_px)"
        ) from error
