"""Runs are compared through the command line: a table, a page, and files that others can read."""

import csv
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

import radpath
from radpath.evaluation.predictions import read_predictions

Program = Callable[..., "subprocess.CompletedProcess[str]"]
FEW = ("--set", "evaluation.replicates=100")


@pytest.fixture(scope="module")
def compared(
    finished_run: Path, sibling_runs: tuple[Path, Path], program: Program, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("comparisons") / "compared"
    result = program("compare", finished_run, *sibling_runs, *FEW, "--out", folder)
    assert result.returncode == 0, result.stderr
    return folder, result.stdout


def test_a_page_and_its_files_tell_the_same(compared: tuple[Path, str], finished_run: Path) -> None:
    folder, told = compared
    page = (folder / "compare.html").read_text(encoding="utf-8")
    found = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
    assert list(found["marks"]) == [finished_run.name, "faster", "reseeded"]
    assert sum(mark == "best" for mark in found["marks"].values()) == 1
    assert found["by_case"]["unit"] == "case"
    for name, mark in found["marks"].items():
        assert f"{name}" in told
        assert mark in told
        assert mark in page
    assert "training.seed" in page  # one of the runs had another
    assert "data:image/" in page
    assert f"Comparison: {folder / 'compare.html'}" in told
    tables = {path.name for path in (folder / "tables").glob("*.csv")}
    assert {"models.csv", "differences.csv", "decisions.csv", "case-models.csv", "runs.csv"} <= tables
    assert (folder / "figures" / "roc.svg").is_file()


def test_the_numbers_are_those_of_the_predictions(compared: tuple[Path, str], finished_run: Path) -> None:
    found = json.loads((compared[0] / "comparison.json").read_text(encoding="utf-8"))["by_image"]
    predictions = read_predictions(finished_run / "predictions.csv")
    test = [row for row, side in enumerate(predictions.sides) if side == "test"]
    truth = np.array([predictions.classes.index(str(predictions.truth[row])) for row in test])
    losses = (predictions.probabilities[test] - np.eye(len(predictions.classes))[truth]) ** 2
    values = {one["metric"]: one["value"] for one in found["models"][0]["estimates"]}
    assert values["brier"] == pytest.approx(losses.sum(axis=1).mean())
    areas = roc_auc_score(truth, predictions.probabilities[test], multi_class="ovr", average="macro")
    assert values["roc_auc"] == pytest.approx(areas)
    with (compared[0] / "disagreements.csv").open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    decisions = [{row[key] == row["truth"] for key in row if key.startswith("decision:")} for row in rows]
    assert all(found == {True, False} for found in decisions)
    for one in found["decision_differences"]:
        columns = [f"decision:{one[name]}" for name in ("first", "second")]
        only = sum(row[columns[0]] == row["truth"] != row[columns[1]] for row in rows)
        assert one["test"]["num_first_only"] == only


def test_predictions_of_any_program_take_part_under_a_name(
    finished_run: Path, program: Program, tmp_path: Path
) -> None:
    table = pl.read_csv(finished_run / "predictions.csv")
    names = [name for name in table.columns if name.startswith("probability:")]
    rng = np.random.default_rng(0)
    noise = rng.dirichlet(np.ones(len(names)), size=len(table))
    table = table.with_columns(pl.Series(name, noise[:, place]) for place, name in enumerate(names))
    table.select([*table.columns[:4], *names[::-1]]).write_csv(tmp_path / "other.csv")
    words = (finished_run, f"guesses={tmp_path / 'other.csv'}", *FEW, "--metric", "accuracy", "--metric", "log_loss")
    result = program("compare", *words, "--side", "validation", "--out", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    assert "Accuracy" in result.stdout
    assert "guesses" in result.stdout
    assert "Epochs and thresholds were chosen on these images" in result.stdout


def test_python_users_get_the_numbers(finished_run: Path, sibling_runs: tuple[Path, Path], tmp_path: Path) -> None:
    settings = {"evaluation.replicates": 100, "evaluation.confidence": 0.9}
    found = radpath.compare([finished_run, sibling_runs[0]], metrics=["brier"], settings=settings, out=tmp_path / "o")
    assert [one.metric for one in found.differences] == ["brier"]
    assert found.confidence == 0.9
    assert "--metric brier" in (tmp_path / "o" / "compare.html").read_text(encoding="utf-8")


def test_what_makes_no_sense_is_refused_and_leaves_nothing(
    finished_run: Path, sibling_runs: tuple[Path, Path], program: Program, tmp_path: Path
) -> None:
    both = (finished_run, sibling_runs[0])
    refusals = {
        ("--side", "tests"): (2, "--side is 'tests'; it must be train, validation, test"),
        ("--metric", "auc"): (2, "there is no metric 'auc'; did you mean 'roc_auc'?"),
        ("--set", "training.epochs=3"): (2, "only settings of [evaluation] can be set for a comparison"),
        ("--set", "evaluation.positive_class=none"): (2, "evaluation.positive_class is 'none'; the classes are"),
    }
    for words, (code, message) in refusals.items():
        result = program("compare", *both, *words, "--out", tmp_path / "out")
        assert result.returncode == code
        assert message in result.stderr
        assert not (tmp_path / "out").exists()


def test_a_test_image_that_another_run_lacks_is_refused_by_name(
    finished_run: Path, program: Program, tmp_path: Path
) -> None:
    table = pl.read_csv(finished_run / "predictions.csv")
    lost = table.filter(pl.col("split") == "test")["record_id"][0]
    table.filter(pl.col("record_id") != lost).write_csv(tmp_path / "other.csv")
    result = program("compare", finished_run, tmp_path / "other.csv")
    assert result.returncode == 3
    assert f"1 images are on the test side of only one of run and other ({lost})" in result.stderr


def test_the_same_comparison_gives_the_same_bytes(
    compared: tuple[Path, str], finished_run: Path, sibling_runs: tuple[Path, Path], program: Program, tmp_path: Path
) -> None:
    kept = Path(shutil.copytree(compared[0], tmp_path / "kept"))
    shutil.rmtree(compared[0])
    assert program("compare", finished_run, *sibling_runs, *FEW, "--out", compared[0]).returncode == 0
    for path in (one for one in kept.rglob("*") if one.is_file()):
        assert (compared[0] / path.relative_to(kept)).read_bytes() == path.read_bytes()
