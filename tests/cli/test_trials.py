"""The commands of trials pass on what was typed."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Program = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.mark.parametrize(
    ("command", "recipe", "words", "passed"),
    [
        ("check-learning", "check_learning", ["--per-class", 2, "--steps", 9], {"per_class": 2, "num_steps": 9}),
        ("find-rate", "find_rate", ["--steps", 30], {"num_steps": 30}),
    ],
)
def test_arguments_reach_the_recipe(
    program: Program,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    recipe: str,
    words: list[object],
    passed: dict[str, int],
) -> None:
    seen: dict[str, Any] = {}
    monkeypatch.setattr(f"radpath.recipes.{recipe}.{recipe}", lambda target, **named: seen.update(named, target=target))
    result = program(command, "images", "--labels", "t.csv", "--set", "training.seed=3", "--out", "o", *words)
    assert result.returncode == 0, result.stderr
    expected = {"labels": Path("t.csv"), "assignments": ["training.seed=3"], "out": Path("o"), **passed}
    assert seen == {"target": Path("images"), **expected}
