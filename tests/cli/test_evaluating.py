"""What goes together on the command line of evaluate, and what does not."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Program = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.mark.parametrize("words", [("--labels", "labels.csv"), ("--other-patients",)])
def test_what_is_about_new_images_needs_them(words: tuple[str, ...], tmp_path: Path, program: Program) -> None:
    result = program("evaluate", tmp_path, *words)
    assert result.returncode == 2
    assert f"{words[0]} goes with new images; name them with --images" in result.stderr


def test_a_table_cannot_look_at_new_images(tmp_path: Path, program: Program) -> None:
    table = tmp_path / "predictions.csv"
    table.write_text("record_id\n", encoding="utf-8")
    result = program("evaluate", table, "--images", tmp_path)
    assert result.returncode == 2
    assert "is no run, so nothing can look at new images; name a run folder" in result.stderr
