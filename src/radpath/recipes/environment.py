"""What a run was made with: versions, machine, device, seeds, and the state of the code around it."""

import datetime as dt
import importlib.metadata
import os
import platform
import shutil
import subprocess
from typing import Any, Final

import torch
from lightning_fabric import Fabric

from radpath.data.findings import counted
from radpath.recipes.experiment import Experiment

_PACKAGES: Final = (
    "radpath",
    "torch",
    "timm",
    "lightning-fabric",
    "numpy",
    "scipy",
    "polars",
    "pillow",
    "tifffile",
    "imagecodecs",
)


def describe_environment(experiment: Experiment, *, command: str, device: str) -> dict[str, Any]:
    """Return what is written to ``environment.json``; no user or host name is in it."""
    return {
        "command": command,
        "started": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu_cores": os.cpu_count(),
        "device": device,
        "precision": experiment.device.precision,
        "memory_format": experiment.device.memory_format,
        "compiled": experiment.device.compile,
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
        "seeds": {
            "split": experiment.split.seed,
            "training": experiment.training.seed,
            "evaluation": experiment.evaluation.seed,
        },
        "git_commit": _git_commit(),
    }


def device_name(fabric: Fabric) -> str:
    """Return the device in words, for example "CPU, 2 threads"."""
    if fabric.device.type == "cuda":
        name = torch.cuda.get_device_name(fabric.device)
    elif fabric.device.type == "mps":
        name = "Apple GPU"
    else:
        name = f"CPU, {counted(torch.get_num_threads(), 'thread')}"
    return name if fabric.world_size == 1 else f"{fabric.world_size} x {name}"


def _git_commit() -> str:
    """Return the commit of the folder where radpath runs; empty where it is not under git."""
    git = shutil.which("git")
    if git is None:
        return ""
    fixed_words = [git, "rev-parse", "HEAD"]
    answer = subprocess.run(fixed_words, capture_output=True, text=True, check=False)  # noqa: S603 - no user input
    return answer.stdout.strip() if answer.returncode == 0 else ""
