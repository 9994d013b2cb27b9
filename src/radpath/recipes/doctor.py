"""What is installed, which devices there are, which weights, and what will work."""

import importlib.metadata
import importlib.util
import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from radpath.errors import RadpathError
from radpath.recipes.telling import say, say_rows

_PACKAGES: Final = (
    "radpath",
    "torch",
    "torchvision",
    "timm",
    "lightning-fabric",
    "numpy",
    "pillow",
    "tifffile",
    "imagecodecs",
)


def examine() -> bool:
    """Print a report on this installation; return whether radpath can train here."""
    say_rows("Installed", _versions())
    say_rows("Machine", _machine())
    trials = list(_trials())
    say_rows("Trials", [("works" if problem is None else "FAILS", what, problem or "") for what, problem in trials])
    works = all(problem is None for _, problem in trials)
    say("")
    say("`radpath fit` will work here." if works else "`radpath fit` will not work here; see the trials that fail.")
    return works


def _versions() -> list[tuple[str, str]]:
    found = []
    for name in _PACKAGES:
        try:
            found.append((name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            found.append((name, "not installed"))
    return [("python", platform.python_version()), *found]


def _machine() -> list[tuple[str, str]]:
    import torch

    gpus = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    bf16 = "yes" if gpus and torch.cuda.is_bf16_supported() else "by software" if not gpus else "no"
    return [
        ("system", f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"),
        ("GPUs (CUDA)", ", ".join(gpus) or "none: the CPU is used"),
        ("GPU (Apple)", "yes" if torch.backends.mps.is_available() else "none"),
        ("bfloat16", bf16),
        ("disk free here", f"{free:.0f} GB"),
    ]


def _trials() -> Iterator[tuple[str, str | None]]:
    """Try each thing that a run needs, for real but small."""
    yield "bundled ImageNet weights load strictly", _try_bundled_weights()
    yield "images of any size: padding changes nothing", _try_padding()
    yield "decoding: JPEG, PNG, TIFF with 8 and 16 bit", _try_codecs()
    yield "writing files in this folder", _try_writing()


def _try_bundled_weights() -> str | None:
    from radpath.models.backbones import BackboneSettings, build_backbone

    try:
        build_backbone(BackboneSettings())
    except RadpathError as error:
        return str(error)
    return None


def _try_padding() -> str | None:
    from radpath.models.backbones import BackboneSettings, build_backbone

    return build_backbone(BackboneSettings(weights="none")).padding_problem


def _try_codecs() -> str | None:
    missing = [name for name in ("PIL", "tifffile", "imagecodecs") if importlib.util.find_spec(name) is None]
    return f"not installed: {', '.join(missing)}" if missing else None


def _try_writing() -> str | None:
    from radpath import files

    probe = Path.cwd() / ".radpath-doctor"
    try:
        files.write_text(probe, "probe")
    except RadpathError as error:
        return str(error)
    probe.unlink()
    return None
