"""The model card: what a person who meets the model later has to know, in Markdown beside its weights.

In: ``ReportContent``. Out: ``model_card.md``. The parts that only a person can know are marked as missing, not guessed.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from radpath import files
from radpath.data.findings import counted
from radpath.evaluation.estimates import Evaluation
from radpath.reporting import tables
from radpath.reporting.blocks import Note, Paragraph, Section, Table
from radpath.reporting.content import ReportContent, side_counts
from radpath.reporting.limits import GAPS, derived_limits
from radpath.reporting.svg import printable
from radpath.reporting.table_layout import LaidCell, lay_out
from radpath.reporting.wording import (
    case_sentence,
    headline_sentence,
    interval_sentence,
    percent,
    threshold_sentence,
)

_ANALYSES = ("operating-points", "calibration", "prediction-sets", "subgroups")
"""Sections of the report, by anchor, whose words and tables a person who uses the model needs; drawings stay there."""

_MISSING = "**To be filled in by a person.**"
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|#&~$])")


def write_model_card(content: ReportContent, path: Path) -> None:
    """Write the card to ``path``, whole or not at all.

    Raises:
        StorageError: the file cannot be written.
    """
    files.write_text(path, render_model_card(content))


def render_model_card(content: ReportContent) -> str:
    """Return the card as Markdown; the same content gives the same bytes."""
    sections = {
        "Model": _model(content),
        "Intended use": [f"- {_MISSING} {gap}" for gap in GAPS],
        "Data": _data(content),
        "Results": _results(content),
        "Decision": [escaped(threshold_sentence(content.evaluation))],
        **{part.title: _analysis(part) for part in content.sections if part.anchor in _ANALYSES},
        "Caveats": [f"- {escaped(caveat)}" for caveat in (*content.evaluation.all_warnings, *derived_limits(content))],
        "Versions": _table(("What", "Value"), content.environment.items()),
    }
    body = [f"## {name}\n\n" + "\n".join(lines) + "\n" for name, lines in sections.items()]
    return "\n".join([f"# Model card: {escaped(content.title)}\n", *body])


def escaped(text: str) -> str:
    r"""Return ``text`` so that Markdown shows it as it is, on one line.

    >>> print(escaped("a_b|c"))
    a\_b\|c
    """
    return _MARKDOWN.sub(r"\\\1", printable(" ".join(text.split())))


def _model(content: ReportContent) -> list[str]:
    command = printable(content.command).replace("`", " ")
    lines = [
        ("Question", escaped(content.question)),
        ("Classes", escaped(", ".join(content.evaluation.classes))),
        ("Model", escaped(content.training.model) if content.training else ""),
        ("Made", ", by ".join(part for part in (escaped(content.created), f"`{command}`" * bool(command)) if part)),
    ]
    known = [f"- {name}: {text}" for name, text in lines if text]
    return [*known, f"- {escaped(headline_sentence(content.evaluation))}"]


def _data(content: ReportContent) -> list[str]:
    table = _table_of(tables.split_table(side_counts(content)))
    if content.data is None:
        return ["Known from a table of predictions alone.", "", *table]
    num_excluded = sum(one.num_images for one in content.data.exclusions)
    found = f"{counted(content.data.num_kept, 'image')} of {counted(content.data.num_cases_kept, 'case')}"
    method = escaped(content.split.method) if content.split else ""
    lines = [f"{found} take part; {counted(num_excluded, 'image')} excluded. {method}".rstrip(), "", *table]
    if content.characteristics is not None:
        lines += ["", "### Characteristics", "", *_table_of(content.characteristics)]
    return lines


def _analysis(section: Section) -> list[str]:
    """Return the words and tables of a section."""
    lines: list[str] = []
    for block in section.blocks:
        if isinstance(block, Paragraph | Note):
            lines += [escaped(block.text), ""]
        elif isinstance(block, Table):
            lines += [*([escaped(block.caption), ""] if block.caption else []), *_table_of(block), ""]
    return lines[:-1]


def _results(content: ReportContent) -> list[str]:
    lines = _table_of_results(content.evaluation)
    cases = content.evaluation.by_case
    if cases is None:
        return lines
    by_case = ["### By case", "", escaped(case_sentence(cases)), escaped(threshold_sentence(cases.numbers)), ""]
    return [*lines, "", *by_case, *_table_of_results(cases.numbers)]


def _table_of_results(evaluation: Evaluation) -> list[str]:
    about = f"Each number with its {percent(evaluation.confidence, 0)} interval. {interval_sentence(evaluation)}"
    return [about, "", *_table_of(tables.results_table(evaluation, name="results"))]


def _table_of(table: Table) -> list[str]:
    """Return a table of the report in Markdown, with its notes below it."""
    laid = lay_out(table)
    rows = [*laid.rows, *([laid.total] if laid.total else [])]
    lines = _table(laid.columns, [[_phrase(cell) for cell in row] for row in rows])
    notes = [f"({number}) {escaped(note)}  " for number, note in enumerate(laid.notes, start=1)]
    return [*lines, *(["", *notes] if notes else [])]


def _phrase(cell: LaidCell) -> str:
    interval = f" ({cell.interval})" if cell.interval else ""
    mark = f" ({cell.mark})" if cell.mark else ""
    return f"{cell.text}{interval}{mark}"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    escaped_rows = [[escaped(cell) for cell in row] for row in (header, *rows)]
    lines = [escaped_rows[0], ["---"] * len(header), *escaped_rows[1:]]
    return ["| " + " | ".join(line) + " |" for line in lines]
