"""Predictions for new images: where they go, which images are left out, and what is said of the others."""

import csv
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from radpath.data.synthetic import SyntheticStudy
from radpath.errors import StaleError
from radpath.recipes.predict import predict_new

Program = Callable[..., "subprocess.CompletedProcess[str]"]


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as table:
        return list(csv.DictReader(table))


@pytest.fixture
def run(tmp_path: Path, finished_run: Path) -> Path:
    return Path(shutil.copytree(finished_run, tmp_path / "runs" / "run"))


@pytest.fixture
def new_images(tmp_path: Path, small_study: SyntheticStudy) -> Path:
    """One image that the run has seen, a grey one, and a broken one."""
    folder = tmp_path / "clinic"
    folder.mkdir()
    shutil.copy(small_study.images / "case_001_he_0001.png", folder / "seen.png")
    Image.fromarray(np.arange(2000, dtype=np.uint8).reshape(40, 50)).save(folder / "grey.png")
    (folder / "broken.png").write_bytes((folder / "seen.png").read_bytes()[:200])
    return folder


def test_every_image_is_decided_or_excluded_with_its_reason(run: Path, new_images: Path, program: Program) -> None:
    result = program("predict", run, new_images)
    assert result.returncode == 0, result.stderr
    rows = rows_of(run / "predictions" / "clinic.csv")
    assert [row["record_id"] for row in rows] == ["grey.png", "seen.png"]
    for row in rows:
        by_class = {name.removeprefix("probability:"): float(row[name]) for name in row if name.startswith("prob")}
        assert sum(by_class.values()) == pytest.approx(1)
        assert row["decision"] == max(by_class, key=by_class.__getitem__)  # four classes: the highest decides
    (excluded,) = rows_of(run / "predictions" / "clinic-exclusions.csv")
    assert (excluded["record_id"], excluded["reason"]) == ("broken.png", "truncated or damaged")
    assert "2 images decided, 1 excluded" in result.stdout
    assert "nothing names the case" not in result.stdout


def test_images_unlike_those_of_the_run_are_named(run: Path, new_images: Path, program: Program) -> None:
    told = program("predict", run, new_images).stdout
    assert "1 image with channels or bits per channel that the run never saw" in told
    assert "grey.png: 1 channels, 8 bit" in told


def test_the_table_can_go_to_a_file_or_into_a_folder(run: Path, new_images: Path, tmp_path: Path) -> None:
    assert predict_new(run, new_images, out=tmp_path / "mine.csv") == tmp_path / "mine.csv"
    assert predict_new(run, new_images, out=tmp_path) == tmp_path / "clinic.csv"
    assert (tmp_path / "clinic.csv").read_bytes() == (tmp_path / "mine.csv").read_bytes()
    assert (tmp_path / "mine-exclusions.csv").is_file()


def test_where_the_network_runs_may_change_and_nothing_else(run: Path, new_images: Path, tmp_path: Path) -> None:
    exact = rows_of(predict_new(run, new_images, out=tmp_path / "exact.csv"))
    rounded = rows_of(
        predict_new(run, new_images, out=tmp_path / "16.csv", assignments=["device.precision=bf16-mixed"])
    )
    for name in (name for name in exact[0] if name.startswith("probability:")):
        before, after = (np.array([float(row[name]) for row in rows]) for rows in (exact, rounded))
        assert 0 < np.abs(before - after).max() < 0.05
    with pytest.raises(StaleError, match=r"training.seed was \d+ and is 77"):
        predict_new(run, new_images, out=None, assignments=["training.seed=77"])


def test_exclusions_of_an_earlier_look_do_not_stay(run: Path, new_images: Path) -> None:
    path = predict_new(run, new_images, out=None)
    (new_images / "broken.png").unlink()
    predict_new(run, new_images, out=None)
    assert rows_of(path.with_name("clinic-exclusions.csv")) == []


def test_another_model_or_other_settings_are_refused(run: Path, new_images: Path) -> None:
    text = (run / "experiment.toml").read_text(encoding="utf-8")
    (run / "experiment.toml").write_text(text.replace('intensity = "full"', 'intensity = "minmax"'), encoding="utf-8")
    with pytest.raises(StaleError, match=r"pixels.intensity was 'full' and is 'minmax'"):
        predict_new(run, new_images, out=None)
    (run / "experiment.toml").write_text(text, encoding="utf-8")
    weights = run / "checkpoints" / "best.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(StaleError, match=r"checkpoints/best.safetensors changed since 'train' was done; restore it"):
        predict_new(run, new_images, out=None)


def test_the_frozen_threshold_decides_between_two_classes(
    tmp_path: Path, array_file: Path, fast: tuple[str, ...], program: Program
) -> None:
    small = ("--set", "pixels.size_px=32", "--set", "evaluation.threshold_rule=half", "--out", tmp_path / "run")
    assert program("fit", array_file, *fast, *small).returncode == 0
    rows = rows_of(predict_new(tmp_path / "run", array_file, out=None))
    assert len(rows) == 40
    assert all(row["decision"] == ("1" if float(row["probability:1"]) >= 0.5 else "0") for row in rows)


def test_doubt_and_distance_stand_beside_every_decision(run: Path, new_images: Path, program: Program) -> None:
    generator = np.random.default_rng(0)
    Image.fromarray(generator.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(new_images / "noise.png")
    told = program("predict", run, new_images).stdout
    rows = {row["record_id"]: row for row in rows_of(run / "predictions" / "clinic.csv")}
    facts = json.loads((run / "distance.json").read_text(encoding="utf-8"))
    assert facts["quantile"] == 0.99
    for row in rows.values():
        chances = [float(value) for name, value in row.items() if name.startswith("probability:")]
        assert float(row["entropy"]) == pytest.approx(stats.entropy(chances, base=len(chances)))
        assert 0 <= float(row["view_mutual_information"]) <= float(row["entropy"])
        assert 0 <= float(row["view_deviation"]) <= 0.5
        assert row["unlike_training"] == str(float(row["distance"]) > 1).lower()
    assert float(rows["noise.png"]["distance"]) > float(rows["seen.png"]["distance"])
    num_unlike = sum(row["unlike_training"] == "true" for row in rows.values())
    assert f"{num_unlike} image" in told
    assert "unlike the training images (distance above 1)" in told


def test_a_run_without_a_distance_predicts_without_and_one_of_another_model_is_refused(
    run: Path, new_images: Path
) -> None:
    kept = (run / "distance.safetensors").read_bytes()
    (run / "distance.safetensors").unlink()
    assert "distance" not in rows_of(predict_new(run, new_images, out=None))[0]
    stamps = json.loads((run / "stamps.json").read_text(encoding="utf-8"))
    digest = stamps["train"]["checkpoints/best.safetensors"].encode()
    (run / "distance.safetensors").write_bytes(kept.replace(digest, digest[::-1]))
    with pytest.raises(StaleError, match=r"distance.safetensors was measured with another model than the run's"):
        predict_new(run, new_images, out=None)
