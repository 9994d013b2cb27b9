"""Activations are kept where images have few views and the disk has room; elsewhere one line says why not."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lightning_fabric import Fabric

from radpath.data.augmentation.settings import AugmentationSettings
from radpath.data.batches import ImageSource
from radpath.models.classifier import Classifier
from radpath.training.feature_plan import FeaturePlan, plan_features
from radpath.training.learners import build_learner, drawing_of, looks_of_start
from radpath.training.prediction import PredictionSettings, features_of_looks, predict
from radpath.training.settings import TrainingSettings

ModelMaker = Callable[..., Classifier]
SourceMaker = Callable[..., ImageSource]
Planner = Callable[..., FeaturePlan]

STILL = AugmentationSettings().only(flips="horizontal")
HEIGHT_OF_A_MAP = 16  # of a fixed canvas of 32 px behind the stem, with 8 channels of 4 bytes
MAP_BYTES = HEIGHT_OF_A_MAP**2 * 8 * 4


@pytest.fixture
def plan(tmp_path: Path, make_model: ModelMaker, bright_and_dark: SourceMaker, fabric: Fabric) -> Planner:
    """Return a plan for three sides of 6, 4 and 3 images of 32 px."""

    def planner(
        *, model: Classifier | None = None, augmentation: AugmentationSettings = STILL, **values: Any
    ) -> FeaturePlan:
        return plan_features(
            tmp_path / "runs" / ".features",
            model or make_model(freeze="top-1"),
            {
                "train": bright_and_dark(6, size="fixed"),
                "validation": bright_and_dark(4, seed=1, size="fixed"),
                "test": bright_and_dark(3, seed=2, size="fixed"),
            },
            TrainingSettings.model_validate(values),
            augmentation=augmentation,
            prediction=PredictionSettings(),
            fabric=fabric,
        )

    return planner


def test_the_plan_tells_what_it_takes(plan: Planner, tmp_path: Path) -> None:
    kept = plan(keep_features_gb=2 * 13 * MAP_BYTES / 1e9)
    assert kept.cache is not None
    where = tmp_path / "runs" / ".features"
    assert kept.sentence == (
        f"What the frozen stages compute is kept: 6 views of the sides take 0 MB in {where}, 0 MB of it there already"
    )
    assert plan(keep_features_gb=(2 * 13 * MAP_BYTES - 1) / 1e9).cache is None
    assert not where.exists()


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"keep_features": "never"}, "training.keep_features is 'never'"),
        ({"mix": {"kind": "mixup"}}, "training.mix.kind is 'mixup', and mixed images are others every time"),
        (
            {"augmentation": AugmentationSettings()},
            "the augmentation is drawn anew each time; with training.kept_views",
        ),
        ({"keep_features_gb": 1e-6}, "they would take 0 MB, and training.keep_features_gb is 1e-06"),
    ],
)
def test_where_nothing_can_be_kept_the_reason_is_said(plan: Planner, values: dict[str, Any], reason: str) -> None:
    refused = plan(**values)
    assert refused.cache is None
    assert refused.sentence.startswith(f"Frozen stages are computed anew in every epoch: {reason}")


def test_kept_views_of_any_augmentation_are_kept(plan: Planner) -> None:
    kept = plan(augmentation=AugmentationSettings(), kept_views=5)
    assert kept.cache is not None
    # 5 of the training side, and as it is and mirrored of all sides, for the head's start and for predictions
    assert "kept: 11 views" in kept.sentence


def test_a_network_of_which_nothing_is_frozen_needs_no_word(plan: Planner, make_model: ModelMaker) -> None:
    assert plan(model=make_model(freeze="none")) == FeaturePlan(cache=None, sentence="")


def test_a_network_that_cannot_be_cut_says_so(plan: Planner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Classifier, "cut_problem", lambda _: "it runs a module more than once")
    refused = plan()
    assert refused.cache is None
    assert refused.sentence == "Frozen stages are computed anew in every epoch: it runs a module more than once"


def test_a_disk_without_room_says_so(plan: Planner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100_000))
    refused = plan()
    assert refused.cache is None
    assert refused.sentence.endswith(f"they would take 0 MB more, and {tmp_path} has 0 MB free")


def test_a_run_takes_what_was_planned_and_the_next_finds_it(
    plan: Planner,
    make_model: ModelMaker,
    bright_and_dark: SourceMaker,
    fabric: Fabric,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, settings = make_model(freeze="top-1"), TrainingSettings(kept_views=2)
    changes, training = AugmentationSettings(), bright_and_dark(6, size="fixed")
    first = plan(model=model, augmentation=changes, kept_views=2)
    build_learner(model, training, drawing_of(settings, changes), cache=first.cache).batches(epoch=1)
    start = looks_of_start(training, changes)
    features_of_looks(model, training, start, fabric=fabric, what="testing", cache=first.cache)
    for seed, number in ((0, 6), (1, 4), (2, 3)):
        side = bright_and_dark(number, seed=seed, size="fixed")
        predict(model, side, PredictionSettings(), fabric=fabric, cache=first.cache)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    second = plan(model=make_model(freeze="top-1"), augmentation=changes, kept_views=2)
    assert second.sentence.endswith("all of it there already")
    assert len(list((tmp_path / "runs" / ".features").iterdir())) == 8
