"""Numbers again from predictions: of a run, and of any program's table."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from radpath.errors import DataError, SettingsError
from radpath.recipes.evaluate import evaluate_again

Program = Callable[..., "subprocess.CompletedProcess[str]"]

TABLE = """record_id,case,split,truth,probability:no,probability:yes,comment
a,1,validation,no,0.9,0.1,x
b,2,validation,yes,0.3,0.7,x
c,3,test,no,0.8,0.2,x
d,4,test,yes,0.1,0.9,x
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "predictions.csv"
    path.write_text(TABLE, encoding="utf-8")
    return path


def test_any_programs_table_can_be_evaluated(table: Path, tmp_path: Path, program: Program) -> None:
    words = ("--set", "evaluation.positive_class=yes", "--set", "evaluation.replicates=100")
    result = program("evaluate", table, *words, "--out", tmp_path / "numbers")
    assert result.returncode == 0, result.stderr
    assert "Test ROC AUC 1.000" in result.stdout
    assert "An image is called yes when its probability is at least 0.4" in result.stdout
    metrics = json.loads((tmp_path / "numbers" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["positive_class"] == "yes"
    assert metrics["replicates"] == 100


def test_without_out_nothing_is_written(table: Path, tmp_path: Path) -> None:
    evaluation = evaluate_again(table, assignments=["evaluation.replicates=100"], out=None)
    assert set(evaluation.sides) == {"validation", "test"}
    assert list(tmp_path.iterdir()) == [table]


def test_only_settings_of_the_evaluation_fit_a_table(table: Path) -> None:
    with pytest.raises(SettingsError, match=r"^with a predictions.csv, only settings of \[evaluation\] can be set"):
        evaluate_again(table, assignments=["training.epochs=3"], out=None)
    with pytest.raises(SettingsError, match=r"unknown setting 'replicate'; did you mean 'replicates'\?$"):
        evaluate_again(table, assignments=["evaluation.replicate=100"], out=None)


def test_the_settings_of_a_run_are_those_of_its_file(finished_run: Path) -> None:
    with pytest.raises(SettingsError, match=r"^--set goes with a predictions.csv; the settings of a run are those"):
        evaluate_again(finished_run, assignments=["evaluation.seed=1"], out=None)


def test_a_missing_target_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no run folder .*none; `radpath fit` or `radpath train` makes one$"):
        evaluate_again(tmp_path / "none", assignments=[], out=None)
