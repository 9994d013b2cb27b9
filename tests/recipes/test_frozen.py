"""What validation fixed is kept beside a run and reaches new images unchanged."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import polars as pl
import pytest

from radpath.errors import DataError
from radpath.evaluation.evaluate import EvaluationSettings, evaluate
from radpath.evaluation.predictions import Predictions, read_predictions
from radpath.recipes.analyses import ANALYSES, Judged, analyse, read_analysis, read_sections
from radpath.recipes.frozen import Frozen, freeze, frozen_columns, read_frozen, write_frozen
from radpath.reporting.blocks import Table
from radpath.run_folder import RunFolder

Program = Callable[..., CompletedProcess[str]]
SECTIONS = ["operating-points", "calibration", "prediction-sets", "abstention", "decision-curve"]
MINE = ("operating_points", "calibration", "conformal", "abstention", "decision_curve")


def write_by_hand(path: Path, classes: tuple[str, ...] = ("benign", "malignant")) -> Path:
    """Write a CSV as another program would: 3 sides, 40 cases each, two images a case, too sure of itself."""
    rng = np.random.default_rng(0)
    lines = ["record_id,case,split,truth," + ",".join(f"probability:{name}" for name in classes)]
    for number in range(240):
        side, place = ("train", "validation", "test")[number // 80], (number // 2) % len(classes)
        powers = np.exp(2 * (rng.normal(size=len(classes)) + 1.2 * np.eye(len(classes))[place]))
        shares = ",".join(repr(float(share)) for share in powers / powers.sum())
        lines.append(f"image {number},case {number // 2},{side},{classes[place]},{shares}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory, program: Program) -> Path:
    """The folder that `radpath evaluate` made of a CSV written by hand."""
    root = tmp_path_factory.mktemp("frozen")
    table = write_by_hand(root / "predictions.csv")
    wishes = ("evaluation.replicates=100", "evaluation.operating_points.sensitivity=0.9")
    words = [word for wish in wishes for word in ("--set", wish)]
    result = program("evaluate", table, *words, "--out", root / "out")
    assert result.returncode == 0, result.stderr
    return root


def test_a_csv_of_any_program_gets_every_analysis_and_what_is_frozen(evaluated: Path) -> None:
    out = evaluated / "out"
    anchors = [section.anchor for section in read_sections(out)]
    assert [anchor for anchor in anchors if anchor in SECTIONS] == SECTIONS
    thresholds = json.loads((out / "thresholds.json").read_text(encoding="utf-8"))
    assert (thresholds["rule"], thresholds["fitted_on"]) == ("youden", "validation")
    assert thresholds["by_case"]["fitted_on"] == "validation"
    assert [point["rule"] for point in thresholds["operating_points"]] == [
        "youden", "half", "sensitivity", "specificity", "cost", "f_beta",
    ]  # fmt: skip
    frozen = read_frozen(RunFolder(out))
    assert frozen.calibrator is not None
    assert frozen.calibrator.temperature is not None
    assert frozen.calibrator.temperature > 1  # the CSV is too sure of itself
    assert frozen.sets is not None
    assert frozen.sets.num_cases == (20, 20)


def test_new_images_get_corrected_probabilities_and_sets_in_the_order_of_their_own_columns(evaluated: Path) -> None:
    frozen = read_frozen(RunFolder(evaluated / "out"))
    assert frozen.calibrator is not None
    probabilities = read_predictions(evaluated / "predictions.csv").probabilities[:30]
    columns = pl.DataFrame(frozen_columns(frozen, probabilities[:, ::-1].copy(), ("malignant", "benign")))
    assert columns.columns == ["calibrated:malignant", "calibrated:benign", "set"]
    assert (columns["calibrated:malignant"].to_numpy() == frozen.calibrator.apply(probabilities)[:, 1]).all()
    same = pl.DataFrame(frozen_columns(frozen, probabilities, ("benign", "malignant")))
    assert same["set"].to_list() == columns["set"].to_list()
    assert set(columns["set"]) <= {"benign", "malignant", "benign; malignant", ""}


def test_without_anything_frozen_new_images_get_no_columns() -> None:
    nothing = Frozen(threshold=None, points=(), calibrator=None, sets=None)
    assert frozen_columns(nothing, np.full((2, 2), 0.5), ("a", "b")) == []


def judged(predictions: Predictions, settings: EvaluationSettings, frozen: Frozen | None = None) -> Judged:
    evaluation = evaluate(predictions, settings, threshold=None if frozen is None else frozen.threshold)
    return Judged(
        predictions=predictions, evaluation=evaluation, settings=settings, characteristics=None, frozen=frozen
    )


def test_what_an_earlier_run_froze_is_not_fitted_again(evaluated: Path, tmp_path: Path) -> None:
    settings = EvaluationSettings(replicates=100)
    seen = read_predictions(evaluated / "predictions.csv")
    frozen = freeze(seen, evaluate(seen, settings), settings)
    path = tmp_path / "new.csv"
    lines = write_by_hand(path).read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([lines[0], *(line for line in lines if ",test," in line)]), encoding="utf-8")
    analyse(judged(read_predictions(path), settings, frozen), tmp_path)
    found = {analysis.name: read_analysis(analysis, tmp_path) for analysis in ANALYSES if analysis.name in MINE}
    assert found["calibration"].calibrator == frozen.calibrator
    assert found["conformal"].sets == frozen.sets
    rules = {point.threshold.rule: point.threshold for point in found["operating_points"].points}
    assert rules == {threshold.rule: threshold for threshold in frozen.points}


def test_what_an_earlier_run_did_not_freeze_is_not_fitted_on_new_images(evaluated: Path, tmp_path: Path) -> None:
    predictions = read_predictions(evaluated / "predictions.csv")
    settings = EvaluationSettings(replicates=100)
    none = settings.model_validate({"calibration": {"method": "none"}, "conformal": {"method": "none"}})
    folder = RunFolder(tmp_path)
    write_frozen(freeze(predictions, evaluate(predictions, none), none), evaluate(predictions, none), folder)
    analyse(judged(predictions, settings, read_frozen(folder)), tmp_path)
    found = {analysis.name: read_analysis(analysis, tmp_path) for analysis in ANALYSES if analysis.name in MINE}
    assert found["calibration"].calibrator is None
    assert found["calibration"].reason == "The run itself has no correction of its probabilities."
    assert found["conformal"].sets is None
    assert found["conformal"].reason == "The run itself has no limits of them."


def test_the_reason_for_no_correction_reaches_the_report_of_the_run_itself(evaluated: Path, tmp_path: Path) -> None:
    predictions = read_predictions(evaluated / "predictions.csv")
    none = EvaluationSettings.model_validate({"calibration": {"method": "none"}, "conformal": {"method": "none"}})
    analyse(judged(predictions, none, freeze(predictions, evaluate(predictions, none), none)), tmp_path)
    found = {analysis.name: read_analysis(analysis, tmp_path) for analysis in ANALYSES if analysis.name in MINE}
    assert found["calibration"].reason == 'evaluation.calibration.method is "none".'
    assert found["conformal"].reason == 'evaluation.conformal.method is "none".'


def test_three_classes_have_no_threshold_and_a_decision_curve_where_a_class_is_named(tmp_path: Path) -> None:
    predictions = read_predictions(write_by_hand(tmp_path / "p.csv", ("a", "b", "c")))
    settings = EvaluationSettings(replicates=100)
    analyse(judged(predictions, settings), tmp_path)
    anchors = [section.anchor for section in read_sections(tmp_path)]
    assert [anchor for anchor in anchors if anchor in SECTIONS] == SECTIONS[1:4]
    named = settings.model_copy(update={"decision_curve": settings.decision_curve.model_copy(update={"of_class": "b"})})
    analyse(judged(predictions, named), tmp_path)
    (curve,) = (section for section in read_sections(tmp_path) if section.anchor == "decision-curve")
    assert any(isinstance(block, Table) and block.name == "decision-curve" for block in curve.blocks)


def test_files_of_what_there_is_no_more_are_removed(evaluated: Path, tmp_path: Path) -> None:
    predictions = read_predictions(evaluated / "predictions.csv")
    settings = EvaluationSettings(replicates=100)
    evaluation = evaluate(predictions, settings)
    folder = RunFolder(tmp_path)
    write_frozen(freeze(predictions, evaluation, settings), evaluation, folder)
    assert folder.calibration.is_file()
    assert folder.conformal.is_file()
    none = EvaluationSettings.model_validate({"calibration": {"method": "none"}, "conformal": {"method": "none"}})
    write_frozen(freeze(predictions, evaluation, none), evaluation, folder)
    assert not folder.calibration.exists()
    assert not folder.conformal.exists()
    assert read_frozen(folder).threshold == evaluation.threshold


def test_a_damaged_correction_is_refused(evaluated: Path, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.thresholds.write_bytes((evaluated / "out" / "thresholds.json").read_bytes())
    folder.calibration.write_text('{"method": "temperature"}', encoding="utf-8")
    with pytest.raises(DataError, match="this is no calibration that radpath wrote"):
        read_frozen(folder)
