"""A bar on a terminal, and nothing elsewhere; the items come through either way."""

import io
import sys

import pytest

from radpath.progress import track


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_without_a_terminal_nothing_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert list(track(iter("abc"), total=3, what="decoding")) == ["a", "b", "c"]
    assert isinstance(sys.stderr, io.StringIO)
    assert sys.stderr.getvalue() == ""


def test_on_a_terminal_a_bar_tells_what_is_done_and_disappears(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    assert list(track(range(40), total=40, what="decoding", unit="slides")) == list(range(40))
    written = terminal.getvalue()
    assert "decoding" in written
    assert "slides" in written
    assert "/40" in written
    assert written.rstrip("\n").endswith(("\x1b[2K", "\x1b[?25h"))  # the line is cleared, the cursor shown


def test_with_nothing_to_do_there_is_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert list(track([], total=0, what="decoding")) == []
    assert terminal.getvalue() == ""


def test_items_are_not_taken_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    taken: list[int] = []
    for item in track((taken.append(number) or number for number in range(5)), total=5, what="x"):  # type: ignore[func-returns-value] # append returns None, on purpose
        assert taken[-1] == item
        if item == 2:
            break
    assert taken == [0, 1, 2]
