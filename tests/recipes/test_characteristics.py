"""Of a manifest, what describes images is told, and what serves the bookkeeping is not."""

from pathlib import Path

from radpath.data.manifest import Manifest
from radpath.recipes.characteristics import characteristics_of


def test_added_columns_acquisition_and_size_are_told_and_nothing_else() -> None:
    row = {"record_id": "a.png", "path": "a.png", "label": "x", "width_px": 40, "height_px": 10, "site": "north"}
    manifest = Manifest.from_rows(Path("images"), [{**row, "sex": "f", "near_duplicates": "1"}])
    told = characteristics_of(manifest.table)
    assert told["size_px"].to_list() == [20.0]
    assert told.columns[:3] == ["record_id", "sex", "site"]
    assert not {"path", "label", "case", "split", "file_digest", "status", "near_duplicates"} & set(told.columns)
