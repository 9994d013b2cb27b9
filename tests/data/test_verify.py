"""Decoding every kept image once."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from radpath.data import reading, verify
from radpath.data.inputs import DataSettings
from radpath.data.manifest import Manifest
from radpath.data.pixels import decode, pixel_digest
from radpath.data.scan import scan
from radpath.errors import DataError


def draw_noise(path: Path, *, seed: int) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (12, 10, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def verified(images: Path, **settings: object) -> Manifest:
    data = DataSettings.model_validate({"images": images, **settings})
    return verify.verify(scan(data), data)


def test_every_kept_image_gets_the_digest_of_its_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "_BATCH", 3)
    for number in range(8):
        draw_noise(tmp_path / f"{number}.png", seed=number)
    table = verified(tmp_path).kept
    expected = [
        pixel_digest(decode(tmp_path / name, max_pixels=1000, transparency="white")) for name in table["record_id"]
    ]
    assert table["pixel_digest"].to_list() == expected
    assert len(set(expected)) == 8


def test_the_same_pixels_in_another_file_have_the_same_digest(tmp_path: Path) -> None:
    draw_noise(tmp_path / "1.png", seed=1)
    draw_noise(tmp_path / "1.tif", seed=1)
    table = verified(tmp_path).kept
    assert table["pixel_digest"].n_unique() == 1
    assert table["file_digest"].n_unique() == 2


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_an_image_cut_short_is_excluded_with_the_reason(tmp_path: Path, suffix: str) -> None:
    draw_noise(tmp_path / f"good.{suffix}", seed=1)
    cut = draw_noise(tmp_path / f"cut.{suffix}", seed=2)
    os.truncate(cut, cut.stat().st_size * 3 // 4)
    manifest = verified(tmp_path)
    row = manifest.excluded.row(0, named=True)
    assert (row["record_id"], row["reason"], row["pixel_digest"]) == (f"cut.{suffix}", "truncated or damaged", None)
    assert row["detail"].startswith("truncated or damaged: ")
    assert [(finding.kind, finding.count) for finding in manifest.findings] == [("truncated-or-damaged", 1)]


def test_every_kept_image_gets_the_digest_of_its_file(tmp_path: Path) -> None:
    draw_noise(tmp_path / "1.png", seed=1)
    Image.fromarray(np.zeros((9, 8), np.uint8)).save(
        tmp_path / "2.tif", save_all=True, append_images=[Image.fromarray(np.full((9, 8), 7, np.uint8))]
    )
    table = verified(tmp_path, tiff={"pages": "all"}).kept
    whole = [hashlib.blake2b(path.read_bytes(), digest_size=16) for path in sorted(tmp_path.iterdir())]
    assert table["file_digest"][0] == whole[0].hexdigest()
    members = table.filter(path="2.tif")["member"].to_list()
    own = [hashlib.blake2b(f"{whole[1].hexdigest()} {name}".encode(), digest_size=16).hexdigest() for name in members]
    assert table.filter(path="2.tif")["file_digest"].to_list() == own
    assert len(set(own)) == 2


def test_an_image_that_is_refused_keeps_its_own_reason(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (9, 9, 9, 9)).save(tmp_path / "1.png")
    assert verified(tmp_path).excluded.is_empty()
    refused = verified(tmp_path, transparency="refuse").excluded
    assert refused["record_id"].to_list() == ["1.png"]
    assert "truncated" not in refused["reason"][0]


def test_an_image_that_went_away_since_the_scan_is_excluded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PAUSES_S", ())
    data = DataSettings(images=tmp_path)
    path = draw_noise(tmp_path / "1.png", seed=1)
    manifest = scan(data)
    path.unlink()
    excluded = verify.verify(manifest, data).excluded
    assert excluded.select("reason", "detail").rows() == [
        ("cannot be read", "cannot be read: No such file or directory")
    ]


def test_images_excluded_before_are_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_settings: object) -> None:
        raise DataError("truncated or damaged: should not have been decoded")

    draw_noise(tmp_path / "1.png", seed=1)
    manifest = scan(DataSettings(images=tmp_path)).exclude({"1.png": "none"}, reason="no label")
    monkeypatch.setattr(verify, "read_image", refuse)
    assert verify.verify(manifest, DataSettings(images=tmp_path)).excluded["reason"].to_list() == ["no label"]


def test_members_of_an_array_file_are_verified(shared_data: Path) -> None:
    manifest = verified(shared_data / "medmnist28" / "breastmnist.npz")
    assert len(manifest.kept) == 780
    assert manifest.kept["pixel_digest"].null_count() == 0
