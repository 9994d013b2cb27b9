"""What a report says of a training follows its settings and what was picked by hand."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from radpath import files
from radpath.recipes.experiment import compose_experiment
from radpath.recipes.training_summary import kept_epoch, picked_epoch, training_limits
from radpath.run_folder import RunFolder
from radpath.training.history import Epoch, write_history
from radpath.training.settings import TrainingSettings

BARE = {"data": {"images": "images"}}
HISTORY = [
    Epoch(epoch=number, learning_rate=0.1, train_loss=1.0, validation_loss=loss, validation_auc=auc, seconds=1.0)
    for number, (loss, auc) in enumerate([(0.5, 0.7), (0.3, 0.6), (0.4, 0.9)])
]


@pytest.mark.parametrize(
    ("monitor", "expected"),
    [
        ("validation_auc", (2, "highest validation AUC; a lower validation loss breaks ties")),
        ("validation_loss", (1, "lowest validation loss")),
    ],
)
def test_the_rule_is_told_by_its_monitor(tmp_path: Path, monitor: str, expected: tuple[int, str]) -> None:
    experiment = compose_experiment(BARE, [f"training.monitor={monitor}"])
    assert kept_epoch(experiment, HISTORY, RunFolder(tmp_path)) == expected


def test_an_epoch_that_was_picked_by_hand_is_told_beside_the_rules(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert picked_epoch(folder) is None
    files.write_json(folder.picked, {"epoch": 0})
    assert picked_epoch(folder) == 0
    number, rule = kept_epoch(compose_experiment(BARE, []), HISTORY, folder)
    assert number == 0
    assert rule == (
        "by hand, with radpath pick-epoch; the rule (highest validation AUC; a lower validation loss breaks ties) "
        "says epoch 2"
    )
    assert any(
        limit.startswith("The epoch was chosen by hand") for limit in training_limits(TrainingSettings(), folder)
    )


@pytest.mark.parametrize(
    ("values", "begins"),
    [
        ({}, ["The loss weighs classes by the inverse"]),
        ({"loss": {"class_weights": "none"}}, []),
        ({"loss": {"class_weights": "none"}, "sampling": "balanced"}, ["Training saw each class equally often"]),
        ({"loss": {"kind": "focal"}}, ["The loss weighs classes by the inverse", "The focal loss counts"]),
        ({"loss": {"kind": "cost_matrix", "class_weights": "none"}}, ["The loss holds what the settings say"]),
        ({"loss": {"class_weights": "effective_number"}}, ["The loss weighs rare classes more"]),
    ],
    ids=str,
)
def test_what_moves_the_probabilities_is_told(tmp_path: Path, values: dict[str, Any], begins: list[str]) -> None:
    limits = training_limits(TrainingSettings.model_validate(values), RunFolder(tmp_path))
    assert len(limits) == len(begins)
    assert all(limit.startswith(begin) for limit, begin in zip(limits, begins, strict=True))


@pytest.mark.parametrize(
    ("num_epochs", "told"), [(2, []), (3, ["In the training, all validation images were decided"])]
)
def test_a_training_that_answered_with_one_class_is_a_limit(tmp_path: Path, num_epochs: int, told: list[str]) -> None:
    folder = RunFolder(tmp_path)
    shares = [0.6 if number >= num_epochs else 1.0 for number in range(4)]
    entries = [
        dataclasses.replace(HISTORY[0], epoch=number, validation_top_share=share) for number, share in enumerate(shares)
    ]
    write_history(entries, folder.history)
    settings = TrainingSettings.model_validate({"loss": {"class_weights": "none"}})
    limits = training_limits(settings, folder)
    assert [limit[: len(begin)] for limit, begin in zip(limits, told, strict=True)] == told
    assert all(limit.endswith(" for one class in epochs 0 to 2.") for limit in limits)
