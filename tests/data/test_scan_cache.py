"""What a scan remembers, and when it reads a file again."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from polars.testing import assert_frame_equal

from radpath.data import header_rows, listing, scan_cache
from radpath.data.inputs import DataSettings
from radpath.data.manifest import Manifest
from radpath.data.scan import scan
from radpath.data.scan_cache import IRRELEVANT_SETTINGS, memory_key
from radpath.errors import StorageError


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let files count as settled at once, as after two seconds."""
    monkeypatch.setattr(listing, "SETTLED_NS", -(10**12))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for number in range(70):
        Image.new("L", (5 + number, 4)).save(tmp_path / "images" / f"{number:02d}.png")
    (tmp_path / "images" / "cut.png").write_bytes((tmp_path / "images" / "00.png").read_bytes()[:40])
    return tmp_path / "images"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of the files whose headers are read."""
    names: list[str] = []
    read_really = header_rows.read_file

    def read(folder: Path, file: tuple[str, int, str], *, settings: DataSettings) -> header_rows.Outcome:
        names.append(file[0])
        return read_really(folder, file, settings=settings)

    monkeypatch.setattr(header_rows, "read_file", read)
    yield names
    names.clear()


def memories(cache: Path) -> list[Path]:
    return sorted(cache.rglob("*.parquet"))


def same(one: Manifest, other: Manifest) -> None:
    assert_frame_equal(one.table, other.table)
    assert one.findings == other.findings


def test_a_second_scan_opens_nothing_and_finds_the_same(images: Path, tmp_path: Path, opened: list[str]) -> None:
    data = DataSettings(images=images)
    first = scan(data, cache=tmp_path / "cache")
    assert len(opened) == 71
    opened.clear()
    same(scan(data, cache=tmp_path / "cache"), first)
    assert opened == []
    assert len(memories(tmp_path / "cache")) == 1
    same(scan(data), first)  # without a memory


def test_only_what_changed_is_read_again(images: Path, tmp_path: Path, opened: list[str]) -> None:
    data = DataSettings(images=images)
    scan(data, cache=tmp_path / "cache")
    opened.clear()
    time.sleep(0.02)
    Image.new("L", (99, 4)).save(images / "03.png")
    Image.new("L", (9, 9)).save(images / "new.png")
    (images / "07.png").unlink()
    (images / "08.png").rename(images / "moved.png")
    table = scan(data, cache=tmp_path / "cache").table
    assert sorted(opened) == ["03.png", "moved.png", "new.png"]
    assert dict(table.select("record_id", "width_px").iter_rows())["03.png"] == 99
    assert not {"07.png", "08.png"} & set(table["record_id"])


def test_another_size_limit_uses_the_memory_and_another_reading_does_not(
    images: Path, tmp_path: Path, opened: list[str]
) -> None:
    scan(DataSettings(images=images), cache=tmp_path / "cache")
    opened.clear()
    assert len(scan(DataSettings(images=images, max_side_px=10), cache=tmp_path / "cache").kept) == 6
    assert opened == []
    scan(DataSettings.model_validate({"images": images, "dicom": {"frames": "first"}}), cache=tmp_path / "cache")
    assert len(opened) == 71


def test_every_setting_that_is_not_known_to_be_irrelevant_makes_another_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(DataSettings.model_fields) >= IRRELEVANT_SETTINGS
    one = memory_key(DataSettings(images=tmp_path))
    assert memory_key(DataSettings(images=tmp_path, max_pixels=9, keep="width_px > 3")) == one
    assert memory_key(DataSettings(images=tmp_path / "other")) != one
    monkeypatch.setattr(scan_cache, "READER_VERSION", 10**6)
    assert memory_key(DataSettings(images=tmp_path)) != one


def test_an_interrupted_scan_goes_on_where_it_stopped(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: list[str]
) -> None:
    monkeypatch.setattr(scan_cache, "_PAUSE_S", -1.0)  # every block reaches the disk
    read_really = header_rows.read_file

    def stop(folder: Path, file: tuple[str, int, str], *, settings: DataSettings) -> header_rows.Outcome:
        if len(opened) == 66:  # in the second block of 64
            raise KeyboardInterrupt
        return read_really(folder, file, settings=settings)

    data = DataSettings(images=images)
    with monkeypatch.context() as during:
        during.setattr(header_rows, "read_file", stop)
        with pytest.raises(KeyboardInterrupt):
            scan(data, cache=tmp_path / "cache")
    assert list(tmp_path.rglob("*.part")) == []
    opened.clear()
    manifest = scan(data, cache=tmp_path / "cache")
    assert len(opened) == 71 - 64
    same(manifest, scan(data))
    assert len(memories(tmp_path / "cache")) == 1


def test_a_file_that_could_not_be_read_is_tried_again(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: list[str]
) -> None:
    def refuse(*_words: object) -> int:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as during:
        during.setattr(os, "open", refuse)
        during.setattr(Path, "open", refuse)
        assert scan(DataSettings(images=images), cache=tmp_path / "none").kept.is_empty()
    opened.clear()
    assert len(scan(DataSettings(images=images), cache=tmp_path / "none").kept) == 70
    assert len(opened) == 71


def test_a_damaged_memory_is_read_past(images: Path, tmp_path: Path) -> None:
    data = DataSettings(images=images)
    first = scan(data, cache=tmp_path / "cache")
    (path,) = memories(tmp_path / "cache")
    path.write_bytes(path.read_bytes()[:100])
    same(scan(data, cache=tmp_path / "cache"), first)


SCAN_IN_A_PROCESS = """
import sys
from pathlib import Path
from radpath.data import listing, scan_cache
from radpath.data.inputs import DataSettings
from radpath.data.scan import scan
listing.SETTLED_NS = -(10**12)
scan_cache._PAUSE_S = -1.0
for _ in range(5):
    assert len(scan(DataSettings(images=Path(sys.argv[1])), cache=Path(sys.argv[2])).kept) == 70
"""


def test_processes_that_scan_at_once_leave_one_memory_that_is_right(images: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-c", SCAN_IN_A_PROCESS, str(images), str(tmp_path / "cache")]
    workers = [subprocess.Popen(words, stderr=subprocess.PIPE) for _ in range(2)]
    outcomes = [(worker.communicate()[1], worker.returncode) for worker in workers]
    assert outcomes == [(b"", 0)] * 2
    same(scan(DataSettings(images=images), cache=tmp_path / "cache"), scan(DataSettings(images=images)))


def test_memories_of_two_processes_are_taken_together(images: Path, tmp_path: Path, opened: list[str]) -> None:
    data = DataSettings(images=images)
    scan(data, cache=tmp_path / "cache")
    (path,) = memories(tmp_path / "cache")
    shutil.copy(path, path.with_name(f"9{path.name}"))
    (images / "69.png").unlink()
    opened.clear()
    same(scan(data, cache=tmp_path / "cache"), scan(data))
    assert len(memories(tmp_path / "cache")) == 1


def test_a_memory_that_cannot_be_written_says_so(images: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"a part of this path is a file, not a folder"):
        scan(DataSettings(images=images), cache=tmp_path / "file")
