"""What the words of the command line become."""

import shlex
import sys
from pathlib import Path

import pytest

from radpath.cli.arguments import command_line, place


def test_a_place_is_a_path_or_nothing() -> None:
    assert place(None) is None
    assert place("images") == Path("images")


def test_the_command_can_be_typed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["fit", "my images", "--set", "data.name_pattern=(?P<case>[0-9]+)"]
    monkeypatch.setattr(sys, "argv", ["somewhere/radpath", *words])
    assert shlex.split(command_line()) == ["radpath", *words]
