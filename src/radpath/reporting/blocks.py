"""What a section of the report is made of, whatever it is then written as: a page, a PDF, CSV or LaTeX.

In: numbers and drawings, from the module of a section. Out: frozen values without any markup but the drawings' own.
Text that a user wrote (class names, paths, cases) is held as it is; whoever writes a format escapes it.
"""

import dataclasses
from typing import Literal


@dataclasses.dataclass(frozen=True, kw_only=True)
class Paragraph:
    """Plain sentences."""

    text: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Note:
    """A sentence that a reader must not miss."""

    text: str
    kind: Literal["warning", "note"] = "note"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Number:
    """A cell that can be sorted, and that CSV holds in full precision."""

    text: str
    """As shown, for example ``0.912``; for what does not exist, the word that stands there."""
    value: float | None
    """``None`` where the number does not exist; never NaN."""
    low: float | None = None
    high: float | None = None
    """The interval, where there is one; it is shown behind the text."""
    note: str = ""
    """Why the number or its interval does not exist, or what a reader must know."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Link:
    """A cell that leads to another place of the report."""

    text: str
    anchor: str


Cell = str | Number | Link


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of texts and numbers; the first cell of a row names it."""

    name: str
    """Of the files ``tables/NAME.csv`` and ``tables/NAME.tex``: words joined by ``-``, unique in a report."""
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    total: tuple[Cell, ...] | None = None
    """A last row that stays last, whatever the rows are sorted by."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drawing:
    """A vector figure that ``svg.to_svg`` made; its alternative text is inside."""

    name: str
    """Of the file ``figures/NAME.svg``; unique in a report."""
    svg: str
    caption: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Picture:
    """One image of a gallery."""

    picture: bytes
    """PNG or JPEG."""
    alternative: str
    """What a reader who cannot see it must know."""
    lines: tuple[str, ...]
    """Short lines below it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gallery:
    """Pictures side by side."""

    caption: str
    pictures: tuple[Picture, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Heading:
    """The title of a part of a section."""

    text: str
    anchor: str = ""
    """Its address in the page; empty where nothing leads to it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bullets:
    """Sentences, each by itself."""

    items: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """One step of a flow of images and cases."""

    boxes: tuple[tuple[str, str], ...]
    """What there is, and how many: side by side where there are several."""
    leaves: str = ""
    """What is said beside it, for example what leaves here."""
    items: tuple[str, ...] = ()
    """Short lines below that."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Flow:
    """Where images and cases come from and where they go, from the top to the bottom."""

    caption: str
    stages: tuple[Stage, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Folded:
    """Blocks that a reader opens; on paper they are always open."""

    summary: str
    blocks: "tuple[Block, ...]"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Widget:
    """A part that only a page with its script can show, and that paper leaves out."""

    kind: Literal["threshold"]
    label: str
    data: str
    """JSON, which the script of the page reads."""


Block = Paragraph | Note | Table | Drawing | Gallery | Heading | Bullets | Flow | Folded | Widget


@dataclasses.dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the report with a heading of its own."""

    anchor: str
    """Its address in the page, for example ``calibration``; unique in a report."""
    title: str
    blocks: tuple[Block, ...]
