"""Sections of blocks as a document for Typst: text with markup, and the pictures that it names.

In: ``blocks.Section``. Out: ``Source``. Every text of a user is written as a quoted string of Typst, which holds no
markup, so nothing in it can be obeyed. What a page is made of is left to ``pdf``.
"""

import dataclasses
import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from radpath.reporting.blocks import (
    Block,
    Bullets,
    Drawing,
    Flow,
    Folded,
    Gallery,
    Heading,
    Note,
    Paragraph,
    Section,
    Table,
)
from radpath.reporting.svg import printable
from radpath.reporting.table_layout import LaidCell, LaidTable, lay_out
from radpath.reporting.thumbnails import is_lossless

_INK: Final = "#1b1d22"
_SOFT: Final = "#565c67"
_STYLE: Final = f"""
#set page(paper: "a4", margin: (x: 19mm, top: 18mm, bottom: 20mm), numbering: "1 / 1")
#set text(font: ("DejaVu Sans",), size: 8.6pt, fill: rgb("{_INK}"), lang: "en", hyphenate: false)
#set par(leading: 0.62em, spacing: 0.9em, linebreaks: "optimized")
#set heading(numbering: none)
#show heading.where(level: 1): it => block(above: 2.2em, below: 0.9em, sticky: true,
  stack(spacing: 0.6em, line(length: 100%, stroke: 0.4pt + rgb("#c9cdd5")), text(size: 13pt, weight: "bold", it.body)))
#show heading.where(level: 2): it => block(above: 1.5em, below: 0.7em, sticky: true, text(size: 9.8pt, weight: "bold", it.body))
#show link: set text(fill: rgb("#1f6aa5"))
#let soft(body) = text(fill: rgb("{_SOFT}"), body)
#let alert(body, colour) = block(width: 100%, inset: (left: 9pt, right: 8pt, y: 7pt), stroke: (left: 2.4pt + rgb(colour)),
  fill: rgb(colour).lighten(91%), body)
#let rows(columns, aligned, size, ..cells) = block(width: 100%, breakable: true, text(size: size, table(
  columns: columns, align: (x, y) => aligned.at(x), inset: (x: 3pt, y: 3.2pt),
  stroke: (x, y) => (bottom: if y == 0 {{ 0.6pt + rgb("{_SOFT}") }} else {{ 0.3pt + rgb("#dcdfe5") }}), ..cells)))
#let box-of(name, size) = rect(width: 100%, radius: 2pt, stroke: 0.5pt + rgb("{_SOFT}"), inset: 5pt, [*#name* \\ #size])
"""  # noqa: E501 - a line of the style is a line
_PICTURES_IN_A_ROW: Final = 6
_SHORT: Final = 28  # letters; a column of shorter texts is as wide as they are


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """What Typst compiles."""

    text: str
    pictures: dict[str, bytes]
    """By file name."""


def document(
    sections: Iterable[Section], *, title: str, lead: str = "", created: str = "", top: Iterable[Block] = ()
) -> Source:
    """Return the whole document."""
    parts = list(sections)
    writer = _Writer(anchors=_anchors(parts))
    head = [
        f"#set document(title: {quoted(title)}, date: none)",
        _STYLE,
        f"#soft({quoted(f'radpath report · {created}' if created else 'radpath report')})",
        f'#block(above: 0.6em, below: 0.7em, text(size: 18pt, weight: "bold", {quoted(title)}))',
        *([f"#text(size: 11pt, {quoted(lead)})"] if lead else []),
        writer.blocks(top),
    ]
    body = [writer.section(part) for part in parts]
    return Source(text="\n\n".join([*head, *body]) + "\n", pictures=writer.pictures)


def quoted(text: str) -> str:
    r"""Return ``text`` as a string of Typst, which is never markup.

    >>> print(quoted('a "b" #c'))
    "a \"b\" #c"
    """
    lines = [printable(line) for line in text.split("\n")]
    return '"' + "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in lines) + '"'


def _anchors(sections: Iterable[Section]) -> set[str]:
    found = set()
    for section in sections:
        headings = [block.anchor for block in section.blocks if isinstance(block, Heading) and block.anchor]
        found |= {section.anchor, *headings}
    return found


class _Writer:
    """Writes blocks, and gathers the pictures that they need."""

    def __init__(self, *, anchors: set[str]) -> None:
        self.pictures: dict[str, bytes] = {}
        self._anchors = anchors
        self._writers: dict[type, Callable[[Any], str]] = {
            Paragraph: lambda block: f"#par({quoted(block.text)})",
            Note: _note,
            Heading: lambda block: _heading(block.text, block.anchor, level=2),
            Bullets: lambda block: "\n".join(f"- #{quoted(item)}" for item in block.items),
            Table: self._table,
            Gallery: self._gallery,
            Flow: _flow,
            Folded: lambda block: self.blocks(block.blocks),
        }

    def section(self, section: Section) -> str:
        """Return one section."""
        return "\n\n".join([_heading(section.title, section.anchor, level=1), self.blocks(section.blocks)])

    def blocks(self, blocks: Iterable[Block]) -> str:
        """Return blocks below each other, drawings two in a row; what only a script can show is left out."""
        written, row = [], []
        for block in blocks:
            if isinstance(block, Drawing):
                row.append(self._drawing(block))
                continue
            written += _in_pairs(row)
            row = []
            if type(block) in self._writers:
                written.append(self._writers[type(block)](block))
        return "\n\n".join([*written, *_in_pairs(row)])

    def _drawing(self, drawing: Drawing) -> str:
        name = f"{drawing.name}.svg"
        self.pictures[name] = _on_paper(drawing.svg).encode()
        picture = f"image({quoted(name)}, width: 100%, alt: {quoted(drawing.caption)})"
        return f"block(breakable: false, [#{picture} #soft(text(size: 7.6pt, {quoted(drawing.caption)}))])"

    def _gallery(self, gallery: Gallery) -> str:
        cells = []
        for one in gallery.pictures:
            name = f"picture-{len(self.pictures)}.{'png' if is_lossless(one.picture) else 'jpg'}"
            self.pictures[name] = one.picture
            picture = (
                f'image({quoted(name)}, width: 100%, height: 22mm, fit: "contain", alt: {quoted(one.alternative)})'
            )
            words = _breakable(quoted("\n".join(one.lines)))
            cells.append(f"block(breakable: false, [#{picture} #soft(text(size: 6.4pt, {words}))])")
        grid = f"#grid(columns: ({'1fr, ' * _PICTURES_IN_A_ROW}), gutter: 6pt, {', '.join(cells)})"
        return f"#block(above: 1em, below: 0.5em, sticky: true, strong({quoted(gallery.caption)}))\n\n{grid}"

    def _table(self, table: Table) -> str:
        laid = lay_out(table)
        heads = ", ".join(f'text(weight: "bold", {quoted(name)})' for name in laid.columns)
        rows = [*laid.rows, *([laid.total] if laid.total else [])]
        cells = ", ".join(self._cell(cell, laid) for row in rows for cell in row)
        aligned = ", ".join("right" if is_number else "left" for is_number in laid.is_number)
        size = "6.6pt" if laid.is_dense else "7.8pt"
        body = f"#rows({_widths(laid)}, ({aligned},), {size}, table.header({heads}), {cells})"
        caption = (
            f"#block(above: 1.1em, below: 0.5em, sticky: true, soft({quoted(laid.caption)}))" if laid.caption else ""
        )
        notes = [f"#soft(text(size: 7pt)[#super[{n}] #{quoted(note)}])" for n, note in enumerate(laid.notes, start=1)]
        return "\n\n".join(part for part in (caption, body, " \\\n".join(notes)) if part)

    def _cell(self, cell: LaidCell, laid: LaidTable) -> str:
        text = _breakable(quoted(cell.text))
        if cell.anchor in self._anchors:
            return f"link(label({quoted(cell.anchor)}), {text})"
        interval = (
            f"#{quoted('' if laid.is_dense else ' ')}#soft({quoted(_interval(cell, laid))})" if cell.interval else ""
        )
        mark = f"#super[{cell.mark}]" if cell.mark else ""
        return f"[#{text}{interval}{mark}]"


def _interval(cell: LaidCell, laid: LaidTable) -> str:
    return f"\n{cell.interval}" if laid.is_dense else f"({cell.interval})"


def _widths(laid: LaidTable) -> str:
    """Return columns as wide as their numbers need, and the rest for texts, by how long they are."""
    longest = [max([len(row[place].text) for row in laid.rows] or [1]) for place in range(len(laid.columns))]
    widths = [
        "auto" if is_number or longest[place] <= _SHORT else f"{min(60, longest[place])}fr"
        for place, is_number in enumerate(laid.is_number)
    ]
    return f"({', '.join(widths)},)"


def _breakable(text: str) -> str:
    """Let a long word, such as a file name, break where a person would.

    >>> [len(_breakable(text)) for text in ("plain", "case_001/he.png")]
    [5, 18]
    """
    return re.sub(r"([_/.])(?=\w)", "\\1\N{ZERO WIDTH SPACE}", text)


def _heading(text: str, anchor: str, *, level: int) -> str:
    # A label in the text of Typst may hold letters and dashes only, as our anchors do.
    return f"#[#heading(level: {level}, {quoted(text)})" + (f" <{anchor}>]" if anchor else "]")


def _note(note: Note) -> str:
    colour = "#b8860b" if note.kind == "warning" else "#1f6aa5"
    return f"#alert({quoted(note.text)}, {json.dumps(colour)})"


def _flow(flow: Flow) -> str:
    rows = []
    for stage in flow.stages:
        boxes = [f"box-of({quoted(name)}, {quoted(size)})" for name, size in stage.boxes]
        said = quoted("\n".join(line for line in (stage.leaves, *stage.items) if line))
        if len(boxes) == 1:
            rows.append(f"grid(columns: (1fr, 2fr), gutter: 10pt, {boxes[0]}, soft({said}))")
        else:
            rows.append(f"grid(columns: ({'1fr, ' * len(boxes)}), gutter: 8pt, {', '.join(boxes)})")
    return f"#block(breakable: false, width: 100%, stack(spacing: 7pt, {', '.join(rows)}))"


def _in_pairs(drawings: Sequence[str]) -> list[str]:
    return [
        f"#grid(columns: (1fr, 1fr), gutter: 14pt, {', '.join(drawings[place : place + 2])})"
        for place in range(0, len(drawings), 2)
    ]


def _on_paper(svg: str) -> str:
    """Return a drawing without what only a browser knows: themes, and the fonts of a system."""
    svg = svg.replace("currentColor", _INK).replace("var(--paper, Canvas)", "#ffffff")
    svg = svg.replace("system-ui, sans-serif", "'DejaVu Sans'")
    return re.sub(r'style="color: [^"]*"', "", svg, count=1)
