"""The report on paper: sections of blocks become one PDF, through Typst, a typesetter that comes as a wheel.

In: sections, a title, what stands above. Out: the bytes of a PDF; the same sections give the same bytes, with the fonts
that Typst and matplotlib bring, whatever fonts the machine has. What needs a script is left out.
"""

import importlib.util
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import matplotlib as mpl

from radpath.errors import MissingExtraError
from radpath.reporting.blocks import Block, Section
from radpath.reporting.typst_source import Source, document

_TIMESTAMP: Final = 946_684_800
"""The beginning of the year 2000, in seconds: it stands for the hour of the making, which would change the bytes."""


def can_write_pdf() -> bool:
    """Return whether Typst is installed."""
    return importlib.util.find_spec("typst") is not None


def require_typst() -> None:
    """Refuse where Typst is missing.

    Raises:
        MissingExtraError: naming the extra.
    """
    if not can_write_pdf():
        raise MissingExtraError("a PDF needs Typst: pip install 'radpath[pdf]'; report.html holds the same")


def render_pdf(
    sections: Iterable[Section], *, title: str, lead: str = "", created: str = "", top: Iterable[Block] = ()
) -> bytes:
    """Return the PDF of some sections.

    Args:
        sections: in the order of the pages.
        title: of the whole.
        lead: below the title.
        created: date and time as they shall stand there.
        top: what stands above the first section: the headline, what must not be missed.

    Raises:
        MissingExtraError: Typst is not installed.
    """
    require_typst()
    import typst

    source = document(sections, title=title, lead=lead, created=created, top=top)
    with tempfile.TemporaryDirectory() as folder:
        main = _written(source, Path(folder))
        pdf: bytes = typst.compile(
            str(main), font_paths=[str(_font_folder())], ignore_system_fonts=True, timestamp=_TIMESTAMP
        )
    return pdf


def _written(source: Source, folder: Path) -> Path:
    """Write the text and its pictures where Typst finds them; return the text's file."""
    for name, picture in source.pictures.items():
        (folder / name).write_bytes(picture)
    main = folder / "report.typ"
    main.write_text(source.text, encoding="utf-8")
    return main


def _font_folder() -> Path:
    """Return where matplotlib keeps DejaVu Sans, with which figures are measured."""
    return Path(mpl.get_data_path()) / "fonts" / "ttf"
