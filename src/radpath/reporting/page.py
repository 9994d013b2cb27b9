"""The report: one HTML file that needs nothing else, for the screen, for paper, in light and in dark.

In: ``ReportContent``. Out: ``report.html``. Every text of a user is escaped by the template engine; figures come from
``figures`` and are the only markup that is passed through.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from markupsafe import Markup

from radpath import files
from radpath.data.findings import counted
from radpath.evaluation.estimates import CaseEvaluation, Evaluation
from radpath.evaluation.metrics import METRICS
from radpath.reporting import limits, tables
from radpath.reporting.content import DataSummary, Mistake, ReportContent, Sample, TrainingSummary
from radpath.reporting.figures import all_figures
from radpath.reporting.rendering import page_environment
from radpath.reporting.results import operating_point
from radpath.reporting.thumbnails import data_uri, is_lossless
from radpath.reporting.wording import (
    SIDE_NAMES,
    case_sentence,
    headline_sentence,
    percent,
    reported_sides,
    threshold_sentence,
)

_CONTENTS: Final = (
    ("data", "Data"),
    ("split", "Split"),
    ("training", "Plan and training"),
    ("results", "Results"),
    ("mistakes", "Most wrong"),
    ("limits", "Limits"),
    ("reproduce", "Settings and versions"),
)
_OUTCOMES: Final = {"passed": "✓ checked", "handled": "● handled", "failed": "✗ violated"}


def write_report(content: ReportContent, path: Path, *, figures: Mapping[str, str] | None = None) -> None:
    """Write the page to ``path``, whole or not at all.

    Args:
        content: what to show.
        path: usually the run's ``report.html``.
        figures: what ``all_figures`` returned for this content, where the caller has it already.

    Raises:
        StorageError: the file cannot be written.
    """
    files.write_text(path, render_report(content, figures=figures))


def render_report(content: ReportContent, *, figures: Mapping[str, str] | None = None) -> str:
    """Return the page as HTML; the same content gives the same bytes."""
    drawn = all_figures(content) if figures is None else figures
    template = page_environment().get_template("report.html.jinja")
    # Our own drawings, whose texts are escaped where they are drawn.
    safe = {name: Markup(svg) for name, svg in drawn.items()}  # noqa: S704 - see above
    return template.render(
        content=content, figures=safe, contents=_contents(content), outcomes=_OUTCOMES, gaps=limits.GAPS,
        limits=limits.derived_limits(content), **_top(content), **_data(content), **_results(content),
    )  # fmt: skip


def _contents(content: ReportContent) -> list[tuple[str, str]]:
    """Return anchors and titles; analyses stand after the results."""
    place = [anchor for anchor, _ in _CONTENTS].index("results") + 1
    analyses = [(section.anchor, section.title) for section in content.sections]
    return [*_CONTENTS[:place], *analyses, *_CONTENTS[place:]]


def _top(content: ReportContent) -> dict[str, Any]:
    evaluation = content.evaluation
    return {
        "headline": headline_sentence(evaluation),
        "tiles": tables.headline_tiles(evaluation),
        "classes": evaluation.classes,
        "positive_class": evaluation.positive_class,
        "failed": [check for check in content.split.checks if check.outcome == "failed"],
        "warnings": evaluation.all_warnings,
    }


def _data(content: ReportContent) -> dict[str, Any]:
    data = content.data
    num_excluded = sum(one.num_images for one in data.exclusions)
    verb = "belongs" if data.num_cases_assumed == 1 else "belong"
    return {
        "assumed": f"{counted(data.num_cases_assumed, 'image')} {verb}",
        "flow": {
            "found": f"{counted(data.num_found, 'image')}, {counted(data.num_cases_found, 'case')}",
            "excluded": counted(num_excluded, "image"),
            "kept": f"{counted(data.num_kept, 'image')}, {counted(data.num_cases_kept, 'case')}",
        },
        "kinds": "; ".join(f"{kind}: {number:,}" for kind, number in data.kinds.items()),
        "sizes": _sizes_sentence(data),
        "samples": [
            {"name": name, "samples": [embedded_sample(one) for one in group]}
            for name, group in content.samples.items()
            if group
        ],
        "split_columns": tables.split_columns(content.split),
        "split_rows": tables.split_rows(content.split),
        "split_total": f"{sum(side.num_images for side in content.split.sides):,}",
        "training_sentence": _training_sentence(content.training),
        "padding": _padding_sentence(content.training),
        "history": tables.epoch_rows(content.training.history, content.training.chosen_epoch),
    }


def _results(content: ReportContent) -> dict[str, Any]:
    evaluation = content.evaluation
    sides = reported_sides(evaluation)
    name = SIDE_NAMES[sides[0].side]
    return {
        "threshold": threshold_sentence(evaluation),
        "confidence": percent(evaluation.confidence, 0),
        "replicates": f"{evaluation.replicates:,}",
        "reported_name": name,
        "result_columns": [SIDE_NAMES[side.side] for side in sides],
        "result_rows": tables.result_rows(evaluation),
        "members": tables.member_rows(content.members, evaluation) if content.members else (),
        "by_case": None if evaluation.by_case is None else _cases(evaluation.by_case),
        "class_tables": tables.class_tables(evaluation),
        "confusion": sides[0].confusion,
        "definitions": [(metric.title, metric.formula) for metric in METRICS.values()],
        "roc_caption": _roc_caption(evaluation, name.lower()),
        "pr_caption": _pr_caption(evaluation, name.lower()),
        "mistakes": [_embedded_mistake(one) for one in content.mistakes],
    }  # fmt: skip


def _cases(cases: CaseEvaluation) -> dict[str, Any]:
    sides = reported_sides(cases.numbers)
    return {
        "rule": case_sentence(cases),
        "headline": headline_sentence(cases.numbers),
        "threshold": threshold_sentence(cases.numbers),
        "columns": [f"{SIDE_NAMES[side.side]} ({counted(side.num_cases, 'case')})" for side in sides],
        "rows": tables.result_rows(cases.numbers),
        "confusion": sides[0].confusion,
        "reported_name": SIDE_NAMES[sides[0].side],
    }


def _roc_caption(evaluation: Evaluation, side: str) -> str:
    if evaluation.positive_class is None:
        return f"ROC, {side} side: each class against the rest, with its area. The diagonal is chance."
    dot = " The dot is the threshold." if operating_point(evaluation) is not None else ""
    return f"ROC, {side} side.{dot} The diagonal is chance."


def _pr_caption(evaluation: Evaluation, side: str) -> str:
    if evaluation.positive_class is None:
        return f"Precision and recall, {side} side: each class against the rest, with its average precision."
    return f"Precision and recall, {side} side. The dotted line is the share of positive images, which chance gives."


def _sizes_sentence(data: DataSummary) -> str:
    """Say how large the images are, also where one size makes a figure pointless."""
    present = [sizes for sizes in data.sizes_px.values() if len(sizes)]
    if not present:
        return "No image takes part."
    everything = np.concatenate(present)
    low, high = everything.min(axis=0), everything.max(axis=0)
    if (low == high).all():
        return f"All images are {low[0]} × {low[1]} px."  # noqa: RUF001 - the multiplication sign is meant
    width, height = np.median(everything, axis=0)
    return (
        f"Widths are {low[0]} to {high[0]} px (median {width:.0f}), "
        f"heights {low[1]} to {high[1]} px (median {height:.0f})."
    )


def _training_sentence(training: TrainingSummary) -> str:
    if not training.history:
        return "Nothing was trained in this run."
    seconds = sum(row.seconds for row in training.history)
    kept = "" if training.chosen_epoch is None else f" Epoch {training.chosen_epoch} was kept: {training.chosen_by}."
    return f"{counted(len(training.history), 'epoch')} in {_duration(seconds)}.{kept}"


def _duration(seconds: float) -> str:
    """Return a duration a person would say.

    >>> _duration(7.4), _duration(180.0), _duration(9000.0)
    ('7 s', '3.0 min', '2.5 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _padding_sentence(training: TrainingSummary) -> str:
    if not training.padded_share:
        return ""
    shares = ", ".join(f"{SIDE_NAMES[side].lower()} {percent(share)}" for side, share in training.padded_share.items())
    return f"Share of pixels that are padding, which the model ignores: {shares}."


def embedded_sample(sample: Sample) -> dict[str, Any]:
    """Return a sample as the template shows it, with the picture inside the address."""
    return {"address": data_uri(sample.picture), "tiny": is_lossless(sample.picture), "caption": sample.caption}


def _embedded_mistake(mistake: Mistake) -> dict[str, Any]:
    return {
        "address": data_uri(mistake.picture),
        "tiny": is_lossless(mistake.picture),
        "record_id": mistake.record_id,
        "case": mistake.case,
        "truth": mistake.truth,
        "decision": mistake.decision,
        "probability": f"{mistake.probability_of_truth:.3f}",
    }
