"""The pages about a study before anything is trained: what is in it (``describe``), what is wrong with it (``audit``).

In: ``StudyContent``, handed over by a recipe. Out: one HTML file that needs nothing else, with the look and the
promises of the report: every text of a user is escaped, no script, no network.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from markupsafe import Markup

from radpath import files
from radpath.data.audit.confounders import Confounder
from radpath.data.findings import counted
from radpath.reporting.content import Sample
from radpath.reporting.rendering import page_environment
from radpath.reporting.study_content import Balance, PicturedPair, Question, StudyContent
from radpath.reporting.study_figures import study_figures
from radpath.reporting.thumbnails import data_uri, is_lossless

_MOST_COLUMNS_SHOWN: Final = 12


def write_study_page(content: StudyContent, path: Path) -> None:
    """Write the page to ``path``, whole or not at all.

    Raises:
        StorageError: the file cannot be written.
    """
    files.write_text(path, render_study_page(content))


def render_study_page(content: StudyContent) -> str:
    """Return the page as HTML; the same content gives the same bytes."""
    # Our own drawings, whose texts are escaped where they are drawn.
    figures = {name: Markup(svg) for name, svg in study_figures(content).items()}  # noqa: S704 - see above
    warnings = [finding for finding in content.findings if finding.severity == "warning"]
    notes = [finding for finding in content.findings if finding.severity != "warning"]
    return page_environment().get_template("study.html.jinja").render(
        content=content,
        contents=_contents(content),
        figures=figures,
        headline=_headline(content, len(warnings)),
        warnings=warnings,
        notes=notes,
        balances=[_balance_rows(balance) for balance in content.balances],
        pairs=[_embedded_pair(one) for one in content.pairs],
        questions=[_question_rows(question) for question in content.questions],
        samples=[
            {"name": name, "samples": [_embedded_sample(one) for one in group]}
            for name, group in content.samples.items()
            if group
        ],
    )  # fmt: skip


def _contents(content: StudyContent) -> list[tuple[str, str]]:
    audit = [
        ("copies", "Near duplicates", content.threshold is not None),
        ("confounders", "What gives the label away", bool(content.questions)),
    ]
    data = [
        ("images", "Images", True),
        ("balance", "Balance", bool(content.balances)),
        ("samples", "Sample images", bool(content.samples)),
        ("excluded", "Excluded images", bool(content.exclusions)),
    ]
    findings = [("findings", "Findings", True)]
    ordered = [*findings, *audit, *data] if content.kind == "audit" else [*data, *audit, *findings]
    return [(anchor, text) for anchor, text, is_there in ordered if is_there]


def _headline(content: StudyContent, num_warnings: int) -> str:
    if content.kind == "description":
        images = counted(sum(len(sizes) for sizes in content.sizes_px.values()), "image")
        return f"{images}; {counted(num_warnings, 'warning')}." if num_warnings else f"{images}; nothing odd."
    if not num_warnings:
        return "Nothing was found that would make a score too good."
    return f"{counted(num_warnings, 'warning')}: what would make a score too good, or worthless elsewhere."


def _balance_rows(balance: Balance) -> dict[str, Any]:
    classes = list(dict.fromkeys(label for of_class in balance.counts.values() for label in of_class))
    return {
        "of": balance.of,
        "values": list(balance.counts),
        "rows": [
            {
                "name": label,
                "cells": [f"{of_class.get(label, 0):,}" for of_class in balance.counts.values()],
                "total": f"{sum(of_class.get(label, 0) for of_class in balance.counts.values()):,}",
            }
            for label in classes
        ],
        "totals": [f"{sum(of_class.values()):,}" for of_class in balance.counts.values()],
        "total": f"{sum(sum(of_class.values()) for of_class in balance.counts.values()):,}",
    }


def _embedded_sample(sample: Sample) -> dict[str, Any]:
    return {"address": data_uri(sample.picture), "tiny": is_lossless(sample.picture), "caption": sample.caption}


def _embedded_pair(one: PicturedPair) -> dict[str, Any]:
    pair = one.pair
    marks = [
        *(["two sides"] if pair.is_leak else []),
        *(["different labels"] if pair.is_disputed else []),
        *(["one case"] if pair.cases[0] is not None and pair.cases[0] == pair.cases[1] else []),
    ]
    ends = zip(one.pictures, pair.record_ids, pair.labels, pair.sides, pair.cases, strict=True)
    return {
        "similarity": f"{pair.similarity:.3f}",
        "marks": marks,
        "serious": pair.is_leak or pair.is_disputed,
        "images": [
            {
                "address": data_uri(picture),
                "tiny": is_lossless(picture),
                "record_id": record_id,
                "label": label or "no label",
                "where": ", ".join(
                    [*([side] if side else []), *([f"case {case}"] if case and case != record_id else [])]
                ),
            }
            for picture, record_id, label, side, case in ends
        ],
    }


def _question_rows(question: Question) -> dict[str, Any]:
    check = question.check
    return {
        "what": question.what,
        "figure": f"areas_{question.what.split()[1]}",
        "together": ""
        if check.together is None
        else _area_text(check.together.value, check.together.low, check.together.high),
        "alarms": [one.column for one in check.columns if one.is_alarm],
        "rows": _column_rows(check.columns[:_MOST_COLUMNS_SHOWN]),
    }


def _column_rows(columns: Sequence[Confounder]) -> list[dict[str, Any]]:
    return [
        {
            "column": one.column,
            "origin": one.origin,
            "area": _area_text(one.area.value, one.area.low, one.area.high),
            "chance": f"{one.chance:.3f}",
            "alarm": one.is_alarm,
        }
        for one in columns
    ]


def _area_text(value: float, low: float, high: float) -> str:
    return f"{value:.2f} ({low:.2f} to {high:.2f})"
