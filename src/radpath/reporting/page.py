"""The report: one HTML file that needs nothing else, for the screen, for paper, in light and in dark.

In: ``ReportContent`` and its sections. Out: ``report.html``. What is said is decided in ``sections``, how blocks look
in ``rendering``; here is what stands above the sections: the question, the headline, and what must not be missed.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from radpath import files
from radpath.reporting import tables
from radpath.reporting.blocks import Block, Note, Paragraph, Section, Table
from radpath.reporting.content import ReportContent
from radpath.reporting.rendering import FOOTER, page_environment
from radpath.reporting.sections import report_sections
from radpath.reporting.wording import headline_sentence


def write_report(content: ReportContent, path: Path, *, sections: Sequence[Section] | None = None) -> None:
    """Write the page to ``path``, whole or not at all.

    Args:
        content: what to show.
        path: usually the run's ``report.html``.
        sections: what ``report_sections`` returned for this content, where the caller has it already.

    Raises:
        StorageError: the file cannot be written.
    """
    files.write_text(path, render_report(content, sections=sections))


def render_report(content: ReportContent, *, sections: Sequence[Section] | None = None) -> str:
    """Return the page as HTML; the same content gives the same bytes."""
    template = page_environment().get_template("report.html.jinja")
    return template.render(
        sections=report_sections(content) if sections is None else sections,
        title=content.title, lead=content.question, kind="report", created=content.created, footer=FOOTER,
        facts=facts(content), **_top(content),
    )  # fmt: skip


def facts(content: ReportContent) -> dict[str, str]:
    """Return what the report is about: each thing that is known, under its name."""
    evaluation = content.evaluation
    positive = f" ({evaluation.positive_class} counts as positive)" if evaluation.positive_class is not None else ""
    known = {
        "Command": content.command,
        "Classes": " · ".join(evaluation.classes) + positive,
        "Images": content.data.images if content.data else "",
        "Labels": content.data.labels if content.data else "",
        "Model": content.training.model if content.training else "",
    }
    return {name: value for name, value in known.items() if value}


def top_blocks(content: ReportContent) -> tuple[Block, ...]:
    """Return what stands above the sections, for formats that are made of blocks alone."""
    top = _top(content)
    failed = [f"Not guaranteed: {check.what}. {check.detail}" for check in top["failed"]]
    return (
        Paragraph(text=top["headline"]),
        Table(name="facts", caption="", columns=("What", "Which"), rows=tuple(facts(content).items())),
        *(Note(text=text, kind="warning") for text in (*failed, *top["warnings"])),
    )


def _top(content: ReportContent) -> dict[str, Any]:
    evaluation = content.evaluation
    checks = content.split.checks if content.split else ()
    return {
        "headline": headline_sentence(evaluation),
        "tiles": tables.headline_tiles(evaluation),
        "failed": [check for check in checks if check.outcome == "failed"],
        "warnings": evaluation.all_warnings,
    }
