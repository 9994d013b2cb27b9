"""The last sections: what the results cannot say, and what is needed to make them again.

In: ``ReportContent``. Out: sections.
"""

from collections.abc import Mapping

from radpath.reporting.blocks import Block, Bullets, Folded, Heading, Paragraph, Section, Table
from radpath.reporting.content import ReportContent, RunFacts
from radpath.reporting.limits import GAPS, derived_limits


def limits_section(content: ReportContent) -> Section:
    """Return the limits of the results, and what a person has to fill in."""
    return section_of_limits(derived_limits(content))


def section_of_limits(limits: tuple[str, ...]) -> Section:
    """Return a section of these limits, and of what a person has to fill in."""
    blocks = (
        Bullets(items=limits),
        Heading(text="What a person has to fill in", anchor="fill-in"),
        Paragraph(text="radpath cannot know these, and a reader needs them:"),
        Bullets(items=GAPS),
    )
    return Section(anchor="limits", title="Limits", blocks=blocks)


def reproduction_section(content: RunFacts) -> Section | None:
    """Return settings and versions; None where nothing is known of them."""
    if not content.settings and not content.environment:
        return None
    blocks: list[Block] = []
    if content.settings:
        text = (
            "The same settings are in experiment.toml, the versions in environment.json, the predictions behind every "
            "number in predictions.csv."
        )
        table = _pairs("settings", "Every setting of the run", ("Setting", "Value"), content.settings)
        blocks += [Paragraph(text=text), Folded(summary=f"Settings ({len(content.settings)})", blocks=(table,))]
    if content.environment:
        blocks.append(_pairs("versions", "Versions, device and seeds", ("What", "Value"), content.environment))
    return Section(anchor="reproduce", title="Settings and versions", blocks=tuple(blocks))


def _pairs(name: str, caption: str, columns: tuple[str, str], rows: Mapping[str, str]) -> Table:
    return Table(name=name, caption=caption, columns=columns, rows=tuple(rows.items()))
