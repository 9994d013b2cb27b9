"""What can be compared is opened with the thresholds that were fixed before, and what cannot is refused in one line."""

import shutil
from pathlib import Path

import polars as pl
import pytest

from radpath.errors import DataError, SettingsError, StaleError
from radpath.evaluation.evaluate import EvaluationSettings
from radpath.evaluation.predictions import read_predictions
from radpath.recipes.compared import open_entrants
from radpath.run_folder import RunFolder

SETTINGS = EvaluationSettings()


@pytest.fixture
def table(finished_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(finished_run / "predictions.csv", tmp_path / "other.csv"))


def test_names_are_given_or_those_of_folders_and_files(finished_run: Path, table: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare" / "predictions.csv"
    bare.parent.mkdir()
    shutil.copy(table, bare)
    twin = Path(shutil.copytree(bare.parent, tmp_path / "a=b"))
    entrants = open_entrants([str(finished_run), str(table), str(bare), f"my own={twin}"], SETTINGS, side="test")
    assert [one.name for one in entrants] == [finished_run.name, "other", "bare", "my own"]


def test_a_run_keeps_its_thresholds_and_cases(finished_run: Path, table: Path) -> None:
    run, foreign = open_entrants([str(finished_run), str(table)], SETTINGS, side="test")
    assert run.home == RunFolder(finished_run)
    assert run.experiment is not None
    assert run.manifest() is not None
    assert foreign.home is None
    assert foreign.manifest() is None
    assert run.by_image.threshold == foreign.by_image.threshold  # chosen by the same rule, on the same images
    assert run.by_case is not None
    assert foreign.by_case is not None
    expected = read_predictions(finished_run / "case_predictions.csv").probabilities
    assert run.by_case.predictions.probabilities.tolist() == expected.tolist()
    assert foreign.by_case.predictions.probabilities == pytest.approx(expected)


def test_two_of_one_name_have_their_places_as_names(finished_run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(finished_run, tmp_path / finished_run.name))
    entrants = open_entrants([str(finished_run), str(copy)], SETTINGS, side="test")
    assert [one.name for one in entrants] == [str(finished_run), str(copy)]


def test_one_run_twice_and_places_without_predictions_are_refused(finished_run: Path, tmp_path: Path) -> None:
    for targets in ([str(finished_run)], [str(finished_run), f"again={finished_run}"]):
        with pytest.raises(SettingsError, match=r"^two or more different runs can be compared"):
            open_entrants(targets, SETTINGS, side="test")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty holds no predictions.csv; name a finished run"):
        open_entrants([str(finished_run), str(tmp_path / "empty")], SETTINGS, side="test")
    with pytest.raises(DataError, match=r"^there is no run folder or predictions.csv .*nothing$"):
        open_entrants([str(finished_run), str(tmp_path / "nothing")], SETTINGS, side="test")


def test_predictions_that_were_touched_are_refused(finished_run: Path, table: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(finished_run, tmp_path / "copy"))
    with (copy / "predictions.csv").open("a", encoding="utf-8") as lines:
        lines.write("\n")
    with pytest.raises(StaleError, match=r"predictions.csv changed since 'evaluate' was done; evaluate it again"):
        open_entrants([str(copy), str(table)], SETTINGS, side="test")


def test_images_that_only_share_their_names_are_refused(finished_run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(finished_run, tmp_path / "copy"))
    manifest = RunFolder(copy).manifest
    changed = pl.when(pl.col("split") == "test").then(pl.lit("0" * 32)).otherwise(pl.col("file_digest"))
    pl.read_parquet(manifest).with_columns(file_digest=changed).write_parquet(manifest)
    with pytest.raises(DataError, match=r"test images have another content in copy than in .*name runs on the same"):
        open_entrants([str(finished_run), str(copy)], SETTINGS, side="test")
    assert len(open_entrants([str(finished_run), str(copy)], SETTINGS, side="validation")) == 2


def test_what_a_table_of_another_program_leaves_out_is_told(tmp_path: Path) -> None:
    for name, first in (("a", 0.9), ("b", 0.6)):
        rows = [f"{number},{('yes', 'no')[number % 2]},{first if number % 2 == 0 else 0.2}" for number in range(6)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["record_id,truth,probability:yes", *rows]), encoding="utf-8")
    entrants = open_entrants([str(tmp_path / "a.csv"), str(tmp_path / "b.csv")], SETTINGS, side="test")
    for one in entrants:
        assert set(one.predictions.sides) == {"test"}
        assert one.evaluation.positive_class == "yes"
        assert any("no column 'split': all images are on the test side" in sentence for sentence in one.assumptions)


def test_several_labels_an_image_are_refused(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        text = "record_id,case,split,truth:x,probability:x\n1,1,test,1,0.5\n"
        (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=r"a.csv: its images have several labels each, and models are compared on"):
        open_entrants([str(tmp_path / "a.csv"), str(tmp_path / "b.csv")], SETTINGS, side="test")
