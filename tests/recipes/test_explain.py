"""Explanations of a run: files, index and report, what is not done twice, and what is refused."""

import csv
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import radpath
from radpath.data.synthetic import SyntheticStudy
from radpath.errors import SettingsError, StaleError
from radpath.explanation.maps import Explainer
from radpath.recipes.choosing import Selection
from radpath.recipes.explain import explain

Program = Callable[..., "subprocess.CompletedProcess[str]"]


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "index.csv").open(newline="", encoding="utf-8") as table:
        return list(csv.DictReader(table))


def content_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def run(tmp_path: Path, finished_run: Path) -> Path:
    for hidden in (".pixels", ".scan"):
        if (finished_run.parent / hidden).is_dir():
            shutil.copytree(finished_run.parent / hidden, tmp_path / "runs" / hidden)
    return Path(shutil.copytree(finished_run, tmp_path / "runs" / "run"))


def test_maps_pictures_index_and_report_are_written(run: Path, program: Program) -> None:
    result = program("explain", run, "--most", 3, "--check")
    assert result.returncode == 0, result.stderr
    folder = run / "explanations"
    rows = rows_of(folder)
    assert len(rows) == 3
    for row in rows:
        found = np.load(folder / row["map"])
        assert found.shape == (int(row["height_px"]), int(row["width_px"]))
        assert row["decision"] == row["explained_class"]
        assert all((folder / row[name]).is_file() for name in ("overlay", "picture", "thumbnail"))
    assert "3 images explained by Grad-CAM" in result.stdout
    assert "ith all weights random" in result.stdout
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "Where the model looked" in page
    assert all(row["record_id"] in page for row in rows)


def test_the_report_is_rebuilt_without_model_and_images(run: Path, program: Program) -> None:
    assert program("explain", run, "--most", 2).returncode == 0
    page = (run / "report.html").read_bytes()
    shutil.rmtree(run / "checkpoints")
    result = program("evaluate", run)
    assert result.returncode == 0, result.stderr
    assert (run / "report.html").read_bytes() == page


def test_an_interrupted_command_goes_on_to_the_same_files(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    selection = Selection(side="test", most=4)
    real, seen = Explainer.maps, []

    def stop_at_third(self: Explainer, *rest: object) -> object:
        seen.append(rest)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return real(self, *rest)  # type: ignore[arg-type] # passed on as they came

    monkeypatch.setattr(Explainer, "maps", stop_at_third)
    with pytest.raises(KeyboardInterrupt):
        explain(run, selection=selection)
    assert len(rows_of(run / "explanations")) == 2
    explain(run, selection=selection)
    assert len(seen) == 5  # two, the one that was stopped, and the two that were missing
    whole = content_of(run / "explanations")
    other = run.parent / "other"
    monkeypatch.setattr(Explainer, "maps", real)
    explain(run, selection=selection, out=other)
    assert content_of(other) == whole


def test_every_method_adds_its_own_to_the_report(run: Path) -> None:
    for method in ("hires_cam", "occlusion"):
        settings = {"explanation.method": method, "explanation.window": 0.5}
        radpath.explain(run, truth="invasive", side="train", most=1, settings=settings)
    found = json.loads((run / "analyses" / "explanation.json").read_text(encoding="utf-8"))
    assert [method["method"] for method in found["methods"]] == ["hires_cam", "occlusion"]
    assert {row["method"] for row in rows_of(run / "explanations")} == {"hires_cam", "occlusion"}


def test_new_images_have_maps_of_their_own_and_no_place_in_the_report(
    run: Path, tmp_path: Path, small_study: SyntheticStudy, program: Program
) -> None:
    clinic = tmp_path / "clinic"
    clinic.mkdir()
    shutil.copy(small_study.images / "case_001_he_0001.png", clinic / "new.png")
    before = (run / "report.html").read_bytes()
    result = program("explain", run, "--new", clinic, "--class", "benign")
    assert result.returncode == 0, result.stderr
    (row,) = rows_of(run / "explanations" / "new" / "clinic")
    assert (row["record_id"], row["truth"], row["split"], row["explained_class"]) == ("new.png", "", "", "benign")
    assert (run / "report.html").read_bytes() == before


def test_maps_of_a_model_that_is_not_the_run_s_any_more_leave_the_report(run: Path, program: Program) -> None:
    assert program("explain", run, "--most", 1).returncode == 0
    stamps = json.loads((run / "stamps.json").read_text(encoding="utf-8"))
    stamps["train"]["checkpoints/best.safetensors"] = "another"
    (run / "stamps.json").write_text(json.dumps(stamps), encoding="utf-8")
    with pytest.raises(StaleError, match=r"checkpoints/best.safetensors changed since 'train' was done"):
        explain(run, selection=Selection())
    assert program("evaluate", run).returncode == 0
    assert "Where the model looked" not in (run / "report.html").read_text(encoding="utf-8")
    assert rows_of(run / "explanations") == []


def test_what_cannot_be_explained_is_refused(run: Path, program: Program) -> None:
    for words, message in (
        (("--method", "attention_rollout"), "choose one of grad_cam, grad_cam_pp, hires_cam"),
        (("--method", "gradcam"), "setting 'explanation.method' is 'gradcam'"),
        (("--side", "all"), "--side is 'all'; it must be train, validation, test"),
        (("--images", "nobody.png"), "--images names 'nobody.png'"),
        (("--set", "pixels.size_px=64"), "the settings changed since this run began"),
    ):
        result = program("explain", run, *words)
        assert result.returncode != 0
        assert message in result.stderr, words


def test_an_ensemble_has_no_network_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "ensemble.json").write_text("{}", encoding="utf-8")
    with pytest.raises(SettingsError, match="is an ensemble, which has no network of its own; explain one of its"):
        explain(tmp_path, selection=Selection())
