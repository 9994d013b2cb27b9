"""What the results cannot say: derived from the content, for the page and the model card.

In: the content of a report. Out: sentences. Warnings about particular numbers come from ``evaluation``.
"""

from typing import Final

from scipy import stats

from radpath.data.findings import counted
from radpath.evaluation.cautions import limit_note
from radpath.evaluation.estimates import SideEvaluation
from radpath.records import Side
from radpath.reporting.content import ReportContent, RunFacts
from radpath.reporting.wording import SIDE_NAMES, percent, reported_sides

GAPS: Final = (
    "Intended use: who shall use the model, for which decision, and what happens when it is wrong.",
    "Population: where, when and how the images were collected, who was left out, age, sex and ethnicity.",
    "Reference standard: who or what gave the labels, how many readers, and how often they agree.",
    "Acquisition: scanners, stains, protocols, and preparation before radpath saw the images.",
    "External validation: results at a site that gave no training images.",
    "Approval: ethics, data protection, and the rules that apply to the use.",
)
"""What a reader needs and no program can know."""

_NOT_A_DEVICE: Final = (
    "This model is a research result. It is not a medical device, and nothing here clears it for use."
)
_ONE_SOURCE: Final = (
    "The intervals cover the chance of which cases were drawn. They do not cover another hospital, scanner or stain, "
    "other readers, or a training with another seed."
)


STANDING: Final = (_ONE_SOURCE, _NOT_A_DEVICE)
"""What no result of a single study can say."""


def derived_limits(content: ReportContent) -> tuple[str, ...]:
    """Return the limits that follow from the data and the split, then the caller's own, then the standing ones."""
    side = reported_sides(content.evaluation)[0]
    limits = [*_weak_evidence(content), limit_note(side, confidence=content.evaluation.confidence)]
    if all(side.cases_per_class.values()):
        limits.append(_best_case(side, confidence=content.evaluation.confidence))
    return (*limits, *content.limits, *STANDING)


def without_test_side(reported: Side) -> list[str]:
    """Return that the results are too good, where the side that is reported first is no test side."""
    if reported == "test":
        return []
    sentence = (
        f"There is no test side. The results are of the {SIDE_NAMES[reported].lower()} side, which the model "
        "or its threshold has seen, and are too good."
    )
    return [sentence]


def _weak_evidence(content: ReportContent) -> list[str]:
    """Return what makes the numbers of the side that is reported first too good or too sure."""
    limits = [
        f'"{check.what}" does not hold: the results may be too good.'
        for check in (content.split.checks if content.split else ())
        if check.outcome == "failed"
    ]
    side = reported_sides(content.evaluation)[0]
    limits += without_test_side(side.side)
    if content.split is None:
        limits.append("Nothing here could check that no image is on two sides: only predictions were given.")
    return [*limits, *assumed_cases(content)]


def assumed_cases(content: RunFacts) -> list[str]:
    """Return what follows from cases that nobody named."""
    if content.data is None or not content.data.num_cases_assumed:
        return []
    sentence = (
        f"The case of {counted(content.data.num_cases_assumed, 'image')} is assumed: each counts as its own. "
        "Images of one patient on two sides would make the results too good, and nothing here can see it."
    )
    return [sentence]


def _best_case(side: SideEvaluation, *, confidence: float) -> str:
    """Return what a perfect result would leave open, by Clopper and Pearson's (1934) exact interval."""
    name = min(side.cases_per_class, key=lambda one: side.cases_per_class[one])
    number = side.cases_per_class[name]
    lowest = float(stats.beta.ppf((1 - confidence) / 2, number, 1))
    return (
        f"Even if the model recognised {counted(number, 'case')} of {name} out of {number:,} on this side, its true "
        f"sensitivity could be as low as {percent(lowest, 0)} (exact {percent(confidence, 0)} interval)."
    )
