"""The report of several labels an image."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from radpath.evaluation.evaluate import EvaluationSettings
from radpath.evaluation.label_evaluation import evaluate_labels
from radpath.evaluation.label_predictions import LabelPredictions
from radpath.records import SIDES
from radpath.reporting.blocks import Bullets, Folded, Paragraph, Section, Table
from radpath.reporting.label_figures import CURVES_A_FIGURE, curve_figures
from radpath.reporting.label_page import LabelReport, label_sections, render_label_report, write_label_report

MakeReport = Callable[..., LabelReport]


def drawn_report(num_labels: int = 3, *, seed: int = 0, unknown: float = 0.1) -> LabelReport:
    draw = np.random.default_rng(seed)
    truth = draw.integers(0, 2, (90, num_labels)).astype(np.float64)
    scores = (draw.random(truth.shape) + truth) / 2
    truth[draw.random(truth.shape) < unknown] = np.nan
    predictions = LabelPredictions(
        record_ids=tuple(f"{row}.png" for row in range(90)),
        cases=tuple(f"case {row // 2}" for row in range(90)),
        sides=tuple(SIDES[row // 30] for row in range(90)),
        truth=truth,
        probabilities=scores,
        names=tuple(f"finding <{number}>" for number in range(num_labels)),
    )
    evaluation = evaluate_labels(predictions, EvaluationSettings(replicates=100))
    return LabelReport(title="chests", question="Which are there?", evaluation=evaluation, predictions=predictions)


@pytest.fixture(scope="module")
def report() -> LabelReport:
    return drawn_report()


def test_every_label_has_a_row_and_details_that_are_folded(report: LabelReport) -> None:
    results = next(section for section in label_sections(report) if section.anchor == "results")
    tables = {block.name: block for block in results.blocks if isinstance(block, Table)}
    assert [row[0] for row in tables["labels"].rows] == list(report.evaluation.names)
    assert all(len(row) == len(tables["labels"].columns) for row in tables["labels"].rows)
    folded = [block.summary for block in results.blocks if isinstance(block, Folded)]
    assert [summary.partition(":")[0] for summary in folded[1:]] == list(report.evaluation.names)


def test_the_page_and_its_files_are_written_and_texts_are_escaped(report: LabelReport, tmp_path: Path) -> None:
    write_label_report(report, tmp_path / "report.html", figures=tmp_path / "figures", tables=tmp_path / "tables")
    page = (tmp_path / "report.html").read_text()
    assert "finding &lt;1&gt;" in page
    assert "finding <1>" not in page
    assert "ROC AUC, mean of 3 labels" in page
    assert {"label_areas.svg", "label_curves_1.svg"} <= {path.name for path in (tmp_path / "figures").iterdir()}
    assert {"labels.csv", "labels-together.csv", "label-2.csv"} <= {p.name for p in (tmp_path / "tables").iterdir()}


def test_the_same_content_gives_the_same_bytes(report: LabelReport) -> None:
    assert render_label_report(report, label_sections(report)) == render_label_report(report, label_sections(report))


def text_of(section: Section) -> str:
    return " ".join(item for block in section.blocks if isinstance(block, Bullets) for item in block.items)


def test_how_intervals_were_found_is_that_of_the_labels(report: LabelReport) -> None:
    results = next(section for section in label_sections(report) if section.anchor == "results")
    (table,) = (block for block in results.blocks if isinstance(block, Table) and block.name == "labels")
    assert "Newcombe for a ROC AUC of 0 or 1, Wilson for shares, percentiles of 100 bootstrap" in table.caption
    assert "need not sum to 1" in next(block.text for block in results.blocks if isinstance(block, Paragraph))


def test_without_a_test_side_the_limits_say_so_and_how_well_the_rarest_label_is_known(report: LabelReport) -> None:
    limits = text_of(next(section for section in label_sections(report) if section.anchor == "limits"))
    assert "There is no test side" not in limits
    assert "is known to about plus or minus" in limits
    made = report.predictions
    sides = tuple("validation" if side == "test" else side for side in made.sides)
    predictions = dataclasses.replace(made, sides=sides)
    evaluation = evaluate_labels(predictions, EvaluationSettings(replicates=100))
    without = dataclasses.replace(report, predictions=predictions, evaluation=evaluation)
    told = text_of(next(section for section in label_sections(without) if section.anchor == "limits"))
    assert "There is no test side. The results are of the validation side" in told


def test_many_labels_have_several_figures_of_curves() -> None:
    report = drawn_report(CURVES_A_FIGURE + 1, seed=1)
    assert len(curve_figures(report.evaluation, report.predictions)) == 2


def test_labels_that_the_test_side_does_not_know_are_dashes_and_a_reason() -> None:
    report = drawn_report(2, seed=2, unknown=0)
    on_test = np.array(report.predictions.sides) == "test"
    truth = report.predictions.truth.copy()
    truth[on_test, 0] = np.nan
    predictions = LabelPredictions(
        record_ids=report.predictions.record_ids,
        cases=report.predictions.cases,
        sides=report.predictions.sides,
        truth=truth,
        probabilities=report.predictions.probabilities,
        names=report.predictions.names,
    )
    evaluation = evaluate_labels(predictions, EvaluationSettings(replicates=100))
    lacking = LabelReport(title="chests", question="", evaluation=evaluation, predictions=predictions)
    page = render_label_report(lacking, label_sections(lacking))
    assert "No mean ROC AUC can be given for the test side" in page
    assert "ROC AUC not known" in page
