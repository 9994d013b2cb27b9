"""New images are seen portion by portion: what is kept of them, and what is never taken for an answer."""

import csv
import shutil
from pathlib import Path
from typing import Any

import pytest

from radpath.data.batches import ImageSource
from radpath.data.synthetic import SyntheticStudy
from radpath.recipes import new_images as new_images_module
from radpath.recipes import predict as predict_module
from radpath.recipes.predict import predict_new


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as table:
        return list(csv.DictReader(table))


@pytest.fixture
def run(tmp_path: Path, finished_run: Path) -> Path:
    return Path(shutil.copytree(finished_run, tmp_path / "runs" / "run"))


def test_an_interrupted_prediction_goes_on_and_ends_with_the_same_bytes(
    run: Path, tmp_path: Path, small_study: SyntheticStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new_images_module, "portion_size", lambda _: 4)
    whole = predict_new(run, small_study.images, out=tmp_path / "whole.csv")
    looks, answer = [], new_images_module._answer

    def stopped(model: object, source: ImageSource, *more: object) -> Any:
        looks.append(len(source))
        if len(looks) == 3:
            raise KeyboardInterrupt
        return answer(model, source, *more)  # type: ignore[arg-type] # what it takes itself

    monkeypatch.setattr(new_images_module, "_answer", stopped)
    with pytest.raises(KeyboardInterrupt):
        predict_new(run, small_study.images, out=tmp_path / "cut.csv")
    assert not (tmp_path / "cut.csv").exists()
    again = predict_new(run, small_study.images, out=tmp_path / "cut.csv")
    assert again.read_bytes() == whole.read_bytes()
    assert sum(looks) == len(rows_of(whole)) + 4  # what was stopped was looked at twice, what was finished once
    assert not list(tmp_path.glob(".*predicting*"))


def test_what_another_model_said_is_not_taken(
    run: Path, tmp_path: Path, small_study: SyntheticStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict_module, "forget", lambda _: None)
    predict_new(run, small_study.images, out=tmp_path / "all.csv")
    kept = tmp_path / ".all.predicting"
    assert len(list(kept.iterdir())) == 1
    predict_new(run, small_study.images, out=tmp_path / "all.csv", assignments=["device.precision=bf16-mixed"])
    assert len(list(kept.iterdir())) == 2


def test_a_table_may_name_the_images(run: Path, tmp_path: Path, small_study: SyntheticStudy) -> None:
    whole = {row["record_id"]: row for row in rows_of(predict_new(run, small_study.images, out=tmp_path / "all.csv"))}
    name = min(whole)
    table = small_study.images.parent / "some.csv"
    table.write_text(f"file\n{name}\n", encoding="utf-8")
    path = predict_new(run, table, out=None)
    table.unlink()
    assert path.name == "some-predicted.csv"
    (row,) = rows_of(path)
    assert row["record_id"] == f"{small_study.images.name}/{name}"
    assert float(row["entropy"]) == pytest.approx(float(whole[name]["entropy"]), abs=1e-5)
