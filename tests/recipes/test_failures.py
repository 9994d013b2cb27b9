"""A failed run shows one screen: causes, last steps, stages and the batch; and goes on as the error it is."""

from pathlib import Path
from typing import Any

import pytest

from radpath import files
from radpath.errors import TrainingError
from radpath.recipes.failures import told_failures
from radpath.run_folder import RunFolder


def story() -> dict[str, Any]:
    found = {"where": "stem", "largest": 12.0, "num_not_finite": 0}
    return {
        "causes": [{"name": "data", "standing": "likely", "because": "3 numbers of a.png are none", "remedy": ""}],
        "evidence": {
            "problem": "the loss is nan in epoch 2, step 5",
            "steps": [{"epoch": 2, "step": 5, "loss": "nan", "gradient_norm": 2.0, "learning_rate": 0.1}],
            "passed": {"loss": "nan", "ranges": [{**found, "num_not_finite": 1200}]},
            "passed_exactly": {"loss": 1.0, "ranges": [found]},
            "weights": [found, {**found, "where": "head", "largest": 0.0, "num_not_finite": 80}],
            "batch": {
                "record_ids": [f"{number}.png" for number in range(8)],
                "labels": {"x": 3, "y": 5},
                "lowest": "nan",
                "highest": 1.0,
                "not_finite": {"a.png": 3},
                "odd": ["b.png: all pixels are 0"],
            },
        },
    }


def fail(folder: RunFolder) -> None:
    with pytest.raises(TrainingError, match=r"^spoilt$"), told_failures(folder):
        raise TrainingError("spoilt")


def test_one_screen_tells_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = RunFolder(tmp_path)
    files.write_json(folder.failure, story())
    fail(folder)
    told = capsys.readouterr().out
    assert len(told.splitlines()) < 40
    for words in (
        "The training is spoilt: the loss is nan in epoch 2, step 5",
        "likely  data  3 numbers of a.png are none",
        "12, and 1,200 infinite or not numbers",
        "none: 80 are infinite or not numbers",
        "0.png, 1.png, 2.png, 3.png, 4.png, … (8 in all)",
        "3 x, 5 y",
        "no numbers in a.png  3",
        "b.png: all pixels are 0",
    ):
        assert words in told, words


def test_an_error_without_a_story_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fail(RunFolder(tmp_path))
    assert capsys.readouterr().out == ""
