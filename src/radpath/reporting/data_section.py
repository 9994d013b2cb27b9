"""The sections on the data and the split: where images come from and go, and what was checked on the sides.

In: ``RunFacts``. Out: sections. Where a report is of predictions alone, they say what is not known.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np

from radpath.data.findings import counted
from radpath.data.manifest import Finding
from radpath.reporting.blocks import (
    Block,
    Drawing,
    Flow,
    Gallery,
    Heading,
    Note,
    Paragraph,
    Picture,
    Section,
    Stage,
    Table,
)
from radpath.reporting.content import Check, DataSummary, Exclusion, RunFacts, side_counts
from radpath.reporting.tables import count, split_table
from radpath.reporting.wording import SIDE_NAMES

_OUTCOMES: Final = {
    "passed": "✓ checked",
    "handled": "● handled",
    "failed": "✗ violated",
    "unchecked": "○ not checked",
}
_MOST_REASONS: Final = 6
_EXAMPLES: Final = 2
_FROM_A_TABLE: Final = (
    "This report was made from a table of predictions alone. Where the images come from, which were left out and why, "
    "and how they were prepared is not known here."
)


def data_section(content: RunFacts, figures: Mapping[str, str]) -> Section:
    """Return where the images come from, what they are like and what was left out."""
    sizes = Paragraph(text=_sizes_sentence(content.data)) if content.data else Paragraph(text=_FROM_A_TABLE)
    blocks: list[Block] = [*_assumed(content.data), _flow(content)]
    if "class_balance" in figures:
        caption = "Images of each class on each side of the split."
        blocks.append(Drawing(name="class_balance", svg=figures["class_balance"], caption=caption))
    if "sizes" in figures:
        caption = "Image sizes; a larger mark stands for more images of one size."
        blocks.append(Drawing(name="sizes", svg=figures["sizes"], caption=caption))
    blocks.append(sizes)
    if content.characteristics is not None:
        blocks += [Heading(text="Characteristics", anchor="characteristics"), content.characteristics]
    blocks += _samples(content)
    if content.data is not None and content.data.exclusions:
        blocks += [Heading(text="Excluded images", anchor="excluded"), _exclusion_table(content.data.exclusions)]
    if content.data is not None and content.data.findings:
        blocks += [Heading(text="What was noticed", anchor="noticed"), _finding_table(content.data.findings)]
    return Section(anchor="data", title="Data", blocks=tuple(blocks))


def _assumed(data: DataSummary | None) -> list[Block]:
    if data is None or not data.num_cases_assumed:
        return []
    verb = "belongs" if data.num_cases_assumed == 1 else "belong"
    text = (
        f"Case assumed. Nothing says which patient or specimen {counted(data.num_cases_assumed, 'image')} {verb} to, "
        "so each counts as a case of its own. If some show the same patient, the split may leak and the intervals are "
        "too narrow."
    )
    return [Note(text=text, kind="warning")]


def _flow(content: RunFacts) -> Flow:
    sides = side_counts(content)
    dealt = Stage(
        boxes=tuple(
            (SIDE_NAMES[side.side], f"{counted(side.num_images, 'image')}, {counted(side.num_cases, 'case')}")
            for side in sides
        )
    )
    return Flow(caption="Flow of images and cases", stages=(*_beginning(content.data), dealt))


def _beginning(data: DataSummary | None) -> list[Stage]:
    if data is None:
        return []
    num_excluded = sum(one.num_images for one in data.exclusions)
    more = len(data.exclusions) - _MOST_REASONS
    reasons = [f"{one.reason}: {one.num_images:,}" for one in data.exclusions[:_MOST_REASONS]]
    found = Stage(
        boxes=(("Found", f"{counted(data.num_found, 'image')}, {counted(data.num_cases_found, 'case')}"),),
        leaves=f"{counted(num_excluded, 'image')} excluded:" if data.exclusions else "Nothing was excluded.",
        items=(*reasons, *([f"and {more} more reasons, in the table below"] if more > 0 else [])),
    )
    kept = Stage(
        boxes=(("Taking part", f"{counted(data.num_kept, 'image')}, {counted(data.num_cases_kept, 'case')}"),),
        leaves="; ".join(f"{kind}: {number:,}" for kind, number in data.kinds.items()),
    )
    return [found, kept]


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


def _samples(content: RunFacts) -> list[Block]:
    galleries: list[Block] = [
        Gallery(
            caption=name,
            pictures=tuple(
                Picture(
                    picture=one.picture,
                    alternative=f"Sample image of class {name}: {one.caption}",
                    lines=(one.caption,),
                )
                for one in group
            ),
        )
        for name, group in content.samples.items()
        if group
    ]
    return [Heading(text="Sample images", anchor="samples"), *galleries] if galleries else []


def _exclusion_table(exclusions: tuple[Exclusion, ...]) -> Table:
    return Table(
        name="exclusions",
        caption="Excluded images by reason; every single one is listed with its reason in exclusions.csv.",
        columns=("Reason", "Images", "Cases", "For example"),
        rows=tuple(
            (one.reason, count(one.num_images), count(one.num_cases), "; ".join(one.examples[:_EXAMPLES]))
            for one in exclusions
        ),
    )


def _finding_table(findings: tuple[Finding, ...]) -> Table:
    ordered = sorted(findings, key=lambda finding: finding.severity != "warning")
    return Table(
        name="findings",
        caption="What a person should know about these data; findings.json holds more examples.",
        columns=("What was noticed", "Kind", "For example"),
        rows=tuple((finding.message, finding.severity, "; ".join(finding.examples[:_EXAMPLES])) for finding in ordered),
    )


def split_section(content: RunFacts) -> Section:
    """Return how the cases were dealt to the sides, and what was checked on them."""
    checks = content.split.checks if content.split else _checks_of_predictions(content)
    method = content.split.method if content.split else "The sides are those of the table of predictions."
    table = Table(
        name="checks",
        caption="What was checked on the sides, by identifiers and by content.",
        columns=("Statement", "Outcome", "Detail"),
        rows=tuple((check.what, _OUTCOMES[check.outcome], check.detail) for check in checks),
    )
    blocks = (
        Paragraph(text=method),
        split_table(side_counts(content)),
        Heading(text="Disjointness", anchor="disjointness"),
        Paragraph(text=_disjointness(checks)),
        table,
    )
    return Section(anchor="split", title="Split", blocks=blocks)


def _checks_of_predictions(content: RunFacts) -> tuple[Check, ...]:
    cases = counted(sum(side.num_cases for side in side_counts(content)), "case")
    return (
        Check(what="No case is on two sides", outcome="passed", detail=cases),
        Check(
            what="No identical file and no identical pixels are on two sides",
            outcome="unchecked",
            detail="the images were not there, only their predictions",
        ),
    )


def _disjointness(checks: tuple[Check, ...]) -> str:
    words = {check.outcome for check in checks}
    if "failed" in words:
        return "The sides are not disjoint in every respect that was checked; the table says where."
    if "unchecked" in words:
        return "The sides are disjoint in what could be checked; the table says what could not."
    return "The sides are disjoint at the level of the case, and in every respect that was checked."
