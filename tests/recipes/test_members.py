"""What cannot be joined is refused, with the reason."""

import shutil
from pathlib import Path

import polars as pl
import pytest

from radpath.errors import DataError, SettingsError, StaleError
from radpath.recipes.members import open_member, open_members
from radpath.run_folder import RunFolder


@pytest.fixture
def copies(finished_run: Path, sibling_runs: tuple[Path, Path], tmp_path: Path) -> tuple[Path, Path]:
    first, second = (Path(shutil.copytree(run, tmp_path / run.name)) for run in (finished_run, sibling_runs[0]))
    return first, second


def test_one_run_or_the_same_twice_is_refused(finished_run: Path) -> None:
    for runs in ([finished_run], [finished_run, finished_run], [finished_run, finished_run / ".." / finished_run.name]):
        with pytest.raises(SettingsError, match=r"^two or more different runs can be joined"):
            open_members(runs)


def test_a_run_that_was_touched_is_refused(copies: tuple[Path, Path]) -> None:
    path = copies[1] / "predictions.csv"
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    with pytest.raises(StaleError, match=r"predictions.csv changed since 'predict'"):
        open_members(copies)


def test_an_unfinished_run_is_refused(copies: tuple[Path, Path]) -> None:
    (copies[0] / "metrics.json").unlink()
    with pytest.raises(DataError, match=r"is not finished; continue it with: radpath train .*--resume$"):
        open_member(copies[0])


def test_test_images_that_only_share_their_names_are_refused(copies: tuple[Path, Path]) -> None:
    manifest = RunFolder(copies[1]).manifest
    table = pl.read_parquet(manifest)
    on_test = pl.col("split") == "test"
    other = pl.when(on_test).then(pl.lit("0" * 32)).otherwise(pl.col("file_digest"))
    table.with_columns(file_digest=other).write_parquet(manifest)
    with pytest.raises(DataError, match=r"test images have another content in .*faster than in .*run"):
        open_members(copies)


def test_runs_of_the_same_sides_are_opened(finished_run: Path, sibling_runs: tuple[Path, Path]) -> None:
    members = open_members([finished_run, *sibling_runs])
    assert len({member.model_digest for member in members}) == 3
