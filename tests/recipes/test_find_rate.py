"""A test of rates writes its numbers and figure, suggests a rate, and leaves a run as it was."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from radpath.errors import SettingsError, StorageError
from radpath.recipes.find_rate import find_rate, sentence
from radpath.training.rate_test import interpret, rates_to_try

TINY = [
    *("model.backbone=test_resnet", "model.weights=none", "model.norm_statistics=batch", "pixels.size=fixed"),
    "pixels.size_px=32",
]


def test_numbers_and_figure_are_written(array_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = find_rate(array_file, labels=None, assignments=TINY, out=tmp_path / "out", num_steps=40)
    told = json.loads((tmp_path / "out" / "learning_rate.json").read_text(encoding="utf-8"))
    rows = list(csv.DictReader((tmp_path / "out" / "learning_rate.csv").read_text(encoding="utf-8").splitlines()))
    assert [float(row["loss"]) for row in rows] == list(found.losses)
    assert told["suggestion"] == found.suggestion
    assert told["current"] == 3e-4
    assert "<svg" in (tmp_path / "out" / "learning_rate.svg").read_text(encoding="utf-8")
    assert sentence(found, current=3e-4) in capsys.readouterr().out


def test_a_run_is_taken_with_its_settings_and_never_changed(finished_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished_run, run)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    find_rate(run, labels=None, assignments=["training.learning_rate=0.002"], out=tmp_path / "out", num_steps=20)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    assert json.loads((tmp_path / "out" / "learning_rate.json").read_text(encoding="utf-8"))["current"] == 0.002
    with pytest.raises(StorageError, match="holds a run, whose files would be replaced"):
        find_rate(run, labels=None, assignments=[], out=run, num_steps=20)


def test_the_sentence_says_what_to_set_or_where_to_look() -> None:
    rates = rates_to_try(60).tolist()
    falling = interpret(rates, [1.0 - 0.012 * place for place in range(60)])
    assert sentence(falling, current=0.1).endswith(f"training.learning_rate={falling.suggestion:.1e} (now 1.0e-01)")
    flat = interpret(rates, [1.0] * 60)
    assert sentence(flat, current=0.1).startswith("The loss fell at no rate: nothing to suggest; `radpath check-learn")


def test_too_few_rates_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^--steps is 5; a test of learning rates needs at least 20$"):
        find_rate(tmp_path, labels=None, assignments=[], out=None, num_steps=5)
