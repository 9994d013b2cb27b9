"""The section on thresholds: what each was chosen on, and what it does on the images that are reported.

In: ``OperatingPoints``. Out: a ``Section``. Nothing is computed here.
"""

from typing import Final

from radpath.data.findings import counted
from radpath.evaluation.operating_points import OperatingPoint, OperatingPoints
from radpath.evaluation.thresholds import Threshold
from radpath.reporting.blocks import Block, Note, Number, Paragraph, Section, Table
from radpath.reporting.measured_cells import cell
from radpath.reporting.wording import SIDE_NAMES, percent, threshold_rule_words

_COLUMNS: Final = (
    "Threshold that has", "Value", "Chosen", "Sensitivity", "Specificity", "Positive predictive value",
    "Negative predictive value", "Called positive",
)  # fmt: skip


def operating_points_section(found: OperatingPoints) -> Section:
    """Return the section."""
    blocks: list[Block] = [Paragraph(text=_introduction(found)), _table(found)]
    if found.side != "test":
        blocks.insert(0, _not_tested(found))
    if found.without_answer:
        rules = ", ".join(found.without_answer)
        why = "because a class is absent or no threshold is better than chance"
        blocks.append(Note(text=f"Validation has no threshold by these rules, {why}: {rules}."))
    return Section(anchor="operating-points", title="Operating points", blocks=tuple(blocks))


def _introduction(found: OperatingPoints) -> str:
    by_hand = any(point.threshold.rule == "given" for point in found.points)
    but = ", but for the one set by hand, of which it is not known" if by_hand else ""
    return (
        f"An image is called {found.positive_class} when its probability is at least the threshold. The first row "
        "decides everywhere else in this report; the others show what other wishes would have given. Each was chosen "
        f"on validation alone or on nothing, without the truth of the test side{but}. Predictive values hold for the "
        f"prevalence of this side, {percent(found.prevalence)}, and change with it."
    )


def _not_tested(found: OperatingPoints) -> Note:
    name = SIDE_NAMES[found.side].lower()
    return Note(
        kind="warning",
        text=f"There is no test side: these numbers are of the {name} side, which thresholds were fixed on or learned "
        "from, and are too good.",
    )


def _table(found: OperatingPoints) -> Table:
    sizes = f"{counted(found.num_images, 'image')} of {counted(found.num_cases, 'case')}"
    return Table(
        name="operating-points",
        caption=f"Thresholds on the {SIDE_NAMES[found.side].lower()} side ({sizes}), with "
        f"{percent(found.confidence, 0)} intervals by case.",
        columns=_COLUMNS,
        rows=tuple(_row(point) for point in found.points),
    )


def _row(point: OperatingPoint) -> tuple[str | Number, ...]:
    threshold = point.threshold
    words = threshold_rule_words(threshold)
    return (
        f"{words} (the decision)" if point.is_decision else words,
        Number(text=f"{threshold.value:.4g}", value=threshold.value),
        _origin(threshold),
        cell(point.sensitivity),
        cell(point.specificity),
        cell(point.positive_predictive_value),
        cell(point.negative_predictive_value),
        cell(point.called_positive),
    )


def _origin(threshold: Threshold) -> str:
    """Return on what a threshold was chosen."""
    if threshold.rule == "given":
        return "by hand; when and on what is not known"
    if threshold.fitted_on is None:
        return "on nothing"
    rates = f"sensitivity {threshold.sensitivity or 0:.3f}, specificity {threshold.specificity or 0:.3f} there"
    return f"on {threshold.fitted_on}: {rates}"
