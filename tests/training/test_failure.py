"""A training with a planted fault stops, and the first cause it names is the planted one."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision

from radpath.data.augmentation.settings import AugmentationSettings
from radpath.data.batches import ImageSource
from radpath.errors import TrainingError
from radpath.models.classifier import Classifier
from radpath.run_folder import RunFolder
from radpath.training.loop import Sides, train
from radpath.training.prediction import PredictionSettings
from radpath.training.settings import TrainingSettings

ModelMaker = Callable[..., Classifier]
SourceMaker = Callable[..., ImageSource]
Failing = Callable[..., dict[str, Any]]

CLASSES = ("dark", "bright")


@pytest.fixture
def fail(tmp_path: Path, make_model: ModelMaker, bright_and_dark: SourceMaker, fabric: Fabric) -> Failing:
    """Train until it fails; return what failure.json says, with the message."""

    def run(
        *, model: Classifier | None = None, side: ImageSource | None = None, on: Fabric = fabric, **values: Any
    ) -> dict[str, Any]:
        settings = {"epochs": 3, "head_start": "random", "learning_rate": 1e-3, **values}
        with pytest.raises(TrainingError) as caught:
            train(
                model or make_model(),
                Sides(train=side or bright_and_dark(24), validation=bright_and_dark(8, seed=1), classes=CLASSES),
                TrainingSettings.model_validate(settings),
                augmentation=AugmentationSettings().only(),
                prediction=PredictionSettings(flips="none"),
                folder=RunFolder(tmp_path),
                fabric=on,
            )
        told: dict[str, Any] = json.loads((tmp_path / "failure.json").read_text(encoding="utf-8"))
        return {**told, "message": str(caught.value)}

    return run


def first_cause(told: dict[str, Any]) -> tuple[str, str]:
    assert len({cause["name"] for cause in told["causes"]}) == 5
    return told["causes"][0]["name"], told["causes"][0]["standing"]


def with_lost_pixels(side: ImageSource, place: int) -> ImageSource:
    """Return a side in which the levels of one image are no numbers, as a damaged header can make them."""
    slopes = side.store.slopes.copy()
    slopes[place] = np.nan
    return dataclasses.replace(side, store=dataclasses.replace(side.store, slopes=slopes))


@pytest.mark.parametrize("batch_size", [8, 24])  # in one step an epoch, validation notices it
@pytest.mark.parametrize("rate", [1e6, 1e30])
def test_a_rate_that_is_far_too_high_is_named(
    fail: Failing, bright_and_dark: SourceMaker, rate: float, batch_size: int
) -> None:
    side = bright_and_dark(24, size="fixed", batch_size=batch_size)
    told = fail(learning_rate=rate, side=side, watch={"steps": 2})
    assert first_cause(told) == ("learning rate", "likely")
    assert f"start a new run with training.learning_rate = {rate / 10:.0e}"[:40] in told["message"]


@pytest.mark.parametrize("head_start", ["random", "logistic"])
def test_an_image_with_pixels_that_are_no_numbers_is_named(
    fail: Failing, bright_and_dark: SourceMaker, head_start: str
) -> None:
    told = fail(side=with_lost_pixels(bright_and_dark(24), 13), head_start=head_start)
    assert first_cause(told) == ("data", "likely")
    assert list(told["evidence"]["batch"]["not_finite"]) == ["13.png"]
    assert "of 13.png are none" in told["message"]
    assert sum(told["evidence"]["batch"]["labels"].values()) == len(told["evidence"]["batch"]["record_ids"])


def test_first_weights_that_are_far_too_large_are_named(fail: Failing, make_model: ModelMaker) -> None:
    model = make_model(dropout=0.0)
    with torch.no_grad():
        for parameter in model.head.parameters():
            parameter.mul_(1e5)
    told = fail(model=model, watch={"steps": 3})
    assert first_cause(told) == ("initialisation", "likely")
    assert "the loss of the first step was" in told["message"]
    assert told["kept_epoch"] is None or told["kept_epoch"] <= 2


def test_numbers_that_16_bits_cannot_hold_are_named(fail: Failing, make_model: ModelMaker) -> None:
    model = make_model(norm_statistics="batch")
    network = model.backbone.network
    with torch.no_grad():  # the second convolution gives some 1e6, which the head scales down again
        for parameter in network.get_submodule("3").parameters():
            parameter.mul_(1e6)
        for parameter in model.head.parameters():
            parameter.mul_(1e-6)
    scaler = torch.amp.GradScaler("cpu", init_scale=1.0)
    halved = Fabric(accelerator="cpu", plugins=[MixedPrecision("16-mixed", "cpu", scaler=scaler)])
    told = fail(model=model, on=halved)
    assert first_cause(told) == ("precision", "likely")
    assert "numbers are lost in the stage1 in 16-mixed" in told["message"]
    assert "--resume --set device.precision=32-true" in told["message"]


def test_a_failure_says_what_is_kept_and_goes_away_with_the_next_attempt(
    fail: Failing, tmp_path: Path, make_model: ModelMaker, bright_and_dark: SourceMaker, fabric: Fabric
) -> None:
    told = fail(learning_rate=1e30)
    assert told["kept_epoch"] is None
    assert "no epoch is finished, and failure.json says more" in told["message"]
    assert told["evidence"]["steps"][-1]["epoch"] == 1
    assert [one["where"] for one in told["evidence"]["weights"]] == ["stem", "stage1", "head"]
    train(
        make_model(),
        Sides(train=bright_and_dark(8), validation=bright_and_dark(8, seed=1), classes=CLASSES),
        TrainingSettings(epochs=1, head_start="random"),
        augmentation=AugmentationSettings().only(),
        prediction=PredictionSettings(flips="none"),
        folder=RunFolder(tmp_path),
        fabric=fabric,
    )
    assert not (tmp_path / "failure.json").exists()
