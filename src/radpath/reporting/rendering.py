"""Sections of blocks become HTML: the parts of the report, and whole pages of sections.

In: ``blocks.Section``. Out: HTML that needs nothing else. Every text of a user is escaped by the template engine; our
own drawings, whose texts are escaped where they are drawn, are the only markup that is passed through. The one script
is our own, and the page's policy names it by its digest, so that no other can run.
"""

import base64
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import jinja2
from markupsafe import Markup

from radpath import files
from radpath.reporting.blocks import Block, Drawing, Section
from radpath.reporting.table_files import write_drawings, write_tables
from radpath.reporting.table_layout import interval_of, lay_out
from radpath.reporting.thumbnails import data_uri, is_lossless

_SCRIPT: Final = "page.js"
FOOTER: Final = (
    "Made by radpath. The page needs no network; figures and tables are also beside it, in figures/ and tables/."
)


def write_sections_page(
    sections: Sequence[Section],
    page: Path,
    *,
    title: str,
    lead: str,
    note: str = "",
    kind: str = "report",
) -> None:
    """Write a whole page of sections, and beside it their tables and drawings, in ``tables/`` and ``figures/``.

    Args:
        sections: in the order of the page; anchors, and names of tables and drawings, are unique among them.
        page: the file, for example ``compare.html``.
        title: of the page.
        lead: what it answers, in a sentence or two.
        note: what a reader must not miss, above everything; empty for nothing.
        kind: what kind of page it is, in a word or two.

    Raises:
        StorageError: a file cannot be written.
    """
    write_drawings(sections, page.parent / "figures")
    write_tables(sections, page.parent / "tables")
    files.write_text(page, render_sections_page(sections, title=title, lead=lead, note=note, kind=kind))


def render_sections_page(
    sections: Sequence[Section], *, title: str, lead: str, note: str = "", kind: str = "report"
) -> str:
    """Return what ``write_sections_page`` writes; the same sections give the same bytes."""
    template = page_environment().get_template("sections.html.jinja")
    return template.render(
        sections=sections, title=title, lead=lead, note=note, kind=kind, created="", footer=FOOTER
    )  # fmt: skip


def page_environment() -> jinja2.Environment:
    """Return where templates are, with every text escaped and every name that is missing an error."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("radpath.reporting", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = script_of(environment)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment.filters["own_markup"] = Markup
    environment.globals.update(
        script=Markup(script),  # noqa: S704 - our own file
        script_hash=f"sha256-{digest}",
        kind_of=lambda block: type(block).__name__,
        lay_out=lay_out,
        interval_of=interval_of,
        in_rows=in_rows,
        data_uri=data_uri,
        is_lossless=is_lossless,
    )
    return environment


def script_of(environment: jinja2.Environment) -> str:
    """Return the script of the page, as it stands in its file."""
    if environment.loader is None:
        return ""
    return environment.loader.get_source(environment, _SCRIPT)[0]


def in_rows(blocks: Iterable[Block]) -> Iterator[tuple[list[Drawing], Block | None]]:
    """Yield drawings that follow each other together, as a row, and every other block by itself."""
    row: list[Drawing] = []
    for block in blocks:
        if isinstance(block, Drawing):
            row.append(block)
            continue
        if row:
            yield row, None
            row = []
        yield [], block
    if row:
        yield row, None
