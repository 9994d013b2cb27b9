"""Pickled checkpoints give their tensors, and nothing else happens."""

import collections
import os
import subprocess
import zipfile
from pathlib import Path
from unittest import mock

import pytest
import torch
from torch import Tensor

from radpath.errors import WeightsError
from radpath.models import pickled_weights
from radpath.models.pickled_weights import read_pickle


class RunsCode:
    """What a harmful pickle holds."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.witness),)


def saved(folder: Path, content: object) -> Path:
    path = folder / "checkpoint.pt"
    torch.save(content, path)
    return path


def extracted(folder: Path, content: object) -> dict[str, Tensor]:
    """What one process does that reads; the tests of ``read_pickle`` start a real one."""
    import safetensors.torch

    pickled_weights._extract(saved(folder, content), folder / "out.safetensors")
    return safetensors.torch.load_file(folder / "out.safetensors")


def test_tensors_come_out_of_another_process_as_they_are(tmp_path: Path) -> None:
    shared = torch.arange(6.0).view(2, 3)
    state = collections.OrderedDict([("a.weight", shared), ("b.weight", shared.T), ("steps", torch.tensor(4))])
    path = saved(tmp_path, {"epoch": 3, "arch": "resnet", "state_dict": state})
    tensors = read_pickle(path, scratch=tmp_path)
    assert set(tensors) == {"state_dict.a.weight", "state_dict.b.weight", "state_dict.steps"}
    for name, tensor in state.items():
        assert torch.equal(tensors[f"state_dict.{name}"], tensor)
    assert list(tmp_path.iterdir()) == [path]


def test_a_harmful_pickle_runs_nothing(tmp_path: Path) -> None:
    witness = tmp_path / "code was run"
    path = saved(tmp_path, {"0.weight": torch.zeros(1), "x": RunsCode(witness)})
    with pytest.raises(
        WeightsError, match=r"^it holds '\w+\.mkdir', which only running code could build; ask for its "
    ):
        pickled_weights._extract(path, tmp_path / "out.safetensors")
    assert list(tmp_path.iterdir()) == [path]


def test_a_whole_network_is_refused_since_it_is_code(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"^it holds 'torch\.nn\.modules\.linear\.Linear', which only running code"):
        extracted(tmp_path, torch.nn.Linear(2, 2))


def test_a_tensor_that_repeats_one_number_too_often_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"large claims 1,000,000,000,000 numbers, which are not in the file"):
        extracted(tmp_path, {"large": torch.zeros(1).expand(10**6, 10**6)})


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, [torch.zeros(2)], torch.zeros(2)])
def test_a_file_without_tensors_by_name_is_refused(tmp_path: Path, content: object) -> None:
    with pytest.raises(WeightsError, match=r"^it holds no tensors by name$"):
        extracted(tmp_path, content)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, {"a": torch.rand(1000)})
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(WeightsError, match=r"^it is damaged, or too large \(RuntimeError: "):
        pickled_weights._extract(path, tmp_path / "out.safetensors")


def test_a_file_that_unpacks_to_more_than_its_limit_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("resource", reason="this system has no limits of processes")
    path = saved(tmp_path, {"zeros": torch.zeros(24 << 20)})
    packed = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path) as plain, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as tight:
        for name in plain.namelist():
            tight.writestr(name, plain.read(name))
    assert packed.stat().st_size < 1 << 20
    with pytest.raises(WeightsError, match=r"bomb\.pt cannot be converted: "):
        read_pickle(packed, scratch=tmp_path)  # 96 MiB are more than it may write
    assert sorted(tmp_path.iterdir()) == [packed, path]


def test_a_file_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    path = saved(tmp_path, {"a": torch.rand(2)})
    late = subprocess.TimeoutExpired("python", 1)
    with (
        mock.patch.object(subprocess, "run", side_effect=late),
        pytest.raises(WeightsError, match=r"could not be read in 600 s; it is no usual checkpoint$"),
    ):
        read_pickle(path, scratch=tmp_path)
