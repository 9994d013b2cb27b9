"""Decoding every image once: right, found again by identity, repeated after a change, never half-written."""

import errno
import os
import shutil
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import pytest
import tifffile
from PIL import Image

from radpath.data import ingest, pixel_store, reading
from radpath.data.ingest import Chunk, pool_name, prepare, prepare_chunk, verify
from radpath.data.inputs import DataSettings
from radpath.data.manifest import Manifest
from radpath.data.pixel_store import PixelStore
from radpath.data.pixels import decode, pixel_digest
from radpath.data.preparation import PixelSettings, prepare_image
from radpath.data.reading import read_image, read_with_digest
from radpath.data.scan import scan
from radpath.data.stain.normalisation import StainSettings, fit_stain, normalise
from radpath.errors import DataError, SettingsError, StorageError

SIZES = {"a.png": (30, 41), "b/c.png": (25, 25), "b/d.png": (64, 10)}


def noise(*shape: int, seed: int = 0, dtype: Any = np.uint8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    for seed, (name, size) in enumerate(SIZES.items()):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(*size, 3, seed=seed)).save(folder / name)
    return folder


def prepared(images: Path, **changes: Any) -> tuple[Manifest, PixelStore]:
    data = DataSettings(images=images)
    return prepare(scan(data), data, PixelSettings(**{"size_px": 20, **changes}), stores=images.parent / "stores")


def verified(images: Path, **settings: object) -> Manifest:
    data = DataSettings.model_validate({"images": images, **settings})
    return verify(scan(data), data, stores=images.parent / "stores")


def files_below(images: Path) -> list[Path]:
    return sorted(path for path in (images.parent / "stores").rglob("*") if path.is_file())


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that were decoded, in any order."""
    paths: list[str] = []

    def counting(folder: Path, path: str, member: str, settings: DataSettings, **size: Any) -> Any:
        paths.append(path)
        return read_with_digest(folder, path, member, settings, **size)

    monkeypatch.setattr(ingest, "read_with_digest", counting)
    return paths


@pytest.mark.parametrize("size", ["fixed", "native"])
@pytest.mark.parametrize("channels", ["grey", "rgb"])
def test_a_store_holds_what_preparing_each_image_gives(
    images: Path, size: Literal["fixed", "native"], channels: Literal["grey", "rgb"]
) -> None:
    settings = PixelSettings(size=size, size_px=20, max_side_px=40, channels=channels)
    manifest, store = prepared(images, **settings.model_dump())
    assert store.record_ids == tuple(SIZES) == tuple(manifest.kept["record_id"])
    assert store.channels == (1 if channels == "grey" else 3)
    for place, name in enumerate(SIZES):
        image = read_image(images, name, "", DataSettings(images=images))
        expected = prepare_image(image, settings)
        assert np.array_equal(store.image(place), expected.codes)
        assert (store.heights_px[place], store.widths_px[place]) == expected.codes.shape[:2]
        assert store.statistics.mean[place] == pytest.approx(expected.codes.mean())
    assert manifest.kept["pixel_digest"].to_list() == [
        pixel_digest(decode(images / name, max_pixels=10**6, transparency="white")) for name in SIZES
    ]


def test_eight_and_sixteen_bits_stand_side_by_side(images: Path) -> None:
    tifffile.imwrite(images / "deep.tif", noise(9, 7, dtype=np.uint16))
    _, store = prepared(images, size="native", channels="grey")
    places = store.index(["deep.tif", "a.png"])
    assert np.array_equal(store.image(int(places[0]))[:, :, 0], noise(9, 7, dtype=np.uint16))
    assert [store.image(int(place)).dtype for place in places] == [np.uint16, np.uint8]
    assert store.statistics.brightest[places].tolist() == [65535, 255]


def test_an_image_that_changes_during_the_work_counts_as_it_was_and_is_read_the_next_time(
    images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_late(*given: Any) -> None:
        pixel_store.write_shard(*given)
        Image.fromarray(noise(30, 41, 3, seed=9)).save(images / "a.png")  # as large as before

    first = noise(30, 41, 3, seed=0)
    with monkeypatch.context() as patched:
        patched.setattr(ingest, "write_shard", write_late)
        manifest, store = prepared(images)
    place = manifest.kept["record_id"].to_list().index("a.png")
    assert manifest.kept["pixel_digest"][place] == pixel_digest(first)
    np.testing.assert_array_equal(store.image(place), prepare_image(first, PixelSettings(size_px=20)).codes)
    later, _ = prepared(images)
    assert later.kept["pixel_digest"][place] == pixel_digest(noise(30, 41, 3, seed=9))


def test_what_was_prepared_is_not_read_again(images: Path, decoded: list[str]) -> None:
    first = prepared(images)
    assert sorted(decoded) == sorted(SIZES)
    decoded.clear()
    again = prepared(images)
    assert decoded == []
    assert again[0].table.equals(first[0].table)
    assert all(np.array_equal(first[1].image(place), again[1].image(place)) for place in range(3))


def test_only_what_is_new_or_changed_is_read(images: Path, decoded: list[str]) -> None:
    before = prepared(images)[0]
    decoded.clear()
    Image.fromarray(noise(30, 41, 3, seed=9)).save(images / "a.png")
    Image.fromarray(noise(9, 9, 3)).save(images / "new.png")
    manifest, store = prepared(images)
    assert sorted(decoded) == ["a.png", "new.png"]
    expected = prepare_image(noise(30, 41, 3, seed=9), PixelSettings(size_px=20)).codes
    assert np.array_equal(store.image(0), expected)
    digests = manifest.table.join(before.table, on="record_id")
    same = digests.select("record_id", same=pl.col("file_digest") == pl.col("file_digest_right"))
    assert dict(same.iter_rows()) == {"a.png": False, "b/c.png": True, "b/d.png": True}


def test_a_file_of_the_same_size_and_time_in_the_place_of_another_is_seen(images: Path, decoded: list[str]) -> None:
    prepared(images)
    decoded.clear()
    path = images / "b" / "c.png"
    found = path.stat()
    content = bytearray(path.read_bytes())
    content[-20] ^= 255
    path.write_bytes(content)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert path.stat().st_size == found.st_size
    manifest, _ = prepared(images)
    assert decoded == ["b/c.png"]
    assert manifest.excluded["reason"].to_list() == ["truncated or damaged"]


def test_settings_that_change_pixels_make_another_pool_and_others_do_not(images: Path) -> None:
    data, pixels = DataSettings(images=images), PixelSettings()
    same = [
        pool_name(data, PixelSettings(intensity="zscore", intensity_scope="training")),
        pool_name(data.model_copy(update={"labels": Path("l.csv"), "max_pixels": 9}), pixels),
        pool_name(data.model_copy(update={"images": Path("elsewhere"), "name_pattern": "(?P<case>.)"}), pixels),
    ]
    assert set(same) == {pool_name(data, pixels)}
    others = [
        pool_name(data.model_copy(update={"transparency": "black"}), pixels),
        pool_name(data, PixelSettings(size_px=225)),
        pool_name(data, PixelSettings(channels="grey")),
        pool_name(data, PixelSettings(percentiles=(1, 99))),
        pool_name(data, None),
    ]
    assert len({*same, *others}) == 6


def test_a_version_of_the_preparation_is_part_of_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    name = pool_name(DataSettings(images=Path("x")), None)
    monkeypatch.setattr(ingest, "_VERSION", 99)
    assert pool_name(DataSettings(images=Path("x")), None) != name


def test_chunks_change_no_result(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = prepared(images)
    for limit in ("_CHUNK_BYTES", "_CHUNK_IMAGES"):
        shutil.rmtree(images.parent / "stores")
        with monkeypatch.context() as patch:
            patch.setattr(ingest, limit, 1)
            cut = prepared(images)
        assert len(files_below(images)) == 6
        assert cut[0].table.equals(whole[0].table)
        assert all(np.array_equal(cut[1].image(place), whole[1].image(place)) for place in range(3))


class StoppedError(BaseException):
    """Stands for Ctrl-C or a kill that still unwinds."""


def test_an_interrupted_preparation_goes_on_where_it_stopped(
    images: Path, monkeypatch: pytest.MonkeyPatch, decoded: list[str]
) -> None:
    def stop(image: np.ndarray, settings: PixelSettings, **more: Any) -> Any:
        if image.shape[0] == 64:
            raise StoppedError
        return prepare_image(image, settings, **more)

    monkeypatch.setattr(ingest, "_CHUNK_IMAGES", 1)
    with monkeypatch.context() as patch:
        patch.setattr(ingest, "prepare_image", stop)
        with pytest.raises(StoppedError):
            prepared(images)
    assert not [path for path in files_below(images) if path.suffix == ".part"]
    decoded.clear()
    assert prepared(images)[1].record_ids == tuple(SIZES)
    assert decoded == ["b/d.png"]


@pytest.mark.parametrize("suffix", [".npy", ".parquet"])
def test_a_shard_that_lost_a_file_is_prepared_again(images: Path, suffix: str, decoded: list[str]) -> None:
    before = prepared(images)[1].image(0).copy()
    [lost] = [path for path in files_below(images) if path.suffix == suffix]
    lost.unlink()
    decoded.clear()
    assert np.array_equal(prepared(images)[1].image(0), before)
    assert sorted(decoded) == sorted(SIZES)


def test_a_table_that_cannot_be_read_does_not_count(images: Path) -> None:
    prepared(images)
    [table] = [path for path in files_below(images) if path.suffix == ".parquet"]
    table.write_bytes(b"no table")
    assert prepared(images)[1].record_ids == tuple(SIZES)


def test_two_processes_may_prepare_the_same_images(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one writes, the other has begun and finished; both have the same pixels in the end."""
    original: Any = vars(ingest)["write_shard"]
    nested: list[PixelStore] = []

    def late(*arguments: Any) -> None:
        monkeypatch.setattr(ingest, "write_shard", original)
        nested.append(prepared(images)[1])
        original(*arguments)

    monkeypatch.setattr(ingest, "write_shard", late)
    _, store = prepared(images)
    assert all(np.array_equal(store.image(place), nested[0].image(place)) for place in range(3))
    assert len(files_below(images)) == 2


def test_a_chunk_prepared_elsewhere_is_the_same_to_the_byte(images: Path) -> None:
    prepared(images)
    here = {path.name: path.read_bytes() for path in files_below(images)}
    data, pixels = DataSettings(images=images), PixelSettings(size_px=20)
    rows = next(ingest._cut(ingest._identified(scan(data)), pixels))
    pool = images.parent / "elsewhere"
    assert prepare_chunk(Chunk(images=images, rows=rows, data=data, pixels=pixels, pool=pool)) == [None] * 3
    assert {path.name: path.read_bytes() for path in pool.iterdir()} == here


def test_a_full_disk_is_said_and_nothing_is_left(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", refuse)
        with pytest.raises(StorageError, match=r"^cannot write .*stores/.*: the disk is full; free some space"):
            prepared(images)
    assert files_below(images) == []


@pytest.mark.parametrize("harm", ["gone", "cut", "another kind"])
def test_an_image_that_cannot_be_read_any_more_is_excluded_with_the_reason(
    images: Path, harm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "PAUSES_S", ())
    data = DataSettings(images=images)
    manifest = scan(data)
    path = images / "b" / "c.png"
    reason = {"gone": "cannot be read", "cut": "truncated or damaged", "another kind": "not an image"}[harm]
    if harm == "gone":
        path.unlink()
    elif harm == "cut":
        os.truncate(path, 300)
    else:
        path.write_text("no image")
    whole, store = prepare(manifest, data, PixelSettings(size_px=20), stores=images.parent / "stores")
    assert whole.excluded.select("record_id", "reason", "pixel_digest").rows() == [("b/c.png", reason, None)]
    assert store.record_ids == ("a.png", "b/d.png")
    assert [finding.count for finding in whole.findings] == [1]


def test_no_usable_image_is_said(images: Path) -> None:
    data = DataSettings(images=images)
    manifest = scan(data)
    for name in SIZES:
        os.truncate(images / name, 300)
    with pytest.raises(DataError, match=r"none of the 3 images in .* can be used: truncated or damaged"):
        prepare(manifest, data, PixelSettings(), stores=images.parent / "stores")


def test_the_full_range_of_floating_point_images_is_refused_before_any_work(images: Path) -> None:
    data = DataSettings(images=images)
    manifest = scan(data)
    deep = manifest.replace(manifest.table.with_columns(bit_depth=pl.lit(32, pl.Int8)))
    with pytest.raises(SettingsError, match=r"set pixels\.intensity to percentile"):
        prepare(deep, data, PixelSettings(), stores=images.parent / "stores")
    assert not (images.parent / "stores").exists()


def test_images_excluded_before_are_not_decoded(images: Path, decoded: list[str]) -> None:
    data = DataSettings(images=images)
    manifest = scan(data).exclude({"a.png": "none"}, reason="no label")
    whole = verify(manifest, data, stores=images.parent / "stores")
    assert whole.excluded["reason"].to_list() == ["no label"]
    assert sorted(decoded) == ["b/c.png", "b/d.png"]


def test_the_same_pixels_in_another_file_have_the_same_digest(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for suffix in ("png", "tif"):
        Image.fromarray(noise(12, 10, 3)).save(tmp_path / "images" / f"1.{suffix}")
    table = verified(tmp_path / "images").kept
    assert table["pixel_digest"].n_unique() == 1
    assert table["file_digest"].n_unique() == 2


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_an_image_cut_short_is_excluded_with_the_reason(tmp_path: Path, suffix: str) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for number, name in enumerate(("good", "cut")):
        Image.fromarray(noise(12, 10, 3, seed=number)).save(folder / f"{name}.{suffix}")
    os.truncate(folder / f"cut.{suffix}", (folder / f"cut.{suffix}").stat().st_size * 3 // 4)
    manifest = verified(folder)
    row = manifest.excluded.row(0, named=True)
    assert (row["record_id"], row["reason"], row["pixel_digest"]) == (f"cut.{suffix}", "truncated or damaged", None)
    assert row["detail"].startswith("truncated or damaged: ")
    assert [(finding.kind, finding.count) for finding in manifest.findings] == [("truncated-or-damaged", 1)]


def test_an_image_that_is_refused_keeps_its_own_reason(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    Image.new("RGBA", (4, 4), (9, 9, 9, 9)).save(tmp_path / "images" / "1.png")
    assert verified(tmp_path / "images").excluded.is_empty()
    refused = verified(tmp_path / "images", transparency="refuse").excluded
    assert refused["record_id"].to_list() == ["1.png"]
    assert "truncated" not in refused["reason"][0]


def test_members_of_an_array_file_are_verified(array_file: Path, tmp_path: Path) -> None:
    data = DataSettings(images=array_file)
    manifest = verify(scan(data), data, stores=tmp_path)
    assert len(manifest.kept) == 40
    assert manifest.kept["pixel_digest"].null_count() == 0
    assert manifest.kept["file_digest"].n_unique() == 39


def test_images_inside_one_file_have_digests_of_their_own(images: Path) -> None:
    tifffile.imwrite(images / "stack.tif", np.stack([noise(9, 7)] * 2), photometric="minisblack")
    whole = verified(images).kept.filter(pl.col("path") == "stack.tif")
    assert whole["file_digest"].n_unique() == 2
    assert whole["pixel_digest"].n_unique() == 1


# Stains


@pytest.fixture
def sections(tmp_path: Path) -> Path:
    """Two images of two stains, one of glass and one that is grey."""
    folder = tmp_path / "images"
    folder.mkdir()
    generator = np.random.default_rng(0)
    colours = np.array([[0.65, 0.70, 0.29], [0.30, 0.90, 0.30]])
    for name, strength in (("dark.png", 1.0), ("pale.png", 0.5)):
        units = generator.gamma(2.0, 0.3, (40 * 30, 2)) * strength + 0.3
        Image.fromarray((240 * np.exp(-units @ colours)).astype(np.uint8).reshape(40, 30, 3)).save(folder / name)
    Image.fromarray(np.full((40, 30, 3), 244, np.uint8)).save(folder / "glass.png")
    Image.fromarray(noise(40, 30)).save(folder / "grey.png")
    return folder


def test_a_stain_changes_pixels_but_no_digest_and_what_it_cannot_change_is_told(sections: Path) -> None:
    data, pixels, stores = DataSettings(images=sections), PixelSettings(size="native"), sections.parent / "stores"
    plain, _ = prepare(scan(data), data, pixels, stores=stores)
    dark = read_image(sections, "dark.png", "", data)
    stain = fit_stain([dark], "macenko")
    manifest, store = prepare(scan(data), data, pixels, stores=stores, stain=stain)
    assert manifest.table.equals(plain.table)
    for name in ("dark.png", "pale.png", "glass.png"):
        expected = normalise(read_image(sections, name, "", data), stain).image
        assert np.array_equal(store.image(int(store.index([name])[0])), expected)
    [finding] = manifest.findings
    assert (finding.kind, finding.count) == ("stain-unchanged", 2)
    assert finding.message == ("2 images not normalised by macenko, colours left alone: no colours (1), no tissue (1)")
    assert finding.examples == ("glass.png: no tissue", "grey.png: no colours")
    again, _ = prepare(scan(data), data, pixels, stores=stores, stain=stain)
    assert again.findings == manifest.findings


def test_images_that_all_took_the_stain_make_no_finding(sections: Path) -> None:
    for name in ("glass.png", "grey.png"):
        (sections / name).unlink()
    data = DataSettings(images=sections)
    stain = fit_stain([read_image(sections, "dark.png", "", data)], "reinhard")
    manifest, _ = prepare(scan(data), data, PixelSettings(), stores=sections.parent / "stores", stain=stain)
    assert manifest.findings == ()


def test_pools_are_named_by_the_reference_and_not_by_how_it_was_asked_for(sections: Path) -> None:
    data = DataSettings(images=sections)
    dark, pale = (fit_stain([read_image(sections, f"{name}.png", "", data)], "macenko") for name in ("dark", "pale"))
    asked = PixelSettings(stain=StainSettings(method="macenko", fit_images=7))
    assert pool_name(data, asked) == pool_name(data, PixelSettings())
    assert len({pool_name(data, asked, stain) for stain in (None, dark, pale)}) == 3


# JPEG at a fraction of its size


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A JPEG of 576 x 400 pixels, smooth as photographs are."""
    folder = tmp_path / "images"
    folder.mkdir()
    rows, columns = np.mgrid[:400, :576]
    waves = [
        np.sin(rows / period + phase) * np.cos(columns / (period + 9)) for phase, period in enumerate((17, 23, 31))
    ]
    Image.fromarray((127.5 + 100 * np.stack(waves, axis=2)).astype(np.uint8)).save(folder / "photo.jpg", quality=95)
    return folder


def test_a_scaled_jpeg_is_within_two_levels_and_has_the_size_of_the_whole(photo: Path) -> None:
    (scaled, fast), (whole, slow) = (prepared(photo, size_px=16, jpeg=jpeg) for jpeg in ("scaled", "whole"))
    assert fast.image(0).shape == slow.image(0).shape == (11, 16, 3)
    assert np.abs(fast.image(0).astype(int) - slow.image(0)).max() <= 2
    reduced = decode(photo / "photo.jpg", max_pixels=10**6, transparency="white", longest_side_px=16)
    assert reduced.shape == (50, 72, 3)
    assert scaled.kept["pixel_digest"].to_list() == [pixel_digest(reduced)] != whole.kept["pixel_digest"].to_list()
    assert scaled.kept["file_digest"].equals(whole.kept["file_digest"])


@pytest.mark.parametrize("needs_all", [{"stain": {"method": "macenko"}}, {"steps": {"before": ("threshold(0.5)",)}}])
def test_every_pixel_is_decoded_where_the_stain_or_steps_need_it(photo: Path, needs_all: dict[str, Any]) -> None:
    data = DataSettings(images=photo)
    whole, scaled = (PixelSettings.model_validate({"jpeg": jpeg, **needs_all}) for jpeg in ("whole", "scaled"))
    assert pool_name(data, whole) == pool_name(data, scaled)
    assert pool_name(data, PixelSettings()) != pool_name(data, PixelSettings(jpeg="scaled"))
    manifest, _ = prepared(photo, size_px=16, jpeg="scaled", **scaled.model_dump(include=set(needs_all)))
    every_pixel = decode(photo / "photo.jpg", max_pixels=10**6, transparency="white")
    assert manifest.kept["pixel_digest"].to_list() == [pixel_digest(every_pixel)]


def test_a_file_that_changed_its_size_since_the_scan_is_not_prepared_in_the_old_one(photo: Path) -> None:
    data, stores = DataSettings(images=photo), photo.parent / "stores"
    manifest = scan(data)
    Image.new("RGB", (640, 400)).save(photo / "photo.jpg")
    with pytest.raises(DataError, match=r"can be used: changed since the scan$"):
        prepare(manifest, data, PixelSettings(size_px=16, jpeg="scaled"), stores=stores)
