"""From chest images with a table of findings, some of which nobody knows, to a report and to new images."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from PIL import Image

if TYPE_CHECKING:
    import subprocess

Program = Callable[..., "subprocess.CompletedProcess[str]"]

NAMES = ("nodule", "effusion", "fracture")
WISHES = (
    *("model.backbone=simple_cnn", "model.weights=none", "pixels.size=fixed", "pixels.size_px=32"),
    *("training.epochs=3", "training.learning_rate=0.003", "evaluation.replicates=100", "device.precision=32-true"),
    *("device.memory_format=channels_last", "audit.near_duplicates=skip", "audit.confounders=skip"),
)
WORDS = tuple(word for wish in WISHES for word in ("--set", wish))


def draw_chests(folder: Path, *, num_cases: int) -> list[list[str]]:
    """Write images with a bright square, dark stripes, both or none, and return a row of the table for each."""
    draw = np.random.default_rng(0)
    folder.mkdir(parents=True)
    rows = []
    for number in range(num_cases * 2):
        there = draw.random(3) < (0.5, 0.4, 0.4)
        pixels = draw.normal(90, 12, (24, 24))
        pixels[2:9, 2:9] += 110 * there[0]
        pixels[14:22:2, :] -= 70 * there[1]
        pixels[3:11, 14:22] += 120 * np.eye(8) * there[2]
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{number:03}.png")
        marks = ["" if draw.random() < 0.1 else str(int(answer)) for answer in there]
        rows.append([f"{number:03}.png", f"p{number // 2}", *marks])
    return rows


@pytest.fixture(scope="module")
def chests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images and two tables: a column a finding, and all findings in one column."""
    root = tmp_path_factory.mktemp("chests")
    rows = draw_chests(root / "images", num_cases=36)
    joined = []
    for image, patient, *marks in rows:
        found = "|".join(name for name, mark in zip(NAMES, marks, strict=True) if mark == "1")
        joined.append([image, patient, found or "No Finding"])
    for name, header, lines in (
        ("columns", ["image", "patient", *NAMES], rows),
        ("joined", ["image", "patient", "finding labels"], joined),
    ):
        with (root / f"{name}.csv").open("w", newline="", encoding="utf-8") as text:
            csv.writer(text).writerows([header, *lines])
    return root


@pytest.fixture(scope="module")
def labelled_run(chests: Path, program: Program) -> Path:
    """A finished run, not to change."""
    result = program("fit", chests / "images", "--labels", chests / "columns.csv", *WORDS, "--out", chests / "run")
    assert result.returncode == 0, result.stderr
    assert (
        "data.label_sets.columns = ['nodule', 'effusion', 'fracture']  because 3 columns hold nothing" in result.stdout
    )
    assert "training.loss.kind = binary" in result.stdout
    assert "ROC AUC, mean of 3 labels:" in result.stdout
    return chests / "run"


def test_predictions_have_a_truth_and_a_probability_for_each_finding(labelled_run: Path, chests: Path) -> None:
    table = pl.read_csv(labelled_run / "predictions.csv")
    names = sorted(NAMES)
    assert table.columns == [
        *("record_id", "case", "split"),
        *(f"truth:{name}" for name in names),
        *(f"probability:{name}" for name in names),
    ]
    given = pl.read_csv(chests / "columns.csv").rename({"image": "record_id"})
    both = table.join(given, on="record_id")
    assert len(both) == len(table)
    for name in NAMES:
        assert both[f"truth:{name}"].to_list() == both[name].to_list()
    assert set(table["split"]) == {"train", "validation", "test"}
    assert table.group_by("case").agg(pl.col("split").n_unique())["split"].max() == 1


def test_every_finding_has_its_threshold_and_its_numbers(labelled_run: Path) -> None:
    thresholds = json.loads((labelled_run / "thresholds.json").read_text())["labels"]
    metrics = json.loads((labelled_run / "metrics.json").read_text())
    assert set(thresholds) == set(metrics["of_label"]) == set(NAMES)
    assert all(metrics["of_label"][name]["positive_class"] == name for name in NAMES)
    assert metrics["sides"]["test"]["estimates"][0]["metric"] == "macro_roc_auc"
    page = (labelled_run / "report.html").read_text()
    assert all(f"{name}: ROC AUC" in page for name in NAMES)
    assert (labelled_run / "tables" / "labels.csv").is_file()


def test_the_network_learns_what_can_be_seen(labelled_run: Path) -> None:
    history = pl.read_csv(labelled_run / "history.csv")
    assert history["train_loss"][-1] < history["train_loss"][0]


def test_the_numbers_and_the_page_come_again_from_files_alone(
    labelled_run: Path, program: Program, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(labelled_run, run)
    before = {name: (run / name).read_bytes() for name in ("metrics.json", "thresholds.json", "report.html")}
    for name in before:
        (run / name).unlink()
    result = program("evaluate", run)
    assert result.returncode == 0, result.stderr
    assert {name: (run / name).read_bytes() for name in before} == before


def test_a_table_alone_is_evaluated(labelled_run: Path, program: Program, tmp_path: Path) -> None:
    result = program(
        "evaluate", labelled_run / "predictions.csv", "--set", "evaluation.replicates=100", "--out", tmp_path
    )
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "metrics.json").read_bytes() == (labelled_run / "metrics.json").read_bytes()
    assert "Which does an image show: effusion, fracture, nodule?" in (tmp_path / "report.html").read_text()


def test_new_images_get_a_decision_for_each_finding(
    labelled_run: Path, chests: Path, program: Program, tmp_path: Path
) -> None:
    result = program("predict", labelled_run, chests / "images", "--out", tmp_path / "new.csv")
    assert result.returncode == 0, result.stderr
    new, seen = pl.read_csv(tmp_path / "new.csv"), pl.read_csv(labelled_run / "predictions.csv")
    thresholds = json.loads((labelled_run / "thresholds.json").read_text())["labels"]
    both = new.join(seen, on="record_id", suffix="_seen")
    assert len(both) == len(seen)
    for name in NAMES:
        assert both[f"probability:{name}"].to_list() == pytest.approx(
            both[f"probability:{name}_seen"].to_list(), abs=1e-6
        )
        decided = (both[f"probability:{name}"] >= thresholds[name]["value"]).cast(pl.Int64)
        assert both[f"decision:{name}"].to_list() == decided.to_list()


def test_findings_in_one_column_are_the_same_findings(chests: Path, program: Program, tmp_path: Path) -> None:
    result = program(
        *("split", chests / "images", "--labels", chests / "joined.csv"),
        *("--set", "data.label_sets.separator=|", "--set", "audit.confounders=skip", "--out", tmp_path),
    )
    assert result.returncode == 0, result.stderr
    labels = pl.read_csv(tmp_path / "splits.csv")["label"]
    assert labels[0].startswith("{effusion=")
    assert "none of these" not in labels.to_list()


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        (
            "training.loss.kind=cross_entropy",
            "training.loss.kind is 'cross_entropy', but the images have several labels",
        ),
        ("training.sampling=balanced", "training.sampling is 'balanced', which draws each class equally often"),
        ("data.label_sets.columns=['nodule','mass']", "has no column 'mass' (data.label_sets.columns)"),
    ],
)
def test_what_several_labels_cannot_have_is_refused_in_one_line(
    chests: Path, program: Program, tmp_path: Path, wish: str, message: str
) -> None:
    result = program(
        "fit", chests / "images", "--labels", chests / "columns.csv", *WORDS, "--set", wish, "--out", tmp_path / "run"
    )
    assert result.returncode != 0
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_commands_for_classes_refuse_such_a_run(labelled_run: Path, program: Program, tmp_path: Path) -> None:
    shutil.copytree(labelled_run, labelled_run.parent / "twin")
    result = program("ensemble", labelled_run, labelled_run.parent / "twin", "--out", tmp_path / "all")
    assert result.returncode != 0
    assert "each image has several labels here" in result.stderr


def test_a_handful_is_learned_by_heart(labelled_run: Path, program: Program, tmp_path: Path) -> None:
    result = program("check-learning", labelled_run, "--per-class", "2", "--steps", "60", "--out", tmp_path)
    assert "The same seed gives the same loss" in result.stdout
    assert "Traceback" not in result.stderr
