"""A run folder's files become the page, the figures and the model card; the model is not needed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from radpath import files
from radpath.errors import SettingsError
from radpath.evaluation.estimates import Evaluation
from radpath.evaluation.label_predictions import has_several_labels
from radpath.evaluation.predictions import Predictions, read_predictions
from radpath.evaluation.thresholds import decide
from radpath.recipes.analyses import read_sections
from radpath.recipes.experiment import Experiment, read_experiment
from radpath.recipes.label_judging import write_label_run_report
from radpath.recipes.pictures import Pictures
from radpath.recipes.run_facts import gather_facts, pictures_of, read_manifest
from radpath.recipes.staleness import require_same_settings
from radpath.recipes.telling import say_path
from radpath.reporting.blocks import Section
from radpath.reporting.card import write_model_card
from radpath.reporting.content import (
    Mistake,
    ReportContent,
)
from radpath.reporting.page import top_blocks, write_report
from radpath.reporting.pdf import can_write_pdf, render_pdf, require_typst
from radpath.reporting.sections import report_sections
from radpath.reporting.table_files import write_drawings, write_tables
from radpath.reporting.wording import reported_sides
from radpath.run_folder import RunFolder

_Wrong = tuple[float, int, str]
"""The probability of the truth, the row, and the truth."""

_MISTAKES: Final = 12
_MISTAKES_OF_A_KIND: Final = 8


def rebuild_report(root: Path, *, pdf: bool = False) -> None:
    """Write the pages of a finished run again, from its files alone, without the model.

    Args:
        root: a run folder.
        pdf: whether to make ``report.pdf`` too; one that is there is renewed in any case.

    Raises:
        StaleError: predictions or settings changed since the numbers were made.
        RadpathError: the folder holds no finished run, or a PDF was asked for and cannot be made.
    """
    if pdf:
        require_typst()
    folder = RunFolder.open(root)
    now = {"predictions.csv": files.digest_file(folder.predictions)} if folder.predictions.is_file() else {}
    folder.require_fresh("evaluate", now, remedy="run `radpath evaluate` on the folder first")
    experiment = read_experiment(folder.experiment, [])
    require_same_settings(folder, experiment)
    if has_several_labels(folder.predictions):
        _refuse_pdf(pdf=pdf)
        write_label_run_report(experiment, folder)
    else:
        write_pages(gather_content(experiment, folder), folder, pdf=pdf)
    say_path("Report", folder.report)
    if folder.report_pdf.is_file():
        say_path("PDF", folder.report_pdf)


def _refuse_pdf(*, pdf: bool) -> None:
    if pdf:
        raise SettingsError(
            "a PDF is made of runs with one class an image; print report.html, which is laid out for it"
        )


def write_run_report(experiment: Experiment, folder: RunFolder) -> None:
    """Write ``report.html``, ``figures/``, ``tables/`` and ``model_card.md`` from the other files of the folder.

    Raises:
        DataError: a file of the run is missing or damaged.
    """
    write_pages(gather_content(experiment, folder), folder)


def write_pages(content: ReportContent, folder: RunFolder, *, pdf: bool = False) -> None:
    """Write what ``gather_content`` gathered as the page, its figures, its tables and the model card of a folder.

    A PDF that is there already is renewed, or removed where Typst is not installed, so that it never tells old numbers.
    """
    sections = report_sections(content)
    write_drawings(sections, folder.figures)
    write_tables(sections, folder.tables)
    write_model_card(content, folder.model_card)
    write_report(content, folder.report, sections=sections)
    if pdf or folder.report_pdf.is_file():
        _write_pdf(content, folder, sections)


def _write_pdf(content: ReportContent, folder: RunFolder, sections: Sequence[Section]) -> None:
    folder.report_pdf.unlink(missing_ok=True)
    if can_write_pdf():
        top = top_blocks(content)
        drawn = render_pdf(sections, title=content.title, lead=content.question, created=content.created, top=top)
        files.write_bytes(folder.report_pdf, drawn)


def gather_content(experiment: Experiment, folder: RunFolder, *, results: RunFolder | None = None) -> ReportContent:
    """Read a run folder into what the page shows; predictions and numbers may be those of another folder."""
    results = results or folder
    manifest = read_manifest(experiment, folder)
    predictions = read_predictions(results.predictions)
    evaluation = Evaluation.from_dict(files.read_json(results.metrics))
    pictures = pictures_of(experiment, folder, manifest, results=results)
    facts = gather_facts(
        experiment,
        folder,
        manifest,
        predictions,
        classes=evaluation.classes,
        question=_question(evaluation.classes),
        pictures=pictures,
        results=results,
    )
    return ReportContent(
        **vars(facts),
        evaluation=evaluation,
        predictions=predictions,
        mistakes=mistakes_of(predictions, evaluation, pictures),
        sections=read_sections(results.root),
    )


def _question(classes: Sequence[str]) -> str:
    return f"Which class does an image show: {', '.join(classes[:-1])} or {classes[-1]}?"


def mistakes_of(predictions: Predictions, evaluation: Evaluation, pictures: Pictures) -> tuple[Mistake, ...]:
    """Return the wrongly decided images of the reported side whose truth was thought least probable."""
    side = reported_sides(evaluation)[0].side
    place = {name: column for column, name in enumerate(predictions.classes)}
    decisions = decide(predictions.probabilities, classes=predictions.classes, threshold=evaluation.threshold)
    wrong = [
        (float(predictions.probabilities[row, place[truth]]), row, truth)
        for row, truth in enumerate(predictions.truth)
        if truth is not None and predictions.sides[row] == side and decisions[row] != place[truth]
    ]
    return tuple(
        Mistake(
            picture=pictures.of(predictions.record_ids[row]),
            overlay=pictures.overlay_of(predictions.record_ids[row]),
            record_id=predictions.record_ids[row],
            case=predictions.cases[row],
            truth=truth,
            decision=predictions.classes[decisions[row]],
            probability_of_truth=probability,
        )
        for probability, row, truth in _worst(sorted(wrong), evaluation.positive_class)
    )


def _worst(wrong: list[_Wrong], positive_class: str | None) -> list[_Wrong]:
    """Return the worst: with two classes of each kind of mistake, so that neither hides the other."""
    if positive_class is None:
        return wrong[:_MISTAKES]
    missed = [one for one in wrong if one[2] == positive_class]
    alarms = [one for one in wrong if one[2] != positive_class]
    return sorted([*missed[:_MISTAKES_OF_A_KIND], *alarms[:_MISTAKES_OF_A_KIND]])
