"""The section with reporting checklists: where the report answers each item, and what the authors have to add.

In: the other sections of a report. Out: a section whose links lead to places that are there.
"""

from collections.abc import Sequence
from typing import Final

from radpath.reporting.blocks import Block, Folded, Heading, Link, Paragraph, Section, Table
from radpath.reporting.checklist_items import CHECKLISTS, Checklist, Item

FOR_AUTHORS = "for the authors"

_GAPS: Final = "fill-in"
"""The anchor of what a person has to fill in."""


def checklists_section(sections: Sequence[Section]) -> Section:
    """Return a table for each guideline; an item whose place this report lacks is for the authors.

    So is one that has a place only where the authors are told what to write: a gap answers nothing.
    """
    places = _places(sections)
    filled = {one.title: sum(_answer_of(item, places) is not None for item in one.items) for one in CHECKLISTS}
    counts = "; ".join(f"{one.title} {filled[one.title]} of {len(one.items)}" for one in CHECKLISTS)
    text = (
        "Where this report answers what reporting guidelines ask, in radpath's own short words. The rest is for the "
        "authors. Submit the published checklists: these tables only help to fill them in. Items with an answer here: "
        f"{counts}."
    )
    blocks: list[Block] = [Paragraph(text=text)]
    blocks += [Folded(summary=f"{one.title}, item by item", blocks=(_table(one, places),)) for one in CHECKLISTS]
    return Section(anchor="checklists", title="Checklists", blocks=tuple(blocks))


def _places(sections: Sequence[Section]) -> dict[str, str]:
    """Return the title behind every anchor."""
    found: dict[str, str] = {}
    for section in sections:
        found[section.anchor] = section.title
        headings = [block for block in section.blocks if isinstance(block, Heading) and block.anchor]
        found |= {heading.anchor: heading.text for heading in headings}
    return found


def _place_of(item: Item, places: dict[str, str]) -> str | None:
    return next((anchor for anchor in item.places if anchor in places), None)


def _answer_of(item: Item, places: dict[str, str]) -> str | None:
    anchor = _place_of(item, places)
    return None if anchor == _GAPS else anchor


def _table(checklist: Checklist, places: dict[str, str]) -> Table:
    return Table(
        name=checklist.name,
        caption=f"{checklist.title} ({checklist.reference}), by number, in our own words.",
        columns=("Item", "What is asked", "Where", "Left to do"),
        rows=tuple(_row(item, places) for item in checklist.items),
    )


def _row(item: Item, places: dict[str, str]) -> tuple[str | Link, ...]:
    anchor = _place_of(item, places)
    if anchor is None:
        return item.number, item.asked, "", FOR_AUTHORS
    left = FOR_AUTHORS if anchor == _GAPS else "the authors complete it" if item.is_part else ""
    return item.number, item.asked, Link(text=places[anchor], anchor=anchor), left
