"""A device that is not there is refused with what to do; one that is computes the same every time."""

import operator
import os
import warnings

import pytest
import torch

from radpath.errors import DeviceError
from radpath.training.device import DeviceSettings, connect, explained_memory_errors, on_devices, require_device


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.fixture
def apple_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)


@pytest.mark.usefixtures("no_gpu")
def test_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(DeviceError) as caught:
        connect(DeviceSettings(device="cuda"))
    assert str(caught.value) == (
        "device.device is 'cuda' with device.num_devices = 1, but PyTorch sees 0 CUDA GPUs; "
        "set device.device to 'cpu' or 'auto', or see `radpath doctor`"
    )


@pytest.mark.usefixtures("two_gpus")
def test_more_gpus_than_there_are_are_refused() -> None:
    assert require_device(DeviceSettings(num_devices=2)) == "cuda"
    with pytest.raises(DeviceError, match=r"device\.num_devices = 3, but PyTorch sees 2 CUDA GPUs"):
        require_device(DeviceSettings(num_devices=3))


@pytest.mark.usefixtures("no_gpu")
def test_an_apple_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(DeviceError, match=r"^device\.device is 'mps', but there is no Apple GPU here; set it to 'cpu'"):
        require_device(DeviceSettings(device="mps"))


@pytest.mark.usefixtures("apple_gpu")
def test_an_apple_gpu_works_alone_and_without_16_bit_floats() -> None:
    assert require_device(DeviceSettings()) == "mps"
    with pytest.raises(DeviceError, match=r"^device\.num_devices is 2, but an Apple GPU works alone; set it to 1$"):
        require_device(DeviceSettings(num_devices=2))
    with pytest.raises(DeviceError, match=r"'16-mixed', which needs a CUDA GPU, not 'mps'"):
        require_device(DeviceSettings(precision="16-mixed"))


@pytest.mark.usefixtures("no_gpu")
def test_16_bit_floats_need_a_gpu() -> None:
    with pytest.raises(DeviceError, match=r"^device\.precision is '16-mixed', which needs a CUDA GPU, not 'cpu'; set"):
        connect(DeviceSettings(precision="16-mixed"))


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_auto_means_the_cpu() -> None:
    assert require_device(DeviceSettings()) == "cpu"
    assert connect(DeviceSettings()).device == torch.device("cpu")


def test_one_device_works_in_this_process_and_returns_the_result() -> None:
    this_process = os.getpid()
    assert on_devices(DeviceSettings(device="cpu"), lambda fabric: (fabric.world_size, os.getpid())) == (
        1,
        this_process,
    )


def test_kernels_are_deterministic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    connect(DeviceSettings(device="cpu"))
    assert (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic) == (False, True)


@pytest.mark.parametrize("variable", ["SLURM_NTASKS", "TORCHELASTIC_RUN_ID", "WORLD_SIZE"])
def test_the_variables_of_a_cluster_decide_nothing(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "4")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert connect(DeviceSettings(device="cpu")).world_size == 1


def test_memory_that_is_used_up_is_explained() -> None:
    with (
        pytest.raises(DeviceError, match=r"^the GPU's memory is used up; lower batches\.size"),
        explained_memory_errors(),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory")


def test_another_error_is_left_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError), explained_memory_errors():
        operator.truediv(1, 0)


@pytest.mark.slow  # each process imports PyTorch anew
def test_several_devices_share_the_work_and_the_first_returns_the_result() -> None:
    assert on_devices(
        DeviceSettings(device="cpu", num_devices=2), operator.attrgetter("world_size", "global_rank")
    ) == (
        2,
        0,
    )
