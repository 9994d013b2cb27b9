"""The store of prepared pixels: right, found again by content, rebuilt after a change, never half-written."""

import errno
import io
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from radpath.data import preparation
from radpath.data.inputs import DataSettings
from radpath.data.manifest import Manifest
from radpath.data.morphology import StepSettings, apply_steps
from radpath.data.preparation import (
    PixelSettings,
    PixelStore,
    prepare,
    prepare_image,
    resize,
    stages,
    store_key,
    with_channels,
)
from radpath.data.reading import read_image
from radpath.data.scan import scan
from radpath.data.stain.normalisation import fit_stain, normalise
from radpath.data.verify import verify
from radpath.errors import DataError, StorageError

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


def prepared(images: Path, **changes: Any) -> PixelStore:
    data = DataSettings(images=images)
    settings = PixelSettings(**{"size_px": 20, **changes})
    return prepare(verify(scan(data), data), data, settings, stores=images.parent / "stores")


def stores_below(images: Path) -> list[str]:
    return sorted(path.name for path in (images.parent / "stores").iterdir())


@pytest.mark.parametrize("size", ["fixed", "native"])
@pytest.mark.parametrize("channels", ["grey", "rgb"])
def test_a_store_holds_what_preparing_each_image_gives(
    images: Path, size: Literal["fixed", "native"], channels: Literal["grey", "rgb"]
) -> None:
    settings = PixelSettings(size=size, size_px=20, max_side_px=40, channels=channels)
    store = prepared(images, **settings.model_dump())
    assert store.record_ids == tuple(SIZES)
    assert store.channels == (1 if channels == "grey" else 3)
    for place, name in enumerate(SIZES):
        decoded = read_image(images, name, "", DataSettings(images=images))
        expected = prepare_image(decoded, settings)
        assert np.array_equal(store.image(place), expected)
        assert (store.heights_px[place], store.widths_px[place]) == expected.shape[:2]


def test_records_are_found_by_their_ids(images: Path) -> None:
    assert prepared(images).index(["b/d.png", "a.png", "a.png"]).tolist() == [2, 0, 0]


def test_an_image_is_a_view_into_the_file_that_cannot_be_written(images: Path) -> None:
    image = prepared(images).image(0)
    assert isinstance(image.base, np.memmap | np.ndarray)
    with pytest.raises(ValueError, match="read-only"):
        image[0, 0, 0] = 1


def test_a_store_is_used_again(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = prepared(images)
    monkeypatch.setattr(preparation, "read_image", None)
    second = prepared(images)
    assert all(np.array_equal(first.image(place), second.image(place)) for place in range(3))
    assert len(stores_below(images)) == 1


def test_other_content_or_other_settings_make_another_store(images: Path) -> None:
    before = prepared(images).image(0).copy()
    prepared(images, size_px=21)
    prepared(images, size="native")
    prepared(images, intensity="minmax")
    prepared(images, channels="grey")
    assert len(stores_below(images)) == 5
    Image.fromarray(noise(30, 41, 3, seed=9)).save(images / "a.png")
    assert not np.array_equal(prepared(images).image(0), before)
    assert len(stores_below(images)) == 6


def test_the_key_follows_content_and_shaping_settings_but_not_places_or_labels(images: Path, tmp_path: Path) -> None:
    data, pixels = DataSettings(images=images), PixelSettings()
    manifest = scan(data)
    key = store_key(manifest, data, pixels)
    copied = DataSettings(images=shutil.copytree(images, tmp_path / "copy"))
    assert store_key(scan(copied), copied, pixels) == key
    labelled = manifest.replace(manifest.table.with_columns(label=manifest.table["record_id"]))
    assert store_key(labelled, data, pixels) == key
    assert store_key(manifest, data.model_copy(update={"max_pixels": 10**8}), pixels) == key
    others = [
        store_key(manifest, data.model_copy(update={"transparency": "black"}), pixels),
        store_key(manifest, data, PixelSettings(size_px=225)),
        store_key(manifest.exclude({"a.png": "blurred"}, reason="blurred"), data, pixels),
    ]
    assert len({key, *others}) == 4


def test_a_version_of_the_preparation_is_part_of_the_key(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = DataSettings(images=images)
    key = store_key(scan(data), data, PixelSettings())
    monkeypatch.setattr(preparation, "_STORE_VERSION", 99)
    assert store_key(scan(data), data, PixelSettings()) != key


class StoppedError(BaseException):
    """Stands for Ctrl-C or a kill that still unwinds."""


def test_a_preparation_that_is_stopped_leaves_nothing_and_can_be_repeated(
    images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(image: np.ndarray, settings: PixelSettings) -> np.ndarray:
        if image.shape[0] == 64:
            raise StoppedError
        return prepare_image(image, settings)

    with monkeypatch.context() as patch:
        patch.setattr(preparation, "prepare_image", stop)
        with pytest.raises(StoppedError):
            prepared(images)
    assert stores_below(images) == []
    assert prepared(images).record_ids == tuple(SIZES)


def test_what_a_killed_process_left_is_never_taken_for_a_store_and_removed_when_it_is_old(images: Path) -> None:
    data = DataSettings(images=images)
    key = store_key(verify(scan(data), data), data, PixelSettings(size_px=20))
    stores = images.parent / "stores"
    for name, age_s in (("dead", 7200), ("busy", 5)):
        (stores / f".{key}.{name}.part").mkdir(parents=True)
        (stores / f".{key}.{name}.part" / "pixels.bin").write_bytes(b"half")
        then = time.time() - age_s
        os.utime(stores / f".{key}.{name}.part" / "pixels.bin", (then, then))
    assert prepared(images).record_ids == tuple(SIZES)
    assert stores_below(images) == [f".{key}.busy.part", key]


def test_a_store_that_was_half_deleted_is_made_again(images: Path) -> None:
    before = prepared(images).image(0).copy()
    [name] = stores_below(images)
    (images.parent / "stores" / name / "index.json").unlink()
    assert np.array_equal(prepared(images).image(0), before)
    assert stores_below(images) == [name]


def test_two_processes_may_prepare_the_same_store(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one prepares, the other begins and finishes; both have the same store in the end."""
    original = preparation._prepared
    nested: list[PixelStore] = []

    def interrupted(manifest: Manifest, data: DataSettings, settings: PixelSettings) -> Iterator[np.ndarray]:
        monkeypatch.setattr(preparation, "_prepared", original)
        ahead = original(manifest, data, settings)
        yield next(ahead)
        nested.append(prepared(images))
        yield from ahead

    monkeypatch.setattr(preparation, "_prepared", interrupted)
    store = prepared(images)
    assert all(np.array_equal(store.image(place), nested[0].image(place)) for place in range(3))
    assert len(stores_below(images)) == 1


class FullDisk(io.FileIO):
    """A file on a disk that takes no more."""

    def write(self, _: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_said_and_nothing_is_left(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Path.open

    def open_on_full_disk(path: Path, mode: str = "r", *rest: Any, **named: Any) -> Any:
        return FullDisk(path, mode) if mode == "wb" else original(path, mode, *rest, **named)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", open_on_full_disk)
        with pytest.raises(
            StorageError, match=r"^cannot write .*stores/[0-9a-f]{32}: the disk is full; free some space"
        ):
            prepared(images)
    assert stores_below(images) == []


def test_a_store_that_cannot_get_its_name_is_said_and_nothing_is_left(
    images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(StorageError, match=r"the disk is read-only; choose another folder with --out$"):
        prepared(images)
    assert stores_below(images) == []


@pytest.mark.parametrize("harm", ["gone", "cut", "another kind"])
def test_an_image_that_can_no_longer_be_read_is_named(images: Path, harm: str) -> None:
    data = DataSettings(images=images)
    manifest = scan(data)
    path = images / "b" / "c.png"
    if harm == "gone":
        path.unlink()
    elif harm == "cut":
        os.truncate(path, 300)
    else:
        path.write_text("no image")
    with pytest.raises(DataError, match=r"b/c\.png could be read when it was scanned, not now \(.+\); restore it"):
        prepare(manifest, data, PixelSettings(), stores=images.parent / "stores")
    assert stores_below(images) == []


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(20, 160),
    width=st.integers(20, 160),
    channels=st.sampled_from([1, 3]),
    share=st.floats(0.1, 0.99),
    seed=st.integers(0, 9),
)
def test_reducing_agrees_with_pillow_to_one_level(
    height: int, width: int, channels: int, share: float, seed: int
) -> None:
    image = 70 + noise(height, width, channels, seed=seed) % 116  # bicubic overshoots stay within 0..255
    target = (max(1, round(height * share)), max(1, round(width * share)))
    scaled = resize(image, height_px=target[0], width_px=target[1])
    assert scaled.shape == (*target, channels)
    assert scaled.dtype == np.uint8
    picture = Image.fromarray(image[:, :, 0] if channels == 1 else image)
    expected = np.asarray(picture.resize(target[::-1], Image.Resampling.BICUBIC)).reshape(*target, channels)
    difference = np.abs(scaled.astype(int) - expected)
    assert difference.max() <= 2
    assert (difference > 1).sum() <= 1 + difference.size / 1000


def test_a_resize_to_the_same_size_is_no_change() -> None:
    image = noise(9, 7, 3)
    assert resize(image, height_px=9, width_px=7) is image


@settings(max_examples=40, deadline=None)
@given(height=st.integers(1, 300), width=st.integers(1, 300), size_px=st.integers(16, 64))
def test_a_fixed_size_fits_the_longer_side_and_keeps_the_aspect_ratio(height: int, width: int, size_px: int) -> None:
    result = prepare_image(np.zeros((height, width), np.uint8), PixelSettings(size_px=size_px, channels="grey"))
    assert max(result.shape[:2]) == size_px
    scale = size_px / max(height, width)
    assert abs(result.shape[0] - height * scale) <= 0.5 or result.shape[0] == 1
    assert abs(result.shape[1] - width * scale) <= 0.5 or result.shape[1] == 1


@pytest.mark.parametrize(
    ("size", "expected"), [((32, 20), (32, 20)), ((33, 20), (32, 19)), ((200, 100), (32, 16)), ((1, 1), (1, 1))]
)
def test_native_sizes_are_kept_up_to_the_limit(size: tuple[int, int], expected: tuple[int, int]) -> None:
    result = prepare_image(noise(*size, 3), PixelSettings(size="native", max_side_px=32))
    assert result.shape == (*expected, 3)
    if size == expected:
        assert np.array_equal(result, noise(*size, 3))


def test_colour_becomes_grey_by_its_luma() -> None:
    image = noise(6, 7, 3)
    expected = 0.299 * image[:, :, 0] + 0.587 * image[:, :, 1] + 0.114 * image[:, :, 2]
    grey = with_channels(image, "grey")
    assert grey.shape == (6, 7, 1)
    assert np.abs(grey[:, :, 0] - expected).max() <= 0.501
    pillow = np.asarray(Image.fromarray(image).convert("L")).astype(int)
    assert np.abs(grey[:, :, 0] - pillow).max() <= 1
    equal = np.repeat(noise(6, 7, 1), 3, axis=2)
    assert np.array_equal(with_channels(equal, "grey")[:, :, 0], equal[:, :, 0])


def test_grey_becomes_three_equal_channels() -> None:
    grey = noise(6, 7)
    assert np.array_equal(with_channels(grey, "rgb"), np.stack([grey] * 3, axis=2))
    assert np.array_equal(with_channels(grey, "grey"), grey[:, :, None])


def test_sixteen_bits_use_the_whole_range_or_their_own() -> None:
    image = np.array([[0, 257], [514, 65535]], dtype=np.uint16)
    settings = {"size": "native", "channels": "grey"}
    full = prepare_image(image, PixelSettings.model_validate(settings))
    assert full[:, :, 0].tolist() == [[0, 1], [2, 255]]
    small = prepare_image(image // 257, PixelSettings.model_validate({**settings, "intensity": "minmax"}))
    assert small[:, :, 0].tolist() == [[0, 1], [2, 255]]


def test_steps_come_before_and_after_resizing() -> None:
    image = noise(40, 40, 3)
    steps = StepSettings(before=("erosion(1)",), after=("otsu", "opening(1)"))
    settings = PixelSettings(size_px=20, steps=steps)
    eroded = apply_steps(image, ["erosion(1)"])
    expected = apply_steps(resize(eroded, height_px=20, width_px=20), ["otsu", "opening(1)"])
    result = prepare_image(image, settings)
    assert np.array_equal(result, np.stack([expected] * 3, axis=2))
    grey = prepare_image(image, settings.model_copy(update={"channels": "grey"}))
    assert grey.shape == (20, 20, 1)
    assert set(np.unique(grey)) == {0, 255}


def test_every_stage_has_its_name_and_the_last_one_is_what_is_prepared() -> None:
    settings = PixelSettings(size_px=16, channels="grey", steps=StepSettings(before=("closing(1)",), after=("otsu",)))
    image = noise(32, 24).astype(np.uint16) * 257
    seen = dict(stages(image, settings))
    assert list(seen) == ["as decoded", "closing(1)", "intensity full, grey", "resized", "otsu"]
    assert [one.dtype.name for one in seen.values()] == ["uint16", "uint16", "uint8", "uint8", "uint8"]
    assert np.array_equal(seen["otsu"], prepare_image(image, settings)[:, :, 0])


def test_colour_images_get_the_stain_of_the_reference_and_grey_ones_do_not() -> None:
    generator = np.random.default_rng(0)
    units = generator.gamma(3, 0.3, (32 * 32, 2)) + 0.3
    density = units @ np.array([[0.65, 0.7, 0.29], [0.3, 0.9, 0.3]])
    tissue = (240 * np.exp(-density)).astype(np.uint8).reshape(32, 32, 3)
    reference = fit_stain([255 - (255 - tissue) // 2], "reinhard")
    settings = PixelSettings(size="native")
    assert np.array_equal(prepare_image(tissue, settings, stain=reference), normalise(tissue, reference).image)
    assert "stain reinhard" in dict(stages(tissue, settings, stain=reference))
    assert "stain reinhard" not in dict(stages(tissue[:, :, 0], settings, stain=reference))
