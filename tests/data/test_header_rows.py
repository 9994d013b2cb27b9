"""Headers of many files become rows, in the same way whoever reads them."""

import dataclasses
import os
import time
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import polars as pl
import pytest
from PIL import Image
from polars.testing import assert_frame_equal

from radpath.data import header_rows, reading
from radpath.data.header_rows import UNREAD, read_file, read_rows, to_table
from radpath.data.headers import ImageHeader
from radpath.data.inputs import DataSettings
from radpath.data.location import BLOCK_BYTES, Location, RemotePath
from radpath.errors import DataError


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PAUSES_S", (0.0, 0.0))


def draw(folder: Path, number: int) -> None:
    suffix = (".png", ".jpg", ".tif")[number % 3]
    Image.new("RGB", (5 + number, 4)).save(folder / f"{number:03d}{suffix}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """200 small images of three formats, one that is cut short, and one that is none."""
    for number in range(200):
        draw(tmp_path, number)
    whole = (tmp_path / "000.png").read_bytes()
    (tmp_path / "000.png").write_bytes(whole[:40])
    (tmp_path / "003.png").write_text("no picture")
    return tmp_path


def found_in(folder: Path) -> pl.DataFrame:
    rows = [(path.name, path.stat().st_size, "1") for path in sorted(folder.iterdir())]
    return pl.DataFrame(rows, schema=["path", "bytes", "version"], orient="row")


def rows_of(folder: Location, found: pl.DataFrame) -> pl.DataFrame:
    return pl.concat(read_rows(folder, found, DataSettings(images=folder)))


def test_every_file_is_a_row_and_every_failure_has_its_reason(folder: Path) -> None:
    rows = rows_of(folder, found_in(folder))
    assert rows["path"].to_list() == sorted(path.name for path in folder.iterdir())
    assert rows.filter(pl.col("reason").is_not_null()).select("path", "reason").rows() == [
        ("000.png", "truncated or damaged"),
        ("003.png", "not an image"),
    ]
    kept = rows.filter(pl.col("reason").is_null())
    assert kept["width_px"].to_list() == [5 + int(path[:3]) for path in kept["path"]]


def test_threads_and_blocks_change_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = found_in(folder)
    one_by_one = rows_of(folder, found)
    monkeypatch.setattr(header_rows, "_WAIT_S", -1.0)  # from the second block on, files are asked for at once
    monkeypatch.setattr(header_rows, "_BLOCK_S", 0.0)
    assert_frame_equal(rows_of(folder, found), one_by_one)


def test_files_that_keep_the_reader_waiting_are_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def read_slowly(_folder: Path, _file: tuple[str, int, str], *, settings: DataSettings) -> DataError:  # noqa: ARG001 - the reader's signature
        time.sleep(0.01)
        return DataError("slow: a network")

    monkeypatch.setattr(header_rows, "read_file", read_slowly)
    found = pl.DataFrame({"path": [f"{number}.png" for number in range(640)], "bytes": 0, "version": ""})
    began = time.perf_counter()
    assert len(rows_of(Path("nowhere"), found)) == 640
    assert time.perf_counter() - began < 6.4 / 2  # one after another


def test_the_same_files_behind_an_address_give_the_same_rows(folder: Path) -> None:
    contents = {f"/rows/{path.name}": path.read_bytes() for path in folder.iterdir()}
    fsspec.filesystem("memory").pipe(contents)
    found = found_in(folder)
    assert_frame_equal(rows_of(RemotePath("memory://rows"), found), rows_of(folder, found))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_of_a_large_remote_file_only_the_ends_are_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (700, 900, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / f"large{suffix}")
    content = (tmp_path / f"large{suffix}").read_bytes()
    fsspec.filesystem("memory").pipe_file(f"/large/large{suffix}", content)
    fetched: list[int] = []
    read_really = RemotePath.read_range

    def count(self: RemotePath, start: int, num_bytes: int) -> bytes:
        fetched.append(num_bytes)
        return read_really(self, start, num_bytes)

    monkeypatch.setattr(RemotePath, "read_range", count)
    found = pl.DataFrame({"path": [f"large{suffix}"], "bytes": [len(content)], "version": ["1"]})
    row = rows_of(RemotePath("memory://large"), found).row(0, named=True)
    assert (row["width_px"], row["height_px"], row["reason"]) == (900, 700, None)
    assert len(content) > 4 * BLOCK_BYTES
    assert len(fetched) <= 2
    assert sum(fetched) <= 2 * BLOCK_BYTES


def test_a_drive_that_recovers_costs_no_image(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failures, open_really = [OSError(5, "Input/output error")] * 2, os.open

    def open_in_the_end(*words: object) -> int:
        if failures:
            raise failures.pop()
        return open_really(*words)  # type: ignore[arg-type] # whatever the caller passed

    monkeypatch.setattr(os, "open", open_in_the_end)
    assert rows_of(folder, found_in(folder).head(5).tail(1))["reason"].to_list() == [None]


def test_a_file_that_the_drive_never_delivers_is_a_row(tmp_path: Path) -> None:
    outcome = read_file(tmp_path, ("gone.png", 9, "1"), settings=DataSettings(images=tmp_path))
    rows = to_table([("gone.png", 9, "1")], [outcome])
    assert rows.select("path", "reason", "detail").rows() == [
        ("gone.png", UNREAD, "cannot be read: No such file or directory")
    ]


def test_members_of_a_file_and_what_headers_tell_beside_sizes_become_rows_and_columns() -> None:
    page = ImageHeader(width_px=5, height_px=4, channels=1, bit_depth=16, mode="grey", format="TIFF")
    told = [
        dataclasses.replace(page, member="page[0]", facts={"modality": "MG", "pixel_spacing_mm": 0.1}),
        dataclasses.replace(page, member="page[1]", facts={"modality": "MG"}),
    ]
    rows = to_table([("1.tif", 9, "1"), ("2.tif", 9, "1")], [told, DataError("empty file: it has no bytes")])
    assert rows.select("path", "member", "modality", "pixel_spacing_mm", "reason").rows() == [
        ("1.tif", "page[0]", "MG", 0.1, None),
        ("1.tif", "page[1]", "MG", None, None),
        ("2.tif", "", None, None, "empty file"),
    ]


def test_nothing_found_gives_no_rows() -> None:
    nothing = pl.DataFrame(schema=["path", "bytes", "version"])
    assert list(read_rows(Path("nowhere"), nothing, DataSettings(images=Path("nowhere")))) == []


@pytest.mark.parametrize("pages", ["all", 0, 2])
def test_a_tiff_of_one_page_is_an_image_only_where_that_page_is_asked_for(tmp_path: Path, pages: Any) -> None:
    """The name says nothing: the content decides, for the quick reader as for the careful one."""
    for name in ("one.tif", "one.png"):
        Image.new("RGB", (5, 4)).save(tmp_path / name, "TIFF")
    Image.new("RGB", (5, 4)).save(tmp_path / "photo.jpg")
    settings = DataSettings.model_validate({"images": tmp_path, "tiff": {"pages": pages}})
    rows = pl.concat(read_rows(tmp_path, found_in(tmp_path), settings))
    reasons = dict(rows.select("path", "reason").iter_rows())
    assert reasons["photo.jpg"] is None
    assert (reasons["one.tif"] is None) == (reasons["one.png"] is None) == (pages != 2)
