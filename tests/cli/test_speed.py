"""The command hands its words to the recipe."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from radpath.cli.main import app
from radpath.recipes import benchmark as recipe


def test_words_of_the_command_line_reach_the_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, object] = {}

    def take(path: Path | None, **words: object) -> None:
        given.update(words, path=path)

    monkeypatch.setattr(recipe, "benchmark", take)
    words = ["benchmark", "a.toml", "--set", "batches.size=4", "--out", "b.json", "--seconds", "2"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    given.pop("command")
    expected = {"path": Path("a.toml"), "assignments": ["batches.size=4"], "out": Path("b.json"), "seconds": 2.0}
    assert given == expected
