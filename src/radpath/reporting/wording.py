"""Numbers and names as the report writes them, the same on the page, in the figures and in the model card.

In: counts, shares and estimates. Out: short texts. What is undefined becomes its reason, never "nan".
"""

from typing import Final

from radpath.data.findings import counted
from radpath.evaluation.estimates import CaseEvaluation, Estimate, Evaluation, SideEvaluation, Unit
from radpath.evaluation.metrics import METRICS
from radpath.evaluation.thresholds import Threshold
from radpath.records import Side

REPORTING_ORDER: Final[tuple[Side, ...]] = ("test", "validation", "train")
"""The side that the model has seen least comes first."""

SIDE_NAMES: Final[dict[Side, str]] = {"train": "Training", "validation": "Validation", "test": "Test"}


CASE_RULES: Final = {
    "mean": "A case has the mean of its images' probabilities.",
    "maximum": "A case has the highest of its images' probabilities.",
    "top_k_mean": "A case has the mean of its images' {k} highest probabilities.",
    "majority": "A case has the share of its images that were decided for a class.",
    "noisy_or": "A case has the chance that at least one of its images is positive, were they independent.",
    "svm": "A support vector machine looked at the {k} highest probabilities of each case.",
}
"""What each choice of ``evaluation.cases.rule`` does."""


THRESHOLD_RULES: Final = {
    "youden": "the highest sensitivity + specificity (Youden)",
    "sensitivity": "the highest specificity with a sensitivity of at least {sensitivity:g}",
    "specificity": "the highest sensitivity with a specificity of at least {specificity:g}",
    "cost": "the lowest expected cost (a missed positive {false_negative_cost:g}, a false alarm "
    "{false_positive_cost:g}, prevalence {prevalence:.3g})",
    "f_beta": "the highest F-beta (beta {beta:g})",
    "half": "0.5 and depends on no data",
    "given": "a value set by hand",
}
"""What each choice of ``evaluation.threshold_rule`` gives, and a threshold that was set by hand."""


def reported_sides(evaluation: Evaluation) -> list[SideEvaluation]:
    """Return the evaluated sides, the one that counts most first; there is always at least one."""
    return [evaluation.sides[side] for side in REPORTING_ORDER if side in evaluation.sides]


def metric_label(metric: str, at: float | None = None) -> str:
    """Return a metric's name as prose has it, with what it is set to, without what stands in brackets.

    >>> metric_label("precision"), metric_label("f_beta", 0.5)
    ('Precision', 'F0.5')
    """
    return METRICS[metric].title_at(at).partition(" (")[0]


def overall_label(metric: str, positive_class: str | None, at: float | None = None) -> str:
    """Return the name of a number of all classes; a mean of classes says so, since there are other ways to sum up."""
    is_mean = positive_class is None and METRICS[metric].scope == "class and macro"
    return f"{metric_label(metric, at)}, mean of classes" if is_mean else metric_label(metric, at)


def estimate_label(estimate: Estimate, positive_class: str | None) -> str:
    """Return the metric's name with the class that it is about, if it is about one."""
    if estimate.of_class is None:
        return overall_label(estimate.metric, positive_class, estimate.at)
    return f"{metric_label(estimate.metric, estimate.at)}, {estimate.of_class}"


def interval_sentence(evaluation: Evaluation, *others_alike: Evaluation) -> str:
    """Return how the intervals of the side reported first were found, there and in others with the same settings."""
    sides = [reported_sides(one)[0] for one in (evaluation, *others_alike)]
    kinds = {one.interval for side in sides for one in side.estimates if one.interval}
    draws = "resamples of whole cases" if not evaluation.stratified else "resamples of whole cases within each class"
    words = {
        "delong": "DeLong for the ROC AUC of a class",
        "newcombe": "Newcombe for a ROC AUC of 0 or 1",
        "wilson": "Wilson for shares",
        "bca": f"bias-corrected and accelerated (BCa) from {evaluation.replicates:,} bootstrap {draws}",
        "percentile": f"percentiles of {evaluation.replicates:,} bootstrap {draws}",
    }
    found = [words[kind] for kind in words if kind in kinds]
    others = " for the others" if len(found) > 1 else ""
    return f"Intervals: {', '.join(found)}{others}." if found else "There are no intervals."


def value_text(estimate: Estimate) -> str:
    """Return the value to three decimals, or why there is none."""
    if estimate.value is None:
        return estimate.note or "undefined"
    return f"{estimate.value:.3f}"


def interval_text(estimate: Estimate) -> str:
    """Return the interval as "0.841 to 0.962", or nothing where there is none."""
    if estimate.low is None or estimate.high is None:
        return ""
    return f"{estimate.low:.3f} to {estimate.high:.3f}"


def estimate_text(estimate: Estimate) -> str:
    """Return value and interval in one phrase.

    >>> estimate_text(Estimate(metric="f1", of_class=None, value=0.9, low=0.84, high=0.96, note=None))
    '0.900 (0.840 to 0.960)'
    """
    interval = interval_text(estimate)
    return f"{value_text(estimate)} ({interval})" if interval else value_text(estimate)


def headline_sentence(evaluation: Evaluation) -> str:
    """Return the result in one sentence: the side that counts most, its ROC AUC, and on how much it rests."""
    side = reported_sides(evaluation)[0]
    rests_on = f"{counted(side.num_images, 'image')} of {counted(side.num_cases, 'case')}"
    if evaluation.unit == "case":
        rests_on = counted(side.num_cases, "case")
    area = evaluation.headline(side.side)
    if area is None or area.value is None:
        reason = "it was not estimated" if area is None else value_text(area).removeprefix("undefined: ")
        return f"No ROC AUC can be given for the {SIDE_NAMES[side.side].lower()} side, {rests_on}: {reason}."
    kind = "mean one-versus-rest ROC AUC" if evaluation.positive_class is None else "ROC AUC"
    interval = f" ({percent(evaluation.confidence, 0)} interval {interval_text(area)})" if interval_text(area) else ""
    told = f"{SIDE_NAMES[side.side]} {kind} {value_text(area)}{interval}, on {rests_on}."
    # An interval without width reads as certainty; why it has none must stand beside it.
    return f"{told} {area.note[0].upper()}{area.note[1:]}." if area.note and area.low == area.high else told


def threshold_sentence(evaluation: Evaluation) -> str:
    """Return how a probability becomes a decision, and what that was chosen on."""
    threshold = evaluation.threshold
    if threshold is None:
        return "The class with the highest probability is the decision; there is no threshold to choose."
    what = "An image" if evaluation.unit == "image" else "A case"
    decision = f"{what} is called {threshold.positive_class} when its probability is at least {threshold.value:.4g}."
    return f"{decision} {_threshold_source(threshold, evaluation.unit)}"


def threshold_rule_words(threshold: Threshold) -> str:
    """Return what a threshold has, by the rule that chose it."""
    return THRESHOLD_RULES[threshold.rule].format(**threshold.asked)


def _threshold_source(threshold: Threshold, unit: Unit) -> str:
    if threshold.rule == "given":
        return "The threshold was set by hand (evaluation.threshold); what it was chosen on is not known here."
    if threshold.fitted_on is None:
        return "The threshold is 0.5 and depends on no data."
    return (
        f"The threshold has {threshold_rule_words(threshold)} on the {threshold.fitted_on} side, "
        f"{counted(threshold.num_images, unit)} of which {threshold.num_positive:,} are positive. It was chosen "
        "there alone, without the truth of the test side, and is the same on every side."
    )


def case_sentence(cases: CaseEvaluation) -> str:
    """Return how the images of a case became one prediction, and what was left out."""
    sentences = [CASE_RULES[cases.rule].format(k=cases.k)]
    if cases.stains == "apart":
        sentences.append("The images of each stain were taken by themselves first.")
    if cases.fitted_on:
        learned = " and ".join(cases.fitted_on)
        sentences.append(
            f"It learned from {counted(cases.num_fitted, 'case')} ({learned}), and each of them was scored by machines "
            "that were trained without it, of a kind that was chosen with it."
        )
    if cases.num_ambiguous:
        sentences.append(f"{counted(cases.num_ambiguous, 'case')} with labels of several classes left out.")
    return " ".join(sentences)


def percent(share: float, digits: int = 1) -> str:
    r"""Return a share between 0 and 1 in percent.

    The space before the sign does not break.

    >>> percent(0.1234), percent(1.0, 0)
    ('12.3\xa0%', '100\xa0%')
    """
    return f"{share * 100:.{digits}f}\N{NO-BREAK SPACE}%"
