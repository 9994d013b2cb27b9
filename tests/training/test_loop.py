"""Training learns, chooses, stops and goes on as it promises; a kill at any write changes no bit of the end."""

import contextlib
import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from sklearn.metrics import log_loss, roc_auc_score
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from radpath.data.augmentation.settings import AugmentationSettings
from radpath.data.batches import ImageSource
from radpath.errors import SettingsError, TrainingError
from radpath.models.classifier import Classifier
from radpath.run_folder import RunFolder
from radpath.settings import parse_settings
from radpath.training.checkpoints import Checkpoints, load_best
from radpath.training.device import DeviceSettings, connect
from radpath.training.feature_cache import FeatureCache
from radpath.training.history import Epoch, best_of, read_history
from radpath.training.learning import Learning
from radpath.training.loop import Sides, train
from radpath.training.losses import class_weights
from radpath.training.prediction import PredictionSettings, predict
from radpath.training.schedules import rate_factor
from radpath.training.settings import TrainingSettings

ModelMaker = Callable[..., Classifier]
SourceMaker = Callable[..., ImageSource]
Trainer = Callable[..., list[Epoch]]

CLASSES = ("dark", "bright")

STILL: dict[str, Any] = dict.fromkeys(("rotation_deg", "scale", "shift", "brightness", "contrast"), 0.0)
"""With these, the augmentation has only flips."""


class Killed(BaseException):
    """The process ends here."""


def settings_of(values: dict[str, object]) -> TrainingSettings:
    """Return settings given by dotted names, such as "optimiser.kind"."""
    nested: dict[str, Any] = {}
    for name, value in values.items():
        *tables, last = name.split(".")
        target = nested
        for table in tables:
            target = target.setdefault(table, {})
        target[last] = value
    return TrainingSettings.model_validate(nested)


@pytest.fixture
def train_in(make_model: ModelMaker, bright_and_dark: SourceMaker, fabric: Fabric) -> Trainer:
    """Return a short training on noise that is hard to tell apart; anything can be changed."""

    def trainer(
        root: Path,
        *,
        model: Classifier | None = None,
        train_side: ImageSource | None = None,
        augmentation: dict[str, Any] | None = None,
        on: Fabric = fabric,
        freeze: str = "none",
        keep_in: Path | None = None,
        **settings: object,
    ) -> list[Epoch]:
        model = model or make_model(freeze=freeze, dropout=0.3)
        return train(
            model,
            Sides(train=train_side or bright_and_dark(14), validation=bright_and_dark(10, seed=1), classes=CLASSES),
            settings_of({"epochs": 3, "learning_rate": 0.01, **settings}),
            augmentation=AugmentationSettings.model_validate(augmentation or {}),
            prediction=PredictionSettings(),
            folder=RunFolder(root),
            fabric=on,
            cache=None if keep_in is None else FeatureCache(keep_in, model, fabric=on),
        )

    return trainer


def contents(root: Path) -> dict[str, bytes]:
    """Return every file that must not differ by a bit; TensorBoard's files carry times."""
    files = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if name.endswith("safetensors")}


def without_seconds(history: list[Epoch]) -> list[tuple[float | None, ...]]:
    return [(e.epoch, e.learning_rate, e.train_loss, e.validation_loss, e.validation_auc) for e in history]


def final_state(root: Path) -> dict[str, torch.Tensor]:
    """Return the state's tensors; beside them stand the seconds of the epochs."""
    return safetensors.torch.load_file(Checkpoints(root / "checkpoints").state)


def require_same_bits(root: Path, expected: Path) -> None:
    found, wanted = contents(root), contents(expected)
    state = "checkpoints/state.safetensors"
    assert found.pop(state)
    assert wanted.pop(state)
    assert found == wanted
    one, other = final_state(root), final_state(expected)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert without_seconds(read_history(root / "history.csv")) == without_seconds(
        read_history(expected / "history.csv")
    )


def kill_at_write(monkeypatch: pytest.MonkeyPatch, number: int) -> list[int]:
    """Let the process end before the file of that number gets its name; return a list that counts the writes."""
    writes: list[int] = []

    def fsync(descriptor: int) -> None:
        writes.append(descriptor)
        if len(writes) == number:
            raise Killed

    monkeypatch.setattr(os, "fsync", fsync)
    return writes


@pytest.mark.parametrize(
    "how",
    [{"epochs": 2}, {"epochs": 2, "freeze": "all", "augmentation": STILL}, {"epochs": 2, "head_start": "random"}],
    ids=["everything learns", "kept features", "random head"],
)
def test_a_kill_before_any_write_changes_no_bit_of_the_end(
    tmp_path: Path, train_in: Trainer, how: dict[str, Any]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        writes = kill_at_write(patch, 0)
        train_in(tmp_path / "whole", **how)
    assert len(writes) > 6
    for number in range(1, len(writes) + 1):
        killed = tmp_path / f"killed-{number}"
        with pytest.MonkeyPatch.context() as patch:
            kill_at_write(patch, number)
            with pytest.raises(Killed):
                train_in(killed, **how)
        train_in(killed, **how)
        require_same_bits(killed, tmp_path / "whole")


EVERYTHING: dict[str, Any] = {
    "epochs": 6,
    "accumulate": 2,
    "sampling": "balanced",
    "loss.class_weights": "none",
    "loss.label_smoothing": 0.1,
    "optimiser.kind": "sgd",
    "schedule.kind": "plateau",
    "schedule.wait": 1,
    "mix.kind": "cutmix",
    "average.kind": "swa",
    "average.start": 0.6,
    "average.rate": 0.3,
    "freeze": "top-1",
    "thaw_every": 2,
    "layer_decay": 0.7,
    "monitor": "validation_balanced_accuracy",
}
"""Whatever could be forgotten between two processes."""


def kill_at_step(monkeypatch: pytest.MonkeyPatch, number: int) -> list[int]:
    """Let the process end after so many steps of the optimiser; return a list that counts the steps."""
    steps: list[int] = []
    take = Learning._gradients

    def step(learning: Learning, *parts: Any, **named: Any) -> tuple[float, float]:
        steps.append(len(steps))
        if len(steps) == number:
            raise Killed
        return take(learning, *parts, **named)

    monkeypatch.setattr(Learning, "_gradients", step)
    return steps


def require_kills_to_change_nothing(tmp_path: Path, train_in: Trainer, *, num_moments: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        writes, steps = kill_at_write(patch, 0), kill_at_step(patch, 0)
        history = train_in(tmp_path / "whole", **EVERYTHING)
    assert {0.005, 0.003} < {entry.learning_rate for entry in history}  # a plateau's and that of SWA
    rng = np.random.default_rng(0)
    moments = [(kill_at_write, int(number)) for number in rng.integers(1, len(writes), num_moments // 2) + 1]
    moments += [(kill_at_step, int(number)) for number in rng.integers(1, len(steps), -(-num_moments // 2)) + 1]
    for kill, number in moments:
        killed = tmp_path / f"{kill.__name__}-{number}"
        with pytest.MonkeyPatch.context() as patch:
            kill(patch, number)
            with contextlib.suppress(Killed):  # twice the same moment: the second run is already finished
                train_in(killed, **EVERYTHING)
        train_in(killed, **EVERYTHING)
        require_same_bits(killed, tmp_path / "whole")


def test_a_kill_changes_no_bit_where_everything_is_in_use(tmp_path: Path, train_in: Trainer) -> None:
    require_kills_to_change_nothing(tmp_path, train_in, num_moments=3)


@pytest.mark.slow  # forty trainings
def test_twenty_kills_change_no_bit_where_everything_is_in_use(tmp_path: Path, train_in: Trainer) -> None:
    require_kills_to_change_nothing(tmp_path, train_in, num_moments=20)


def test_many_kills_of_one_run_change_no_bit_of_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, train_in: Trainer
) -> None:
    train_in(tmp_path / "whole", epochs=4)
    num_kills = 0
    for _ in range(20):
        with monkeypatch.context() as patch:
            kill_at_write(patch, 5)  # an epoch writes three or four files: each attempt gets one epoch further
            try:
                train_in(tmp_path / "killed", epochs=4)
                break
            except Killed:
                num_kills += 1
    assert num_kills >= 3
    require_same_bits(tmp_path / "killed", tmp_path / "whole")


def test_resuming_a_finished_training_changes_nothing(tmp_path: Path, train_in: Trainer) -> None:
    history = train_in(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert train_in(tmp_path) == history
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_the_scale_of_16_bit_losses_survives_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, train_in: Trainer
) -> None:
    def halved() -> Fabric:
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**20, growth_interval=4)
        return Fabric(accelerator="cpu", plugins=[MixedPrecision("16-mixed", "cpu", scaler=scaler)])

    train_in(tmp_path / "whole", on=halved())
    with monkeypatch.context() as patch:
        kill_at_write(patch, 9)
        with pytest.raises(Killed):
            train_in(tmp_path / "killed", on=halved())
    resumed = halved()
    train_in(tmp_path / "killed", on=resumed)
    require_same_bits(tmp_path / "killed", tmp_path / "whole")
    assert resumed.strategy.precision.state_dict()["scale"] != 2.0**20


def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not(tmp_path: Path, train_in: Trainer) -> None:
    for name, seed in [("one", 5), ("again", 5), ("other", 6)]:
        torch.manual_seed(len(name))  # whatever happened before does not matter
        train_in(tmp_path / name, seed=seed)
    require_same_bits(tmp_path / "again", tmp_path / "one")
    assert (
        contents(tmp_path / "other")["checkpoints/epoch-0003.safetensors"]
        != (contents(tmp_path / "one")["checkpoints/epoch-0003.safetensors"])
    )


CHANGED = {"flips": "dihedral", "rotation_deg": 20.0, "brightness": 0.2}


@pytest.mark.parametrize(
    ("model", "settings", "augmentation"),
    [
        ({"freeze": "all"}, {}, {**STILL, "flips": "dihedral"}),
        ({"freeze": "all"}, {"kept_views": 3, "sampling": "balanced", "loss.class_weights": "none"}, CHANGED),
        ({"freeze": "top-1"}, {"kept_views": 2}, CHANGED),
        ({"freeze": "all", "pooling": "attention"}, {"average.kind": "swa", "average.start": 0.5}, STILL),
        ({"freeze": "all"}, {"thaw_every": 2}, STILL),
        ({"freeze": "all", "head": {"kind": "nonlinear", "dropout": 0.3}}, {"head_start": "random"}, STILL),
    ],
    ids=["head", "kept views", "stage", "attention", "thawing", "deep head"],
)
@pytest.mark.parametrize("size", ["native", "fixed"])
def test_the_fast_way_and_the_slow_way_learn_the_same(
    tmp_path: Path,
    train_in: Trainer,
    bright_and_dark: SourceMaker,
    make_model: ModelMaker,
    size: str,
    model: dict[str, Any],
    settings: dict[str, Any],
    augmentation: dict[str, Any],
) -> None:
    how = {"train_side": bright_and_dark(22, size=size), "epochs": 3, "augmentation": augmentation, **settings}
    fast_model, slow_model = (make_model(**model) for _ in range(2))
    for one in (fast_model, slow_model):
        one.plan_thaw(settings_of(settings).num_thawed(3))
    fast = train_in(tmp_path / "fast", model=fast_model, keep_in=tmp_path / "kept", **how)
    slow = train_in(tmp_path / "slow", model=slow_model, **how)
    assert len(fast) == len(slow) >= 3
    for quick, patient in zip(without_seconds(fast), without_seconds(slow), strict=True):
        assert quick == pytest.approx(patient, abs=1e-5)
    for name, value in fast_model.state_dict().items():
        torch.testing.assert_close(value, slow_model.state_dict()[name], atol=1e-5, rtol=0)
    assert len(list((tmp_path / "kept").iterdir())) >= 2


@pytest.mark.parametrize("how", [{"freeze": "none"}, {"freeze": "all"}, {"freeze": "all", "augmentation": STILL}])
def test_a_random_head_learns_bright_from_dark(
    tmp_path: Path,
    train_in: Trainer,
    make_model: ModelMaker,
    bright_and_dark: SourceMaker,
    fabric: Fabric,
    how: dict[str, Any],
) -> None:
    side = bright_and_dark(40, contrast=40)
    model = make_model(freeze=how["freeze"], seed=1, dropout=0.0)
    first = predict(model, side, PredictionSettings(), fabric=fabric)[:, 1]
    history = train_in(tmp_path, model=model, train_side=side, epochs=6, learning_rate=0.05, head_start="random", **how)
    load_best(model, Checkpoints(tmp_path / "checkpoints").best)
    unseen = bright_and_dark(30, contrast=40, seed=9)
    probabilities = predict(model, unseen, PredictionSettings(), fabric=fabric)[:, 1]
    assert roc_auc_score(unseen.labels, probabilities) == 1.0
    assert history[-1].train_loss < history[0].train_loss
    assert log_loss(side.labels, first) > history[-1].train_loss


@pytest.mark.parametrize("how", [{"augmentation": STILL}, {"augmentation": {}}], ids=["kept features", "images"])
def test_what_is_frozen_stays_as_it_was(
    tmp_path: Path, train_in: Trainer, make_model: ModelMaker, how: dict[str, Any]
) -> None:
    model = make_model(freeze="all")
    before, head = model.frozen_checksum(), model.head.weight.detach().clone()
    train_in(tmp_path, model=model, **how)
    assert model.frozen_checksum() == before
    assert not torch.equal(model.head.weight, head)


def test_the_best_epoch_is_kept_and_its_numbers_are_those_of_scikit_learn(
    tmp_path: Path, train_in: Trainer, make_model: ModelMaker, bright_and_dark: SourceMaker, fabric: Fabric
) -> None:
    train_side, validation = bright_and_dark(14), bright_and_dark(10, seed=1)
    history = train_in(tmp_path, train_side=train_side, epochs=4)
    best = best_of(history, "validation_auc")
    assert best.merit("validation_auc") == max(entry.merit("validation_auc") for entry in history)
    model = make_model()
    kept = Checkpoints(tmp_path / "checkpoints")
    assert load_best(model, kept.best) == {"epoch": best.epoch}
    same = safetensors.torch.load_file(kept.epoch(best.epoch))
    assert all(torch.equal(value, same[name]) for name, value in model.state_dict().items())
    probabilities = predict(model, validation, PredictionSettings(), fabric=fabric)
    weights = class_weights(train_side.labels, num_classes=2, kind="balanced").numpy()[validation.labels]
    assert best.validation_auc == pytest.approx(roc_auc_score(validation.labels, probabilities[:, 1]))
    assert best.validation_loss == pytest.approx(log_loss(validation.labels, probabilities, sample_weight=weights))


def test_every_epoch_is_written_down(tmp_path: Path, train_in: Trainer) -> None:
    history = train_in(tmp_path)
    assert [entry.epoch for entry in history] == [0, 1, 2, 3]
    assert read_history(tmp_path / "history.csv") == history
    names = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    assert names == {
        "best.safetensors",
        "state.safetensors",
        *(f"epoch-000{number}.safetensors" for number in range(4)),
    }
    schedule = TrainingSettings().schedule
    rates = [0.01 * rate_factor(schedule, done=epoch / 3, epoch=epoch) for epoch in (1, 2, 3)]
    assert [entry.learning_rate for entry in history[1:]] == pytest.approx(rates)
    accumulator = EventAccumulator(str(tmp_path / "tensorboard"))
    accumulator.Reload()
    shown = {tag: [event.value for event in accumulator.Scalars(tag)] for tag in accumulator.Tags()["scalars"]}
    assert shown["loss/validation"] == pytest.approx([entry.validation_loss for entry in history])
    validated = {"loss", "auc", "accuracy", "balanced_accuracy", "f1", "sensitivity"}
    assert set(shown) == {"loss/train", "learning_rate", *(f"{name}/validation" for name in validated)}


def test_patience_ends_a_training_that_gets_no_better(tmp_path: Path, train_in: Trainer) -> None:
    how: dict[str, Any] = {"freeze": "all", "learning_rate": 1e-30, "epochs": 9, "patience": 2}
    history = train_in(tmp_path, **how)
    assert [entry.epoch for entry in history] == [0, 1, 2]
    assert best_of(history, "validation_auc").epoch == 0
    assert train_in(tmp_path, **how) == history  # resumed, it stays ended


def test_without_epochs_only_the_start_of_the_head_is_kept(tmp_path: Path, train_in: Trainer) -> None:
    assert [entry.epoch for entry in train_in(tmp_path, epochs=0)] == [0]
    assert Checkpoints(tmp_path / "checkpoints").best.is_file()


def test_without_epochs_and_without_a_start_there_is_nothing_to_do() -> None:
    values = {"epochs": 0, "head_start": "random"}
    with pytest.raises(SettingsError, match=r"^x: training\.epochs is 0 and training\.head_start is 'random': nothing"):
        parse_settings(TrainingSettings, values, source="x")


def test_a_loss_that_is_not_a_number_stops_and_keeps_what_is_finished(tmp_path: Path, train_in: Trainer) -> None:
    message = (
        r"^the (loss|norm of the gradients) is (nan|inf) in epoch 1, step \d; most likely the learning rate: at \de"
    )
    with pytest.raises(TrainingError, match=message):
        train_in(tmp_path, learning_rate=1e30)
    assert [entry.epoch for entry in read_history(tmp_path / "history.csv")] == [0]
    assert Checkpoints(tmp_path / "checkpoints").best.is_file()
    with pytest.raises(TrainingError, match=message):
        train_in(tmp_path, learning_rate=1e30)


def test_a_last_step_that_spoils_the_weights_stops_too(
    tmp_path: Path, train_in: Trainer, bright_and_dark: SourceMaker
) -> None:
    with pytest.raises(
        TrainingError, match=r"^the probabilities are not numbers any more after epoch 1; most likely the learn"
    ):
        train_in(tmp_path, learning_rate=1e37, train_side=bright_and_dark(22, batch_size=22))
    assert [entry.epoch for entry in read_history(tmp_path / "history.csv")] == [0]


def test_gradients_are_clipped(tmp_path: Path, train_in: Trainer, make_model: ModelMaker) -> None:
    moved = []
    for norm in (1e-12, 1.0):
        model = make_model(seed=1, norm_statistics="batch")
        before = model.backbone.network.get_submodule("0").get_parameter("weight").detach().clone()
        train_in(tmp_path / str(norm), model=model, clip_norm=norm, epochs=1, **{"optimiser.weight_decay": 0.0})
        after = model.backbone.network.get_submodule("0").get_parameter("weight").detach()
        moved.append(float((after - before).abs().max()))
    # Adam divides by the gradient's size plus 1e-8, so that far smaller gradients hardly move anything.
    assert moved[0] < 1e-4
    assert moved[1] > 1e-3


def test_16_bit_floats_train_on_a_cpu(tmp_path: Path, train_in: Trainer) -> None:
    exact = train_in(tmp_path / "exact")
    rough = train_in(tmp_path / "rough", on=connect(DeviceSettings(device="cpu", precision="bf16-mixed")))
    losses = [[entry.train_loss for entry in history] for history in (exact, rough)]
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], abs=0.25)


@pytest.mark.parametrize(("epochs", "num_warnings"), [(2, 0), (3, 1), (5, 1)])
def test_answering_with_one_class_is_said_once_after_three_epochs(
    tmp_path: Path,
    make_model: ModelMaker,
    bright_and_dark: SourceMaker,
    fabric: Fabric,
    epochs: int,
    num_warnings: int,
) -> None:
    model, lines = make_model(), list[str]()
    (bias,) = (values for name, values in model.head.named_parameters() if name.endswith("bias"))
    with torch.no_grad():
        bias.copy_(torch.tensor([3.0, 0.0]))
    train(
        model,
        Sides(train=bright_and_dark(8), validation=bright_and_dark(6, seed=1), classes=CLASSES),
        settings_of({"epochs": epochs, "head_start": "random", "learning_rate": 1e-6}),
        augmentation=AugmentationSettings(),
        prediction=PredictionSettings(),
        folder=RunFolder(tmp_path),
        fabric=fabric,
        warn=lines.append,
    )
    told = (
        "Warning: all validation images were decided for one class in epochs 1 to 3; `radpath check-learning` tells "
        "whether this can learn at all"
    )
    assert lines == [told] * num_warnings


def test_a_validation_side_of_one_class_is_judged_by_its_loss(
    tmp_path: Path, make_model: ModelMaker, make_source: SourceMaker, bright_and_dark: SourceMaker, fabric: Fabric
) -> None:
    images = [np.full((20, 20, 1), 90 + place, dtype=np.uint8) for place in range(6)]
    history = train(
        make_model(),
        Sides(train=bright_and_dark(22), validation=make_source(images, [0] * 6), classes=CLASSES),
        TrainingSettings(epochs=2),
        augmentation=AugmentationSettings(),
        prediction=PredictionSettings(),
        folder=RunFolder(tmp_path),
        fabric=fabric,
    )
    assert [entry.validation_auc for entry in history] == [None, None, None]
    assert best_of(read_history(tmp_path / "history.csv"), "validation_auc").validation_loss == min(
        entry.validation_loss for entry in history
    )


@pytest.fixture
def train_labels_in(make_model: ModelMaker, bright_and_dark: SourceMaker, fabric: Fabric) -> Trainer:
    """Return a short training on two labels an image: bright, which is not always known, and wide."""

    def with_labels(side: ImageSource) -> ImageSource:
        labels = np.stack([side.labels, side.widths_px > 22], axis=1).astype(np.float32)
        labels[::4, 0] = np.nan
        return dataclasses.replace(side, labels=labels)

    def trainer(root: Path, *, freeze: str = "none", keep_in: Path | None = None, **settings: object) -> list[Epoch]:
        model = make_model(freeze=freeze, link="sigmoid")
        return train(
            model,
            Sides(
                train=with_labels(bright_and_dark(14)),
                validation=with_labels(bright_and_dark(10)),
                classes=("bright", "wide"),
            ),
            settings_of({"epochs": 3, "learning_rate": 0.01, "loss.kind": "binary", **settings}),
            augmentation=AugmentationSettings.model_validate(STILL),
            prediction=PredictionSettings(),
            folder=RunFolder(root),
            fabric=fabric,
            cache=None if keep_in is None else FeatureCache(keep_in, model, fabric=fabric),
        )

    return trainer


@pytest.mark.parametrize("settings_", [{}, {"mix.kind": "mixup", "loss.kind": "binary_focal", "head_start": "random"}])
def test_several_labels_survive_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, train_labels_in: Trainer, settings_: dict[str, object]
) -> None:
    whole = train_labels_in(tmp_path / "whole", **settings_)
    with monkeypatch.context() as patch:
        kill_at_write(patch, 9)
        with pytest.raises(Killed):
            train_labels_in(tmp_path / "killed", **settings_)
    assert without_seconds(train_labels_in(tmp_path / "killed", **settings_)) == without_seconds(whole)
    require_same_bits(tmp_path / "killed", tmp_path / "whole")
    assert whole[-1].validation_auc is not None
    assert whole[-1].train_loss < max(np.log(2), whole[0].train_loss)


def test_several_labels_are_learned_from_kept_features_as_from_images(tmp_path: Path, train_labels_in: Trainer) -> None:
    slow = train_labels_in(tmp_path / "slow", freeze="all")
    fast = train_labels_in(tmp_path / "fast", freeze="all", keep_in=tmp_path / "kept")
    for one, other in zip(without_seconds(slow), without_seconds(fast), strict=True):
        assert other == pytest.approx(one, rel=1e-4)
