"""What a run was made with: complete, plain JSON, and without a user's or a machine's name."""

import getpass
import importlib.metadata
import json
import platform
from pathlib import Path

import pytest
from lightning_fabric import Fabric

from radpath.recipes.environment import describe_environment, device_name
from radpath.recipes.experiment import compose_experiment

EXPERIMENT = compose_experiment(
    {"data": {"images": "images"}}, ["split.seed=3", "training.seed=4", "evaluation.seed=5"]
)


def test_versions_device_and_seeds_are_recorded() -> None:
    found = describe_environment(EXPERIMENT, command="radpath fit images", device="CPU, 2 threads")
    assert json.loads(json.dumps(found)) == found
    assert found["command"] == "radpath fit images"
    assert found["device"] == "CPU, 2 threads"
    assert found["packages"]["torch"] == importlib.metadata.version("torch")
    assert found["seeds"] == {"split": 3, "training": 4, "evaluation": 5}


def test_no_name_of_a_user_or_a_machine_is_recorded() -> None:
    values = describe_environment(EXPERIMENT, command="", device="CPU")
    words = json.dumps(values).replace('"', " ").split()
    assert getpass.getuser() not in words
    assert platform.node() not in words


def test_outside_a_repository_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert describe_environment(EXPERIMENT, command="", device="")["git_commit"] == ""
    monkeypatch.setenv("PATH", "")
    assert describe_environment(EXPERIMENT, command="", device="")["git_commit"] == ""


def test_the_device_is_said_in_words() -> None:
    assert device_name(Fabric(accelerator="cpu", devices=1)).startswith("CPU, ")
