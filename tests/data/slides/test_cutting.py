from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from radpath.data.inputs import DataSettings
from radpath.data.manifest import Manifest
from radpath.data.pixels import pixel_digest
from radpath.data.reading import read_image
from radpath.data.scan import scan
from radpath.data.slides.cutting import PATCH_COLUMNS, cut_slides, find_patches
from radpath.data.slides.recognition import slide_headers
from radpath.data.slides.settings import SlideSettings
from radpath.data.split import SplitSettings, split_by_case
from radpath.errors import DataError
from radpath.recipes.gathering import gather, gather_verified

Pyramid = Callable[..., Path]
Drawn = Callable[..., np.ndarray]
PATCHES = SlideSettings(patch_px=32, um_per_px=1.0, min_tissue_share=0.5)  # 64 px of a slide of 0.5 um


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, pyramid: Pyramid, drawn: Drawn) -> Path:
    """Six slides of two classes, two of each patient."""
    folder = tmp_path_factory.mktemp("study")
    for number in range(6):
        pyramid(folder / "ab"[number % 2] / f"p{number // 2}{number % 2}_{number}.tif", drawn(320, 256, seed=number))
    return folder


@pytest.fixture(scope="module")
def cut(study: Path) -> Manifest:
    settings = DataSettings(images=study, slides=PATCHES)
    scanned = scan(settings)
    labelled = scanned.replace(
        scanned.table.with_columns(label=pl.lit("x"), case=pl.col("record_id"), site=pl.lit("here"))
    )
    return cut_slides(labelled, settings)


def test_every_patch_has_what_its_slide_has(cut: Manifest) -> None:
    table = cut.kept
    assert table["path"].n_unique() == 6
    assert (table["case"] == table["path"]).all()
    assert set(table["site"]) == {"here"}
    assert set(table["label"]) == {"x"}
    assert set(table["modality"]) == {"SM"}
    assert (table["record_id"] == table["path"] + "#" + table["member"]).all()


def test_every_patch_says_its_size_place_and_resolution(cut: Manifest) -> None:
    table = cut.kept
    assert set(table["width_px"]) == set(table["height_px"]) == {32}
    assert set(table["patch_side_px"]) == {64}
    assert table["um_per_px"].to_list() == pytest.approx([1.0] * len(table))
    assert table["pixel_spacing_mm"].to_list() == pytest.approx([0.001] * len(table))
    assert table["tissue_share"].is_between(0.5, 1).all()
    assert (table["patch_left_px"] + 64 <= 320).all()
    assert (table["patch_top_px"] + 64 <= 256).all()


def test_records_are_unique_and_in_the_order_slide_row_column(cut: Manifest) -> None:
    table = cut.table
    assert table["record_id"].n_unique() == len(table)
    assert table["record_id"].is_sorted()
    assert table.equals(table.sort("path", "patch_top_px", "patch_left_px"))


def test_cutting_twice_gives_the_same_table(study: Path, cut: Manifest) -> None:
    settings = DataSettings(images=study, slides=PATCHES)
    columns = ["record_id", *PATCH_COLUMNS]
    assert cut_slides(scan(settings), settings).table.select(columns).equals(cut.table.select(columns))


@pytest.mark.parametrize("width_px", [320, 333])
def test_every_pixel_of_tissue_is_in_a_patch(tmp_path: Path, pyramid: Pyramid, drawn: Drawn, width_px: int) -> None:
    image = drawn(width_px, 270)
    path = pyramid(tmp_path / "a.tif", image)
    patches, num_places = find_patches(path, SlideSettings(patch_px=32, um_per_px=1.0, min_tissue_share=0.001))
    is_tissue, covered = image[:, :, 1] < 150, np.zeros(image.shape[:2], dtype=bool)
    for left, top in patches.select("patch_left_px", "patch_top_px").iter_rows():
        covered[top : top + 64, left : left + 64] = True
    assert is_tissue[covered].sum() == is_tissue.sum()
    assert len(patches) < num_places


def test_no_smallest_share_keeps_every_place(study: Path) -> None:
    path = next(study.rglob("*.tif"))
    patches, num_places = find_patches(path, PATCHES.model_copy(update={"min_tissue_share": 0.0}))
    assert len(patches) == num_places == 5 * 4


def test_patches_that_overlap_are_more(study: Path) -> None:
    path = next(study.rglob("*.tif"))
    apart, _ = find_patches(path, PATCHES)
    close, _ = find_patches(path, PATCHES.model_copy(update={"overlap_px": 16}))
    assert len(close) > 2 * len(apart)


def test_slides_without_tissue_or_resolution_stay_with_their_reason(
    tmp_path: Path, pyramid: Pyramid, drawn: Drawn
) -> None:
    pyramid(tmp_path / "blank.tif", np.full((256, 320, 3), 240, dtype=np.uint8))
    pyramid(tmp_path / "good.tif", drawn(320, 256))
    pyramid(tmp_path / "lost.tif", drawn(320, 256), um_per_px=None)
    pyramid(tmp_path / "rough.tif", drawn(320, 256), um_per_px=(2.0, 2.0))
    settings = DataSettings(images=tmp_path, slides=PATCHES)
    manifest = cut_slides(scan(settings), settings)
    reasons = dict(manifest.excluded.select("record_id", "reason").iter_rows())
    assert reasons == {"blank.tif": "no tissue", "lost.tif": "no resolution", "rough.tif": "too coarse"}
    assert set(manifest.kept["path"]) == {"good.tif"}
    kinds = {finding.kind: finding.message for finding in manifest.findings}
    assert kinds["slides-cut"].startswith(f"1 slide cut into {len(manifest.kept)} patches of 32 px at 1 um/px; ")
    assumed = settings.model_copy(update={"slides": PATCHES.model_copy(update={"assumed_um_per_px": 0.5})})
    assert "lost.tif" in set(cut_slides(scan(assumed), assumed).kept["path"])


def test_images_that_are_no_slides_stay_as_they_are(
    tmp_path: Path, pyramid: Pyramid, drawn: Drawn, write_png: Callable[[Path, int], None]
) -> None:
    write_png(tmp_path / "a.png", 90)
    settings = DataSettings(images=tmp_path, slides=PATCHES)
    scanned = scan(settings)
    assert cut_slides(scanned, settings) is scanned
    pyramid(tmp_path / "b.tif", drawn(320, 256))
    mixed = cut_slides(scan(settings), settings).table
    assert mixed.filter(pl.col("format") == "PNG").select(scanned.table.columns).equals(scanned.table)


def test_slides_wanted_whole_are_not_cut(real_slide: Path) -> None:
    settings = DataSettings(images=real_slide.parent, slides=SlideSettings(mode="whole"))
    manifest = scan(settings)
    assert cut_slides(manifest, settings) is manifest
    image = read_image(manifest.images, real_slide.name, "", settings)
    assert image.shape == (manifest.table["height_px"][0], manifest.table["width_px"][0], 3)


def test_from_slides_to_a_split_no_slide_stands_on_two_sides(study: Path, tmp_path: Path) -> None:
    settings = DataSettings(images=study, slides=PATCHES, name_pattern=r"(?P<label>[ab])/p(?P<case>\d+)_")
    manifest = gather_verified(settings, beside=tmp_path / "run")
    split = split_by_case(manifest, SplitSettings(test_fraction=0.34, validation_fraction=0.34))
    kept = split.manifest.kept
    assert kept.group_by("path").agg(pl.col("split").n_unique())["split"].to_list() == [1] * 6
    assert set(kept["split"]) == {"train", "validation", "test"}
    assert kept["pixel_digest"].null_count() == 0
    assert kept["file_digest"].n_unique() == len(kept)
    row = kept.row(0, named=True)
    pixels = read_image(split.manifest.images, row["path"], row["member"], settings)
    assert pixels.shape == (32, 32, 3)
    assert pixel_digest(pixels) == row["pixel_digest"]


def test_a_dicom_slide_is_cut_and_leaves_its_identities_behind(dicom_slide: Path, tmp_path: Path) -> None:
    settings = DataSettings(images=dicom_slide, slides=PATCHES)
    rows = [
        {**header.to_row(), "record_id": name, "path": name}
        for name in ("a.dcm", "b.dcm")
        for header in slide_headers(dicom_slide / name, settings) or []
    ]
    manifest = cut_slides(Manifest.from_rows(dicom_slide, rows), settings)
    assert set(manifest.kept["path"]) == {"b.dcm"}
    assert len(manifest.kept) > 1
    manifest.write(tmp_path / "manifest.parquet")
    assert "SECRET" not in manifest.table.write_csv() + repr(manifest.findings)


def test_a_damaged_slide_is_excluded(tmp_path: Path, pyramid: Pyramid, drawn: Drawn) -> None:
    pyramid(tmp_path / "a.tif", drawn(320, 256))
    settings = DataSettings(images=tmp_path, slides=PATCHES)
    scanned = scan(settings)
    (tmp_path / "a.tif").write_bytes(b"gone")
    manifest = cut_slides(scanned, settings)
    assert manifest.excluded["reason"].to_list() == ["unsupported slide"]


def test_the_real_slide_gives_patches_of_tissue(real_slide: Path) -> None:
    patches, num_places = find_patches(real_slide, SlideSettings())
    assert num_places == 10 * 14
    assert 40 <= len(patches) <= 55
    with pytest.raises(DataError, match=r"^too coarse: "):
        find_patches(real_slide, SlideSettings(um_per_px=0.25))


def test_labels_of_a_table_reach_every_patch(study: Path, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    names = sorted(path.relative_to(study).as_posix() for path in study.rglob("*.tif"))
    rows = [f"{name},{'grade' + str(i % 2)},case{i // 2}" for i, name in enumerate(names)]
    table.write_text("\n".join(["path,label,case", *rows]), encoding="utf-8")
    manifest = gather(DataSettings(images=study, labels=table, slides=PATCHES), beside=tmp_path / "run")
    found = manifest.kept.group_by("path").agg(pl.col("label").unique(), pl.col("case").unique()).sort("path")
    assert found["label"].to_list() == [[f"grade{i % 2}"] for i in range(6)]
    assert found["case"].to_list() == [[f"case{i // 2}"] for i in range(6)]
