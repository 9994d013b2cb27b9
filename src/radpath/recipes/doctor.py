"""What is installed, which devices and weights there are, and, by trying it, what will work."""

import functools
import importlib.metadata
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, get_args

import numpy as np

from radpath import files
from radpath.errors import DataError, DeviceError, RadpathError
from radpath.recipes.telling import say, say_rows

if TYPE_CHECKING:
    from radpath.models.classifier import Classifier

_PACKAGES: Final = (
    "radpath",
    "torch",
    "torchvision",
    "timm",
    "lightning-fabric",
    "numpy",
    "polars",
    "pillow",
    "tifffile",
    "imagecodecs",
)
_WEIGHTS: Final = (
    ("bundled", "ImageNet weights of tf_efficientnet_lite0, the default; tried below"),
    ("file", "any .safetensors file that fits, by model.weights_file; `radpath convert-weights` makes one"),
    ("hub", "timm's weights by name; they need a network the first time, and are not tried here"),
)
_SIDE_PX: Final = 96
_BATCH: Final = 8
_LARGEST_JPEG_ERROR: Final = 12  # levels; JPEG loses a little of smooth pictures, a wrong decoder a lot
_PROBLEMS: Final = (RadpathError, ImportError, OSError, RuntimeError, ValueError)
"""What a broken installation raises: missing or mismatched libraries, unreadable files, no memory."""


def examine() -> bool:
    """Print a report on this installation; return whether radpath can train here."""
    trials = [(what, *_try(trial)) for what, trial in _TRIALS]
    say_rows("Installed", _versions())
    say_rows("Machine", _machine())
    say_rows("Weights", _WEIGHTS)
    say_rows("Trials", [("works" if works else "FAILS", what, told) for what, works, told in trials])
    works = all(worked for _, worked, _ in trials)
    say("")
    say("`radpath fit` will work here." if works else "`radpath fit` will not work here; see the trials that fail.")
    return works


def _try(trial: Callable[[], str]) -> tuple[bool, str]:
    """Return whether a trial works, and what it has to tell."""
    try:
        return True, trial()
    except _PROBLEMS as problem:
        return False, (str(problem) or type(problem).__name__).splitlines()[0]


def _versions() -> list[tuple[str, str]]:
    found = []
    for name in _PACKAGES:
        try:
            found.append((name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            found.append((name, "not installed"))
    return [("python", platform.python_version()), *found, ("optional extras", "this version has none")]


def _machine() -> list[tuple[str, str]]:
    rows = [
        ("system", f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"),
        ("disk free here", f"{shutil.disk_usage(Path.cwd()).free / 1e9:.0f} GB"),
    ]
    try:
        return [*rows, *_devices()]
    except _PROBLEMS as problem:
        return [*rows, ("PyTorch", f"does not work: {problem}")]


def _devices() -> list[tuple[str, str]]:
    import torch

    gpus = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    return [
        ("GPUs (CUDA)", ", ".join(gpus) or "none"),
        ("GPU (Apple)", "yes" if torch.backends.mps.is_available() else "none"),
        ("device.precision", ", ".join(_precisions())),
    ]


def _precisions() -> list[str]:
    """Return the values of device.precision that this machine takes."""
    from radpath.training.device import DeviceSettings, Precision, require_device

    taken = []
    for precision in get_args(Precision):
        try:
            require_device(DeviceSettings(precision=precision))
        except DeviceError:
            continue
        taken.append(precision)
    return taken


@functools.cache
def _classifier() -> "Classifier":
    from radpath.models.classifier import ModelSettings, build_classifier

    return build_classifier(ModelSettings(), num_classes=2, seed=0)


def _try_bundled_weights() -> str:
    backbone = _classifier().backbone
    if backbone.padding_problem is not None:
        raise DataError(f"padding changes what the network computes: {backbone.padding_problem}")
    return f"{backbone.report.loaded} tensors fit; padding changes nothing"


def _try_learning() -> str:
    """Take real steps of training on the device that a run would choose."""
    import torch
    from torch.nn import functional

    from radpath.training.device import DeviceSettings, connect

    fabric = connect(DeviceSettings())
    model = _classifier().to(fabric.device)
    images = torch.rand(_BATCH, 3, _SIDE_PX, _SIDE_PX, device=fabric.device)
    sides = torch.full((_BATCH,), _SIDE_PX)
    truth = torch.arange(_BATCH, device=fabric.device) % 2
    seconds = []
    for _ in range(2):  # the first step is slower than all others
        begun = time.perf_counter()
        loss = functional.cross_entropy(model(images, sides, sides), truth)
        fabric.backward(loss)
        float(loss.detach())
        seconds.append(time.perf_counter() - begun)
    return f"on {fabric.device.type}, {_BATCH / seconds[-1]:,.0f} images of {_SIDE_PX} x {_SIDE_PX} px a second"


def _try_decoding() -> str:
    """Write a picture in each format, as other programs do, and compare what radpath reads."""
    from radpath.data.pixels import decode

    ramp = np.linspace(0, 255, 48 * 64).reshape(48, 64)
    deep = np.rint(ramp * 257).astype(np.uint16)
    colour = np.stack([np.rint(ramp), 255 - np.rint(ramp), np.full_like(ramp, 90)], axis=-1).astype(np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        for name, pixels, write in _pictures(deep, colour):
            path = Path(folder) / name
            write(path)
            found = decode(path, max_pixels=10_000, transparency="white")
            allowed = _LARGEST_JPEG_ERROR if path.suffix == ".jpg" else 0
            if found.dtype != pixels.dtype or np.abs(found.astype(int) - pixels.astype(int)).max() > allowed:
                raise DataError(f"{name} is decoded to other pixels than were written")
    return "PNG, JPEG and TIFF, 8 and 16 bit, grey and colour"


def _pictures(deep: np.ndarray, colour: np.ndarray) -> list[tuple[str, np.ndarray, Callable[[Path], object]]]:
    """Return the name, the pixels and the writer of each picture."""
    import imagecodecs
    import tifffile
    from PIL import Image

    deep_colour = np.stack([deep, deep[::-1], deep[:, ::-1]], axis=-1)
    return [
        ("grey16.png", deep, lambda path: Image.fromarray(deep).save(path)),
        ("colour16.png", deep_colour, lambda path: path.write_bytes(imagecodecs.png_encode(deep_colour))),
        ("colour8.png", colour, lambda path: Image.fromarray(colour).save(path)),
        ("colour8.jpg", colour, lambda path: Image.fromarray(colour).save(path, quality=95, subsampling=0)),
        ("grey16.tif", deep, lambda path: tifffile.imwrite(path, deep, compression="lzw")),
        ("colour8.tif", colour, lambda path: tifffile.imwrite(path, colour, photometric="rgb", compression="zlib")),
    ]


def _try_logging() -> str:
    from torch.utils.tensorboard import SummaryWriter

    with tempfile.TemporaryDirectory() as folder, SummaryWriter(folder) as writer:
        writer.add_scalar("doctor", 1.0, 0)
    return "TensorBoard"


def _try_writing() -> str:
    probe = Path.cwd() / f".radpath-doctor-{os.getpid()}"
    files.write_text(probe, "probe")
    probe.unlink()
    return str(Path.cwd())


_TRIALS: Final[tuple[tuple[str, Callable[[], str]], ...]] = (
    ("bundled weights", _try_bundled_weights),
    ("learning", _try_learning),
    ("reading images", _try_decoding),
    ("logging", _try_logging),
    ("writing here", _try_writing),
)
