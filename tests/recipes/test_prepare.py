"""Preparing before a run, and writing plain PNG folders."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from radpath.data import ingest
from radpath.data.synthetic import SyntheticStudy
from radpath.errors import StorageError
from radpath.recipes.prepare import prepare_images

WISHES = ["model.backbone=test_resnet", "model.weights=none"]


def test_a_run_after_it_decodes_nothing(
    tmp_path: Path, small_study: SyntheticStudy, fast: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    from radpath.recipes.fit import fit

    wishes = [*fast[1::2], f"data.name_pattern={small_study.name_pattern}", "pixels.size_px=32"]
    folder = prepare_images(
        small_study.images, labels=small_study.labels, assignments=wishes, out=tmp_path / "prepared", export=None
    )
    table = pl.read_parquet(folder / "manifest.parquet")
    assert table.filter(pl.col("status") == "kept")["pixel_digest"].null_count() == 0
    monkeypatch.setattr(ingest, "prepare_image", None)
    run = fit(small_study.images, labels=small_study.labels, assignments=wishes, out=tmp_path / "run", command="fit")
    assert run.predictions.is_file()


def test_png_files_stand_below_their_side_and_class(tmp_path: Path, small_study: SyntheticStudy) -> None:
    wishes = [*WISHES, f"data.name_pattern={small_study.name_pattern}", "pixels.size=fixed", "pixels.size_px=24"]
    export = tmp_path / "png"
    prepare_images(
        small_study.images, labels=small_study.labels, assignments=wishes, out=tmp_path / "prepared", export=export
    )
    found = [path.relative_to(export).parts for path in export.rglob("*.png")]
    assert {parts[0] for parts in found} == {"training", "validation", "test"}
    assert {parts[1] for parts in found} == set(small_study.classes)
    sizes = {max(np.asarray(Image.open(export.joinpath(*parts))).shape[:2]) for parts in found}
    assert sizes == {24}
    with pytest.raises(StorageError, match=r"png is not an empty folder; choose another with --export"):
        prepare_images(
            small_study.images, labels=small_study.labels, assignments=wishes, out=tmp_path / "again", export=export
        )


def test_images_without_labels_are_written_side_by_side_and_equal_names_get_numbers(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30), dtype=np.uint8)
    for suffix in ("png", "tif"):
        Image.fromarray(pixels).save(images / f"a.{suffix}")
    export = tmp_path / "png"
    prepare_images(
        images,
        labels=None,
        assignments=[*WISHES, "pixels.size=native", "pixels.intensity=full"],
        out=tmp_path / "prepared",
        export=export,
    )
    assert sorted(path.name for path in export.rglob("*")) == ["a-2.png", "a.png"]
    assert np.array_equal(np.asarray(Image.open(export / "a.png")), pixels)


def test_a_run_is_never_overwritten(finished_run: Path, small_study: SyntheticStudy) -> None:
    with pytest.raises(StorageError, match=r"holds a run, whose files would be replaced"):
        prepare_images(small_study.images, labels=None, assignments=[], out=finished_run, export=None)
