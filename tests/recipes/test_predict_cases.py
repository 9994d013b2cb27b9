"""New images whose names tell their cases are decided case by case too."""

import csv
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from radpath.data.synthetic import SyntheticStudy
from radpath.recipes.predict import predict_new

Program = Callable[..., "subprocess.CompletedProcess[str]"]


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as table:
        return list(csv.DictReader(table))


@pytest.fixture
def run(tmp_path: Path, finished_run: Path) -> Path:
    return Path(shutil.copytree(finished_run, tmp_path / "runs" / "run"))


@pytest.fixture
def clinic(tmp_path: Path, finished_run: Path, small_study: SyntheticStudy) -> Path:
    """The images of the test side, under their own names, and one whose name tells no case."""
    folder = tmp_path / "clinic"
    folder.mkdir()
    for row in rows_of(finished_run / "splits.csv"):
        if row["split"] == "test":
            shutil.copy(small_study.images / row["record_id"], folder / row["record_id"])
            last = row["record_id"]
    shutil.copy(folder / last, folder / "scan.png")
    return folder


def test_cases_are_decided_as_the_run_decided_them(run: Path, clinic: Path, program: Program) -> None:
    result = program("predict", run, clinic)
    assert result.returncode == 0, result.stderr
    found = {row["case"]: row for row in rows_of(run / "predictions" / "clinic-cases.csv")}
    expected = {row["case"]: row for row in rows_of(run / "case_predictions.csv") if row["split"] == "test"}
    assert found.keys() == {*expected, "scan.png"}
    assert list(found["scan.png"])[:3] == ["case", "decision", "num_images"]
    for case, row in expected.items():
        assert found[case]["num_images"] == row["num_images"]
        by_class = {name.removeprefix("probability:"): float(row[name]) for name in row if name.startswith("prob")}
        assert {name: float(found[case][f"probability:{name}"]) for name in by_class} == pytest.approx(by_class)
        assert found[case]["decision"] == max(by_class, key=by_class.__getitem__)  # four classes: the highest decides
    assert f"{len(found)} cases decided" in result.stdout
    assert f"Cases: {run / 'predictions' / 'clinic-cases.csv'}" in result.stdout


def test_there_is_no_table_where_every_case_has_one_image(run: Path, clinic: Path) -> None:
    for place, path in enumerate(sorted(clinic.iterdir())):
        path.rename(clinic / f"{place}.png")
    table = predict_new(run, clinic, out=None)
    assert table.is_file()
    assert not table.with_name("clinic-cases.csv").exists()


def test_a_run_that_was_not_judged_by_case_decides_images_only(run: Path, clinic: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    (run / "metrics.json").write_text(json.dumps({**metrics, "by_case": None}), encoding="utf-8")
    table = predict_new(run, clinic, out=None)
    assert not table.with_name("clinic-cases.csv").exists()


def test_images_are_decided_even_where_cases_cannot_be(
    run: Path, clinic: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (run / "predictions.csv").open("a", encoding="utf-8") as table:
        table.write("\n")
    written = predict_new(run, clinic, out=None)
    assert len(rows_of(written)) == len(list(clinic.iterdir()))
    assert not written.with_name("clinic-cases.csv").exists()
    told = capsys.readouterr().out
    assert "No decisions of cases: " in told
    assert f"predictions.csv changed since 'evaluate' was done; evaluate the run again: radpath evaluate {run}" in told
