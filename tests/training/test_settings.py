"""How long a training lasts, and which stages learn in which epoch."""

import pytest

from radpath.errors import SettingsError
from radpath.settings import parse_settings
from radpath.training.settings import TrainingSettings


def test_without_epochs_and_without_a_start_there_is_nothing_to_do() -> None:
    values = {"epochs": 0, "head_start": "random"}
    with pytest.raises(SettingsError, match=r"^x: training\.epochs is 0 and training\.head_start is 'random': nothing"):
        parse_settings(TrainingSettings, values, source="x")


def test_one_stage_more_learns_after_every_so_many_epochs() -> None:
    assert [TrainingSettings(thaw_every=3).num_thawed(epoch) for epoch in range(8)] == [0, 0, 0, 0, 1, 1, 1, 2]
    assert TrainingSettings().num_thawed(99) == 0


def test_a_monitor_is_a_column_of_the_history() -> None:
    with pytest.raises(
        SettingsError, match=r"^x: setting 'monitor' is 'validation_kappa'; it must be 'validation_auc'"
    ):
        parse_settings(TrainingSettings, {"monitor": "validation_kappa"}, source="x")
