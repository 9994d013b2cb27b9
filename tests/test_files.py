"""Files appear whole or not at all, and the operating system's refusals become one line."""

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radpath import files
from radpath.errors import DataError, StorageError


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_under_its_name_with_its_folders(tmp_path: Path) -> None:
    files.write_text(tmp_path / "a" / "b" / "note.txt", "Gewebe µm")
    assert (tmp_path / "a" / "b" / "note.txt").read_bytes() == "Gewebe µm".encode()
    assert names_in(tmp_path / "a" / "b") == ["note.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, MemoryError])
def test_an_error_in_the_middle_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "history.csv"
    files.write_text(path, "old")

    def write_half() -> None:
        with files.whole_file(path) as unfinished:
            unfinished.write_text("half of the n")
            raise error

    with pytest.raises(error):
        write_half()
    assert path.read_text() == "old"
    assert names_in(tmp_path) == ["history.csv"]


def test_an_error_before_anything_is_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), files.whole_file(tmp_path / "a.bin"):
        raise ZeroDivisionError
    assert names_in(tmp_path) == []


def test_readers_see_the_old_content_until_the_new_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    files.write_text(path, "old")
    with files.whole_file(path) as unfinished:
        unfinished.write_text("new")
        assert path.read_text() == "old"
        assert unfinished.parent == tmp_path
        assert unfinished.name.startswith(".")
    assert path.read_text() == "new"


def test_two_writers_do_not_share_an_unfinished_file(tmp_path: Path) -> None:
    with files.whole_file(tmp_path / "a.txt") as first, files.whole_file(tmp_path / "a.txt") as second:
        first.write_text("first")
        second.write_text("second")
    assert (tmp_path / "a.txt").read_text() == "first"  # the outer block ends last
    assert names_in(tmp_path) == ["a.txt"]


def test_a_killed_process_leaves_the_old_file_under_the_name(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    files.write_text(path, "old")
    code = (
        "import os, signal, sys; from pathlib import Path; from radpath import files\n"
        "with files.whole_file(Path(sys.argv[1])) as unfinished:\n"
        "    unfinished.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_text() == "old"


def test_what_killed_processes_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    kept = ["a.txt", ".hidden", "a.part", "b/.c", "b/metrics.json"]
    for name in [*kept, ".a.txt.01ab.part", "b/.metrics.json.ff00.part"]:
        files.write_text(tmp_path / name, name)
    files.remove_unfinished(tmp_path)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()) == sorted(kept)


REFUSALS = {
    errno.ENOSPC: "the disk is full; free some space or choose another folder with --out",
    errno.EDQUOT: "the disk quota is used up; free some space or choose another folder with --out",
    errno.EROFS: "the disk is read-only; choose another folder with --out",
    errno.EACCES: "permission denied; choose another folder with --out",
    errno.EFBIG: "the file system refuses a file of this size; choose another folder with --out",
    errno.ENOTDIR: "a part of this path is a file, not a folder; choose another folder with --out",
}


@pytest.mark.parametrize("number", REFUSALS, ids=lambda number: errno.errorcode[number])
@pytest.mark.parametrize("moment", ["write_bytes", "mkdir", "replace"])
def test_a_refusal_to_write_is_said_in_one_line_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, moment: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    path = tmp_path / "metrics.json"
    with monkeypatch.context() as patch:
        patch.setattr(Path, moment, refuse)
        with pytest.raises(StorageError) as caught:
            files.write_json(path, {"auc": 0.9})
    assert str(caught.value) == f"cannot write {path}: {REFUSALS[number]}"
    assert names_in(tmp_path) == []


def test_a_disk_that_is_full_when_the_content_is_flushed_is_said_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StorageError, match="the disk is full"):
        files.write_text(tmp_path / "a.txt", "text")
    assert names_in(tmp_path) == []


def test_a_file_in_the_place_of_a_folder_is_said(tmp_path: Path) -> None:
    files.write_text(tmp_path / "runs", "a file")
    with pytest.raises(StorageError, match=r"runs/1/a\.txt: a part of this path is a file, not a folder"):
        files.write_text(tmp_path / "runs" / "1" / "a.txt", "text")


def test_other_errors_of_the_operating_system_are_not_hidden(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), files.explained_storage_errors(tmp_path):
        (tmp_path / "missing").read_bytes()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=40, deadline=None)
@given(value=json_values)
def test_json_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "value.json"
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return  # half of a surrogate pair is no text
    files.write_json(path, value)
    assert files.read_json(path) == value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"auc": float("-inf")}])
def test_json_has_no_such_number(tmp_path: Path, value: Any) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "a.json", value)
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe", b"{'a': 1}"])
def test_what_is_no_json_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(content)
    with pytest.raises(
        DataError, match=r"plan\.json cannot be read as JSON \(.+\); run the step that writes it again$"
    ):
        files.read_json(path)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"plan\.json is missing; run the step that writes it again$"):
        files.read_json(tmp_path / "plan.json")
    with pytest.raises(DataError, match="cannot be read as JSON"):
        files.read_json(tmp_path)


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 7])
def test_digests_of_files_are_those_of_their_bytes(tmp_path: Path, size: int) -> None:
    content = bytes(number % 251 for number in range(size))
    (tmp_path / "a.bin").write_bytes(content)
    assert (
        files.digest_file(tmp_path / "a.bin") == files.digest_bytes(content) == files.digest_bytes(memoryview(content))
    )
    assert files.sha256_file(tmp_path / "a.bin") == hashlib.sha256(content).hexdigest()


def test_a_digest_of_a_table_does_not_depend_on_the_order_of_its_keys() -> None:
    assert files.digest_json({"a": 1, "b": [2, 3]}) == files.digest_json({"b": [2, 3], "a": 1})
    assert files.digest_json({"a": 1, "b": [2, 3]}) != files.digest_json({"a": 1, "b": [3, 2]})
