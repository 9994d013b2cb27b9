"""A run's images are made worse: what is told, written, kept when it is stopped, and refused."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from radpath.data.batches import ImageSource
from radpath.data.corruptions import CORRUPTIONS, CorruptionKind
from radpath.data.spoiling import spoil
from radpath.errors import SettingsError, StaleError
from radpath.evaluation.predictions import Predictions
from radpath.evaluation.robustness import Dose
from radpath.recipes import robustness as recipe
from radpath.recipes.robustness import assess_run
from radpath.recipes.running import stamp_model
from radpath.run_folder import RunFolder

Program = Callable[..., "subprocess.CompletedProcess[str]"]

DOSES = tuple(
    Dose(name=name, parameter=CORRUPTIONS[name].parameter, levels=CORRUPTIONS[name].levels[:1])
    for name in ("noise", "jpeg")
)


@pytest.fixture
def run(tmp_path: Path, finished_run: Path) -> Path:
    return Path(shutil.copytree(finished_run, tmp_path / "runs" / "run"))


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two strengths instead of thirty."""
    monkeypatch.setattr(recipe, "_JOBS", (("noise", 1), ("jpeg", 1)))
    monkeypatch.setattr(recipe, "_DOSES", DOSES)


@pytest.mark.usefixtures("few")
def test_numbers_reach_a_file_the_report_and_the_terminal(run: Path, program: Program) -> None:
    told = program("robustness", run)
    assert told.returncode == 0, told.stderr
    found = json.loads((run / "analyses" / "robustness.json").read_text(encoding="utf-8"))
    assert [one["name"] for one in found["corruptions"]] == ["noise", "jpeg"]
    assert found["model"] == json.loads((run / "stamps.json").read_text())["train"]["checkpoints/best.safetensors"]
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "Robustness to worse images" in page
    assert "in the strongest of 1 levels" in told.stdout
    assert not (run / ".robustness").exists()
    # Another model is another question.
    weights = run / "checkpoints" / "best.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    stamp_model(RunFolder(run))
    assert not (run / "analyses" / "robustness.json").exists()


@pytest.mark.usefixtures("few")
def test_an_interrupted_work_goes_on_to_the_same_numbers(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = assess_run(run, side="validation")
    asked: list[str] = []

    def stopped(
        source: ImageSource, positions: np.ndarray, kind: CorruptionKind, level: int, *, seed: int
    ) -> ImageSource:
        asked.append(kind.name)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return spoil(source, positions, kind, level, seed=seed)

    monkeypatch.setattr(recipe, "spoil", stopped)
    with pytest.raises(KeyboardInterrupt):
        assess_run(run, side="validation")
    again = assess_run(run, side="validation")
    assert again == whole
    assert asked == ["noise", "jpeg", "jpeg"]


def test_images_as_they_are_give_the_probabilities_of_the_run(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, np.ndarray] = {}

    def kept(clean: Predictions, spoilt: dict[tuple[str, int], np.ndarray], *_: object, **__: object) -> None:
        seen.update(clean=clean.probabilities, spoilt=spoilt["noise", 1])
        raise SettingsError("enough")

    monkeypatch.setattr(recipe, "_JOBS", (("noise", 1),))
    monkeypatch.setattr(recipe, "spoil", lambda source, *_, **__: source)
    monkeypatch.setattr(recipe, "assess_robustness", kept)
    with pytest.raises(SettingsError, match="enough"):
        assess_run(run)
    assert np.abs(seen["clean"] - seen["spoilt"]).max() < 1e-6


def test_what_cannot_be_measured_is_refused(run: Path, tmp_path: Path, program: Program) -> None:
    assert "--side is 'tset'; it must be train, validation, test" in program("robustness", run, "--side", "tset").stderr
    with pytest.raises(StaleError, match=r"training.seed was \d+ and is 77"):
        assess_run(run, assignments=["training.seed=77"])
    joined = tmp_path / "joined"
    joined.mkdir()
    (joined / "ensemble.json").write_text("{}", encoding="utf-8")
    with pytest.raises(SettingsError, match="is an ensemble, which has no network of its own; name one of its members"):
        assess_run(joined)
