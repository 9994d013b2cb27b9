"""What is printed: aligned, in words, nothing twice, wrapped for a terminal and whole for a log."""

import dataclasses
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from radpath.data.manifest import Finding
from radpath.evaluation.estimates import Evaluation
from radpath.evaluation.evaluate import EvaluationSettings, evaluate
from radpath.evaluation.predictions import Predictions
from radpath.recipes.telling import say_findings, say_path, say_plan, say_results, say_rows, say_training
from radpath.records import SIDES
from radpath.reporting.content import Choice
from radpath.training.history import Epoch

Capture = pytest.CaptureFixture[str]


def evaluation_of(*classes: str) -> Evaluation:
    return evaluate(predictions_of(*classes), EvaluationSettings(replicates=100))


def predictions_of(*classes: str) -> Predictions:
    rng = np.random.default_rng(0)
    truth = [place % len(classes) for place in range(60)]
    scores = rng.normal(size=(60, len(classes))) + 1.5 * np.eye(len(classes))[truth]
    powers = np.exp(scores)
    return Predictions(
        record_ids=tuple(map(str, range(60))),
        cases=tuple(map(str, range(60))),
        sides=tuple(SIDES[place // 20] for place in range(60)),
        truth=tuple(classes[place] for place in truth),
        probabilities=powers / powers.sum(axis=1, keepdims=True),
        classes=classes,
    )


def test_columns_are_aligned_and_the_last_is_whole(capsys: Capture) -> None:
    say_rows("Table", [("a", "long cell", "x" * 200), ("longer", "b", "one\ntwo"), ("c", "d", "")])
    assert capsys.readouterr().out.splitlines() == [
        "",
        "Table",
        f"  a       long cell  {'x' * 200}",
        "  longer  b          one",
        "                     two",
        "  c       d",
    ]


def test_no_rows_need_no_heading(capsys: Capture) -> None:
    say_rows("Table", [])
    assert capsys.readouterr().out == ""


def test_a_terminal_gets_lines_that_fit_it(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(shutil, "get_terminal_size", lambda: os.terminal_size((70, 20)))
    say_rows("Table", [("name", "some words " * 20)])
    _, _, *lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 2
    assert all(len(line) <= 70 for line in lines)
    assert all(line.startswith(("        some", "        words")) for line in lines[1:])


def test_warnings_come_first_with_a_few_examples(capsys: Capture) -> None:
    note = Finding(kind="other", severity="note", count=1, message="a note")
    many = tuple(f"image {place}" for place in range(9))
    warning = Finding(kind="no-label", severity="warning", count=9, message="9 images excluded", examples=many)
    assumed = dataclasses.replace(warning, kind="case-assumed", severity="note", message="cases assumed")
    say_findings([note, assumed, warning])
    assert [line.strip() for line in capsys.readouterr().out.splitlines()[2:]] == [
        "warning  9 images excluded",
        "image 0",
        "image 1",
        "image 2",
        "…",
        "note     a note",
        "note     cases assumed",
    ]


def test_a_plan_reads_as_sentences(capsys: Capture) -> None:
    say_plan([Choice(setting="pixels.size", value="fixed", reason="every image has 28 x 28 px")])
    assert "  pixels.size = fixed  because every image has 28 x 28 px\n" in capsys.readouterr().out


def test_two_classes_are_told_with_their_threshold_and_baseline(capsys: Capture) -> None:
    say_results(evaluation_of("0", "1"))
    told = capsys.readouterr().out.replace("\N{NO-BREAK SPACE}", " ")
    assert "Test ROC AUC " in told.splitlines()[1]
    assert "on 20 images of 20 cases." in told.splitlines()[1]
    assert "Test side ('1' is positive; 95 % intervals by case)" in told
    assert "An image is called 1 when its probability is at least " in told
    assert "the majority class gives 0.500" in told
    names = [line.split("  ")[1] for line in told.splitlines() if line.startswith("  ") and not line.startswith("  -")]
    assert len(names) == len(set(names))
    assert {"ROC AUC", "Sensitivity", "Specificity", "Brier score"} <= set(names)


def test_several_classes_are_told_as_means(capsys: Capture) -> None:
    say_results(evaluation_of("a", "b", "c"))
    told = capsys.readouterr().out
    assert "Test mean one-versus-rest ROC AUC" in told
    assert "ROC AUC, mean of classes" in told
    assert "is positive" not in told


def test_a_number_without_an_interval_says_why(capsys: Capture) -> None:
    made = evaluation_of("a", "b")
    test = made.sides["test"]
    bare = tuple(dataclasses.replace(one, low=None, high=None, note="no interval: few cases") for one in test.estimates)
    sides = {**made.sides, "test": dataclasses.replace(test, estimates=bare)}
    say_results(dataclasses.replace(made, sides=sides))
    assert "no interval: few cases" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("epochs", "auc", "seconds", "words"),
    [
        (1, 0.75, 3.0, "Trained 1 epoch in 3 s; the best is epoch 1, with validation AUC 0.750\n"),
        (14, None, 600.0, "Trained 14 epochs in 10.0 min; the best is epoch 14, with no validation AUC\n"),
    ],
)
def test_a_training_is_told_in_one_line(
    capsys: Capture, epochs: int, auc: float | None, seconds: float, words: str
) -> None:
    epoch = Epoch(
        epoch=epochs, learning_rate=1.0, train_loss=1.0, validation_loss=1.0, validation_auc=auc, seconds=seconds
    )
    say_training([epoch], "validation_auc")
    assert capsys.readouterr().out == words


def test_a_path_is_told_with_what_it_is(capsys: Capture) -> None:
    say_path("Report", Path("run/report.html"))
    assert capsys.readouterr().out == "Report: run/report.html\n"


def test_numbers_by_case_and_their_cautions_are_told(capsys: Capture) -> None:
    predictions = predictions_of("benign", "malignant")
    pairs = tuple(f"{place // 4}{predictions.truth[place]}" for place in range(60))
    say_results(evaluate(dataclasses.replace(predictions, cases=pairs), EvaluationSettings(replicates=100)))
    told = capsys.readouterr().out
    assert "By case: Test ROC AUC" in told
    assert "A case is called malignant when its probability is at least" in told
    assert "  -  by case, test: " in told
