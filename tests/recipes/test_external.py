"""A run is judged on new images with everything as it was fixed."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from radpath import files
from radpath.data.manifest import Manifest
from radpath.data.synthetic import SizeRange, SyntheticStudy, write_synthetic
from radpath.errors import StorageError
from radpath.evaluation.evaluate import evaluate, evaluate_with_cases
from radpath.evaluation.predictions import Predictions, read_predictions, write_predictions
from radpath.evaluation.thresholds import choose_threshold
from radpath.recipes.experiment import Experiment, compose_experiment, read_experiment
from radpath.recipes.external import evaluate_external, judge_frozen
from radpath.recipes.frozen import freeze, write_frozen
from radpath.records import Side
from radpath.run_folder import RunFolder


@pytest.fixture(scope="module")
def judged(finished_run: Path, small_study: SyntheticStudy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an external validation on a new study, with an image of the run's training among the new ones."""
    sizes = SizeRange(smallest_px=24, median_px=40, largest_px=64)
    folder = tmp_path_factory.mktemp("elsewhere")
    new = write_synthetic(folder / "new", cases_per_class=3, images_per_case=(1, 2), seed=9, sizes=sizes, faults=False)
    learned = pl.read_parquet(finished_run / "manifest.parquet").filter(pl.col("split") == "train")["path"][0]
    replaced = min(new.images.iterdir())
    shutil.copy(small_study.images / learned, replaced)
    out = folder / "out"
    evaluate_external(
        finished_run,
        new.images,
        labels=new.labels,
        out=out,
        command="radpath evaluate run --images new --labels labels.csv",
        assignments=["device.device=cpu"],
        other_patients=True,
    )
    return out


def test_a_run_is_judged_on_new_images_with_a_report_that_says_so(judged: Path, finished_run: Path) -> None:
    predictions = read_predictions(judged / "predictions.csv")
    assert set(predictions.sides) == {"test"}
    assert predictions.classes == read_predictions(finished_run / "predictions.csv").classes
    (excluded,) = pl.read_csv(judged / "exclusions.csv").iter_rows(named=True)
    assert excluded["reason"] == "image that the model learned from"
    assert excluded["record_id"] not in predictions.record_ids
    page = (judged / "report.html").read_text(encoding="utf-8")
    assert "External validation of run on out" in page
    assert "Nothing was fitted on these images" in page
    assert 'id="drift"' in page
    drift = json.loads((judged / "analyses" / "drift.json").read_text(encoding="utf-8"))
    assert {"mean_level", "size_px", "entropy (bits)"} <= {shift["name"] for shift in drift["shifts"]}
    assert json.loads((judged / "external.json").read_text(encoding="utf-8"))["run"].endswith("run")


def test_a_folder_of_something_else_is_never_written_to(finished_run: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(StorageError, match="holds something else; choose another folder with --out"):
        evaluate_external(finished_run, tmp_path, labels=None, out=tmp_path, command="")


def made(seed: int, *, moved: float, sides: tuple[Side, ...]) -> Predictions:
    """Return 60 cases a side with two images each; ``moved`` is added to all log odds."""
    generator = np.random.default_rng(seed)
    count = 120 * len(sides)
    truth = np.repeat(generator.integers(0, 2, count // 2), 2)
    odds = np.exp(generator.normal(2 * truth - 1 + moved, 1, count))
    names = [f"{seed}-{number}" for number in range(count)]
    return Predictions(
        record_ids=tuple(names),
        cases=tuple(f"{seed} case {number // 2}" for number in range(count)),
        sides=tuple(side for side in sides for _ in range(120)),
        truth=tuple(("no", "yes")[one] for one in truth),
        probabilities=np.column_stack([1 / (1 + odds), odds / (1 + odds)]),
        classes=("no", "yes"),
    )


def manifest_of(predictions: Predictions) -> Manifest:
    columns = zip(predictions.record_ids, predictions.cases, predictions.sides, predictions.truth, strict=True)
    rows = [
        {"record_id": name, "path": name, "case": case, "split": side, "label": label, "pixel_digest": name}
        for name, case, side, label in columns
    ]
    return Manifest.from_rows(Path("images"), rows)


@pytest.fixture
def binary_run(tmp_path: Path) -> tuple[Experiment, RunFolder]:
    """The files of a judged run of two classes, without any training."""
    experiment = compose_experiment(
        {"data": {"images": "images"}, "evaluation": {"replicates": 100, "positive_class": "yes"}}, []
    )
    folder = RunFolder(tmp_path / "run")
    folder.root.mkdir()
    predictions = made(1, moved=0.0, sides=("train", "validation", "test"))
    write_predictions(predictions, folder.predictions)
    manifest_of(predictions).write(folder.manifest)
    evaluation, _ = evaluate_with_cases(predictions, experiment.evaluation)
    files.write_json(folder.metrics, evaluation.to_dict())
    write_frozen(freeze(predictions, evaluation, experiment.evaluation), evaluation, folder)
    return experiment, folder


def test_a_threshold_that_were_better_on_the_new_images_is_not_used(
    binary_run: tuple[Experiment, RunFolder], tmp_path: Path
) -> None:
    experiment, folder = binary_run
    new = made(2, moved=2.5, sides=("test",))
    target = RunFolder(tmp_path / "out")
    evaluation = judge_frozen(experiment, manifest_of(new), new, folder, folder, target)
    of_run = evaluate(read_predictions(folder.predictions), experiment.evaluation)
    assert evaluation.threshold == of_run.threshold
    assert evaluation.by_case is not None
    assert of_run.by_case is not None
    assert evaluation.by_case.numbers.threshold == of_run.by_case.numbers.threshold
    is_positive = np.array([truth == "yes" for truth in new.truth])
    better = choose_threshold(new.probabilities[:, 1].copy(), is_positive, positive_class="yes")
    own = evaluate(new, experiment.evaluation, threshold=better).sides["test"].find("balanced_accuracy")
    used = evaluation.sides["test"].find("balanced_accuracy")
    assert own is not None
    assert used is not None
    assert own.value is not None
    assert used.value is not None
    assert used.value < own.value - 0.1
    drift = json.loads((target.root / "analyses" / "drift.json").read_text(encoding="utf-8"))
    moved = {shift["name"] for shift in drift["shifts"] if (shift["p_adjusted"] or 1) < 0.05}
    assert {"probability of yes", "decision"} <= moved


def test_the_labels_of_new_images_change_no_decision(binary_run: tuple[Experiment, RunFolder], tmp_path: Path) -> None:
    experiment, folder = binary_run
    new = made(3, moved=0.5, sides=("test",))
    turned = dataclasses.replace(new, truth=tuple("yes" if truth == "no" else "no" for truth in new.truth))
    results = [
        judge_frozen(experiment, manifest_of(one), one, folder, folder, RunFolder(tmp_path / str(number)))
        for number, one in enumerate((new, turned))
    ]
    decided = [np.array(result.sides["test"].confusion).sum(axis=0).tolist() for result in results]
    assert decided[0] == decided[1]
    calibrations = [json.loads((tmp_path / str(number) / "calibration.json").read_text()) for number in (0, 1)]
    assert calibrations[0] == calibrations[1]


def test_the_settings_of_a_run_are_those_that_it_was_judged_with(finished_run: Path, judged: Path) -> None:
    metrics = json.loads((judged / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["replicates"] == read_experiment(finished_run / "experiment.toml", []).evaluation.replicates
