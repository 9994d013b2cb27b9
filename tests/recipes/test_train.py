"""Running an experiment from its file: where it goes, what it needs to be continued, and what is written first."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from radpath.errors import SettingsError, StorageError
from radpath.evaluation.predictions import read_predictions
from radpath.recipes.train import train_experiment
from radpath.run_folder import RunFolder
from radpath.training import feature_cache, feature_plan


def begun(_experiment: object, _split: object, folder: RunFolder, **_: object) -> RunFolder:
    """Stands for the long part of a run."""
    return folder


def test_a_new_run_goes_below_runs_and_never_over_another(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("radpath.recipes.train.finish", begun)
    path = finished_run / "experiment.toml"
    runs = [train_experiment(path, assignments=[], out=None, resume=False, command="").root for _ in range(2)]
    assert runs == [Path("runs/images"), Path("runs/images-2")]
    with pytest.raises(StorageError, match=r"is not empty; continue that run with --resume"):
        train_experiment(path, assignments=[], out=runs[0], resume=False, command="")


def test_settings_win_over_the_file_and_are_written_down(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("radpath.recipes.train.finish", begun)
    wishes = ["training.epochs=7", "split.seed=5"]
    path = finished_run / "experiment.toml"
    train_experiment(path, assignments=wishes, out=tmp_path / "run", resume=False, command="")
    text = (tmp_path / "run" / "experiment.toml").read_text(encoding="utf-8")
    assert "\nepochs = 7\n" in text
    assert RunFolder(tmp_path / "run").stamped("settings")["split.seed"] == "5"
    assert (tmp_path / "run" / "splits.csv").read_bytes() != (finished_run / "splits.csv").read_bytes()


@pytest.mark.parametrize("wish", ["positive_class=nobody", "decision_curve.of_class=nobody"])
def test_an_evaluation_of_other_classes_is_refused_before_the_training(
    finished_run: Path, tmp_path: Path, wish: str
) -> None:
    wishes = [f"evaluation.{wish}"]
    with pytest.raises(SettingsError, match=r"^evaluation\.[a-z_.]+ is 'nobody'; the classes are "):
        train_experiment(
            finished_run / "experiment.toml", assignments=wishes, out=tmp_path / "run", resume=False, command=""
        )


def test_resuming_needs_a_run(tmp_path: Path, finished_run: Path) -> None:
    path = Path(shutil.copy(finished_run / "experiment.toml", tmp_path / "experiment.toml"))
    with pytest.raises(SettingsError, match=r"^--resume needs the run: name its own experiment.toml, or its folder"):
        train_experiment(path, assignments=[], out=None, resume=True, command="")


@pytest.mark.slow
def test_frozen_stages_are_computed_once_for_all_runs_beside_each_other(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(name: str, *wishes: str) -> str:
        assignments = ["model.freeze=all", "training.kept_views=2", "training.epochs=2", *wishes]
        path = finished_run / "experiment.toml"
        train_experiment(path, assignments=assignments, out=tmp_path / name, resume=False, command="")
        return capsys.readouterr().out

    assert "kept: 8 views of the sides take 0 MB in" in run("first")
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / ".features").rglob("*.npy")}
    assert len(kept) == 8
    monkeypatch.setattr(feature_cache, "run_until", None)  # nothing is computed any more
    monkeypatch.setattr(feature_plan, "expected_bytes", lambda *_: 10)
    assert "all of it there already" in run("second", "training.learning_rate=0.01")
    monkeypatch.undo()
    assert "anew in every epoch: training.keep_features is 'never'" in run("slow", "training.keep_features=never")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / ".features").rglob("*.npy")} == kept
    fast, slow = (read_predictions(tmp_path / name / "predictions.csv").probabilities for name in ("first", "slow"))
    np.testing.assert_allclose(fast, slow, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("limit", "kept"), [("20.0", "yes"), ("1e-9", "no")])
def test_a_resumed_run_keeps_activations_as_it_began(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, kept: str
) -> None:
    path, out = finished_run / "experiment.toml", tmp_path / "run"
    wishes = ["model.freeze=all", "training.kept_views=2", f"training.keep_features_gb={limit}"]
    train_experiment(path, assignments=wishes, out=out, resume=False, command="")
    assert RunFolder(out).stamped("features") == {"kept": kept}
    (out / "checkpoints" / "best.safetensors").rename(tmp_path / "before")
    (out / "checkpoints" / "state.safetensors").unlink()
    opposite = {"yes": "there is no room", "no": None}[kept]
    monkeypatch.setattr(feature_plan, "_space_problem", lambda *_, **__: opposite)
    train_experiment(out / "experiment.toml", assignments=[], out=None, resume=True, command="")
    assert (out / "checkpoints" / "best.safetensors").read_bytes() == (tmp_path / "before").read_bytes()
    assert (tmp_path / ".features").exists() == (kept == "yes")
