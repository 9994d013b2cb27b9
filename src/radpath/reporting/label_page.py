"""The report of a run whose images have several labels: the same page, with the results of labels.

In: ``LabelReport``. Out: ``report.html`` with its tables and figures. What is said of data, split and training is what
the report of one class an image says.
"""

import dataclasses
from pathlib import Path

from radpath import files
from radpath.evaluation.cautions import limit_note
from radpath.evaluation.label_evaluation import LabelEvaluation
from radpath.evaluation.label_metrics import LABEL_METRICS
from radpath.evaluation.label_predictions import LabelPredictions
from radpath.reporting.blocks import Number, Section
from radpath.reporting.closing_sections import reproduction_section, section_of_limits
from radpath.reporting.content import RunFacts
from radpath.reporting.data_section import data_section, split_section
from radpath.reporting.figures import facts_figures
from radpath.reporting.label_figures import reported_label_side
from radpath.reporting.label_section import labels_headline, labels_section
from radpath.reporting.limits import STANDING, assumed_cases, without_test_side
from radpath.reporting.rendering import FOOTER, page_environment
from radpath.reporting.table_files import write_drawings, write_tables
from radpath.reporting.tables import Tile, number_of
from radpath.reporting.training_section import training_section


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelReport(RunFacts):
    """Everything that the page shows."""

    evaluation: LabelEvaluation
    predictions: LabelPredictions


def write_label_report(content: LabelReport, page: Path, *, figures: Path, tables: Path) -> None:
    """Write the page, and its drawings and tables beside it.

    Raises:
        StorageError: a file cannot be written.
    """
    sections = label_sections(content)
    write_drawings(sections, figures)
    write_tables(sections, tables)
    files.write_text(page, render_label_report(content, sections))


def label_sections(content: LabelReport) -> tuple[Section, ...]:
    """Return every section of the report; parts of which nothing is known are left out."""
    figures = facts_figures(content)
    known = content.data is not None
    parts = (
        data_section(content, figures) if known else None,
        split_section(content) if known else None,
        training_section(content, figures),
        labels_section(content.evaluation, content.predictions),
        section_of_limits((*_weak_evidence(content), *assumed_cases(content), *content.limits, *STANDING)),
        reproduction_section(content),
    )
    return tuple(part for part in parts if part is not None)


def render_label_report(content: LabelReport, sections: tuple[Section, ...]) -> str:
    """Return the page as HTML; the same content gives the same bytes."""
    checks = content.split.checks if content.split else ()
    return page_environment().get_template("report.html.jinja").render(
        sections=sections, title=content.title, lead=content.question, kind="report", created=content.created,
        footer=FOOTER, facts=_facts(content), headline=labels_headline(content.evaluation), tiles=_tiles(content),
        failed=[check for check in checks if check.outcome == "failed"], warnings=content.evaluation.warnings,
    )  # fmt: skip


def _weak_evidence(content: LabelReport) -> tuple[str, ...]:
    """Return what makes the numbers too good or too sure: no test side, and how well the rarest label can be known."""
    evaluation = content.evaluation
    reported = reported_label_side(evaluation).side
    sides = [numbers.sides[reported] for numbers in evaluation.of_label.values() if reported in numbers.sides]
    rarest = min(sides, key=lambda side: min(side.cases_per_class.values()))
    return (*without_test_side(reported), limit_note(rarest, confidence=evaluation.confidence))


def _facts(content: LabelReport) -> dict[str, str]:
    known = {
        "Command": content.command,
        "Labels": " · ".join(content.evaluation.names),
        "Images": content.data.images if content.data else "",
        "Table": content.data.labels if content.data else "",
        "Model": content.training.model if content.training else "",
    }
    return {name: value for name, value in known.items() if value}


def _tiles(content: LabelReport) -> list[Tile]:
    side = reported_label_side(content.evaluation)
    shown = ("macro_roc_auc", "micro_roc_auc", "macro_average_precision", "exact_match")
    cells = {name: number_of(side.find(name)) for name in shown}
    return [
        Tile(label=LABEL_METRICS[name].title, number=cell, baseline="")
        for name, cell in cells.items()
        if isinstance(cell, Number)
    ]
