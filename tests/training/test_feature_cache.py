"""Kept activations are those of the images; they are found again by what made them, and nothing else is."""

import errno
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from radpath import files
from radpath.data.augmentation.settings import AugmentationSettings
from radpath.data.batches import ImageSource
from radpath.data.intensity import Intensity
from radpath.errors import StorageError
from radpath.models.classifier import Classifier
from radpath.training import feature_cache
from radpath.training.device import DeviceSettings, connect
from radpath.training.feature_cache import FeatureCache, content_of, expected_bytes, features_beside, keeping_problem
from radpath.training.feature_shards import write_shard
from radpath.training.looks import Look, flipped_look, kept_look

ModelMaker = Callable[..., Classifier]
SourceMaker = Callable[..., ImageSource]

WAYS: list[dict[str, Any]] = [{"freeze": "all"}, {"freeze": "top-1"}, {"freeze": "all", "pooling": "attention"}]


@pytest.fixture(params=WAYS, ids=["all", "top-1", "attention"])
def way(request: pytest.FixtureRequest) -> dict[str, Any]:
    values: dict[str, Any] = request.param
    return values


def folders(root: Path) -> set[str]:
    return {path.name for path in root.iterdir()} if root.is_dir() else set()


@pytest.mark.parametrize("size", ["native", "fixed"])
def test_features_of_kept_activations_are_those_of_the_images(
    tmp_path: Path, make_model: ModelMaker, bright_and_dark: SourceMaker, fabric: Fabric, way: dict[str, Any], size: str
) -> None:
    model, source = make_model(**way).train(), bright_and_dark(14, size=size)
    cache = FeatureCache(tmp_path, model, fabric=fabric)
    for look in (flipped_look(source, 3), kept_look(source, 1, AugmentationSettings(), seed=2, device=fabric.device)):
        kept = cache.activations(source, look, what="testing")
        positions = np.array([9, 2, 2, 13])
        batch = look.assemble(positions)
        with torch.no_grad():
            found = cache.onwards(kept, positions)
            expected = model.features(batch.images, batch.heights_px, batch.widths_px)
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
    assert model.training


def test_the_size_is_told_before(
    tmp_path: Path, make_model: ModelMaker, bright_and_dark: SourceMaker, fabric: Fabric, way: dict[str, Any]
) -> None:
    for size in ("native", "fixed"):
        model, source = make_model(**way), bright_and_dark(9, size=size)
        cache, look = FeatureCache(tmp_path / size, model, fabric=fabric), flipped_look(source, 0)
        assert cache.kept_bytes(source, look) == 0
        cache.activations(source, look, what="testing")
        assert cache.kept_bytes(source, look) == expected_bytes(model, source, fabric) > 0


def test_nothing_takes_nothing(make_model: ModelMaker, bright_and_dark: SourceMaker, fabric: Fabric) -> None:
    source = bright_and_dark(2)
    empty = type(source)(**{**vars(source), "rows": source.rows[:0], "labels": source.labels[:0]})
    assert expected_bytes(make_model(freeze="all"), empty, fabric) == 0


def forbidden(_: object) -> None:
    raise AssertionError("computed again")


def test_what_is_kept_is_not_computed_again(
    tmp_path: Path,
    make_model: ModelMaker,
    bright_and_dark: SourceMaker,
    fabric: Fabric,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither by this process nor by another, nor for another head."""
    source = bright_and_dark(6)
    first = FeatureCache(tmp_path, make_model(freeze="all"), fabric=fabric)
    expected = first.activations(source, flipped_look(source, 1), what="testing").of(np.arange(6)).values
    other_head = make_model(freeze="all", head={"kind": "nonlinear", "dropout": 0.1})
    monkeypatch.setattr(feature_cache, "run_until", forbidden)
    again = FeatureCache(tmp_path, other_head, fabric=fabric)
    assert torch.equal(
        again.activations(source, flipped_look(source, 1), what="testing").of(np.arange(6)).values, expected
    )


def changed(source: ImageSource, **values: Any) -> ImageSource:
    return type(source)(**{**vars(source), **values})


def test_whatever_changes_activations_changes_where_they_are_kept(
    tmp_path: Path, make_model: ModelMaker, bright_and_dark: SourceMaker, fabric: Fabric
) -> None:
    source = bright_and_dark(4)
    changes = AugmentationSettings()
    sides = [
        source,
        bright_and_dark(4, seed=1),
        bright_and_dark(5),
        changed(source, rows=source.rows[::-1].copy()),
        changed(source, intensity=Intensity(rule="range", zero=0.0, one=100.0)),
        changed(source, smallest_canvas_px=64),
    ]
    assert len({content_of(side) for side in sides}) == len(sides)
    assert content_of(changed(source, labels=source.labels[::-1].copy())) == content_of(source)
    half = connect(DeviceSettings(device="cpu", precision="bf16-mixed"))
    asked: list[tuple[Classifier, Look, Fabric]] = [
        (make_model(freeze="all"), flipped_look(source, 0), fabric),
        (make_model(freeze="all"), flipped_look(source, 1), fabric),
        (make_model(freeze="all"), kept_look(source, 0, changes, seed=0, device=fabric.device), fabric),
        (make_model(freeze="all", seed=1), flipped_look(source, 0), fabric),
        (make_model(freeze="all", normalisation="none"), flipped_look(source, 0), fabric),
        (make_model(freeze="all", pooling="attention"), flipped_look(source, 0), fabric),
        (make_model(freeze="top-1"), flipped_look(source, 0), fabric),
        (make_model(freeze="all"), flipped_look(source, 0), half),
    ]
    for number, (model, look, on) in enumerate(asked, 1):
        FeatureCache(tmp_path, model, fabric=on).activations(source, look, what="testing")
        assert len(folders(tmp_path)) == number


def test_an_interruption_keeps_what_is_finished(
    tmp_path: Path,
    make_model: ModelMaker,
    bright_and_dark: SourceMaker,
    fabric: Fabric,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(feature_cache, "_SHARD_BYTES", 1)  # a shard for every batch
    model, source = make_model(freeze="top-1"), bright_and_dark(12, size="fixed", batch_size=4)
    look = flipped_look(source, 0)
    seen: list[list[int]] = []

    def assemble(positions: np.ndarray) -> Any:
        seen.append(positions.tolist())
        if len(seen) == 3:
            raise KeyboardInterrupt
        return look.assemble(positions)

    watched = Look(identity=look.identity, assemble=assemble)
    with pytest.raises(KeyboardInterrupt):
        FeatureCache(tmp_path, model, fabric=fabric).activations(source, watched, what="testing")
    assert sorted(np.concatenate(seen).tolist()) == list(range(12))
    found = FeatureCache(tmp_path, model, fabric=fabric).activations(source, watched, what="testing")
    assert seen[3:] == [seen[2]]
    whole = FeatureCache(tmp_path / "whole", model, fabric=fabric).activations(source, look, what="testing")
    assert torch.equal(found.of(np.arange(12)).values, whole.of(np.arange(12)).values)


def test_a_full_disk_says_what_to_do_and_leaves_nothing_half_written(
    tmp_path: Path,
    make_model: ModelMaker,
    bright_and_dark: SourceMaker,
    fabric: Fabric,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = bright_and_dark(4)

    def full(*_: object) -> Iterator[None]:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(StorageError, match=r"the disk is full.* or start a run with training.keep_features = 'never'$"):
        FeatureCache(tmp_path, make_model(freeze="all"), fabric=fabric).activations(
            source, flipped_look(source, 0), what="testing"
        )
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_what_others_take_away_meanwhile_is_noticed(
    tmp_path: Path,
    make_model: ModelMaker,
    bright_and_dark: SourceMaker,
    fabric: Fabric,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def write_and_lose(folder: Path, *shard: Any) -> None:
        write_shard(folder, *shard)
        for path in folder.iterdir():
            path.unlink()

    monkeypatch.setattr(feature_cache, "write_shard", write_and_lose)
    source = bright_and_dark(4)
    with pytest.raises(StorageError, match=r"was changed while a run worked with it; run it again$"):
        FeatureCache(tmp_path, make_model(freeze="all"), fabric=fabric).activations(
            source, flipped_look(source, 0), what="testing"
        )


def test_what_a_killed_process_left_is_removed(
    tmp_path: Path,
    make_model: ModelMaker,
    bright_and_dark: SourceMaker,
    fabric: Fabric,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = bright_and_dark(4)
    cache, look = FeatureCache(tmp_path, make_model(freeze="all"), fabric=fabric), flipped_look(source, 0)
    monkeypatch.setattr(files, "_ABANDONED_S", -1)
    folder = cache._folder(source, look)
    folder.mkdir()
    (folder / ".left.npy.part").write_bytes(b"half")
    cache.activations(source, look, what="testing")
    assert list(folder.glob(".*")) == []


def test_the_cut_of_a_whole_network_cannot_be_kept(
    make_model: ModelMaker, bright_and_dark: SourceMaker, fabric: Fabric
) -> None:
    assert keeping_problem(make_model(freeze="top-2"), bright_and_dark(4), fabric) is not None
    for size in ("native", "fixed"):
        for freeze in ("all", "top-1"):
            assert keeping_problem(make_model(freeze=freeze), bright_and_dark(4, size=size), fabric) is None


def test_maps_that_do_not_divide_the_canvas_are_not_kept_at_native_sizes(
    make_model: ModelMaker, bright_and_dark: SourceMaker, fabric: Fabric
) -> None:
    def model() -> Classifier:
        made = make_model(freeze="top-1")
        first = made.backbone.network.get_submodule("0")
        assert isinstance(first, nn.Conv2d)
        first.padding = (0, 0)  # one row less than half of the canvas
        return made

    assert keeping_problem(model(), bright_and_dark(4, size="fixed"), fabric) is None
    assert "'native'" in str(keeping_problem(model(), bright_and_dark(4, size="native"), fabric))


def test_features_lie_beside_the_runs() -> None:
    assert features_beside(Path("/studies/runs/first")) == Path("/studies/runs/.features")
