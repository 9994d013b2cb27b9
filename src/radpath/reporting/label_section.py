"""The section on how well several labels are told: all of them in one table, together, and each by itself.

In: a ``LabelEvaluation`` and the predictions it was made from. Out: a section of blocks.
"""

from typing import Final

from radpath.evaluation.estimates import Evaluation
from radpath.evaluation.label_evaluation import LabelEvaluation
from radpath.evaluation.label_metrics import LABEL_METRICS
from radpath.evaluation.label_predictions import LabelPredictions
from radpath.reporting.blocks import Block, Bullets, Drawing, Folded, Heading, Number, Paragraph, Section, Table
from radpath.reporting.label_figures import area_of, areas_figure, curve_figures, reported_label_side
from radpath.reporting.tables import confusion_table, count, number_of, results_table
from radpath.reporting.wording import (
    REPORTING_ORDER,
    SIDE_NAMES,
    case_sentence,
    estimate_text,
    interval_sentence,
    percent,
    threshold_sentence,
)

_SHOWN: Final = ("roc_auc", "average_precision", "sensitivity", "specificity", "precision", "f1")
_TITLES: Final = ("ROC AUC", "Average precision", "Sensitivity", "Specificity", "Precision", "F1")
_NOTHING: Final = "–"  # noqa: RUF001 - a dash in a cell that stays empty
_HOW: Final = (
    "Each label is a question of its own: the probabilities of an image need not sum to 1, each label has its own "
    "threshold, and images of which it is not known are left out of its numbers."
)


def labels_section(evaluation: LabelEvaluation, predictions: LabelPredictions) -> Section:
    """Return every number of the evaluation; the details of each label are folded."""
    side = SIDE_NAMES[reported_label_side(evaluation).side].lower()
    share = percent(evaluation.confidence, 0)
    curves = [
        Drawing(
            name=f"label_curves_{number}",
            svg=svg,
            caption=f"ROC, {side} side: each label with its area. The diagonal is chance.",
        )
        for number, svg in enumerate(curve_figures(evaluation, predictions), 1)
    ]
    definitions = tuple(f"{metric.title}: {metric.formula}" for metric in LABEL_METRICS.values())
    blocks: list[Block] = [
        Paragraph(text=_HOW),
        labels_table(evaluation),
        Drawing(
            name="label_areas",
            svg=areas_figure(evaluation),
            caption=f"ROC AUC of each label on the {side} side with its {share} interval; the dotted line is chance.",
        ),
        *curves,
        Heading(text="All labels together", anchor="labels-together"),
        together_table(evaluation),
        Folded(summary="How each of these is defined", blocks=(Bullets(items=definitions),)),
        Heading(text="Each label", anchor="each-label"),
    ]
    details = (_details(evaluation, name, number) for number, name in enumerate(evaluation.names, 1))
    return Section(anchor="results", title="Results", blocks=(*blocks, *details))


def labels_headline(evaluation: LabelEvaluation) -> str:
    """Return the result in one sentence."""
    side = reported_label_side(evaluation)
    area = side.find("macro_roc_auc")
    rests_on = f"{side.num_images:,} images of {side.num_cases:,} cases"
    name = SIDE_NAMES[side.side]
    if area.value is None:
        reason = (area.note or "").removeprefix("undefined: ")
        return f"No mean ROC AUC can be given for the {name.lower()} side, {rests_on}: {reason}."
    return f"{name} ROC AUC, mean of {len(evaluation.names)} labels: {estimate_text(area)}, on {rests_on}."


def labels_table(evaluation: LabelEvaluation) -> Table:
    """Return one row a label, with its numbers on the side that is reported first, and the threshold."""
    side = reported_label_side(evaluation)
    return Table(
        name="labels",
        caption=(
            f"Each label on the {SIDE_NAMES[side.side].lower()} side, with {percent(evaluation.confidence, 0)} "
            f"intervals. {interval_sentence(*evaluation.of_label.values())}"
        ),
        columns=("Label", "With it", "Known", *_TITLES, "Threshold"),
        rows=tuple(_label_row(evaluation, name) for name in evaluation.names),
    )


def _label_row(evaluation: LabelEvaluation, name: str) -> tuple[str | Number, ...]:
    side = evaluation.of_label[name].sides.get(reported_label_side(evaluation).side)
    threshold = evaluation.thresholds[name].value
    cut = Number(text=f"{threshold:.3g}", value=threshold)
    if side is None:
        return (name, count(0), count(0), *([_NOTHING] * len(_SHOWN)), cut)
    numbers = (number_of(side.find(metric, name)) for metric in _SHOWN)
    return (name, count(side.images_per_class[name]), count(side.num_images), *numbers, cut)


def together_table(evaluation: LabelEvaluation) -> Table:
    """Return the numbers of all labels together, one column a side in the order of reporting."""
    sides = [evaluation.sides[side] for side in REPORTING_ORDER if side in evaluation.sides]
    return Table(
        name="labels-together",
        caption=(
            f"All {len(evaluation.names)} labels together, with {percent(evaluation.confidence, 0)} intervals from "
            "the same resamples of whole cases. A mean of labels exists only where each of them is defined."
        ),
        columns=("Metric", *(SIDE_NAMES[side.side] for side in sides)),
        rows=tuple(
            (
                f"{metric.title}{' (lower is better)' if metric.best == 'lowest' else ''}",
                *(number_of(side.find(name)) for side in sides),
            )
            for name, metric in LABEL_METRICS.items()
        ),
    )


def _details(evaluation: LabelEvaluation, name: str, number: int) -> Folded:
    """Return every number of one label, by image and by case."""
    numbers: Evaluation = evaluation.of_label[name]
    area = area_of(evaluation, name)
    summary = f"{name}: ROC AUC {'not known' if area is None else estimate_text(area)}"
    blocks: list[Block] = [
        Paragraph(text=threshold_sentence(numbers)),
        results_table(numbers, name=f"label-{number}"),
        confusion_table(numbers, name=f"label-{number}-confusion"),
    ]
    if numbers.by_case is not None:
        cases = numbers.by_case
        blocks += [
            Paragraph(text=f"By case. {case_sentence(cases)} {threshold_sentence(cases.numbers)}"),
            results_table(cases.numbers, name=f"label-{number}-by-case", caption="The same with one row a case."),
        ]
    if numbers.all_warnings:
        blocks += [Paragraph(text="Read these numbers with this in mind:"), Bullets(items=numbers.all_warnings)]
    return Folded(summary=summary, blocks=tuple(blocks))
