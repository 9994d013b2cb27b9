"""A checkpoint becomes a file that a run takes."""

import json
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from radpath import files
from radpath.errors import SettingsError, WeightsError
from radpath.models.architectures import create_network
from radpath.models.backbones import BackboneSettings, build_backbone
from radpath.recipes.convert_weights import convert_weights


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pickled training state of a network on several GPUs, with its classifier."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(9)
        network, _ = create_network("test_resnet", from_hub=False)
    state = {f"module.{name}": tensor for name, tensor in network.state_dict().items()}
    state["module.fc.weight"] = torch.rand(5, 96)
    path = tmp_path_factory.mktemp("published") / "model_best.pth.tar"
    torch.save({"epoch": 9, "state_dict": state, "optimizer": {"state": {0: {"momentum": torch.rand(3)}}}}, path)
    return path


def tensors_of(checkpoint: Path) -> dict[str, Tensor]:
    state: dict[str, Tensor] = torch.load(checkpoint, weights_only=True)["state_dict"]
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}


def test_a_converted_checkpoint_is_what_a_run_takes(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "new" / "weights.safetensors"
    convert_weights(checkpoint, target, backbone="test_resnet", layout="auto", prefix=None)
    backbone = build_backbone(BackboneSettings(backbone="test_resnet", weights="file", weights_file=target))
    expected = tensors_of(checkpoint)
    for name, tensor in backbone.network.state_dict().items():
        assert torch.equal(tensor, expected[name]), name
    came_from = f"model_best.pth.tar (SHA-256 {files.sha256_file(checkpoint)})"
    assert backbone.report.converted_from == came_from
    report = json.loads(target.with_suffix(".json").read_text(encoding="utf-8"))
    assert report["converted_from"] == came_from
    assert report["sha256"] == backbone.report.sha256
    assert report["used"]["conv1.0.weight"] == "state_dict.module.conv1.0.weight"
    assert report["left_over"] == ["optimizer.state.0.momentum", "state_dict.module.fc.weight"]
    told = capsys.readouterr().out
    assert "Read as timm names behind 'state_dict.module.'" in told
    assert f"--set model.weights_file={target}" in told
    assert sorted(path.name for path in target.parent.iterdir()) == ["weights.json", "weights.safetensors"]


def test_weights_of_another_network_leave_nothing_behind(checkpoint: Path, tmp_path: Path) -> None:
    source = tmp_path / "in.safetensors"
    safetensors.torch.save_file(tensors_of(checkpoint), source)
    with pytest.raises(WeightsError, match=r"in\.safetensors does not fit the backbone: "):
        convert_weights(source, tmp_path / "w.safetensors", backbone="test_convnext", layout="auto", prefix=None)
    assert list(tmp_path.iterdir()) == [source]


def test_a_safetensors_file_is_converted_too(checkpoint: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    other = {f"ema.{name}": tensor + 1 for name, tensor in tensors_of(checkpoint).items()}
    plain = {name: tensor for name, tensor in tensors_of(checkpoint).items() if not name.startswith("fc.")}
    safetensors.torch.save_file({**plain, **other}, source)
    with pytest.raises(WeightsError, match=r"unknown to it \(ema\."):
        convert_weights(source, target, backbone="test_resnet", layout="auto", prefix=None)
    convert_weights(source, target, backbone="test_resnet", layout="timm", prefix="ema.")
    assert torch.equal(safetensors.torch.load_file(target)["bn1.weight"], plain["bn1.weight"] + 1)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (
            {"layout": "keras"},
            SettingsError,
            r"^--layout is 'keras'; it must be auto, timm, torchvision, radimagenet, ",
        ),
        ({"target": Path("w.pt")}, SettingsError, r"^w\.pt must end in \.safetensors, since that is what is written$"),
        ({"source": Path("none.pt")}, WeightsError, r"^there is no file none\.pt$"),
        ({"backbone": "resnet19"}, SettingsError, r"^model\.backbone is 'resnet19', which timm does not know"),
    ],
)
def test_wrong_arguments_are_refused(
    checkpoint: Path, tmp_path: Path, wrong: dict[str, Any], error: type[Exception], message: str
) -> None:
    right: dict[str, Any] = {"source": checkpoint, "target": tmp_path / "w.safetensors", "backbone": "test_resnet"}
    with pytest.raises(error, match=message):
        convert_weights(**{"layout": "auto", **right, **wrong}, prefix=None)


def test_a_file_that_is_there_is_not_written_over(checkpoint: Path, tmp_path: Path) -> None:
    target = tmp_path / "w.safetensors"
    target.write_text("mine")
    with pytest.raises(SettingsError, match=r"there is a .*w\.safetensors already; choose another name, or delete it$"):
        convert_weights(checkpoint, target, backbone="test_resnet", layout="auto", prefix=None)
    assert target.read_text() == "mine"
