"""A network that can learn passes; one that cannot is told what is the matter."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from radpath.data.augmentation.settings import AugmentationSettings
from radpath.errors import SettingsError, TrainingError
from radpath.recipes.check_learning import calm, check_learning
from radpath.recipes.experiment import compose_experiment

TINY = [
    *("model.backbone=test_resnet", "model.weights=none", "model.norm_statistics=batch", "pixels.size=fixed"),
    *("pixels.size_px=32", "training.learning_rate=0.01"),
]


def check(images: Path, out: Path, *wishes: str, steps: int = 60) -> dict[str, Any]:
    wanted = [*TINY, *wishes]
    try:
        check_learning(images, labels=None, assignments=wanted, out=out, per_class=2, num_steps=steps)
    finally:
        told: dict[str, Any] = json.loads((out / "check_learning.json").read_text(encoding="utf-8"))
    return told


def test_a_network_that_can_learn_passes_every_check(
    array_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = check(array_file, tmp_path / "out")
    assert told["passed"]
    assert len(told["checks"]) == 5
    assert len(told["images"]) == 4
    rows = list(csv.DictReader((tmp_path / "out" / "check_learning.csv").read_text(encoding="utf-8").splitlines()))
    assert float(rows[-1]["accuracy"]) == 1
    assert float(rows[-1]["loss"]) < 0.07 < float(rows[0]["loss"])
    assert "passed  A handful of images is learned by heart" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("wish", "steps", "told"),
    [
        ("training.learning_rate=1e-9", 3, "the accuracy .*; training.learning_rate, 1e-09, is probably too low"),
        ("training.learning_rate=1e6", 60, "most likely the learning rate: at 1e\\+06"),
    ],
)
def test_a_wrong_rate_fails_and_is_named(array_file: Path, tmp_path: Path, wish: str, steps: int, told: str) -> None:
    out = tmp_path / "out"
    with pytest.raises(TrainingError, match=f"^check failed: A handful of images is learned by heart: .*{told}"):
        check(array_file, out, wish, "training.watch.steps=3", steps=steps)
    assert not json.loads((out / "check_learning.json").read_text(encoding="utf-8"))["passed"]


def test_what_is_frozen_is_checked_too(array_file: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError):
        check(array_file, tmp_path / "out", "model.freeze=all", "training.learning_rate=1e-9", steps=2)
    story = json.loads((tmp_path / "out" / "check_learning.json").read_text(encoding="utf-8"))
    checks = {one["what"]: one for one in story["checks"]}
    assert checks["What is frozen stays as it is"]["detail"] == "its checksum is what it was"
    assert checks["A gradient reaches everything that may learn"]["outcome"] == "passed"


def test_nothing_is_left_that_makes_it_harder() -> None:
    wishes = ["model.head.dropout=0.5", "training.loss.label_smoothing=0.1", "training.mix.kind=mixup"]
    quiet = calm(compose_experiment({"data": {"images": "images"}}, wishes))
    assert quiet.augmentation == AugmentationSettings().only()
    assert quiet.model.head.dropout == quiet.training.loss.label_smoothing == 0
    assert quiet.training.mix.kind == "none"


def test_a_handful_has_at_least_one_image(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^--per-class is 0 and --steps 5; both must be at least 1$"):
        check_learning(tmp_path, labels=None, assignments=[], out=None, per_class=0, num_steps=5)
