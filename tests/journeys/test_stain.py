"""A run that normalises stains: fitted on training images alone, the same wherever its images are looked at again."""

import csv
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from radpath.data import ingest
from radpath.data.stain.normalisation import StainReference, fit_stain
from radpath.run_folder import RunFolder
from radpath.training.checkpoints import Checkpoints

Program = Callable[..., "subprocess.CompletedProcess[str]"]

NUM_IMAGES = {"train": 5, "validation": 3, "test": 3}  # of each class
MACENKO = ("--set", "pixels.stain.method=macenko", "--set", "pixels.size=fixed", "--set", "pixels.size_px=32")


def draw(path: Path, *, strength: float, haematoxylin: float) -> None:
    """Write a section whose cells take up more or less haematoxylin."""
    generator = np.random.default_rng([int(100 * strength), *path.as_posix()[-20:].encode()])
    amounts = generator.gamma(2.0, 0.3, (40 * 40, 2)) * (strength * haematoxylin, strength) + 0.3
    densities = amounts @ np.array([[0.65, 0.70, 0.29], [0.30, 0.90, 0.30]])
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((240 * np.exp(-densities)).astype(np.uint8).reshape(40, 40, 3)).save(path)


def write_study(folder: Path) -> Path:
    for side, number in NUM_IMAGES.items():
        for place in range(number):
            for label, haematoxylin in (("benign", 1.0), ("malignant", 2.0)):
                draw(folder / side / label / f"{place}.png", strength=0.6 + place / 10, haematoxylin=haematoxylin)
    Image.new("RGB", (40, 40), (244, 244, 244)).save(folder / "test" / "benign" / "glass.png")
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, program: Program, fast: tuple[str, ...]) -> Path:
    """A finished run on a study that lies beside it; copy it before changing it."""
    folder = tmp_path_factory.mktemp("stain")
    result = program("fit", write_study(folder / "study"), *fast, *MACENKO, "--out", folder / "run")
    assert result.returncode == 0, result.stderr
    return folder / "run"


def predictions(path: Path) -> dict[str, tuple[float, ...]]:
    with path.open(newline="", encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    return {row["record_id"]: tuple(float(row[name]) for name in row if name.startswith("prob")) for row in rows}


def test_the_reference_is_the_typical_stain_of_the_training_images(run: Path) -> None:
    training = (run.parent / "study" / "train").rglob("*.png")
    expected = fit_stain([np.asarray(Image.open(path)) for path in training], "macenko")
    assert StainReference.model_validate_json((run / "stain.json").read_text(encoding="utf-8")) == expected


def test_images_that_could_not_be_normalised_are_counted_in_the_findings(run: Path) -> None:
    found = {finding["kind"]: finding for finding in json.loads((run / "findings.json").read_text(encoding="utf-8"))}
    assert found["stain-unchanged"]["count"] == 1
    assert found["stain-unchanged"]["examples"] == ["test/benign/glass.png: no tissue"]
    assert "not normalised by macenko" in (run / "report.html").read_text(encoding="utf-8")


def test_only_training_images_have_a_say_and_preparing_comes_to_the_same(
    tmp_path: Path, run: Path, program: Program, fast: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def begun(_experiment: object, _split: object, folder: RunFolder, **_: object) -> RunFolder:
        """Stands for the long part of a run."""
        return folder

    monkeypatch.setattr("radpath.recipes.fit.finish", begun)
    study = Path(shutil.copytree(run.parent / "study", tmp_path / "study"))
    for side in ("validation", "test"):
        for path in (study / side).rglob("?.png"):
            draw(path, strength=2.0, haematoxylin=1.5)
    assert program("fit", study, *fast, *MACENKO, "--out", tmp_path / "others").returncode == 0
    assert (tmp_path / "others" / "stain.json").read_bytes() == (run / "stain.json").read_bytes()
    draw(study / "train" / "benign" / "0.png", strength=2.0, haematoxylin=1.5)
    assert program("prepare", study, *fast, *MACENKO, "--out", tmp_path / "prepared").returncode == 0
    monkeypatch.setattr(ingest, "prepare_image", None)  # everything is prepared, with the same reference
    assert program("fit", study, *fast, *MACENKO, "--out", tmp_path / "learned").returncode == 0
    assert (tmp_path / "learned" / "stain.json").read_bytes() != (run / "stain.json").read_bytes()


def test_new_images_get_the_stain_of_the_run_and_none_of_their_own(tmp_path: Path, run: Path, program: Program) -> None:
    known = predictions(run / "predictions.csv")
    clinic = tmp_path / "clinic"
    clinic.mkdir()
    chosen = ["test/benign/0.png", "test/malignant/2.png"]
    for number, record_id in enumerate(chosen):
        shutil.copy(run.parent / "study" / record_id, clinic / f"{number}.png")
    result = program("predict", run, clinic, "--out", tmp_path / "new.csv")
    assert result.returncode == 0, result.stderr
    new = predictions(tmp_path / "new.csv")
    for number, record_id in enumerate(chosen):
        assert new[f"{number}.png"] == pytest.approx(known[record_id], abs=1e-6)


def test_another_reference_than_the_runs_is_refused(tmp_path: Path, run: Path, program: Program) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    values = json.loads((copy / "stain.json").read_text(encoding="utf-8"))
    (copy / "stain.json").write_text(json.dumps({**values, "num_images": 1}), encoding="utf-8")
    for words in (("predict", copy, run.parent / "study"), ("train", copy / "experiment.toml", "--resume")):
        result = program(*words)
        assert result.returncode != 0
        assert "stain.json changed since 'stain' was done; restore it, or run the experiment again" in result.stderr
    (copy / "stain.json").unlink()
    assert "stain.json is missing" in program("predict", copy, run.parent / "study").stderr


def test_an_interrupted_run_goes_on_with_its_reference_and_ends_the_same(
    tmp_path: Path, run: Path, program: Program, fast: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    stopped = tmp_path / "stopped"
    with monkeypatch.context() as patched:
        patched.setattr(Checkpoints, "save_state", stop)
        program("fit", run.parent / "study", *fast, *MACENKO, "--out", stopped)
    reference = (stopped / "stain.json").read_bytes()
    result = program("train", stopped / "experiment.toml", "--resume")
    assert result.returncode == 0, result.stderr
    assert (stopped / "stain.json").read_bytes() == reference == (run / "stain.json").read_bytes()
    assert (stopped / "predictions.csv").read_bytes() == (run / "predictions.csv").read_bytes()


def test_previews_steps_and_exports_show_normalised_images(tmp_path: Path, run: Path, program: Program) -> None:
    result = program("preview", run, "--out", tmp_path / "look")
    assert result.returncode == 0, result.stderr
    study = run.parent / "study"
    assert program("steps", study, *MACENKO[:2], "--out", tmp_path / "steps").returncode == 0
    sheets = [program("steps", study, *words, "--out", tmp_path / "plain") for words in ((), MACENKO[2:4])]
    assert [sheet.returncode for sheet in sheets] == [0, 0]
    heights = [np.asarray(Image.open(tmp_path / name / "steps.png")).shape[0] for name in ("steps", "plain")]
    assert heights[0] > heights[1] + 200  # one stage more
    exported = [
        program("prepare", study, *words, "--out", tmp_path / str(number), "--export", tmp_path / "png" / str(number))
        for number, words in enumerate((MACENKO, MACENKO[2:]))
    ]
    assert [result.returncode for result in exported] == [0, 0], exported[0].stderr
    normalised, plain = (
        np.asarray(Image.open(tmp_path / "png" / str(number) / "test" / "malignant" / "0.png")) for number in (0, 1)
    )
    assert normalised.shape == plain.shape
    assert not np.array_equal(normalised, plain)
