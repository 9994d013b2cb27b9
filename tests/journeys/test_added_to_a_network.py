"""Attention, one channel for grey and converted weights stay with a network from the training to new images."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest
import torch

if TYPE_CHECKING:
    import subprocess

    from radpath.data.synthetic import SyntheticStudy

Program = Callable[..., "subprocess.CompletedProcess[str]"]


def predictions_of(table: Path) -> dict[str, float]:
    """The last class's probability of every image."""
    read = pl.read_csv(table)
    last = next(name for name in reversed(read.columns) if name.startswith("probability:"))
    return dict(zip(read["record_id"], read[last], strict=True))


def test_a_grey_network_with_attention_and_converted_weights_predicts_as_it_was_tested(
    program: Program, small_study: "SyntheticStudy", tmp_path: Path
) -> None:
    from radpath.models.simple_cnn import SimpleCNN

    checkpoint, weights, run = tmp_path / "cnn.pth", tmp_path / "cnn.safetensors", tmp_path / "run"
    torch.save({"model": {f"module.{name}": tensor for name, tensor in SimpleCNN().state_dict().items()}}, checkpoint)
    assert program("convert-weights", checkpoint, weights, "--backbone", "simple_cnn").returncode == 0
    wishes = (
        *("model.backbone=simple_cnn", "model.weights=file", f"model.weights_file={weights}", "model.attention=cbam"),
        *("model.grey=sum", "model.freeze=none", "training.epochs=1", "evaluation.replicates=100"),
        *("pixels.size=fixed", "pixels.size_px=32"),
    )
    words = [word for wish in wishes for word in ("--set", wish)]
    pattern = f"data.name_pattern={small_study.name_pattern}"
    fit = program("fit", small_study.images, "--labels", small_study.labels, "--set", pattern, *words, "--out", run)
    assert fit.returncode == 0, fit.stderr
    report = json.loads((run / "weights.json").read_text(encoding="utf-8"))
    assert report["layout"] == "timm names"
    assert report["used"]["stem.0.weight"] == "stem.0.weight"
    assert report["converted_from"].startswith("cnn.pth (SHA-256 ")
    weights.unlink()  # the run holds all that a prediction needs
    again = program("predict", run, small_study.images, "--out", tmp_path / "again.csv")
    assert again.returncode == 0, again.stderr
    tested, predicted = predictions_of(run / "predictions.csv"), predictions_of(tmp_path / "again.csv")
    assert predicted.keys() >= tested.keys()
    for record, probability in tested.items():
        assert predicted[record] == pytest.approx(probability, abs=1e-6)
