"""What the report is made of, read back from a run's files, and that it survives images that are gone."""

import dataclasses
import importlib.util
import io
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from radpath.errors import MissingExtraError, StaleError
from radpath.evaluation.predictions import read_predictions
from radpath.recipes.experiment import Experiment, read_experiment
from radpath.recipes.report import gather_content, rebuild_report, write_run_report
from radpath.reporting.content import ReportContent
from radpath.run_folder import RunFolder
from radpath.settings import setting_names


@pytest.fixture(scope="module")
def experiment(finished_run: Path) -> Experiment:
    return read_experiment(finished_run / "experiment.toml", [])


@pytest.fixture(scope="module")
def content(finished_run: Path, experiment: Experiment) -> ReportContent:
    return gather_content(experiment, RunFolder(finished_run))


def test_every_found_image_is_counted_once(content: ReportContent) -> None:
    data = content.data
    assert data is not None
    assert content.split is not None
    assert data.num_found == data.num_kept + sum(exclusion.num_images for exclusion in data.exclusions)
    assert sum(len(sizes) for sizes in data.sizes_px.values()) == data.num_kept == sum(data.kinds.values())
    assert sum(side.num_images for side in content.split.sides) == data.num_kept


def test_samples_are_training_images_of_their_class_and_different_cases(
    content: ReportContent, finished_run: Path
) -> None:
    predictions = read_predictions(finished_run / "predictions.csv")
    known = dict(
        zip(
            predictions.record_ids,
            zip(predictions.truth, predictions.sides, predictions.cases, strict=True),
            strict=True,
        )
    )
    for name, samples in content.samples.items():
        assert samples
        found = [known[sample.caption.split(",")[0]] for sample in samples]
        assert {(truth, side) for truth, side, _ in found} == {(name, "train")}
        assert len({case for _, _, case in found}) == len(found)


def test_mistakes_are_the_least_probable_truths_of_the_test_side(content: ReportContent, finished_run: Path) -> None:
    predictions = read_predictions(finished_run / "predictions.csv")
    place = {name: column for column, name in enumerate(predictions.classes)}
    wrong = sorted(
        (float(row[place[str(truth)]]), name)
        for name, truth, side, row in zip(
            predictions.record_ids, predictions.truth, predictions.sides, predictions.probabilities, strict=True
        )
        if side == "test" and row.argmax() != place[str(truth)]
    )
    assert [mistake.record_id for mistake in content.mistakes] == [name for _, name in wrong[:12]]


def test_all_settings_and_the_plan_are_shown(content: ReportContent) -> None:
    assert set(content.settings) == set(setting_names(Experiment))
    assert content.settings["data.path_column"] == "not set"
    assert content.plan
    assert content.question == "Which class does an image show: benign, in_situ, invasive or normal?"


@pytest.mark.parametrize(("leaks", "outcome"), [("allow", "failed"), ("exclude", "handled"), ("stop", "handled")])
def test_leaks_are_told_as_they_were_dealt_with(
    finished_run: Path, tmp_path: Path, experiment: Experiment, leaks: str, outcome: str
) -> None:
    run = Path(shutil.copytree(finished_run, tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints")))
    text = (run / "checks.json").read_text(encoding="utf-8")
    (run / "checks.json").write_text(text.replace('"leaks": []', '"leaks": ["train a = test b"]'), encoding="utf-8")
    changed = experiment.model_copy(update={"split": experiment.split.model_copy(update={"leaks": leaks})})
    split = gather_content(changed, RunFolder(run)).split
    assert split is not None
    last = split.checks[-1]
    assert last.outcome == outcome
    assert "train a = test b" in last.detail
    assert last.detail.startswith(("1 pair on", "1 pair;"))


def test_what_learned_is_told_and_a_head_that_is_too_large_is_a_limit(
    content: ReportContent, finished_run: Path, tmp_path: Path, experiment: Experiment
) -> None:
    assert content.training is not None
    assert content.training.model.endswith("; a linear head; everything learns")
    copied = RunFolder(Path(shutil.copytree(finished_run, tmp_path / "run")))
    told = json.loads(copied.weights.read_text(encoding="utf-8"))
    copied.weights.write_text(json.dumps({**told, "caution": "the head is large"}), encoding="utf-8")
    limits = {
        name: gather_content(experiment, RunFolder(folder)).limits
        for name, folder in (("large", copied.root), ("as it was", finished_run))
    }
    assert limits["large"][0] == "The head is large."
    assert told["caution"] is None
    assert limits["large"][1:] == limits["as it was"]


def test_a_share_of_the_training_cases_is_told_with_the_split(
    content: ReportContent, finished_run: Path, experiment: Experiment
) -> None:
    split = experiment.split.model_copy(update={"train_share": 0.25})
    reduced = gather_content(experiment.model_copy(update={"split": split}), RunFolder(finished_run))
    told = " Of the training cases, 0.25 are used (split.train_share), the rest are excluded."
    assert reduced.split is not None
    assert content.split is not None
    assert reduced.split.method == content.split.method + told


def test_images_that_are_gone_become_grey_squares(finished_run: Path, tmp_path: Path, experiment: Experiment) -> None:
    elsewhere = experiment.data.model_copy(update={"images": tmp_path / "gone"})
    moved = gather_content(experiment.model_copy(update={"data": elsewhere}), RunFolder(finished_run))
    picture = next(iter(moved.samples.values()))[0].picture
    assert np.unique(np.asarray(Image.open(io.BytesIO(picture)))).tolist() == [128]


def test_a_report_can_be_written_again_and_is_the_same(
    finished_run: Path, tmp_path: Path, experiment: Experiment
) -> None:
    run = Path(shutil.copytree(finished_run, tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints")))
    before = {path: path.read_bytes() for path in (run / "report.html", run / "model_card.md")}
    for path in before:
        path.unlink()
    write_run_report(experiment, RunFolder(run))
    assert {path: path.read_bytes() for path in before} == before


def without_checkpoints(run: Path, folder: Path) -> Path:
    return Path(shutil.copytree(run, folder / "run", ignore=shutil.ignore_patterns("checkpoints", "tensorboard")))


def test_the_command_writes_the_same_bytes_without_the_model(
    program: Callable[..., "subprocess.CompletedProcess[str]"], finished_run: Path, tmp_path: Path
) -> None:
    run = without_checkpoints(finished_run, tmp_path)
    pages = [run / "report.html", run / "model_card.md", *(run / "figures").iterdir(), *(run / "tables").iterdir()]
    before = {path: path.read_bytes() for path in pages}
    for path in pages:
        path.unlink()
    told = program("report", run)
    assert told.returncode == 0, told.stderr
    assert f"Report: {run / 'report.html'}" in told.stdout
    assert {path: path.read_bytes() for path in pages} == before
    assert not (run / "report.pdf").exists()


def test_a_pdf_is_made_once_it_is_asked_for_then_renewed_and_never_left_behind(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = without_checkpoints(finished_run, tmp_path)
    rebuild_report(run, pdf=True)
    made = (run / "report.pdf").read_bytes()
    assert made.startswith(b"%PDF-")
    (run / "report.pdf").write_bytes(b"old")
    rebuild_report(run)
    assert (run / "report.pdf").read_bytes() == made
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "typst" else found(name, *more)
    )
    rebuild_report(run)
    assert not (run / "report.pdf").exists()
    with pytest.raises(MissingExtraError, match=r"radpath\[pdf\]"):
        rebuild_report(run, pdf=True)


def test_predictions_that_changed_are_refused(finished_run: Path, tmp_path: Path) -> None:
    run = without_checkpoints(finished_run, tmp_path)
    with (run / "predictions.csv").open("a", encoding="utf-8") as predictions:
        predictions.write("\n")
    with pytest.raises(StaleError, match=r"predictions\.csv changed since 'evaluate'.*radpath evaluate"):
        rebuild_report(run)


def test_where_the_model_looked_is_shown_beside_a_mistake(
    finished_run: Path, tmp_path: Path, experiment: Experiment, content: ReportContent
) -> None:
    run = without_checkpoints(finished_run, tmp_path)
    mistake = content.mistakes[0]
    (run / "explanations").mkdir()
    rows = f"record_id,decision,explained_class,thumbnail\n{mistake.record_id},{mistake.decision},{{}},map.png\n"
    (run / "explanations" / "map.png").write_bytes(b"a map")
    (run / "explanations" / "index.csv").write_text(rows.format(mistake.truth), encoding="utf-8")
    assert gather_content(experiment, RunFolder(run)).mistakes[0].overlay is None
    (run / "explanations" / "index.csv").write_text(rows.format(mistake.decision), encoding="utf-8")
    assert gather_content(experiment, RunFolder(run)).mistakes[0].overlay == b"a map"


def test_a_report_without_class_weights_says_nothing_of_them(finished_run: Path, experiment: Experiment) -> None:
    loss = experiment.training.loss.model_copy(update={"class_weights": "none"})
    plain = experiment.training.model_copy(update={"loss": loss})
    content = gather_content(experiment.model_copy(update={"training": plain}), RunFolder(finished_run))
    assert content.limits == ()
    assert dataclasses.is_dataclass(content)
