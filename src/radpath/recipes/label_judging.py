"""Predictions of several labels become numbers, a page and lines, as those of classes do.

In: a run folder, or a table of any program. Out: ``metrics.json`` and ``thresholds.json`` of each label, and the
report. Analyses beyond the metrics ask about classes, and are not made.
"""

from pathlib import Path

from radpath import files
from radpath.data.findings import counted
from radpath.evaluation.estimates import Estimate
from radpath.evaluation.evaluate import EvaluationSettings
from radpath.evaluation.label_evaluation import LabelEvaluation, evaluate_labels
from radpath.evaluation.label_metrics import LABEL_METRICS
from radpath.evaluation.label_predictions import LabelPredictions, read_label_predictions
from radpath.evaluation.thresholds import Threshold
from radpath.recipes.experiment import Experiment
from radpath.recipes.run_facts import gather_facts, pictures_of, read_manifest
from radpath.recipes.running import read_document
from radpath.recipes.telling import say, say_path, say_rows
from radpath.reporting.label_figures import area_of, reported_label_side
from radpath.reporting.label_page import LabelReport, write_label_report
from radpath.reporting.label_section import labels_headline
from radpath.reporting.wording import SIDE_NAMES, estimate_text, percent
from radpath.run_folder import RunFolder


def conclude_labels(experiment: Experiment, folder: RunFolder) -> LabelEvaluation:
    """Evaluate, tell and report a run whose images have several labels."""
    evaluation = _judge(read_label_predictions(folder.predictions), experiment.evaluation, folder)
    folder.stamp("evaluate", {"predictions.csv": files.digest_file(folder.predictions)})
    write_label_run_report(experiment, folder)
    return evaluation


def evaluate_label_table(path: Path, settings: EvaluationSettings, *, out: Path | None) -> LabelEvaluation:
    """Evaluate a table of any program; its numbers and a page are written where ``out`` says, if it says."""
    predictions = read_label_predictions(path)
    if out is None:
        evaluation = evaluate_labels(predictions, settings)
        _say(evaluation)
        return evaluation
    folder = RunFolder(out)
    evaluation = _judge(predictions, settings, folder)
    question = f"Which does an image show: {', '.join(predictions.names)}?"
    content = LabelReport(title=path.name, question=question, evaluation=evaluation, predictions=predictions)
    write_label_report(content, folder.report, figures=folder.figures, tables=folder.tables)
    say("")
    say_path("Metrics", folder.metrics)
    say_path("Report", folder.report)
    return evaluation


def write_label_run_report(experiment: Experiment, folder: RunFolder) -> None:
    """Write ``report.html``, ``figures/`` and ``tables/`` from the other files of the folder.

    Raises:
        DataError: a file of the run is missing or damaged.
    """
    manifest = read_manifest(experiment, folder)
    predictions = read_label_predictions(folder.predictions)
    evaluation = LabelEvaluation.from_dict(files.read_json(folder.metrics))
    facts = gather_facts(
        experiment,
        folder,
        manifest,
        predictions,
        classes=evaluation.names,
        question=f"Which does an image show: {', '.join(evaluation.names)}?",
        pictures=pictures_of(experiment, folder, manifest, results=folder),
        results=folder,
    )
    content = LabelReport(**vars(facts), evaluation=evaluation, predictions=predictions)
    write_label_report(content, folder.report, figures=folder.figures, tables=folder.tables)


def read_label_thresholds(folder: RunFolder) -> dict[str, Threshold]:
    """Read the threshold of each label of a run.

    Raises:
        DataError: the file is missing or damaged.
    """
    return read_document(
        folder.thresholds, lambda found: {name: Threshold.from_dict(one) for name, one in found["labels"].items()}
    )


def _judge(predictions: LabelPredictions, settings: EvaluationSettings, folder: RunFolder) -> LabelEvaluation:
    evaluation = evaluate_labels(predictions, settings)
    files.write_json(folder.metrics, evaluation.to_dict())
    thresholds = {name: threshold.to_dict() for name, threshold in evaluation.thresholds.items()}
    files.write_json(folder.thresholds, {"labels": thresholds})
    _say(evaluation)
    return evaluation


def _say(evaluation: LabelEvaluation) -> None:
    """Print the result in one sentence, then the numbers of all labels together, of each label, and the cautions."""
    side = reported_label_side(evaluation)
    share, name = percent(evaluation.confidence, 0), SIDE_NAMES[side.side]
    say("")
    say(labels_headline(evaluation))
    rows = [(LABEL_METRICS[one.metric].title, _text(one)) for one in side.estimates]
    say_rows(f"{name} side, all labels together ({share} intervals by case)", rows)
    of_each = [(label, _text(area_of(evaluation, label))) for label in evaluation.names]
    say_rows(f"{name} side, ROC AUC of each label", of_each)
    own = sum(len(one.all_warnings) for one in evaluation.of_label.values())
    told = [f"{counted(own, 'caution')} about single labels, in the report"] if own else []
    say_rows("Cautions", [("-", warning) for warning in [*evaluation.warnings, *told]])


def _text(estimate: Estimate | None) -> str:
    return "not known" if estimate is None else estimate_text(estimate)
