from collections.abc import Callable
from pathlib import Path

import pytest

from radpath.data.inputs import DataSettings
from radpath.data.scan import scan
from radpath.errors import DataError
from radpath.recipes.named_images import is_table, only_named


@pytest.fixture
def folder(tmp_path: Path, write_png: Callable[[Path, int], None]) -> Path:
    for number, name in enumerate(("a/1.png", "a/2.png", "b/1.png")):
        write_png(tmp_path / name, 10 * number)
    return tmp_path


def test_only_the_named_images_are_left_and_other_names_are_told(folder: Path) -> None:
    (folder / "list.csv").write_text("age,file\n30,a/1.png\n40,2.png\n50,gone.png\n60,1.png\n", encoding="utf-8")
    found = only_named(scan(DataSettings(images=folder)), folder / "list.csv")
    assert found.table["record_id"].to_list() == ["a/1.png", "a/2.png"]
    (finding,) = [one for one in found.findings if one.kind == "unknown-images"]
    assert finding.message == "2 rows of list.csv with a 'file' that is no image, or several"
    assert finding.examples == ("gone.png", "1.png")


def test_a_table_that_names_nothing_is_refused(folder: Path) -> None:
    (folder / "list.csv").write_text("age,file\n30,nobody.png\n", encoding="utf-8")
    with pytest.raises(
        DataError, match=r"list.csv: no column names an image below .*, in one of its columns age, file"
    ):
        only_named(scan(DataSettings(images=folder)), folder / "list.csv")


def test_a_folder_may_be_called_like_a_table(folder: Path) -> None:
    (folder / "odd.csv").mkdir()
    assert not is_table(folder / "odd.csv")
    assert is_table(folder / "list.TSV")
    assert not is_table(folder / "images.npz")
