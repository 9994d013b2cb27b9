"""The experiments of the repository are complete, describe themselves, and load."""

import re
from pathlib import Path

import pytest

from radpath.recipes.experiment import Experiment, read_experiment
from radpath.settings import setting_names

ROOT = Path(__file__).parents[1]
EXPERIMENTS = sorted((ROOT / "experiments").glob("*.toml"))


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_an_experiment_loads_and_its_paths_are_relative(path: Path) -> None:
    experiment = read_experiment(path, [])
    assert experiment.question
    assert not Path(str(experiment.data.images)).is_absolute()
    assert experiment.data.labels is None or not Path(str(experiment.data.labels)).is_absolute()


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_an_experiment_states_every_setting(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for key in setting_names(Experiment):
        *tables, name = key.split(".")
        section = text.split(f"[{'.'.join(tables)}]")[1].split("\n[")[0] if tables else text
        assert re.search(rf"^({name} = .+|# {name} is not set)$", section, flags=re.MULTILINE), key


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_an_experiment_says_how_to_run_it_and_what_to_expect(path: Path) -> None:
    heading = path.read_text(encoding="utf-8").split("\nquestion")[0]
    stated = dict(re.findall(r"^# (\w+): +(\S.+)$", heading, flags=re.MULTILINE))
    assert {"Command", "Data", "Hardware", "Expected"} <= set(stated)
    assert stated["Command"] == f"radpath train experiments/{path.name}"


def test_there_are_experiments() -> None:
    assert len(EXPERIMENTS) >= 2
