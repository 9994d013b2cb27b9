"""The library's front: functions that call the recipes of the same names."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import radpath
import radpath.cli.main
import radpath.recipes.check_learning
import radpath.recipes.ensemble
import radpath.recipes.evaluate
import radpath.recipes.find_rate
import radpath.recipes.fit
import radpath.recipes.pick_epoch
import radpath.recipes.predict
import radpath.recipes.soup
import radpath.recipes.train
from radpath.errors import DataError, SettingsError
from radpath.evaluation.estimates import Evaluation
from radpath.run_folder import RunFolder
from radpath.settings import override

HEAVY = ("torch", "timm", "polars", "numpy", "matplotlib", "scipy")

PREDICTIONS = """record_id,case,split,truth,probability:benign,probability:malignant
a,1,train,benign,0.9,0.1
b,2,train,malignant,0.2,0.8
c,3,validation,benign,0.7,0.3
d,4,validation,malignant,0.4,0.6
e,5,test,benign,0.8,0.2
f,6,test,malignant,0.1,0.9
"""


class Recorded:
    """Stands for a recipe: remembers how it was called."""

    def __init__(self, answer: object) -> None:
        self.answer = answer
        self.args: tuple[Any, ...] = ()
        self.kwargs: dict[str, Any] = {}

    def __call__(self, *args: object, **kwargs: object) -> object:
        self.args, self.kwargs = args, kwargs
        return self.answer


def test_importing_radpath_imports_nothing_heavy() -> None:
    program = f"import sys, radpath; print(*(name for name in {HEAVY} if name in sys.modules))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""


def test_every_public_name_is_there_and_documented() -> None:
    for name in radpath.__all__:
        assert getattr(radpath, name).__doc__, name


def test_fit_passes_plain_arguments_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    recipe = Recorded(RunFolder(tmp_path))
    monkeypatch.setattr(radpath.recipes.fit, "fit", recipe)
    folder = radpath.fit("images", labels="labels.csv", settings={"training.epochs": 5}, out=tmp_path)
    assert folder.root == tmp_path
    assert recipe.args == (Path("images"),)
    assert recipe.kwargs == {
        "labels": Path("labels.csv"),
        "assignments": ["training.epochs=5"],
        "out": tmp_path,
        "command": f"radpath fit images --labels labels.csv --out {tmp_path} --set training.epochs=5",
    }


def test_train_passes_plain_arguments_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    recipe = Recorded(RunFolder(tmp_path))
    monkeypatch.setattr(radpath.recipes.train, "train_experiment", recipe)
    radpath.train("experiment.toml", resume=True)
    assert recipe.args == (Path("experiment.toml"),)
    assert recipe.kwargs == {
        "assignments": [],
        "out": None,
        "resume": True,
        "command": "radpath train experiment.toml --resume",
    }


def test_predict_passes_plain_arguments_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    recipe = Recorded(tmp_path / "new.csv")
    monkeypatch.setattr(radpath.recipes.predict, "predict_new", recipe)
    written = radpath.predict("run", "images", settings={"device.device": "cpu"}, out=tmp_path / "new.csv")
    assert written == tmp_path / "new.csv"
    assert recipe.args == (Path("run"), Path("images"))
    assert recipe.kwargs == {"out": tmp_path / "new.csv", "assignments": ['device.device="cpu"']}


def test_runs_are_joined_by_the_recipes_with_the_command_that_does_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ensemble, soup = Recorded(RunFolder(tmp_path)), Recorded(RunFolder(tmp_path))
    monkeypatch.setattr(radpath.recipes.ensemble, "make_ensemble", ensemble)
    monkeypatch.setattr(radpath.recipes.soup, "make_soup", soup)
    assert radpath.ensemble(["a b", Path("c")], weights="greedy").root == tmp_path
    assert ensemble.args == ([Path("a b"), Path("c")],)
    command = "radpath ensemble 'a b' c --weights greedy"
    assert ensemble.kwargs == {"weights": "greedy", "out": None, "command": command}
    assert radpath.soup(["a", "b"], out=tmp_path).root == tmp_path
    assert soup.args == ([Path("a"), Path("b")],)
    assert soup.kwargs == {"out": tmp_path, "command": f"radpath soup a b --out {tmp_path}"}


def test_picking_an_epoch_passes_the_run_and_its_number_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    recipe = Recorded(RunFolder(tmp_path))
    monkeypatch.setattr(radpath.recipes.pick_epoch, "pick_epoch", recipe)
    assert radpath.pick_epoch("run", 3).root == tmp_path
    assert (recipe.args, recipe.kwargs) == ((Path("run"), 3), {})


def test_trials_of_a_training_pass_plain_arguments_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    checking, finding = Recorded("checks"), Recorded("rates")
    monkeypatch.setattr(radpath.recipes.check_learning, "check_learning", checking)
    monkeypatch.setattr(radpath.recipes.find_rate, "find_rate", finding)
    given = {"labels": "labels.csv", "settings": {"training.seed": 2}, "out": tmp_path}
    expected = {"labels": Path("labels.csv"), "assignments": ["training.seed=2"], "out": tmp_path}
    assert radpath.check_learning("images", per_class=4, steps=9, **given) == "checks"  # type: ignore[arg-type,comparison-overlap] # stand-ins
    assert checking.args == (Path("images"),)
    assert checking.kwargs == {**expected, "per_class": 4, "num_steps": 9}
    assert radpath.find_rate("images", steps=30, **given) == "rates"  # type: ignore[arg-type,comparison-overlap] # stand-ins
    assert finding.args == (Path("images"),)
    assert finding.kwargs == {**expected, "num_steps": 30}


def test_the_defaults_are_those_of_the_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = {name: Recorded(RunFolder(Path())) for name in ("ensemble", "check_learning", "find_rate")}
    monkeypatch.setattr(radpath.recipes.ensemble, "make_ensemble", recorded["ensemble"])
    monkeypatch.setattr(radpath.recipes.check_learning, "check_learning", recorded["check_learning"])
    monkeypatch.setattr(radpath.recipes.find_rate, "find_rate", recorded["find_rate"])
    for words in (("ensemble", "a", "b"), ("check-learning", "images"), ("find-rate", "images")):
        monkeypatch.setattr(sys, "argv", ["radpath", *words])
        with pytest.raises(SystemExit):
            radpath.cli.main.run()
    told = {name: recipe.kwargs for name, recipe in recorded.items()}
    radpath.ensemble(["a", "b"])
    radpath.check_learning("images")
    radpath.find_rate("images")
    for name, recipe in recorded.items():
        assert {**recipe.kwargs, "command": ""} == {**told[name], "command": ""}


def test_evaluate_returns_the_numbers_of_any_programs_predictions(tmp_path: Path) -> None:
    table = tmp_path / "predictions.csv"
    table.write_text(PREDICTIONS, encoding="utf-8")
    evaluation = radpath.evaluate(table, settings={"evaluation.positive_class": "malignant"}, out=tmp_path)
    assert isinstance(evaluation, Evaluation)
    area = evaluation.headline("test")
    assert area is not None
    assert area.value == 1
    assert (tmp_path / "metrics.json").is_file()


def test_values_of_settings_arrive_as_they_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    recipe = Recorded(RunFolder(tmp_path))
    monkeypatch.setattr(radpath.recipes.fit, "fit", recipe)
    pattern = r'(?P<case>\d+)_"é😀"='
    given: dict[str, radpath.Value] = {
        "data.name_pattern": pattern,
        "training.learning_rate": 1e-05,
        "training.epochs": 5,
        "split.train_cases": ["1", "2"],
        "model.weights_file": Path("weights.safetensors"),
    }
    radpath.fit("images", settings=given)
    assert override({}, recipe.kwargs["assignments"]) == {
        "data": {"name_pattern": pattern},
        "training": {"learning_rate": 1e-05, "epochs": 5},
        "split": {"train_cases": ["1", "2"]},
        "model": {"weights_file": "weights.safetensors"},
    }


def test_bad_input_raises_the_same_error_as_on_the_command_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no run folder"):
        radpath.evaluate(tmp_path / "absent")
    table = tmp_path / "predictions.csv"
    table.write_text(PREDICTIONS, encoding="utf-8")
    with pytest.raises(SettingsError, match=r"unknown setting 'sed'; did you mean 'seed'\?$"):
        radpath.evaluate(table, settings={"evaluation.sed": 1})
