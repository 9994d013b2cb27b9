"""The section on how good the model is: by image and by case, with intervals, curves and the confusion matrix.

In: ``ReportContent``. Out: a section. Analyses beyond the metrics have sections of their own behind it.
"""

from collections.abc import Mapping

from radpath.evaluation.estimates import CaseEvaluation, Evaluation
from radpath.evaluation.metrics import METRICS
from radpath.reporting import tables
from radpath.reporting.blocks import Block, Bullets, Drawing, Folded, Heading, Paragraph, Section, Widget
from radpath.reporting.content import ReportContent
from radpath.reporting.results import operating_point
from radpath.reporting.threshold_counts import threshold_counts
from radpath.reporting.wording import (
    SIDE_NAMES,
    case_sentence,
    headline_sentence,
    percent,
    reported_sides,
    threshold_sentence,
)


def results_section(content: ReportContent, figures: Mapping[str, str]) -> Section:
    """Return every number of the evaluation."""
    evaluation = content.evaluation
    by_class = tables.class_tables(evaluation)
    blocks: list[Block] = [
        Paragraph(text=threshold_sentence(evaluation)),
        tables.results_table(evaluation, name="results"),
        *_drawings(evaluation, figures),
        *_slider(content),
        Heading(text="By class", anchor="by-class"),
        by_class[0],
    ]
    if len(by_class) > 1:
        blocks.append(Folded(summary="Each class on the other sides", blocks=tuple(by_class[1:])))
    matrix = tables.confusion_table(evaluation, name="confusion")
    blocks.append(Folded(summary="Confusion matrix as a table", blocks=(matrix,)))
    if content.members:
        members = tables.members_table(content.members, evaluation, joined_mark=content.joined_mark)
        blocks += [Heading(text="Members", anchor="members"), members]
    if evaluation.by_case is not None:
        blocks += _by_case(evaluation.by_case)
    definitions = tuple(
        f"{METRICS[name].title_at(at)}: {METRICS[name].formula}"
        for name, at in {one.metric: one.at for one in reported_sides(evaluation)[0].estimates}.items()
    )
    blocks.append(Folded(summary="How each number is defined", blocks=(Bullets(items=definitions),)))
    return Section(anchor="results", title="Results", blocks=tuple(blocks))


def _drawings(evaluation: Evaluation, figures: Mapping[str, str]) -> list[Drawing]:
    name = SIDE_NAMES[reported_sides(evaluation)[0].side]
    captions = {
        "intervals": f"The {name.lower()} side: estimates, intervals, and the answer that needs no image.",
        "confusion": "Images by true class (row) and decision (column), with the share of each true class.",
        "roc": _roc_caption(evaluation, name.lower()),
        "precision_recall": _pr_caption(evaluation, name.lower()),
    }
    return [Drawing(name=one, svg=figures[one], caption=text) for one, text in captions.items() if one in figures]


def _slider(content: ReportContent) -> list[Widget]:
    counts = threshold_counts(content.evaluation, content.predictions)
    return [] if counts is None else [Widget(kind="threshold", label="What another threshold would do", data=counts)]


def _roc_caption(evaluation: Evaluation, side: str) -> str:
    if evaluation.positive_class is None:
        return f"ROC, {side} side: each class against the rest, with its area. The diagonal is chance."
    dot = " The dot is the threshold." if operating_point(evaluation) is not None else ""
    share = percent(evaluation.confidence, 0)
    return f"ROC, {side} side, with the {share} band of each sensitivity.{dot} The diagonal is chance."


def _pr_caption(evaluation: Evaluation, side: str) -> str:
    if evaluation.positive_class is None:
        return f"Precision and recall, {side} side: each class against the rest, with its average precision."
    return f"Precision and recall, {side} side. The dotted line is the share of positive images, which chance gives."


def _by_case(cases: CaseEvaluation) -> list[Block]:
    numbers = cases.numbers
    text = f"{headline_sentence(numbers)} {case_sentence(cases)} {threshold_sentence(numbers)}"
    caption = "The same numbers with one row a case, as in case_predictions.csv."
    return [
        Heading(text="By case", anchor="by-case"),
        Paragraph(text=text),
        tables.results_table(numbers, name="results-by-case", caption=caption),
        tables.confusion_table(numbers, name="confusion-by-case"),
    ]
