"""Where and how precisely the network computes: Lightning Fabric, set up once, with errors a user can act on."""

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator
from typing import Literal

import torch
from lightning_fabric import Fabric
from pydantic import Field

from radpath.errors import DeviceError
from radpath.models import torchvision_compat
from radpath.settings import Settings
from radpath.training.memory import keep_freed_memory

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]


class DeviceSettings(Settings):
    """Where the network runs. None of it changes what is learned, beyond rounding."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """auto: a CUDA GPU, else Apple's GPU, else the CPU."""
    num_devices: int = Field(default=1, ge=1)
    """How many of them; each batch step then takes that many batches at once."""
    precision: Precision = "32-true"
    """The same in training and evaluation. 16-mixed needs a CUDA GPU."""


def launch(settings: DeviceSettings) -> Fabric:
    """Start Fabric on the requested devices, with deterministic kernels.

    Raises:
        DeviceError: the device, the number of devices or the precision is not available.
    """
    torchvision_compat.ensure_importable()  # Fabric looks at torchvision too
    accelerator = require_device(settings)
    if accelerator == "cpu":
        keep_freed_memory()
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it CUDA's matrix products may differ
    logging.getLogger("lightning_fabric").setLevel(logging.ERROR)
    strategy = "auto" if settings.num_devices == 1 else "ddp"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*srun.*")  # a hint about clusters, not about this run
        fabric = Fabric(
            accelerator=accelerator, devices=settings.num_devices, strategy=strategy, precision=settings.precision
        )
    fabric.launch()
    return fabric


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
