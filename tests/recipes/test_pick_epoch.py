"""Another epoch takes the best one's place in everything that follows the training, and the report says so."""

import csv
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from radpath.data.synthetic import SyntheticStudy
from radpath.training.checkpoints import Checkpoints, read_tensors

Program = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def trained(finished_run: Path, program: Program) -> Path:
    """A run of two epochs on the data of ``finished_run``, not to change."""
    folder = finished_run.parent / "two-epochs"
    result = program("train", finished_run / "experiment.toml", "--set", "training.epochs=2", "--out", folder)
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture
def run(tmp_path: Path, trained: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "runs" / "run"))


def epochs_of(run: Path) -> list[int]:
    with (run / "history.csv").open(newline="", encoding="utf-8") as table:
        return [int(row["epoch"]) for row in csv.DictReader(table)]


def kept_in(run: Path) -> int:
    _, story = read_tensors(Checkpoints(run / "checkpoints").best)
    return int(story["epoch"])


def test_an_epoch_is_picked_used_and_given_back(run: Path, program: Program, small_study: SyntheticStudy) -> None:
    best, before = kept_in(run), pl.read_csv(run / "predictions.csv")
    other = next(number for number in epochs_of(run) if number != best)
    result = program("pick-epoch", run, other)
    assert result.returncode == 0, result.stderr
    assert f"Epoch {other} is kept: picked by hand; the best is {best}" in result.stdout
    assert kept_in(run) == other
    assert not pl.read_csv(run / "predictions.csv").equals(before)
    page = (run / "report.html").read_text(encoding="utf-8")
    assert f"Epoch {other} was kept: by hand, with radpath pick-epoch" in page
    assert "The epoch was chosen by hand: if the test side was looked at before that" in page

    assert program("predict", run, small_study.images).returncode == 0  # the picked model is the run's model now
    resumed = program("train", run / "experiment.toml", "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert kept_in(run) == other

    assert program("pick-epoch", run, best).returncode == 0
    assert pl.read_csv(run / "predictions.csv").equals(before)
    assert "by hand" not in (run / "report.html").read_text(encoding="utf-8")
    assert not (run / "picked_epoch.json").exists()


def test_an_epoch_that_is_not_there_is_refused_with_those_that_are(run: Path, program: Program) -> None:
    result = program("pick-epoch", run, 99)
    assert result.returncode == 2
    numbers = epochs_of(run)
    assert f"{run} has no epoch 99; its epochs are {numbers[0]} to {numbers[-1]}" in result.stderr


def test_a_run_that_is_not_trained_to_its_end_has_nothing_to_pick_from(run: Path, program: Program) -> None:
    (run / "stamps.json").write_text(
        (run / "stamps.json").read_text(encoding="utf-8").replace('"train"', '"later"'), encoding="utf-8"
    )
    result = program("pick-epoch", run, 1)
    assert result.returncode == 3
    assert "the step 'train' is not finished; run `radpath train --resume` on it" in result.stderr
