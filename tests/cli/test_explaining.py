"""The words of `radpath explain` become a selection."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from radpath.recipes.choosing import Selection

Program = Callable[..., "subprocess.CompletedProcess[str]"]


def test_every_word_is_passed_on(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def recipe(run: Path, **rest: Any) -> None:
        seen.update(run=run, **rest)

    monkeypatch.setattr("radpath.recipes.explain.explain", recipe)
    words = (
        "--images",
        "a",
        "--images",
        "b",
        "--class",
        "x",
        "--method",
        "occlusion",
        "--set",
        "explanation.window=0.1",
    )
    result = program("explain", "run", *words, "--check", "--out", "there", "--new", "clinic")
    assert result.returncode == 0, result.stderr
    assert seen == {
        "run": Path("run"),
        "selection": Selection(images=("a", "b"), explained_class="x"),
        "new": Path("clinic"),
        "check": True,
        "out": Path("there"),
        "assignments": ["explanation.window=0.1", "explanation.method=occlusion"],
    }
    program("explain", "run", "--side", "test", "--truth", "y", "--mistakes", "--most", "5")
    assert seen["selection"] == Selection(side="test", truth="y", mistakes=True, most=5)
