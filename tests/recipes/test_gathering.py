"""From what people have to a manifest: with labels where there may be any, without where there are none."""

from collections.abc import Callable
from pathlib import Path

import pytest

from radpath.data.inputs import DataSettings
from radpath.data.synthetic import SyntheticStudy
from radpath.errors import DataError
from radpath.recipes.gathering import (
    data_values,
    gather,
    gather_unlabelled,
    gather_verified,
    gather_what_there_is,
    pools_beside,
    run_name,
)

WritePng = Callable[[Path, int], None]


def study_settings(study: SyntheticStudy) -> DataSettings:
    return DataSettings(images=study.images, labels=study.labels, name_pattern=study.name_pattern)


def test_gathered_images_are_labelled_and_on_demand_verified(small_study: SyntheticStudy, tmp_path: Path) -> None:
    labelled = gather(study_settings(small_study), beside=tmp_path / "run").kept
    assert labelled["pixel_digest"].null_count() == len(labelled)
    kept = gather_verified(study_settings(small_study), beside=tmp_path / "run").kept
    assert set(kept["record_id"]) <= set(labelled["record_id"])
    assert kept["pixel_digest"].null_count() == kept["label"].null_count() == kept["case"].null_count() == 0
    assert dict(zip(kept["record_id"], kept["label"], strict=True)).items() <= small_study.truth.items()


def test_pools_lie_beside_the_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert pools_beside(Path("runs/one")) == pools_beside(tmp_path / "runs" / "two") == tmp_path / "runs" / ".pixels"


def test_a_flat_folder_is_looked_at_without_labels(tmp_path: Path, write_png: WritePng) -> None:
    write_png(tmp_path / "a.png", 20)
    manifest = gather_what_there_is(DataSettings(images=tmp_path), beside=tmp_path.parent / "x" / "run")
    assert manifest.kept["label"].to_list() == [None]


def test_folders_are_taken_for_classes(tmp_path: Path, write_png: WritePng) -> None:
    write_png(tmp_path / "x" / "a.png", 20)
    with pytest.raises(DataError, match=r"the only class is 'x'"):
        gather_what_there_is(DataSettings(images=tmp_path), beside=tmp_path.parent / "x" / "run")
    write_png(tmp_path / "y" / "a.png", 20)
    assert gather_what_there_is(DataSettings(images=tmp_path), beside=tmp_path.parent / "x" / "run").kept[
        "label"
    ].to_list() == ["x", "y"]


def test_new_images_keep_neither_labels_nor_sides_of_an_array_file(array_file: Path, tmp_path: Path) -> None:
    manifest = gather_unlabelled(DataSettings(images=array_file), beside=tmp_path / "run")
    assert len(manifest.kept) == 40
    assert manifest.kept["label"].null_count() == manifest.kept["split"].null_count() == 40
    assert (
        gather_what_there_is(DataSettings(images=array_file), beside=tmp_path / "run").kept["label"].null_count() == 0
    )


def test_arguments_become_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert data_values(Path("images"), None) == {"images": str(tmp_path / "images")}
    assert data_values(Path("images"), Path("l.csv"))["labels"] == str(tmp_path / "l.csv")


def test_a_run_is_named_after_its_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_name(Path()) == tmp_path.name
    assert run_name(Path("a/b.NPZ")) == "b"
    assert run_name(Path("v1.2")) == "v1.2"
