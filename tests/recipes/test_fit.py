"""What ``fit`` tells and writes down: choices as they were made, and the plan beside the settings."""

import json
from pathlib import Path

import pytest

from radpath.errors import SettingsError
from radpath.recipes.experiment import compose_experiment, read_experiment
from radpath.recipes.fit import choices_as_made, compose_wanted
from radpath.reporting.content import Choice

BARE = {"data": {"images": "images"}}


def test_a_choice_that_the_user_made_says_so_and_what_the_rule_says() -> None:
    rules = (
        Choice(setting="pixels.size_px", value="96", reason="of the images"),
        Choice(setting="model.freeze", value="none", reason="of few images"),
    )
    experiment = compose_experiment(BARE, ["pixels.size_px=64"])
    assert choices_as_made(rules, experiment) == [
        Choice(setting="pixels.size_px", value="64", reason="you set it (the rule says 96)"),
        rules[1],
    ]


def test_one_wish_brings_what_it_needs() -> None:
    assert compose_wanted(BARE, ["model.weights=none"]).model.norm_statistics == "batch"
    assert compose_wanted(BARE, ["split.test_cases=['a']"]).split.source == "cases"
    with pytest.raises(SettingsError, match=r"norm_statistics"):
        compose_wanted(BARE, ["model.weights=none", "model.norm_statistics=frozen"])


def test_the_written_settings_explain_the_choices(finished_run: Path) -> None:
    text = (finished_run / "experiment.toml").read_text(encoding="utf-8")
    plan = json.loads((finished_run / "plan.json").read_text(encoding="utf-8"))
    assert {"split.source", "pixels.size", "model.freeze"} <= {choice["setting"] for choice in plan}
    joined = " ".join(line.removeprefix("# ").strip() for line in text.splitlines())
    for choice in plan:
        assert f"Chosen because {choice['reason']}" in joined
    experiment = read_experiment(finished_run / "experiment.toml", [])
    assert experiment.training.epochs == 1
    assert Path(str(experiment.data.images)).is_absolute()
