"""The commands hand their words to the recipes."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from radpath.cli.main import app
from radpath.recipes import pick_epoch, report


def test_words_of_the_command_line_reach_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[object] = []
    monkeypatch.setattr(report, "rebuild_report", lambda run, *, pdf: given.append((run, pdf)))
    for words in (["report", "run"], ["report", "run", "--pdf"]):
        assert CliRunner().invoke(app, words).exit_code == 0
    assert given == [(Path("run"), False), (Path("run"), True)]


def test_words_of_the_command_line_reach_the_picking_of_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[object] = []
    monkeypatch.setattr(pick_epoch, "pick_epoch", lambda run, epoch: given.append((run, epoch)))
    assert CliRunner().invoke(app, ["pick-epoch", "run", "3"]).exit_code == 0
    assert given == [(Path("run"), 3)]
