"""The whole report as sections of blocks: what every format of it is written from.

In: ``ReportContent``. Out: sections in the order in which a reviewer reads: data, split, training, results, analyses,
failures, limits. How blocks look is left to ``rendering`` and the other formats.
"""

from radpath.reporting.blocks import Section
from radpath.reporting.checklists import checklists_section
from radpath.reporting.closing_sections import limits_section, reproduction_section
from radpath.reporting.content import ReportContent
from radpath.reporting.data_section import data_section, split_section
from radpath.reporting.figures import all_figures
from radpath.reporting.mistakes_section import mistakes_section
from radpath.reporting.results_section import results_section
from radpath.reporting.training_section import training_section


def report_sections(content: ReportContent) -> tuple[Section, ...]:
    """Return every section of the report; parts of which nothing is known are left out."""
    figures = all_figures(content)
    parts = (
        data_section(content, figures),
        split_section(content),
        training_section(content, figures),
        results_section(content, figures),
        *content.sections,
        mistakes_section(content),
        limits_section(content),
        reproduction_section(content),
    )
    present = [part for part in parts if part is not None]
    checklists = checklists_section(present)
    # Before the settings, which nobody reads to the end.
    place = next((n for n, part in enumerate(present) if part.anchor == "reproduce"), len(present))
    return (*present[:place], checklists, *present[place:])
