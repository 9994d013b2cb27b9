from pathlib import Path
from unittest.mock import Mock

import pytest

import radpath.recipes.robustness
from radpath.cli.robustness import robustness
from radpath.errors import SettingsError


def test_words_become_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Mock()
    monkeypatch.setattr(radpath.recipes.robustness, "assess_run", recipe)
    robustness(Path("run"), side="validation", settings=["device.device=cpu"])
    recipe.assert_called_once_with(Path("run"), side="validation", assignments=["device.device=cpu"])


def test_another_side_is_refused_with_the_choices() -> None:
    with pytest.raises(SettingsError, match=r"^--side is 'tset'; it must be train, validation, test$"):
        robustness(Path("run"), side="tset")
