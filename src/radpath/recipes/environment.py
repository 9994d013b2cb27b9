"""What a run was made with: versions, machine, device, seeds, and the state of the code around it."""

import datetime as dt
import importlib.metadata
import os
import platform
import shutil
import subprocess
from typing import Any, Final

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
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
        "seeds": {
            "split": experiment.split.seed,
            "training": experiment.training.seed,
            "evaluation": experiment.evaluation.seed,
        },
        "git_commit": _git_commit(),
    }


def _git_commit() -> str:
    """Return the commit of the folder where radpath runs; empty where it is not under git."""
    git = shutil.which("git")
    if git is None:
        return ""
    fixed_words = [git, "rev-parse", "HEAD"]
    answer = subprocess.run(fixed_words, capture_output=True, text=True, check=False)  # noqa: S603 - no user input
    return answer.stdout.strip() if answer.returncode == 0 else ""
