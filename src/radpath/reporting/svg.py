"""A matplotlib figure becomes SVG that lives in a page: its ink follows the reader's light or dark theme.

In: a figure drawn with ``INK`` for text and axes and ``DATA_COLOURS`` for data. Out: one ``<svg>`` element with
alternative text, ids that no other figure has, and the same bytes every time. What is drawn is left to ``figures``.
"""

import html
import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

INK: Final = "#010203"
"""Drawn by nobody else, so that it can be replaced by ``currentColor`` in the SVG text."""
PAPER: Final = "#fdfefb"
"""Likewise, for rings that lift a mark off what lies below it."""

LIGHT_BACKGROUND: Final = "#ffffff"
DARK_BACKGROUND: Final = "#15171c"

DATA_COLOURS: Final = ("#2878b8", "#d55e00", "#009e73", "#b5609b", "#9a7b00", "#2a93b0", "#808890")
"""Close to Okabe and Ito's palette, each at least 3:1 on both backgrounds (WCAG 2.2, 1.4.11)."""
DASHES: Final = ("solid", (0, (5, 1.6)), (0, (1.4, 1.4)))
"""The second channel: nine classes have more than colour to tell them apart."""

WIDTH_PX: Final = 420
"""Every figure has this width in SVG units, so that text has one size across the page and stays readable on a phone."""
_UNITS_PER_INCH: Final = 72

_STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "radpath",
    "text.parse_math": False,  # a class may be called "$x$"
    "axes.formatter.use_mathtext": False,
    "axes.unicode_minus": True,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # ships with matplotlib; wider than system fonts, so measured text always fits
    "font.size": 12,
    "axes.labelsize": 12,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "legend.fontsize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 4,
    "axes.titlesize": 11.5,
    "axes.titlelocation": "left",
}
# Unseen by a reader of the page: matplotlib measures with its own font, the browser draws with one that has the glyph.
_HARMLESS_WARNING: Final = r"Glyph .* missing from font"
_FONT: Final = re.compile(r"font: ((?:(?:italic|bold|\d{3}) )*)([\d.]+)px [^;\"]*")


@contextmanager
def house_style() -> Iterator[None]:
    """Draw with radpath's style inside the block, whatever the user's own matplotlib settings are."""
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        warnings.filterwarnings("ignore", message=_HARMLESS_WARNING)
        yield


def new_figure(height_px: int, **layout: Any) -> tuple[Figure, Any]:  # noqa: ANN401 - what Figure.subplots takes and returns
    """Return a figure of the common width and its axes; call it inside ``house_style``."""
    figure = Figure(figsize=(WIDTH_PX / _UNITS_PER_INCH, height_px / _UNITS_PER_INCH), layout="constrained")
    FigureCanvasSVG(figure)
    return figure, figure.subplots(**layout)


def add_grid(axes: Axes, axis: str = "both") -> None:
    """Draw a faint grid below the data."""
    axes.set_axisbelow(True)
    axes.grid(visible=True, axis=axis, color=INK, alpha=0.14, linewidth=0.7)  # type: ignore[arg-type]  # a Literal there


def colour_of(index: int) -> str:
    """Return the colour of the class or side with this index."""
    return DATA_COLOURS[index % len(DATA_COLOURS)]


def dash_of(index: int) -> Any:  # noqa: ANN401 - matplotlib's line styles are words or tuples
    """Return the line style of the class with this index; with the colour it is unique up to 21 classes."""
    return DASHES[(index // len(DATA_COLOURS) + index) % len(DASHES)]


def printable(text: str) -> str:
    """Replace characters that no XML document may hold, and line breaks, by visible ones.

    >>> printable("a" + chr(0) + "b")
    'a\ufffdb'
    """
    return "".join(
        c if (c.isprintable() or c == "\N{NO-BREAK SPACE}") and not "\ud800" <= c <= "\udfff" else "\ufffd"
        for c in text
    )


def shortened(text: str, limit: int) -> str:
    """Return ``text`` with its middle left out where it is longer than ``limit`` characters.

    >>> shortened("adenocarcinoma in situ", 12)
    'adenoc… situ'
    """
    text = printable(text)
    if len(text) <= limit:
        return text
    tail = (limit - 1) // 2
    return f"{text[: limit - 1 - tail]}…{text[len(text) - tail :]}"


def to_svg(figure: Figure, *, name: str, title: str, description: str) -> str:
    """Return the figure as one ``<svg>`` element; call it inside ``house_style``.

    Args:
        figure: drawn with ``INK`` and ``DATA_COLOURS``.
        name: unique in the page; prefixes every id.
        title: what the figure is.
        description: what it shows, in words, for readers who cannot see it.
    """
    written = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))  # dates and versions would change the bytes
    figure.savefig(written, format="svg", metadata=nothing, transparent=True)
    drawing = written.getvalue()
    drawing = drawing[drawing.index("<svg") :].strip()
    drawing = _unique_ids(drawing, name)
    drawing = _themed(drawing, name)
    return _with_words(drawing, name=name, title=title, description=description) + "\n"


def _unique_ids(drawing: str, name: str) -> str:
    drawing = re.sub(r'(<[^>]*?\sid=")([^"]+)(")', rf"\1{name}-\2\3", drawing)
    drawing = re.sub(r"url\(#", f"url(#{name}-", drawing)
    return re.sub(r'xlink:href="#', f'xlink:href="#{name}-', drawing)


def _themed(drawing: str, name: str) -> str:
    drawing = drawing.replace(INK, "currentColor").replace(PAPER, "var(--paper, Canvas)")
    drawing = _FONT.sub(r"font: \1\2px system-ui, sans-serif", drawing)
    return drawing.replace('<style type="text/css">*{', f'<style type="text/css">#{name} *{{')


def _with_words(drawing: str, *, name: str, title: str, description: str) -> str:
    """Replace the root element by one that scales, names itself, and has an ink of its own outside a page."""
    root_end = drawing.index(">") + 1
    found = re.search(r'viewBox="([^"]+)"', drawing[:root_end])
    box = found.group(1) if found else f"0 0 {WIDTH_PX} {WIDTH_PX}"
    root = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" id="{name}" '
        f'viewBox="{box}" role="img" aria-labelledby="{name}-title {name}-description" '
        'style="color: var(--ink, CanvasText); color-scheme: light dark">\n'
        f'<title id="{name}-title">{html.escape(printable(title))}</title>\n'
        f'<desc id="{name}-description">{html.escape(printable(description))}</desc>'
    )
    return root + drawing[root_end:]
