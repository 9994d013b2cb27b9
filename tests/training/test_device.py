"""A device that is not there is refused with what to do; one that is computes the same every time."""

import operator
import os
import shutil
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch

from radpath.errors import DeviceError
from radpath.models.classifier import Classifier, ModelSettings, build_classifier
from radpath.training.device import (
    DeviceSettings,
    arrange,
    connect,
    explained_memory_errors,
    on_devices,
    require_device,
    settled,
)

ModelMaker = Callable[..., Classifier]


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


@pytest.mark.parametrize(
    ("devices", "where"), [({"num_devices": 2}, r"device\.num_devices = 2"), ({"device": "mps"}, "an Apple GPU")]
)
def test_translation_is_refused_where_it_is_not_known_to_work(
    monkeypatch: pytest.MonkeyPatch, devices: dict[str, Any], where: str
) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    settings = DeviceSettings(**{"device": "cpu", "compile": True, **devices})
    with pytest.raises(DeviceError, match=rf"device\.compile is not supported with {where}; set device\.compile = fal"):
        require_device(settings)


def test_what_is_measured_takes_the_place_of_auto_alone() -> None:
    both = settled(
        DeviceSettings(precision="auto", memory_format="auto"), precision="bf16-mixed", memory_format="contiguous"
    )
    assert (both.precision, both.memory_format) == ("bf16-mixed", "contiguous")
    one = settled(DeviceSettings(memory_format="auto"), precision="bf16-mixed", memory_format="contiguous")
    assert (one.precision, one.memory_format) == ("32-true", "contiguous")
    with pytest.raises(ValueError, match="no memory format is called 'sideways'"):
        settled(DeviceSettings(), precision="32-true", memory_format="sideways")


def test_a_memory_format_changes_where_numbers_lie_and_no_number(make_model: ModelMaker) -> None:
    images, sizes = torch.rand(2, 3, 32, 32), torch.full((2,), 32)
    model = make_model().eval()
    features, strides = [], []
    for memory_format in ("channels_last", "contiguous"):
        arrange(model, DeviceSettings(memory_format=memory_format))
        strides.append(next(weights.stride() for weights in model.backbone.parameters() if weights.dim() == 4))
        features.append(model.features(images, sizes, sizes).detach())
    assert strides[0] != strides[1]
    torch.testing.assert_close(features[0], features[1], rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.slow  # the compiler takes half a minute and more
@pytest.mark.filterwarnings("ignore:.torch.jit.*is deprecated:DeprecationWarning")  # of PyTorch's own translator
@pytest.mark.skipif(shutil.which("g++") is None and shutil.which("clang++") is None, reason="needs a C++ compiler")
def test_a_translated_network_learns_what_the_written_one_learns() -> None:
    network = ModelSettings(backbone="simple_cnn", weights="none", norm_statistics="batch")
    images, sizes = torch.rand(4, 3, 32, 32), torch.full((4,), 32)
    gradients = []
    for translated in (False, True):
        model = build_classifier(network, num_classes=2, seed=0)
        torch.manual_seed(0)
        for weights in model.parameters():
            torch.nn.init.normal_(weights, std=0.1)
        arrange(model, DeviceSettings(compile=translated)).train()
        torch.manual_seed(1)  # of dropout
        model(images, sizes, sizes).logsumexp(1).sum().backward()
        gradients.append([weights.grad for weights in model.backbone.parameters() if weights.grad is not None])
    assert any(bool(gradient.abs().max() > 0) for gradient in gradients[0])
    for written, translated in zip(*gradients, strict=True):
        torch.testing.assert_close(written, translated, rtol=1e-3, atol=1e-5)
