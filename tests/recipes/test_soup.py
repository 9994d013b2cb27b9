"""A soup is a run like any other, made of runs that began alike."""

import dataclasses
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from radpath.data.synthetic import SyntheticStudy
from radpath.errors import SettingsError
from radpath.evaluation.predictions import read_predictions
from radpath.recipes.experiment import read_experiment
from radpath.recipes.members import open_members
from radpath.recipes.soup import require_same_start
from radpath.training.checkpoints import read_tensors

Program = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def soup(
    finished_run: Path, sibling_runs: tuple[Path, Path], program: Program, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("soups") / "mixed"
    result = program("soup", finished_run, sibling_runs[0], "--out", folder)
    assert result.returncode == 0, result.stderr
    return folder


def test_its_weights_are_the_mean_of_those_that_are_in_it(
    soup: Path, finished_run: Path, sibling_runs: tuple[Path, Path]
) -> None:
    described = json.loads((soup / "soup.json").read_text(encoding="utf-8"))["members"]
    assert {Path(one["run"]).name for one in described} == {finished_run.name, sibling_runs[0].name}
    assert described[0]["in_soup"]
    chosen = [read_tensors(Path(one["run"]) / "checkpoints/best.safetensors")[0] for one in described if one["in_soup"]]
    mixed, _ = read_tensors(soup / "checkpoints/best.safetensors")
    for name, value in mixed.items():
        if value.is_floating_point():
            expected = sum(model[name].double() for model in chosen) / len(chosen)
            assert torch.allclose(value.double(), torch.as_tensor(expected), atol=1e-7), name


def test_predict_and_evaluate_take_it(
    soup: Path, program: Program, small_study: SyntheticStudy, tmp_path: Path
) -> None:
    before = (soup / "metrics.json").read_bytes()
    assert program("evaluate", soup).returncode == 0
    assert (soup / "metrics.json").read_bytes() == before
    result = program("predict", soup, small_study.images, "--out", tmp_path / "new.csv")
    assert result.returncode == 0, result.stderr
    assert len((tmp_path / "new.csv").read_text(encoding="utf-8").splitlines()) > len(
        [side for side in read_predictions(soup / "predictions.csv").sides if side == "test"]
    )
    page = (soup / "report.html").read_text(encoding="utf-8")
    assert "the mean of the weights of" in page
    assert "radpath soup" in page


def test_what_was_not_trained_cannot_be_resumed_and_has_no_epochs(soup: Path, program: Program) -> None:
    for words in (("pick-epoch", soup, 1), ("train", soup / "experiment.toml", "--resume")):
        result = program(*words)
        assert result.returncode == 2
        assert f"{soup} is a soup, in which nothing was trained; name one of the runs that it was made" in result.stderr


def test_runs_of_another_start_are_refused(
    finished_run: Path, sibling_runs: tuple[Path, Path], program: Program, tmp_path: Path
) -> None:
    result = program("soup", finished_run, sibling_runs[1], "--out", tmp_path / "mixed")
    assert result.returncode == 2
    assert "differ in training.seed (0 and 5); average their predictions instead: radpath ensemble" in result.stderr
    assert not (tmp_path / "mixed").exists()


@pytest.mark.parametrize(
    "wish", ["pixels.size_px=48", "model.backbone=test_vit", "model.normalisation=none", "prediction.flips=none"]
)
def test_other_pixels_networks_or_looks_are_refused(
    finished_run: Path, sibling_runs: tuple[Path, Path], wish: str
) -> None:
    first, other = open_members([finished_run, sibling_runs[0]])
    changed = dataclasses.replace(other, experiment=read_experiment(other.folder.experiment, [wish]))
    with pytest.raises(SettingsError, match=rf"differ in {wish.split('=', maxsplit=1)[0]} .*radpath ensemble$"):
        require_same_start(first, changed)


@pytest.mark.parametrize("wish", ["model.head.dropout=0.5", "training.learning_rate=0.1", "augmentation.noise=0.1"])
def test_what_only_changes_the_learning_may_differ(
    finished_run: Path, sibling_runs: tuple[Path, Path], wish: str
) -> None:
    first, other = open_members([finished_run, sibling_runs[0]])
    require_same_start(first, dataclasses.replace(other, experiment=read_experiment(other.folder.experiment, [wish])))
