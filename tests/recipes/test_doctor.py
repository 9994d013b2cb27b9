"""The doctor's trials are real: they pass here, and each fails where the thing it tries is broken."""

from pathlib import Path

import pytest

from radpath.errors import StorageError, WeightsError
from radpath.recipes import doctor


def test_this_installation_is_healthy(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert doctor.examine()
    told = capsys.readouterr().out
    for heading in ("Installed", "Machine", "Weights", "Trials"):
        assert f"\n{heading}\n" in told
    assert "FAILS" not in told
    assert told.count("works  ") == 5
    assert "optional extras" in told
    assert "they need a network the first time, and are not tried here" in told
    assert "32-true" in told
    assert told.endswith("`radpath fit` will work here.\n")
    assert list(tmp_path.iterdir()) == []


def test_what_fails_is_told_in_one_line_and_spoils_the_verdict(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> str:
        raise WeightsError("the bundled weights are missing; reinstall radpath\nwith pip")

    monkeypatch.setattr(doctor, "_TRIALS", (("weights", fail), ("nothing", lambda: "fine")))
    monkeypatch.setattr(doctor, "_machine", lambda: [("system", "any")])
    assert not doctor.examine()
    told = capsys.readouterr().out
    assert "  FAILS  weights  the bundled weights are missing; reinstall radpath\n" in told
    assert "  works  nothing  fine\n" in told
    assert told.endswith("`radpath fit` will not work here; see the trials that fail.\n")


def test_a_wrong_decoder_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from radpath.data import pixels

    decode = pixels.decode
    monkeypatch.setattr(pixels, "decode", lambda *args, **kwargs: decode(*args, **kwargs) // 2 * 2)
    works, told = doctor._try(doctor._try_decoding)
    assert (works, told) == (False, "grey16.png is decoded to other pixels than were written")


def test_a_missing_library_is_a_failure_not_a_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> list[tuple[str, str]]:
        raise ImportError("no module named torch")

    monkeypatch.setattr(doctor, "_devices", fail)
    assert doctor._machine()[-1] == ("PyTorch", "does not work: no module named torch")
    monkeypatch.setattr(doctor, "_PACKAGES", ("radpath", "no-such-package"))
    assert ("no-such-package", "not installed") in doctor._versions()


def test_a_folder_that_cannot_be_written_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise StorageError("the disk is read-only")

    monkeypatch.setattr("radpath.files.write_text", refuse)
    assert doctor._try(doctor._try_writing) == (False, "the disk is read-only")
