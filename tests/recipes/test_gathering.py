"""From what people have to a manifest: with labels where there may be any, without where there are none."""

from collections.abc import Callable
from pathlib import Path

import pytest

from radpath.data.inputs import DataSettings
from radpath.data.split import SplitSettings
from radpath.data.synthetic import SyntheticStudy
from radpath.errors import DataError
from radpath.recipes.gathering import (
    data_values,
    gather,
    gather_split,
    gather_unlabelled,
    gather_what_there_is,
    run_name,
)

WritePng = Callable[[Path, int], None]


def study_settings(study: SyntheticStudy) -> DataSettings:
    return DataSettings(images=study.images, labels=study.labels, name_pattern=study.name_pattern)


def test_gathered_images_are_verified_and_labelled(small_study: SyntheticStudy) -> None:
    manifest = gather(study_settings(small_study))
    kept = manifest.kept
    assert kept["pixel_digest"].null_count() == kept["label"].null_count() == kept["case"].null_count() == 0
    assert dict(zip(kept["record_id"], kept["label"], strict=True)).items() <= small_study.truth.items()


def test_a_split_gives_every_kept_image_a_side(small_study: SyntheticStudy) -> None:
    split = gather_split(study_settings(small_study), SplitSettings())
    assert split.manifest.kept["split"].null_count() == 0
    assert split.classes == tuple(sorted(small_study.classes))


def test_a_flat_folder_is_looked_at_without_labels(tmp_path: Path, write_png: WritePng) -> None:
    write_png(tmp_path / "a.png", 20)
    manifest = gather_what_there_is(DataSettings(images=tmp_path))
    assert manifest.kept["label"].to_list() == [None]
    assert manifest.kept["pixel_digest"].null_count() == 0


def test_folders_are_taken_for_classes(tmp_path: Path, write_png: WritePng) -> None:
    write_png(tmp_path / "x" / "a.png", 20)
    with pytest.raises(DataError, match=r"the only class is 'x'"):
        gather_what_there_is(DataSettings(images=tmp_path))
    write_png(tmp_path / "y" / "a.png", 20)
    assert gather_what_there_is(DataSettings(images=tmp_path)).kept["label"].to_list() == ["x", "y"]


def test_new_images_keep_neither_labels_nor_sides_of_an_array_file(array_file: Path) -> None:
    manifest = gather_unlabelled(DataSettings(images=array_file))
    assert len(manifest.kept) == 40
    assert manifest.kept["label"].null_count() == manifest.kept["split"].null_count() == 40
    assert gather_what_there_is(DataSettings(images=array_file)).kept["label"].null_count() == 0


def test_arguments_become_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert data_values(Path("images"), None) == {"images": str(tmp_path / "images")}
    assert data_values(Path("images"), Path("l.csv"))["labels"] == str(tmp_path / "l.csv")


def test_a_run_is_named_after_its_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_name(Path()) == tmp_path.name
    assert run_name(Path("a/b.NPZ")) == "b"
    assert run_name(Path("v1.2")) == "v1.2"
