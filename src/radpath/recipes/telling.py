"""What a recipe says while it works: plain lines and tables on standard output, for people and for log files."""

import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from radpath.data.findings import counted
from radpath.data.manifest import Finding
from radpath.evaluation.estimates import Estimate, Evaluation, SideEvaluation
from radpath.reporting.content import Choice, MemberScore
from radpath.reporting.results import overall_estimates
from radpath.reporting.wording import (
    SIDE_NAMES,
    case_sentence,
    estimate_text,
    headline_sentence,
    overall_label,
    percent,
    reported_sides,
    threshold_sentence,
    value_text,
)
from radpath.training.history import MONITORS, Epoch, Monitor, best_of

_EXAMPLES_SHOWN: Final = 3
_WITHOUT_EXAMPLES: Final = ("case-assumed", "other-files")  # which images these are is not what a reader asks
_NARROWEST: Final = 40  # a column of fewer letters is harder to read than a line that the terminal breaks


def say(line: str) -> None:
    """Print one line at once, so that a log shows where a long run stands."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def say_rows(heading: str, rows: Iterable[Sequence[str]]) -> None:
    """Print rows below a heading, columns aligned; in a terminal the last column is wrapped, and nothing is cut."""
    rows = [list(row) for row in rows]
    if not rows:
        return
    say("")
    say(heading)
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]) - 1)]
    for row in rows:
        first = "".join(f"  {cell.ljust(width)}" for cell, width in zip(row, widths, strict=False)) + "  "
        say(f"{first}{_hanging(row[-1], indent=len(first))}".rstrip())


def _hanging(text: str, *, indent: int) -> str:
    """Return the lines of a text, broken to fit the terminal, below each other."""
    width = shutil.get_terminal_size().columns - indent if sys.stdout.isatty() else 0
    lines = text.split("\n")
    if width >= _NARROWEST:
        lines = [piece for line in lines for piece in textwrap.wrap(line, width, break_long_words=False)]
    return f"\n{' ' * indent}".join(lines)


def say_findings(findings: Sequence[Finding]) -> None:
    """Print what a person should know about the data, warnings first, with a few examples below each."""
    ordered = sorted(findings, key=lambda finding: finding.severity != "warning")
    say_rows("Findings", [(finding.severity, _with_examples(finding)) for finding in ordered])


def _with_examples(finding: Finding) -> str:
    if finding.kind in _WITHOUT_EXAMPLES:
        return finding.message
    shown = finding.examples[:_EXAMPLES_SHOWN]
    more = ["…"] if len(finding.examples) > len(shown) else []
    return "\n".join([finding.message, *(f"  {example}" for example in [*shown, *more])])


def say_plan(choices: Sequence[Choice]) -> None:
    """Print what was chosen and why."""
    say_rows("Plan", [(f"{choice.setting} = {choice.value}", f"because {choice.reason}") for choice in choices])


def say_training(history: Sequence[Epoch], monitor: Monitor) -> None:
    """Print how long the training was, and which epoch is kept."""
    best, last = best_of(history, monitor), history[-1]
    name, value = MONITORS[monitor], getattr(best, monitor)
    merit = f"no {name}" if value is None else f"{name} {value:.3f}"
    seconds = sum(epoch.seconds for epoch in history)
    duration = f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"
    say(f"Trained {counted(last.epoch, 'epoch')} in {duration}; the best is epoch {best.epoch}, with {merit}")


def say_results(evaluation: Evaluation) -> None:
    """Print the result in one sentence, then the numbers of the side that counts most, and every caution."""
    say("")
    say(headline_sentence(evaluation))
    say(threshold_sentence(evaluation))
    _say_numbers(evaluation)
    if evaluation.by_case is not None:
        numbers = evaluation.by_case.numbers
        say("")
        say(f"By case: {headline_sentence(numbers)} {case_sentence(evaluation.by_case)}")
        say(threshold_sentence(numbers))
        _say_numbers(numbers)
    say_rows("Cautions", [("-", warning) for warning in evaluation.all_warnings])


def _say_numbers(evaluation: Evaluation) -> None:
    """Print the numbers of the side that counts most."""
    side = reported_sides(evaluation)[0]
    positive = f"'{evaluation.positive_class}' is positive; " if evaluation.positive_class is not None else ""
    intervals = f"{positive}{percent(evaluation.confidence, 0)} intervals"
    name = SIDE_NAMES[side.side]
    heading = (
        f"{name} side, by case ({intervals})" if evaluation.unit == "case" else f"{name} side ({intervals} by case)"
    )
    estimates = overall_estimates(side.estimates, evaluation.positive_class)
    say_rows(heading, [_result_row(estimate, side, evaluation.positive_class) for estimate in estimates])


def _result_row(estimate: Estimate, side: SideEvaluation, positive_class: str | None) -> tuple[str, str, str]:
    """Return a metric's name, its value, and what predicting the majority class would give."""
    name = overall_label(estimate.metric, positive_class, estimate.at)
    without_interval = estimate.value is not None and estimate.low is None
    remarks = [estimate.note] if without_interval and estimate.note else []
    key = (estimate.metric, estimate.of_class)
    ignorant = next((one for one in side.baseline if (one.metric, one.of_class) == key), None)
    if ignorant is not None and ignorant.value is not None:
        remarks.insert(0, f"the majority class gives {value_text(ignorant)}")
    return name, estimate_text(estimate), "; ".join(remarks)


def say_members(members: Sequence[MemberScore], together: Evaluation, *, joined_mark: str) -> None:
    """Print each joined run's weight, mark and headline number, and below them those of all together."""
    rows = [(one.name, f"{one.weight:.3f}", one.mark, headline_sentence(one.evaluation)) for one in members]
    say_rows("Members", [*rows, ("together", "", joined_mark, headline_sentence(together))])


def say_path(what: str, path: Path) -> None:
    """Print where something was written."""
    say(f"{what}: {path}")
