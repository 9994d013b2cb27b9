"""Runs to join: of the same start and the same split as the shared one, and of another start."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Program = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def sibling_runs(finished_run: Path, program: Program) -> tuple[Path, Path]:
    """Two runs on the data and sides of ``finished_run``, not to change: one learned faster, one had another seed."""
    wishes = {"faster": "training.learning_rate=0.003", "reseeded": "training.seed=5"}
    folders = []
    for name, wish in wishes.items():
        folder = finished_run.parent / name
        result = program("train", finished_run / "experiment.toml", "--set", wish, "--out", folder)
        assert result.returncode == 0, result.stderr
        folders.append(folder)
    return folders[0], folders[1]
