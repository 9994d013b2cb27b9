"""torchvision can be imported, whether or not its compiled part loads."""

import importlib

import pytest
import torch

from radpath.models import torchvision_compat


def test_torchvision_and_timm_can_be_imported_afterwards() -> None:
    assert torchvision_compat.ensure_importable()
    assert hasattr(importlib.import_module("torchvision"), "transforms")
    assert hasattr(importlib.import_module("timm"), "create_model")


def test_without_torchvision_there_is_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchvision_compat, "find_spec", lambda _: None)
    assert not torchvision_compat.ensure_importable.__wrapped__()


def test_a_compiled_part_that_loads_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    declared = len(torchvision_compat._libraries)
    monkeypatch.setattr(torch.ops, "load_library", loaded.append)
    assert torchvision_compat.ensure_importable.__wrapped__()
    assert all("_C" in path for path in loaded)
    assert len(torchvision_compat._libraries) == declared


def test_a_compiled_part_that_does_not_load_has_its_operators_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> None:
        raise OSError(f"{path}: libcudart.so: cannot open shared object file")

    torchvision_compat.ensure_importable()
    monkeypatch.setattr(torch.ops, "load_library", refuse)
    monkeypatch.setattr(torchvision_compat, "_libraries", [])
    assert torchvision_compat.ensure_importable.__wrapped__()
    for name in ("nms", "qnms"):
        assert hasattr(torch.ops.torchvision, name)
