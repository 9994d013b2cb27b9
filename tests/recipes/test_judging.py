"""What a run knows of its images reaches every analysis."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from radpath.recipes import analyses
from radpath.recipes.experiment import read_experiment
from radpath.recipes.judging import evaluate_run
from radpath.reporting.blocks import Section
from radpath.run_folder import RunFolder


def _no_section(_: Any) -> Section:
    return Section(anchor="looking", title="Looking", blocks=())


def test_an_analysis_sees_the_manifest_of_the_run(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "run"
    shutil.copytree(finished_run, copy)
    seen: list[Any] = []
    looking = analyses.Analysis(name="looking", result=dict, assess=seen.append, section=_no_section)
    monkeypatch.setattr(analyses, "ANALYSES", (looking,))
    predictions, _ = evaluate_run(read_experiment(copy / "experiment.toml", []), RunFolder(copy))
    (judged,) = seen
    assert judged.predictions is predictions
    known = set(judged.characteristics["record_id"])
    assert set(predictions.record_ids) <= known
    assert {"size_px", "scanner", "stain"} <= set(judged.characteristics.columns)
