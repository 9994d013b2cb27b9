"""What a recipe says while it works: plain lines and tables on standard output, for people and for log files."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from radpath.data.manifest import Finding
from radpath.evaluation.estimates import Evaluation
from radpath.reporting.content import Choice
from radpath.reporting.results import overall_estimates
from radpath.reporting.wording import counted, estimate_label, estimate_text, reported_sides


def say(line: str) -> None:
    """Print one line at once, so that a log shows where a long run stands."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def say_rows(heading: str, rows: Iterable[Sequence[str]]) -> None:
    """Print rows below a heading, columns aligned; the last column is wrapped by the terminal, never cut."""
    rows = [list(row) for row in rows]
    if not rows:
        return
    say("")
    say(heading)
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]) - 1)]
    for row in rows:
        aligned = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False))
        say(f"  {aligned}  {row[-1]}".rstrip())


def say_findings(findings: Sequence[Finding]) -> None:
    """Print what a person should know about the data, warnings first."""
    ordered = sorted(findings, key=lambda finding: finding.severity != "warning")
    say_rows("Findings", [(finding.severity, finding.message) for finding in ordered])


def say_plan(choices: Sequence[Choice]) -> None:
    """Print what was chosen and why."""
    say_rows("Plan", [(choice.setting, "=", choice.value, f"because {choice.reason}") for choice in choices])


def say_results(evaluation: Evaluation) -> None:
    """Print the overall metrics of the side that counts most, with intervals, and every warning."""
    side = reported_sides(evaluation)[0]
    estimates = overall_estimates(side.estimates, evaluation.positive_class)
    rows = [(estimate_label(estimate, evaluation.positive_class), estimate_text(estimate)) for estimate in estimates]
    heading = f"Results on {side.side}: {counted(side.num_images, 'image')} of {counted(side.num_cases, 'case')}"
    say_rows(f"{heading}, with {evaluation.confidence:.0%} intervals by case", rows)
    say_rows("Cautions", [("-", warning) for warning in evaluation.warnings])


def say_path(what: str, path: Path) -> None:
    """Print where something was written."""
    say(f"{what}: {path}")
