"""What holds for every command."""

import subprocess
from collections.abc import Callable

import pytest

Program = Callable[..., "subprocess.CompletedProcess[str]"]


def test_ctrl_c_is_told_in_one_line(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("radpath.recipes.inspect.scan_images", interrupt)
    result = program("scan", "images")
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "radpath: interrupted\n")
