"""Steps: at the rate of the schedule, from as many batches as asked, with the stages that may learn, down the loss."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from sklearn.metrics import roc_auc_score

from radpath.data.augmentation.settings import AugmentationSettings
from radpath.data.batches import BatchSettings, ImageSource
from radpath.models.classifier import Classifier
from radpath.training.checkpoints import Checkpoints
from radpath.training.history import Epoch
from radpath.training.learners import Drawing, ImageLearner
from radpath.training.learning import Learning
from radpath.training.losses import build_loss
from radpath.training.optimisation import BASE_RATE
from radpath.training.prediction import PredictionSettings, predict
from radpath.training.schedules import rate_factor
from radpath.training.settings import TrainingSettings

ModelMaker = Callable[..., Classifier]
SourceMaker = Callable[..., ImageSource]
Beginner = Callable[..., Learning]

STILL = {"flips": "none", **dict.fromkeys(("rotation_deg", "scale", "shift", "brightness", "contrast"), 0.0)}


@pytest.fixture
def begin(tmp_path: Path, fabric: Fabric) -> Beginner:
    """Return a training that has not made a step."""

    def beginner(model: Classifier, side: ImageSource, **values: Any) -> Learning:
        settings = TrainingSettings.model_validate(values)
        augmentation = AugmentationSettings.model_validate(STILL)
        drawing = Drawing(augmentation=augmentation, seed=0, sampling=settings.sampling, mix=settings.mix)
        loss = build_loss(settings.loss, side.labels, classes=[str(number) for number in range(model.num_classes)])
        learner = ImageLearner(model, side, drawing)
        return Learning(model, learner, settings, loss=loss, kept=Checkpoints(tmp_path), fabric=fabric)

    return beginner


def epoch(number: int, *, auc: float) -> Epoch:
    losses = {"train_loss": 1.0, "validation_loss": 1.0}
    return Epoch(epoch=number, learning_rate=0.1, validation_auc=auc, seconds=1.0, **losses)


SCHEDULES: list[dict[str, Any]] = [
    {"kind": "cosine", "floor": 0.05},
    {"kind": "constant", "warmup": 0.3},
    {"kind": "step", "every": 2},
    {"kind": "exponential", "factor": 0.7},
    {"kind": "one_cycle", "warmup": 0.3},
    {"kind": "plateau", "wait": 1},
]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: schedule["kind"])
def test_every_step_is_made_at_the_rate_of_the_schedule(
    monkeypatch: pytest.MonkeyPatch,
    begin: Beginner,
    make_model: ModelMaker,
    bright_and_dark: SourceMaker,
    schedule: dict[str, Any],
) -> None:
    values = {"learning_rate": 0.02, "head_rate_factor": 3.0, "layer_decay": 0.5, "epochs": 4, "schedule": schedule}
    learning = begin(make_model(), bright_and_dark(24), **values)
    used: list[list[float]] = []
    make_step = torch.optim.AdamW.step

    def step(optimiser: torch.optim.AdamW, *parts: Any, **named: Any) -> Any:
        used.append([group["lr"] / group[BASE_RATE] for group in optimiser.param_groups])
        return make_step(optimiser, *parts, **named)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    told = []
    for number, auc in enumerate([0.5, 0.5, 0.9, 0.8], start=1):
        told.append(learning.learn(number)[1])
        learning.history.append(epoch(number, auc=auc))
    chosen = TrainingSettings.model_validate(values).schedule
    num_steps = len(used) // 4
    # Of the four epochs, the second brought nothing better, which the third one feels.
    expected = [
        rate_factor(chosen, done=(number + (step + 1) / num_steps) / 4, epoch=number + 1, plateaus=int(number > 1))
        for number in range(4)
        for step in range(num_steps)
    ]
    assert num_steps > 1
    assert [factors[0] for factors in used] == pytest.approx(expected)
    assert all(factors == pytest.approx([factors[0]] * len(factors)) for factors in used)
    assert told == pytest.approx([0.02 * expected[(number + 1) * num_steps - 1] for number in range(4)])


@pytest.mark.parametrize("loss", [{}, {"kind": "focal", "class_weights": "effective_number"}, {"label_smoothing": 0.2}])
def test_accumulated_batches_teach_what_one_large_batch_teaches(
    begin: Beginner, make_model: ModelMaker, bright_and_dark: SourceMaker, loss: dict[str, Any]
) -> None:
    whole = bright_and_dark(22, size="fixed")
    rare = dataclasses.replace(whole, labels=(np.arange(22) % 5 == 0).astype(np.int64))
    models, losses = [], []
    for size, accumulate in [(22, 1), (4, 9)]:
        # The statistics of BatchNorm are frozen, as they would be those of each batch alone.
        model = make_model(norm_statistics="frozen", weights="bundled", dropout=0.0)
        side = dataclasses.replace(rare, batches=BatchSettings(size=size))
        values = {"epochs": 2, "learning_rate": 0.01, "accumulate": accumulate, "loss": loss, "clip_norm": 0.1}
        learning = begin(model, side, **values, optimiser={"kind": "sgd"})
        losses.append([learning.learn(number)[0] for number in (1, 2)])
        models.append(model)
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)
    for name, value in models[0].state_dict().items():
        torch.testing.assert_close(value, models[1].state_dict()[name], atol=1e-6, rtol=0)
    assert not torch.equal(models[0].head.weight, make_model(dropout=0.0).head.weight)


def test_a_last_step_of_fewer_batches_is_made_too(
    begin: Beginner, make_model: ModelMaker, bright_and_dark: SourceMaker
) -> None:
    learning = begin(make_model(), bright_and_dark(20, size="fixed", batch_size=4), accumulate=2, epochs=1)
    learning.learn(1)
    assert learning.average.count == 3


def test_stages_are_thawed_one_after_another_and_the_rest_stays(
    begin: Beginner, make_model: ModelMaker, bright_and_dark: SourceMaker
) -> None:
    model = make_model(freeze="all", norm_statistics="frozen")
    learning = begin(model, bright_and_dark(8), epochs=3, thaw_every=1, learning_rate=0.01)
    changed = []
    for number in (1, 2, 3):
        before = {name: value.clone() for name, value in model.state_dict().items()}
        learning.learn(number)
        names = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
        changed.append({model.stage_index(name) for name in names})
    assert changed == [{2}, {1, 2}, {0, 1, 2}]


@pytest.mark.parametrize(
    "values",
    [
        {"loss": {"kind": "focal"}},
        {"loss": {"kind": "cost_matrix", "class_weights": "none", "costs": {"0": {"1": 3.0}}}},
        {"loss": {"class_weights": "effective_number"}, "mix": {"kind": "mixup"}},
        {"mix": {"kind": "cutmix", "alpha": 1.0}, "average": {"kind": "none"}},
        {"sampling": "balanced", "loss": {"class_weights": "none"}, "average": {"kind": "swa", "start": 0.5}},
        {"optimiser": {"kind": "sgd", "weight_decay": 1e-4}, "learning_rate": 0.1},
        {"optimiser": {"kind": "rmsprop", "weight_decay": 1e-4}},
        {"optimiser": {"kind": "adam", "weight_decay": 1e-4}, "schedule": {"kind": "one_cycle"}},
    ],
    ids=str,
)
def test_bright_is_told_from_dark_whatever_the_loss_and_the_optimiser(
    begin: Beginner, make_model: ModelMaker, bright_and_dark: SourceMaker, fabric: Fabric, values: dict[str, Any]
) -> None:
    model = make_model(dropout=0.0, seed=1)
    learning = begin(model, bright_and_dark(40, contrast=40), **{"epochs": 6, "learning_rate": 0.03, **values})
    for number in range(1, 7):
        learning.learn(number)
    unseen = bright_and_dark(30, contrast=40, seed=9)
    with learning.averaged(6):
        probabilities = predict(model, unseen, PredictionSettings(), fabric=fabric)
    assert roc_auc_score(unseen.labels, probabilities[:, 1]) > 0.95


def test_ordered_classes_are_learned_from_their_steps(
    begin: Beginner, make_model: ModelMaker, make_source: SourceMaker, fabric: Fabric
) -> None:
    rng, labels = np.random.default_rng(0), [place % 3 for place in range(36)]
    images = [(rng.normal(60 + 60 * label, 15, (20, 20, 1))).clip(0, 255).astype(np.uint8) for label in labels]
    model, side = make_model(num_classes=3, link="ordinal", dropout=0.0), make_source(images, labels)
    assert model.head.out_features == 2
    learning = begin(model, side, epochs=10, learning_rate=0.05, loss={"kind": "ordinal"})
    features = [model.features(*learning._learner.examples(np.arange(36), epoch=1).inputs).detach()]
    started = learning.start_head(features, side)
    for number in range(1, 11):
        learning.learn(number)
    probabilities = predict(model, side, PredictionSettings(), fabric=fabric)
    assert probabilities.shape == (36, 3)
    assert probabilities.sum(1) == pytest.approx(1, abs=1e-12)
    assert (probabilities.argmax(1) == side.labels).mean() > 0.9
    assert 0 < started < np.log(3)
