"""An ensemble is judged like a run, says who is in it, and looks at new images as the mean of its members."""

import csv
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from radpath.data.synthetic import SyntheticStudy
from radpath.evaluation.predictions import Predictions, read_predictions

Program = Callable[..., "subprocess.CompletedProcess[str]"]


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as table:
        return list(csv.DictReader(table))


def aligned(predictions: Predictions, record_ids: tuple[str, ...]) -> np.ndarray:
    row = {record: place for place, record in enumerate(predictions.record_ids)}
    return predictions.probabilities[[row[record] for record in record_ids]]


@pytest.fixture(scope="module")
def runs(finished_run: Path, sibling_runs: tuple[Path, Path]) -> tuple[Path, ...]:
    return finished_run, *sibling_runs


@pytest.fixture(scope="module")
def ensemble(runs: tuple[Path, ...], program: Program, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("ensembles") / "joined"
    result = program("ensemble", *runs, "--out", folder)
    assert result.returncode == 0, result.stderr
    return folder, result.stdout


def test_its_predictions_are_the_mean_of_its_members(ensemble: tuple[Path, str], runs: tuple[Path, ...]) -> None:
    joined = read_predictions(ensemble[0] / "predictions.csv")
    members = [aligned(read_predictions(run / "predictions.csv"), joined.record_ids) for run in runs]
    assert joined.probabilities == pytest.approx(np.mean(members, axis=0))
    assert len(joined) == len(read_predictions(runs[0] / "predictions.csv"))


def test_members_and_their_own_scores_stand_beside_the_whole(
    ensemble: tuple[Path, str], runs: tuple[Path, ...]
) -> None:
    folder, told = ensemble
    page = (folder / "report.html").read_text(encoding="utf-8")
    described = json.loads((folder / "ensemble.json").read_text(encoding="utf-8"))
    assert [one["weight"] for one in described["members"]] == pytest.approx([1 / 3] * 3)
    for run, one in zip(runs, described["members"], strict=True):
        assert (folder / one["run"]).resolve() == run.resolve()
        assert f'<th scope="row">{run.name}</th>' in page
        assert run.name in told
    assert "the mean of the probabilities of 3 runs, with equal weights" in page
    assert "radpath ensemble" in page
    assert (folder / "model_card.md").is_file()
    assert (folder / "metrics.json").is_file()
    assert "Beside the best: by ROC AUC on the same images" in page
    members = told[told.index("Members") :].splitlines()
    assert sum("  best  " in line for line in members) == 1
    assert sum("best" in line for line in members) == len(runs) + 1


def test_it_can_be_evaluated_again(ensemble: tuple[Path, str], program: Program) -> None:
    before = (ensemble[0] / "metrics.json").read_bytes()
    result = program("evaluate", ensemble[0])
    assert result.returncode == 0, result.stderr
    assert (ensemble[0] / "metrics.json").read_bytes() == before


@pytest.mark.parametrize("rule", ["validation", "greedy"])
def test_weights_by_validation_are_said(runs: tuple[Path, ...], program: Program, tmp_path: Path, rule: str) -> None:
    result = program("ensemble", *runs, "--weights", rule, "--out", tmp_path / "joined")
    assert result.returncode == 0, result.stderr
    described = json.loads((tmp_path / "joined" / "ensemble.json").read_text(encoding="utf-8"))
    assert described["weights"] == rule
    assert sum(one["weight"] for one in described["members"]) == pytest.approx(1)
    assert "on validation" in (tmp_path / "joined" / "report.html").read_text(encoding="utf-8")


def test_new_images_get_the_mean_of_what_the_members_say(
    ensemble: tuple[Path, str], runs: tuple[Path, ...], program: Program, small_study: SyntheticStudy, tmp_path: Path
) -> None:
    clinic = tmp_path / "clinic"
    clinic.mkdir()
    for place, path in enumerate(sorted(small_study.images.glob("case_00[12]*.png"))[:3]):
        shutil.copy(path, clinic / f"{place}.png")
    (clinic / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    tables = []
    for number, folder in enumerate((*runs, ensemble[0])):
        result = program("predict", folder, clinic, "--out", tmp_path / f"{number}.csv")
        assert result.returncode == 0, result.stderr
        tables.append(rows_of(tmp_path / f"{number}.csv"))
    *members, joined = tables
    assert [row["record_id"] for row in joined] == [row["record_id"] for row in members[0]]
    for place, row in enumerate(joined):
        for name in row:
            if name.startswith("probability:"):
                expected = np.mean([float(member[place][name]) for member in members])
                assert float(row[name]) == pytest.approx(expected)
    assert len(rows_of(tmp_path / "3-exclusions.csv")) == 1


def test_new_cases_are_decided_as_the_ensemble_decided_them(
    ensemble: tuple[Path, str], program: Program, small_study: SyntheticStudy, tmp_path: Path
) -> None:
    (tmp_path / "clinic").mkdir()
    for row in rows_of(ensemble[0] / "predictions.csv"):
        if row["split"] == "test":
            shutil.copy(small_study.images / row["record_id"], tmp_path / "clinic" / row["record_id"])
    assert program("predict", ensemble[0], tmp_path / "clinic", "--out", tmp_path).returncode == 0
    expected = [row for row in rows_of(ensemble[0] / "case_predictions.csv") if row["split"] == "test"]
    found = rows_of(tmp_path / "clinic-cases.csv")
    assert [row["case"] for row in found] == [row["case"] for row in expected]
    for row, known in zip(found, expected, strict=True):
        names = [name for name in row if name.startswith("probability:")]
        assert [float(row[name]) for name in names] == pytest.approx([float(known[name]) for name in names])


def test_a_member_that_changed_is_refused(
    finished_run: Path, sibling_runs: tuple[Path, Path], program: Program, tmp_path: Path
) -> None:
    copies = [Path(shutil.copytree(run, tmp_path / run.name)) for run in (finished_run, sibling_runs[0])]
    assert program("ensemble", *copies, "--out", tmp_path / "joined").returncode == 0
    described = json.loads((tmp_path / "joined" / "ensemble.json").read_text(encoding="utf-8"))
    described["members"][0]["model_digest"] = "0" * 32
    (tmp_path / "joined" / "ensemble.json").write_text(json.dumps(described), encoding="utf-8")
    for words in (("evaluate", tmp_path / "joined"), ("predict", tmp_path / "joined", tmp_path)):
        result = program(*words)
        assert result.returncode == 5
        assert "its model is not the one that the ensemble was made of; make the ensemble again" in result.stderr


def test_what_was_not_trained_cannot_be_resumed_and_has_no_epochs(
    ensemble: tuple[Path, str], finished_run: Path, program: Program
) -> None:
    resumed = ("train", finished_run / "experiment.toml", "--resume", "--out", ensemble[0])
    for words in (("pick-epoch", ensemble[0], 1), resumed, ("train", ensemble[0] / "experiment.toml", "--resume")):
        result = program(*words)
        assert result.returncode == 2
        assert f"{ensemble[0]} is an ensemble, in which nothing was trained; name one of the runs" in result.stderr


def test_an_unknown_rule_is_refused(runs: tuple[Path, ...], program: Program) -> None:
    result = program("ensemble", *runs, "--weights", "best")
    assert result.returncode == 2
    assert result.stderr == "radpath: --weights is 'best'; it must be equal, validation, greedy\n"
