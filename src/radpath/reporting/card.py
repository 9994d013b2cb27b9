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
from radpath.reporting.content import ReportContent
from radpath.reporting.limits import GAPS, derived_limits
from radpath.reporting.svg import printable
from radpath.reporting.wording import (
    SIDE_NAMES,
    case_sentence,
    headline_sentence,
    percent,
    reported_sides,
    threshold_sentence,
)

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
    return [
        f"- Question: {escaped(content.question)}",
        f"- Classes: {escaped(', '.join(content.evaluation.classes))}",
        f"- Model: {escaped(content.training.model)}",
        f"- Made: {escaped(content.created)}, by `{printable(content.command).replace('`', ' ')}`",
        f"- {escaped(headline_sentence(content.evaluation))}",
    ]


def _data(content: ReportContent) -> list[str]:
    data = content.data
    num_excluded = sum(one.num_images for one in data.exclusions)
    rows = [
        [row.name, *(f"{cell.images} ({cell.cases})" for cell in row.cells)] for row in tables.split_rows(content.split)
    ]
    header = ["Class", *(SIDE_NAMES[side.side] for side in content.split.sides)]
    found = f"{counted(data.num_kept, 'image')} of {counted(data.num_cases_kept, 'case')}"
    return [
        f"{found} take part; {counted(num_excluded, 'image')} excluded. {escaped(content.split.method)}",
        "",
        "Images, and cases in brackets:",
        "",
        *_table(header, rows),
    ]


def _results(content: ReportContent) -> list[str]:
    lines = _table_of_results(content.evaluation)
    cases = content.evaluation.by_case
    if cases is None:
        return lines
    by_case = ["### By case", "", escaped(case_sentence(cases)), escaped(threshold_sentence(cases.numbers)), ""]
    return [*lines, "", *by_case, *_table_of_results(cases.numbers)]


def _table_of_results(evaluation: Evaluation) -> list[str]:
    rows = []
    for row in tables.result_rows(evaluation):
        cells = (
            "" if cell is None else f"{cell.value} {f'({cell.interval})' * bool(cell.interval)}" for cell in row.cells
        )
        rows.append([row.label, *(cell.strip() for cell in cells), row.baseline])
    header = ["Metric", *(SIDE_NAMES[side.side] for side in reported_sides(evaluation)), "Most frequent class"]
    about = f"{percent(evaluation.confidence, 0)} intervals from {evaluation.replicates:,} resamples of whole cases."
    return [about, "", *_table(header, rows)]


def _phrase(cell: tables.Cell | None) -> str:
    if cell is None:
        return ""
    return f"{cell.value} ({cell.interval})" if cell.interval else cell.value


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [list(header), ["---"] * len(header), *([escaped(cell) for cell in row] for row in rows)]
    return ["| " + " | ".join(line) + " |" for line in lines]
