"""A measured precision is the run's: measured once, written down, and used whenever the run is used again."""

import json
import shutil
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from radpath.data.batches import ImageSource
from radpath.data.synthetic import SyntheticStudy
from radpath.errors import DataError
from radpath.evaluation.predictions import read_predictions
from radpath.models.classifier import Classifier
from radpath.recipes.benchmark import benchmark
from radpath.recipes.experiment import read_experiment
from radpath.recipes.pick_epoch import pick_epoch
from radpath.recipes.precision import begin_precision, with_precision_of_run
from radpath.recipes.predict import predict_new
from radpath.recipes.train import train_experiment
from radpath.run_folder import RunFolder
from radpath.training.history import read_history
from radpath.training.precision_probe import MeasuredPrecision, decide

LAST: Final = "channels_last"
HALF = decide({("32-true", LAST): 100.0, ("bf16-mixed", LAST): 250.0}, rounds=7)
FULL = decide({("32-true", LAST): 100.0, ("bf16-mixed", LAST): 90.0}, rounds=7)


def measures(monkeypatch: pytest.MonkeyPatch, found: MeasuredPrecision | None) -> None:
    """Let the measurement find something; None: it must not be made."""

    def choose(*_: object, **__: object) -> MeasuredPrecision:
        assert found is not None, "measured again"
        return found

    monkeypatch.setattr("radpath.recipes.precision.choose_precision", choose)


@pytest.fixture(scope="module")
def trained(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose measurement found bf16 to be faster, not to change."""
    path, folder = finished_run / "experiment.toml", tmp_path_factory.mktemp("measured") / "run"
    with pytest.MonkeyPatch.context() as patch:
        measures(patch, HALF)
        train_experiment(path, assignments=["device.precision=auto"], out=folder, resume=False, command="")
    return folder


@pytest.fixture
def run(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, for which nothing may be measured again."""
    measures(monkeypatch, None)
    return Path(shutil.copytree(trained, tmp_path / "runs" / "run"))


def test_the_choice_and_its_numbers_are_written_down_and_computed_with(run: Path, finished_run: Path) -> None:
    written = json.loads((run / "precision.json").read_text(encoding="utf-8"))
    assert written["precision"] == "bf16-mixed"
    assert written["images_per_second"] == {"32-true, channels_last": 100.0, "bf16-mixed, channels_last": 250.0}
    assert json.loads((run / "environment.json").read_text(encoding="utf-8"))["precision"] == "bf16-mixed"
    assert read_experiment(run / "experiment.toml", []).device.precision == "auto"
    rough, exact = (read_predictions(folder / "predictions.csv").probabilities for folder in (run, finished_run))
    assert 0 < np.abs(rough - exact).max() < 0.1


def _no_network() -> Classifier:
    raise AssertionError("built")


def _no_images(_: Classifier) -> ImageSource:
    raise AssertionError("read")


def test_it_is_measured_and_told_once(
    tmp_path: Path, finished_run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measures(monkeypatch, HALF)
    experiment = read_experiment(finished_run / "experiment.toml", ["device.precision=auto"])
    begun = [begin_precision(experiment, RunFolder(tmp_path), _no_network, _no_images)]
    told = capsys.readouterr().out
    because = "bf16-mixed was measured to be 2.50 times as fast as 32-true (7 rounds)"
    assert told == f"Precision: bf16-mixed, channels_last, since {because}\n"
    measures(monkeypatch, None)
    begun.append(begin_precision(experiment, RunFolder(tmp_path), _no_network, _no_images))
    assert [one.device.precision for one in begun] == ["bf16-mixed", "bf16-mixed"]
    assert capsys.readouterr().out == ""


def test_the_run_keeps_it_in_everything_that_follows(run: Path, small_study: SyntheticStudy) -> None:
    before = (run / "predictions.csv").read_bytes()
    train_experiment(run / "experiment.toml", assignments=[], out=None, resume=True, command="")
    assert (run / "predictions.csv").read_bytes() == before
    pick_epoch(run, max(entry.epoch for entry in read_history(run / "history.csv")))
    chosen = predict_new(run, small_study.images, out=run / "auto.csv").read_bytes()
    half, full = (
        predict_new(run, small_study.images, out=run / f"{value}.csv", assignments=[f"device.precision={value}"])
        for value in ("bf16-mixed", "32-true")
    )
    assert chosen == half.read_bytes() != full.read_bytes()


def test_what_is_missing_or_damaged_is_told_with_the_way_out(run: Path, tmp_path: Path) -> None:
    folder = RunFolder(Path(shutil.copytree(run, tmp_path / "copy")))
    experiment = read_experiment(folder.experiment, [])
    folder.precision.write_text('{"precision": "8-mixed", "memory_format": "channels_last"}', encoding="utf-8")
    with pytest.raises(DataError, match=r"is not what radpath wrote \(no precision is called '8-mixed'\)"):
        with_precision_of_run(experiment, folder)
    folder.precision.unlink()
    with pytest.raises(DataError, match=r"precision\.json is missing, which says what 'auto' in device\.precision"):
        with_precision_of_run(experiment, folder)


def test_a_precision_that_is_given_needs_no_file(finished_run: Path) -> None:
    experiment = read_experiment(finished_run / "experiment.toml", [])
    assert with_precision_of_run(experiment, RunFolder(finished_run)) is experiment
    assert not RunFolder(finished_run).precision.exists()


def test_the_benchmark_measures_what_auto_would_be(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measures(monkeypatch, FULL)
    tiny = ("model.backbone=test_resnet", "batches.size=2", "pixels.size_px=32", "device.device=cpu")
    benchmark(None, assignments=[*tiny, "device.precision=auto"], out=None, seconds=0.0, command="")
    told = capsys.readouterr().out
    assert (
        "Precision: 32-true, channels_last, since bf16-mixed was measured to be only 0.90 times as fast (7 rounds)"
        in told
    )
    assert "test_resnet, 32 px, 32-true" in told
