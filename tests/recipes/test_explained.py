"""The index of maps: rows stand for files that are there, of the model of today."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from radpath.recipes.choosing import Wanted
from radpath.recipes.explained import MapIndex, MapRow, write_map, write_sheet

WANTED = Wanted(
    record_id="case 1/left.png",
    case="1",
    side="test",
    truth=None,
    decision="malignant",
    explained_class="benign",
    probability=0.1 + 0.2,
)


def written(root: Path, *, record_id: str = WANTED.record_id, model: str = "today", key: str = "0" * 32) -> MapRow:
    found = np.linspace(-1, 1, 24 * 30, dtype=np.float32).reshape(24, 30)
    image = np.arange(24 * 30, dtype=np.uint8).reshape(24, 30)
    wanted = dataclasses.replace(WANTED, record_id=record_id)
    return write_map(root, wanted, found, image, method="hires_cam", layer="stage3", key=key, model=model)


@pytest.fixture
def index(tmp_path: Path) -> MapIndex:
    index = MapIndex(tmp_path, model="today")
    for place, name in enumerate(("b.png", "a.png")):
        index.add(written(tmp_path, record_id=name, key=f"{place}" * 32))
    index.save()
    return index


def test_a_map_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    row = written(tmp_path)
    assert (row.height_px, row.width_px, row.has_evidence, row.truth, row.probability) == (24, 30, True, "", 0.1 + 0.2)
    kept = np.load(tmp_path / row.map)
    assert kept.dtype == np.float32
    assert np.array_equal(kept, np.linspace(-1, 1, 24 * 30, dtype=np.float32).reshape(24, 30))
    assert np.asarray(Image.open(tmp_path / row.picture)).shape[:2] == (49, 30)
    assert np.asarray(Image.open(tmp_path / row.thumbnail)).shape[:2] == (24, 30)
    assert row.overlay == "overlays/case_1_left.png-000000000000.png"


def test_rows_come_back_in_the_order_of_records(index: MapIndex) -> None:
    again = MapIndex(index.folder, model="today")
    assert again.rows == index.rows
    lines = (index.folder / "index.csv").read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[0] for line in lines] == ["record_id", "a.png", "b.png"]


def test_a_row_without_a_file_is_dropped_with_its_other_files(index: MapIndex) -> None:
    lost, kept = index.rows.values()
    (index.folder / lost.map).unlink()
    assert list(MapIndex(index.folder, model="today").rows.values()) == [kept]
    assert not (index.folder / lost.overlay).exists()
    assert (index.folder / kept.overlay).exists()


def test_maps_of_another_model_are_dropped(index: MapIndex) -> None:
    again = MapIndex(index.folder, model="tomorrow")
    again.save()
    assert again.rows == {}
    assert sorted(path.name for path in index.folder.rglob("*") if path.is_file()) == ["index.csv"]


def test_a_damaged_index_counts_as_none(index: MapIndex) -> None:
    (index.folder / "index.csv").write_text("nonsense\n1,2,3\n", encoding="utf-8")
    assert MapIndex(index.folder, model="today").rows == {}


def test_the_sheet_is_named_after_the_method(index: MapIndex) -> None:
    path = write_sheet(index.folder, list(index.rows.values()), method="hires_cam")
    assert path.name == "hires_cam.png"
    assert np.asarray(Image.open(path)).shape[1] > 200
