"""New images that the model learned from are no test of it; a new table may call its columns otherwise."""

from pathlib import Path

import pytest

from radpath.data.inputs import DataSettings
from radpath.data.manifest import Manifest
from radpath.errors import LeakError, SettingsError
from radpath.recipes.new_labels import data_of_new, without_learned
from radpath.run_folder import RunFolder

IMAGES = Path("new")


def image(name: str, case: str, digest: str, *, split: str = "test", assumed: bool = False) -> dict[str, object]:
    return {
        "record_id": name, "path": name, "case": case, "pixel_digest": digest, "split": split, "case_assumed": assumed,
    }  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    rows = [
        image("t.png", "P1", "d1", split="train"),
        image("v.png", "P2", "d2", split="validation"),
        image("s.png", "P3", "d3"),
        image("lonely.png", "lonely.png", "d4", split="train", assumed=True),
    ]
    folder = RunFolder(tmp_path)
    Manifest.from_rows(Path("old"), rows).write(folder.manifest)
    return folder


def new_images(*rows: dict[str, object]) -> Manifest:
    return Manifest.from_rows(IMAGES, list(rows))


def test_images_and_cases_that_were_learned_from_are_excluded_with_the_reason(run: RunFolder) -> None:
    new = new_images(
        image("a.png", "N1", "d1"), image("b.png", "P2", "x"), image("c.png", "N2", "y"), image("d.png", "N3", "d3")
    )
    judged = without_learned(new, [run], other_patients=False)
    assert judged.kept["record_id"].to_list() == ["c.png", "d.png"]
    assert dict(judged.excluded.select("record_id", "detail").iter_rows()) == {
        "a.png": "the same image as t.png, which the model learned from",
        "b.png": "case 'P2' is one that the model learned from",
    }
    (again,) = (finding for finding in judged.findings if finding.kind == "seen-in-test")
    assert again.examples == ("d.png = s.png",)


def test_equal_names_may_be_other_people_but_equal_pixels_are_not(run: RunFolder) -> None:
    new = new_images(image("a.png", "N1", "d2"), image("b.png", "P1", "x"))
    assert without_learned(new, [run], other_patients=True).kept["record_id"].to_list() == ["b.png"]


def test_an_image_that_is_its_own_case_is_recognised_by_its_pixels_alone(run: RunFolder) -> None:
    new = new_images(image("lonely.png", "lonely.png", "x", assumed=True))
    assert len(without_learned(new, [run], other_patients=False).kept) == 1


def test_where_nothing_new_is_left_it_stops_and_names_the_way_out(run: RunFolder) -> None:
    with pytest.raises(LeakError, match=r"all images in new are images or cases .* say --other-patients$"):
        without_learned(new_images(image("a.png", "P1", "x")), [run], other_patients=False)


def test_new_data_are_read_as_the_old_ones_but_for_names() -> None:
    old = DataSettings.model_validate({"images": "old", "labels": "old.csv", "label_column": "dx", "min_side_px": 20})
    new = data_of_new(old, IMAGES, Path("new.csv"), ["data.label_column=diagnosis"])
    assert (new.images, new.labels) == (IMAGES.absolute(), Path("new.csv").absolute())
    assert (new.label_column, new.min_side_px, new.split_column) == ("diagnosis", 20, "")
    assert data_of_new(old, IMAGES, None, []).labels is None


@pytest.mark.parametrize("setting", ["pixels.size_px=64", "data.max_pixels=5", "label_column=x"])
def test_nothing_else_may_change(setting: str) -> None:
    with pytest.raises(SettingsError, match=r"everything else is as the run fixed it; only \[device\] and names of"):
        data_of_new(DataSettings.model_validate({"images": "old"}), IMAGES, None, [setting])
