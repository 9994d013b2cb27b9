"""A trial sees the images, sides and levels that the run sees."""

from pathlib import Path

import polars as pl
import pytest

from radpath.recipes.experiment import read_experiment
from radpath.recipes.running import read_intensity
from radpath.recipes.trials import TrialData, gather_trial, name_of, one_device
from radpath.run_folder import RunFolder
from radpath.training.precision_probe import decide


@pytest.mark.parametrize("named", ["folder", "file"])
def test_a_run_and_its_experiment_mean_the_training_side_of_the_run(
    finished_run: Path, tmp_path: Path, named: str
) -> None:
    target = finished_run if named == "folder" else finished_run / "experiment.toml"
    data = gather_trial(target, labels=None, assignments=["training.seed=9"], folder=tmp_path / "trial")
    splits = pl.read_csv(finished_run / "splits.csv").filter(pl.col("split") == "train")
    assert sorted(data.table["record_id"]) == sorted(splits["record_id"])
    assert data.intensity == read_intensity(RunFolder(finished_run))
    expected = read_experiment(finished_run / "experiment.toml", ["training.seed=9"])
    assert data.experiment == expected
    assert not (tmp_path / "trial").exists()


def test_names_follow_the_target() -> None:
    assert name_of(Path("runs/lung/experiment.toml")) == "lung"
    assert name_of(Path("experiments/blood.toml")) == "blood"
    assert name_of(Path("data/breastmnist.npz")) == "breastmnist"


@pytest.fixture
def data(finished_run: Path, tmp_path: Path) -> TrialData:
    """The training side of a run for two devices, in a precision to be measured."""
    wishes = ["device.device=cpu", "device.num_devices=2", "device.precision=auto"]
    return gather_trial(finished_run, labels=None, assignments=wishes, folder=tmp_path / "trial")


@pytest.mark.parametrize(("of_half", "expected"), [(131.0, "bf16-mixed"), (130.0, "32-true")])
def test_one_device_is_enough_in_a_precision_that_is_measured(
    data: TrialData, monkeypatch: pytest.MonkeyPatch, of_half: float, expected: str
) -> None:
    found = decide({("32-true", "channels_last"): 100.0, ("bf16-mixed", "channels_last"): of_half}, rounds=3)
    monkeypatch.setattr("radpath.recipes.precision.choose_precision", lambda *_, **__: found)
    fabric = one_device(data)
    assert fabric.world_size == 1
    assert fabric.strategy.precision.precision == expected
