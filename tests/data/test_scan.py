"""Which images are there, how large they are, and which cannot be read."""

import os
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from radpath.data import reading
from radpath.data.inputs import DataSettings
from radpath.data.manifest import Finding, Manifest
from radpath.data.scan import scan
from radpath.errors import DataError


def draw(path: Path, *, width_px: int = 5, height_px: int = 4) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width_px, height_px), (200, 10, 90)).save(path)
    return path


def scanned(images: Path, *, labels: Path | None = None, max_pixels: int = 10_000) -> Manifest:
    return scan(DataSettings(images=images, labels=labels, max_pixels=max_pixels))


def finding_of(manifest: Manifest, kind: str) -> Finding:
    (finding,) = [finding for finding in manifest.findings if finding.kind == kind]
    return finding


def test_every_image_below_the_folder_is_a_row_with_its_header_and_digest(tmp_path: Path) -> None:
    draw(tmp_path / "b" / "deep" / "2.PNG", width_px=7, height_px=3)
    draw(tmp_path / "a" / "1.jpg")
    draw(tmp_path / "b" / "3.tif")
    table = scanned(tmp_path).table
    assert table["record_id"].to_list() == ["a/1.jpg", "b/3.tif", "b/deep/2.PNG"]
    assert table["format"].to_list() == ["JPEG", "TIFF", "PNG"]
    row = table.row(2, named=True)
    content = (tmp_path / "b" / "deep" / "2.PNG").read_bytes()
    assert (row["path"], row["member"], row["status"]) == ("b/deep/2.PNG", "", "kept")
    assert (row["width_px"], row["height_px"], row["channels"], row["bit_depth"]) == (7, 3, 3, 8)
    assert row["bytes"] == len(content)
    unknown = ("label", "case", "split", "file_digest", "pixel_digest")
    assert [row[name] for name in unknown] == [None] * len(unknown)


def test_an_image_that_cannot_be_read_is_a_row_with_its_reason(tmp_path: Path) -> None:
    draw(tmp_path / "good.png")
    whole = draw(tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[:20])
    (tmp_path / "text.png").write_text("no picture", encoding="utf-8")
    (tmp_path / "empty.png").touch()
    draw(tmp_path / "dot.png", width_px=1, height_px=1)
    draw(tmp_path / "line.png", width_px=9, height_px=1)
    draw(tmp_path / "large.png", width_px=101, height_px=100)
    draw(tmp_path / "full.png", width_px=100, height_px=100)
    manifest = scanned(tmp_path)
    assert dict(manifest.excluded.select("record_id", "reason").iter_rows()) == {
        "cut.png": "truncated or damaged",
        "dot.png": "too small",
        "empty.png": "empty file",
        "large.png": "over the pixel limit",
        "line.png": "too small",
        "text.png": "not an image",
    }
    assert manifest.excluded["detail"].null_count() == 0
    assert finding_of(manifest, "too-small").count == 2
    assert sum(finding.count for finding in manifest.findings) == len(manifest.excluded)
    assert manifest.kept["record_id"].to_list() == ["full.png", "good.png"]


def test_other_files_are_counted_by_suffix(tmp_path: Path) -> None:
    draw(tmp_path / "1.png")
    for name in ("a.txt", "b.TXT", "c.pdf", "LICENSE", "1.2.840"):
        (tmp_path / name).touch()
    manifest = scanned(tmp_path)
    others = finding_of(manifest, "other-files")
    assert others.message.startswith(
        "5 other files: .txt (2), .840 (1), .pdf (1), no suffix (1); radpath reads .bif, .dcm, .dicom, .ima, .jpeg, "
    )


def test_the_table_of_labels_is_no_surprise_in_the_folder(tmp_path: Path) -> None:
    draw(tmp_path / "1.png")
    (tmp_path / "labels.csv").touch()
    assert not scanned(tmp_path, labels=tmp_path / "labels.csv").findings


def test_hidden_files_and_folders_are_skipped_and_counted(tmp_path: Path) -> None:
    draw(tmp_path / "1.png")
    draw(tmp_path / "._1.png")
    draw(tmp_path / ".cache" / "2.png")
    manifest = scanned(tmp_path)
    assert manifest.table["record_id"].to_list() == ["1.png"]
    assert finding_of(manifest, "hidden-files").examples == ("._1.png", ".cache")


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    draw(tmp_path / "elsewhere" / "1.png")
    draw(tmp_path / "images" / "a" / "2.png")
    (tmp_path / "images" / "b").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "images" / "a" / "back").symlink_to(tmp_path / "images", target_is_directory=True)
    manifest = scanned(tmp_path / "images")
    assert manifest.table["record_id"].to_list() == ["a/2.png", "b/1.png"]
    assert finding_of(manifest, "link-loops").examples == ("a/back/",)


def test_a_link_to_nothing_is_a_row_that_cannot_be_read(tmp_path: Path) -> None:
    draw(tmp_path / "1.png")
    (tmp_path / "2.png").symlink_to(tmp_path / "gone.png")
    row = scanned(tmp_path).excluded.row(0, named=True)
    assert (row["record_id"], row["reason"]) == ("2.png", "cannot be read")
    assert row["detail"] == "cannot be read: No such file or directory"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux stores names that are no text")
def test_a_name_that_is_not_utf8_is_excluded_and_shown(tmp_path: Path) -> None:
    image = draw(tmp_path / "1.png")
    os.link(os.fsencode(image), os.fsencode(tmp_path) + b"/b\xe9la.png")
    row = scanned(tmp_path).excluded.row(0, named=True)
    assert (row["record_id"], row["reason"]) == ("b\\xe9la.png", "the file name is not UTF-8")


def test_a_network_folder_that_recovers_costs_no_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw(tmp_path / "1.png")
    failures = [OSError(5, "Input/output error")] * 2
    open_really = Path.open

    def open_in_the_end(path: Path, *args: object, **kwargs: object) -> object:
        if failures:
            raise failures.pop()
        return open_really(path, *args, **kwargs)  # type: ignore[call-overload]  # whatever the caller passed

    monkeypatch.setattr(reading, "PAUSES_S", (0.0, 0.0))
    monkeypatch.setattr(Path, "open", open_in_the_end)
    assert len(scanned(tmp_path).kept) == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none", r"none does not exist; give a folder of images \(.bif, .dcm, .*, .vmu\) or a .npz file$"),
        ("file.txt", r"file.txt is a file; give a folder of images"),
        ("empty", r"empty holds no images, nothing; radpath reads .bif, .dcm, .*, .vmu$"),
        ("texts", r"texts holds no images, only 1 other file: .txt \(1\); radpath reads .*vmu$"),
        ("none.npz", r"^there is no array file .*none.npz$"),
    ],
)
def test_a_folder_without_images_is_an_error_that_says_what_is_read(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.txt").touch()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").touch()
    with pytest.raises(DataError, match=message):
        scanned(tmp_path / name)


def test_a_folder_that_cannot_be_listed_is_given_up_and_the_rest_is_scanned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(tmp_path / "open" / "1.png")
    (tmp_path / "locked").mkdir()
    list_really = os.scandir

    def refuse_locked(folder: Path) -> object:
        if folder.name == "locked":
            raise PermissionError(13, "Permission denied")
        return list_really(folder)

    monkeypatch.setattr(os, "scandir", refuse_locked)
    manifest = scanned(tmp_path)
    assert manifest.kept["record_id"].to_list() == ["open/1.png"]
    assert manifest.excluded.select("record_id", "reason", "detail").rows() == [
        ("locked/", "cannot be read", "cannot be read: Permission denied")
    ]


def test_an_images_folder_that_cannot_be_listed_stops_the_scan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_folder: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match=r"^the folder .* cannot be read: Permission denied$"):
        scanned(tmp_path)


def test_an_array_file_gives_its_members_labels_and_sides(tmp_path: Path) -> None:
    arrays = {f"{name}_images": np.zeros((2, 4, 5), np.uint8) for name in ("train", "val", "test")}
    arrays |= {f"{name}_labels": np.array([[0], [1]], np.uint8) for name in ("train", "val", "test")}
    np.savez(tmp_path / "cells.npz", allow_pickle=False, **arrays)
    manifest = scanned(tmp_path / "cells.npz")
    assert manifest.images == tmp_path
    assert manifest.kept.select("record_id", "label", "split").rows()[:2] == [
        ("cells.npz#test_images[0]", "0", "test"),
        ("cells.npz#test_images[1]", "1", "test"),
    ]
    limited = scanned(tmp_path / "cells.npz", max_pixels=19)
    assert set(limited.table["reason"]) == {"over the pixel limit"}


def test_the_blood_cells_have_the_sizes_that_their_table_states(shared_data: Path) -> None:
    crops = shared_data / "bccd_crops"
    stated = pl.read_csv(crops / "manifest.csv").sort("file")
    table = scanned(crops, labels=crops / "manifest.csv", max_pixels=200_000_000).kept
    assert len(table) == 4886
    assert table["record_id"].to_list() == stated["file"].to_list()
    assert table["width_px"].to_list() == stated["width"].to_list()
    assert table["height_px"].to_list() == stated["height"].to_list()
