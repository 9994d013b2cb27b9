"""A refused run leaves nothing, an interrupted one says how to go on, and impossible experiments are refused early."""

from functools import cache
from pathlib import Path

import pytest

from radpath.errors import DataError, DeviceError, RunInterruptedError, SettingsError, StorageError
from radpath.models.backbones import Backbone, BackboneSettings, build_backbone
from radpath.recipes.beginning import check_sizes, default_folder, new_run, require_feasible, resumable
from radpath.recipes.experiment import compose_experiment
from radpath.run_folder import RunFolder
from radpath.training.device import DeviceSettings, require_device

SMALL = {"data": {"images": "images"}, "model": {"backbone": "test_resnet", "weights": "none", "freeze": "all"}}


def fail_in(folder: RunFolder, error: BaseException, *, beside: Path | None = None) -> None:
    """Leave a run unfinished: with some files, perhaps one more path, and an error."""
    (folder.root / "checkpoints").mkdir()
    folder.splits.write_text("half", encoding="utf-8")
    if beside is not None:
        beside.touch()
    raise error


@cache
def backbone(name: str) -> Backbone:
    return build_backbone(BackboneSettings(backbone=name, weights="none"))


def test_the_users_folder_goes_before_a_free_name_below_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_folder(Path("mine"), "study") == Path("mine")
    assert default_folder(None, "study") == Path("runs/study")
    Path("runs/study").mkdir(parents=True)
    Path("runs/study-2").mkdir()
    assert default_folder(None, "study") == Path("runs/study-3")


@pytest.mark.parametrize("error", [DataError("no images"), KeyboardInterrupt(), ZeroDivisionError()])
def test_a_refused_run_leaves_neither_its_folder_nor_those_made_for_it(tmp_path: Path, error: BaseException) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(type(error)), new_run(tmp_path / "there" / "a" / "b") as folder:
        fail_in(folder, error)
    assert list((tmp_path / "there").iterdir()) == []


def test_an_empty_folder_that_was_there_stays_and_stays_empty(tmp_path: Path) -> None:
    with pytest.raises(DataError), new_run(tmp_path) as folder:
        fail_in(folder, DataError("no images"))
    assert list(tmp_path.iterdir()) == []


def test_what_another_put_beside_a_refused_run_stays(tmp_path: Path) -> None:
    with pytest.raises(DataError), new_run(tmp_path / "runs" / "one") as folder:
        fail_in(folder, DataError("no images"), beside=tmp_path / "runs" / "two")
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["two"]


def test_a_run_that_has_its_experiment_stays_whatever_happens(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), new_run(tmp_path / "run") as folder:
        fail_in(folder, KeyboardInterrupt(), beside=folder.experiment)
    assert (tmp_path / "run" / "experiment.toml").exists()


def test_an_interrupted_run_says_how_to_go_on(tmp_path: Path) -> None:
    message = rf"continue with: radpath train {tmp_path}/experiment.toml --resume$"
    with pytest.raises(RunInterruptedError, match=message), resumable(RunFolder(tmp_path)):
        raise KeyboardInterrupt


def test_a_full_disk_keeps_its_reason_and_says_how_to_go_on(tmp_path: Path) -> None:
    message = (
        r"^the disk is full; what is finished is kept; when there is room, continue with: radpath train .* --resume$"
    )
    with pytest.raises(StorageError, match=message), resumable(RunFolder(tmp_path)):
        raise StorageError("the disk is full")


def test_other_errors_pass_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^as it is$"), resumable(RunFolder(tmp_path)):
        raise DataError("as it is")


def test_a_feasible_experiment_passes() -> None:
    require_feasible(compose_experiment(SMALL, []))


def test_an_unknown_network_and_an_impossible_device_are_refused() -> None:
    with pytest.raises(
        SettingsError, match=r"^model.backbone is 'test_resnett', which timm does not know; did you mean"
    ):
        require_feasible(compose_experiment(SMALL, ["model.backbone=test_resnett"]))
    if require_device(DeviceSettings()) != "cuda":
        with pytest.raises(DeviceError, match=r"^device.precision is '16-mixed', which needs a CUDA GPU"):
            require_feasible(compose_experiment(SMALL, ["device.precision=16-mixed"]))


@pytest.mark.parametrize(
    ("name", "assignment", "message"),
    [
        ("test_vit", "pixels.size=native", r"^pixels.size is 'native', which backbone 'test_vit' cannot have: "),
        ("test_vit", "pixels.size_px=96", r"takes images of 160 px only; set pixels.size_px = 160$"),
    ],
)
def test_sizes_that_a_network_does_not_take_are_refused(name: str, assignment: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        check_sizes(compose_experiment(SMALL, [assignment]), backbone(name))


def test_sizes_that_a_network_takes_pass() -> None:
    check_sizes(compose_experiment(SMALL, ["pixels.size_px=160"]), backbone("test_vit"))
    check_sizes(compose_experiment(SMALL, ["pixels.size=native"]), backbone("test_resnet"))
