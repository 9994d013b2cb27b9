"""Functions on finished runs hand plain arguments to the recipes; the others are in ``test_init``."""

from pathlib import Path
from unittest.mock import Mock

import pytest

import radpath
import radpath.recipes.explain
import radpath.recipes.robustness


def test_robustness_passes_plain_arguments_on(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Mock(return_value="numbers")
    monkeypatch.setattr(radpath.recipes.robustness, "assess_run", recipe)
    answer: object = radpath.robustness("runs/study", side="validation", settings={"device.device": "cpu"})
    assert answer == "numbers"
    recipe.assert_called_once_with(Path("runs/study"), side="validation", assignments=['device.device="cpu"'])


def test_explain_hands_the_choice_of_images_on(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Mock(return_value=Path("maps"))
    monkeypatch.setattr(radpath.recipes.explain, "explain", recipe)
    assert radpath.explain("runs/study", images=["a.png"]) == Path("maps")
    assert recipe.call_args.kwargs["selection"].images == ("a.png",)
