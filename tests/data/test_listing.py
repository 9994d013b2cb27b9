"""What stands below a folder, here and behind an address."""

import os
import time
from pathlib import Path

import fsspec
import pytest

from radpath.data import listing, reading
from radpath.data.listing import Listing, list_folder
from radpath.data.location import Location, RemotePath


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PAUSES_S", (0.0, 0.0))


def is_png(name: str) -> bool:
    return name.endswith(".png")


def listed(folder: Location, *, ignored: Location | None = None) -> Listing:
    return list_folder(folder, is_image_name=is_png, is_image=lambda _path: False, ignored=ignored)


NAMES = ("1.png", "a/2.png", "a/b/3.png", "a/notes.txt", "labels.csv", ".hidden.png", ".cache/4.png")


@pytest.fixture(params=["local", "remote"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    """The same files on this machine and in fsspec's file system in memory."""
    if request.param == "remote":
        place = tmp_path.name
        fsspec.filesystem("memory").pipe({f"/{place}/{name}": name.encode() for name in NAMES})
        return RemotePath(f"memory://{place}")
    for name in NAMES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
        os.utime(tmp_path / name, ns=(0, 0))
    return tmp_path


def test_files_are_told_apart_by_their_names(folder: Location) -> None:
    found = listed(folder, ignored=folder / "labels.csv")
    frame = found.take_frame()
    sizes = dict(frame.select("path", "bytes").iter_rows())
    assert sizes == {"1.png": 5, "a/2.png": 7, "a/b/3.png": 9}
    assert found.others == ["a/notes.txt"]
    assert sorted(found.hidden) == [".cache", ".hidden.png"]
    assert (found.given_up, found.loops) == ({}, [])
    assert frame.columns == ["path", "bytes", "version"]


def test_a_table_of_labels_that_is_not_named_is_one_of_the_others(folder: Location) -> None:
    assert sorted(listed(folder).others) == ["a/notes.txt", "labels.csv"]


def test_the_version_changes_whenever_a_file_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "SETTLED_NS", -(10**12))
    path = tmp_path / "1.png"
    path.write_bytes(b"old")
    before = listed(tmp_path).take_frame()["version"].to_list()
    time.sleep(0.02)
    path.write_bytes(b"new")
    os.utime(path, ns=(int(before[0].split()[0]),) * 2)  # somebody sets the time back; the time of change stays new
    after = listed(tmp_path).take_frame()["version"].to_list()
    assert before != after
    assert listed(tmp_path).take_frame()["version"].to_list() == after


def test_a_file_that_was_written_a_moment_ago_has_no_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "1.png").touch()
    assert listed(tmp_path).take_frame()["version"].to_list() == [""]
    monkeypatch.setattr(listing, "SETTLED_NS", -(10**12))
    assert listed(tmp_path).take_frame()["version"].to_list() != [""]


def test_what_a_remote_file_system_knows_is_the_version() -> None:
    filesystem = fsspec.filesystem("memory")
    filesystem.pipe_file("/versions/1.png", b"old")
    before = listed(RemotePath("memory://versions")).take_frame()["version"].to_list()
    filesystem.pipe_file("/versions/1.png", b"new")
    assert listed(RemotePath("memory://versions")).take_frame()["version"].to_list() not in (before, [""])


def test_a_folder_that_fails_for_a_moment_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "1.png").touch()
    failures, list_really = [OSError(5, "Input/output error")], os.scandir

    def list_in_the_end(folder: Path) -> object:
        if failures:
            raise failures.pop()
        return list_really(folder)

    monkeypatch.setattr(os, "scandir", list_in_the_end)
    assert listed(tmp_path).take_frame()["path"].to_list() == ["1.png"]


def test_a_remote_folder_that_cannot_be_listed_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    filesystem = fsspec.filesystem("memory")
    filesystem.pipe({"/ward/open/1.png": b"", "/ward/locked/2.png": b""})
    list_really = type(filesystem).ls

    def refuse_locked(self: object, path: str, **options: object) -> object:
        if path.endswith("locked"):
            raise OSError("Access Denied")
        return list_really(self, path, **options)

    monkeypatch.setattr(type(filesystem), "ls", refuse_locked)
    found = listed(RemotePath("memory://ward"))
    assert found.take_frame()["path"].to_list() == ["open/1.png"]
    assert found.given_up == {"locked/": "cannot be read: Access Denied"}
    monkeypatch.setattr(type(filesystem), "ls", lambda *_words, **_options: (_ for _ in ()).throw(OSError("gone")))
    with pytest.raises(OSError, match="gone"):
        listed(RemotePath("memory://ward"))
