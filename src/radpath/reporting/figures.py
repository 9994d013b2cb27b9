"""Every figure of the report as SVG: what the data look like and how the training went; results are in ``results``.

In: counts, sizes, history, and what ``content`` holds. Out: one ``<svg>`` text a figure, the same on the page and in
the run's ``figures`` folder. A figure that would show nothing (one size, one epoch) is left out.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

import numpy as np
from jaxtyping import Int
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from radpath.data.findings import counted
from radpath.records import SIDES, Side
from radpath.reporting import results
from radpath.reporting.content import ReportContent, RunFacts, SideCounts, TrainingSummary, side_counts
from radpath.reporting.svg import INK, PAPER, add_grid, colour_of, house_style, new_figure, shortened, to_svg
from radpath.reporting.wording import SIDE_NAMES

SIDE_COLOURS: Final[dict[Side, str]] = {side: colour_of(index) for index, side in enumerate(SIDES)}
_MAX_SINGLE_SIZES: Final = 60  # every mark costs 150 bytes of the page
_MARKS_PER_DOUBLING: Final = 5
_MARK_LEVELS: Final = 4


def all_figures(content: ReportContent) -> dict[str, str]:
    """Return the SVG text of every figure that has something to show, by file name without ``.svg``."""
    makers: dict[str, Callable[[], str | None]] = {
        "intervals": lambda: results.intervals_figure(content.evaluation),
        "roc": lambda: results.roc_figure(content.evaluation, content.predictions),
        "precision_recall": lambda: results.pr_figure(content.evaluation, content.predictions),
        "confusion": lambda: results.confusion_figure(content.evaluation),
    }
    return {**_drawn(makers), **facts_figures(content)}


def facts_figures(content: RunFacts) -> dict[str, str]:
    """Return the same of those figures that show no results."""
    return _drawn(
        {
            "class_balance": lambda: class_balance_figure(side_counts(content)),
            "sizes": lambda: size_figure(content.data.sizes_px) if content.data else None,
            "training": lambda: training_curves(content.training) if content.training else None,
        }
    )


def _drawn(makers: Mapping[str, Callable[[], str | None]]) -> dict[str, str]:
    drawn = {name: make() for name, make in makers.items()}
    return {name: svg for name, svg in drawn.items() if svg is not None}


def training_curves(training: TrainingSummary) -> str | None:
    """Return loss and validation AUC over the epochs with the chosen one marked; None for fewer than two epochs."""
    if len(training.history) < 2:
        return None
    panels = [
        ("Loss", {"Training": [row.train_loss for row in training.history]}),
        ("Validation AUC", {}),
    ]
    panels[0][1]["Validation"] = [_or_nan(row.validation_loss) for row in training.history]
    panels[1][1]["Validation"] = [_or_nan(row.validation_auc) for row in training.history]
    panels = [panel for panel in panels if np.isfinite(list(panel[1].values())).any()]
    with house_style():
        figure, axes = new_figure(80 + 150 * len(panels), nrows=len(panels), sharex=True, squeeze=False)
        for axis, (label, lines) in zip(axes[:, 0], panels, strict=True):
            _draw_over_epochs(axis, training, lines)
            axis.set_ylabel(label)
        axes[-1, 0].set_xlabel("Epoch")
        axes[-1, 0].xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper left", ncols=2)
        description = _describe_training(training)
        return to_svg(figure, name="figure-training", title="Training curves", description=description)


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _draw_over_epochs(axis: Axes, training: TrainingSummary, lines: Mapping[str, Sequence[float]]) -> None:
    add_grid(axis)
    epochs = [row.epoch for row in training.history]
    colours = {"Training": SIDE_COLOURS["train"], "Validation": SIDE_COLOURS["validation"]}
    for name, values in lines.items():
        if np.isfinite(values).any():
            marker = "o" if len(epochs) <= 40 else ""
            axis.plot(epochs, values, color=colours[name], marker=marker, markersize=3, label=name)
    if training.chosen_epoch is not None:
        axis.axvline(training.chosen_epoch, color=INK, alpha=0.7, linewidth=1, linestyle=(0, (3, 2)))


def _describe_training(training: TrainingSummary) -> str:
    first, last = training.history[0], training.history[-1]
    text = (
        f"{counted(len(training.history), 'epoch')}. Training loss went from {first.train_loss:.3f} "
        f"to {last.train_loss:.3f}."
    )
    known = {row.epoch: row.validation_auc for row in training.history if row.validation_auc is not None}
    if known:
        best = max(known, key=lambda epoch: known[epoch])
        text += f" Validation AUC was highest in epoch {best}, at {known[best]:.3f}."
    if training.chosen_epoch is not None:
        text += f" The dashed line marks epoch {training.chosen_epoch}, whose weights were kept."
    return text


def class_balance_figure(sides: Sequence[SideCounts]) -> str:
    """Return bars of the images of each class, divided by side."""
    counts = {SIDE_NAMES[side.side]: side.images_per_class for side in sides}
    colours = [SIDE_COLOURS[side.side] for side in sides]
    return balance_figure(counts, colours, name="figure-class-balance", title="Images of each class")


def balance_figure(counts: Mapping[str, Mapping[str, int]], colours: Sequence[str], *, name: str, title: str) -> str:
    """Return bars of the images of each class, divided by groups: sides, sites.

    Args:
        counts: for each group, the images of each class.
        colours: of the groups.
        name: unique in the page.
        title: what the bars are.
    """
    classes = list(dict.fromkeys(label for of_class in counts.values() for label in of_class))
    totals = {label: sum(of_class.get(label, 0) for of_class in counts.values()) for label in classes}
    positions = np.arange(len(classes))
    with house_style():
        figure, axis = new_figure(80 + 27 * len(classes))
        add_grid(axis, "x")
        start = np.zeros(len(classes))
        for (group, of_class), colour in zip(counts.items(), colours, strict=True):
            width = np.array([of_class.get(label, 0) for label in classes], dtype=float)
            axis.barh(
                positions, width, left=start, height=0.62, color=colour, edgecolor=PAPER, linewidth=1,
                label=shortened(group, 24),
            )  # fmt: skip
            start += width
        for position, label in zip(positions, classes, strict=True):
            axis.annotate(
                f"{totals[label]:,}", (totals[label], position), xytext=(4, 0), textcoords="offset points", va="center"
            )
        axis.set_yticks(positions, [shortened(label, 24) for label in classes])
        axis.invert_yaxis()
        axis.margins(x=0.1)
        axis.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
        axis.set_xlabel("Images")
        if len(counts) > 1:
            figure.legend(loc="outside upper left", ncols=3)
        words = "; ".join(f"{label}: {counted(totals[label], 'image')}" for label in classes)
        return to_svg(figure, name=name, title=title, description=f"{words}.")


def size_figure(sizes_px: Mapping[Side, Int[np.ndarray, "_ 2"]]) -> str | None:
    """Return widths against heights, one panel a side; None where all images have one size."""
    panels = {SIDE_NAMES[side]: sizes_px[side] for side in SIDES if side in sizes_px and len(sizes_px[side])}
    colours = [SIDE_COLOURS[side] for side in SIDES if SIDE_NAMES[side] in panels]
    return size_panels(panels, colours, title="Image sizes on each side")


def size_panels(panels: Mapping[str, Int[np.ndarray, "_ 2"]], colours: Sequence[str], *, title: str) -> str | None:
    """Return widths against heights, one panel a group of images; None where all images have one size."""
    everything = np.concatenate([np.empty((0, 2), int), *panels.values()])
    if len(np.unique(everything, axis=0)) < 2:
        return None
    low, high = everything.min(axis=0), everything.max(axis=0)
    with house_style():
        figure, axes = new_figure(220, ncols=len(panels), sharex=True, sharey=True, squeeze=False)
        for axis, (name, sizes), colour in zip(axes[0], panels.items(), colours, strict=True):
            _draw_sizes(axis, sizes, colour=colour)
            axis.set_title(f"{shortened(name, 36 // len(panels))} ({len(sizes):,})")
            axis.set_xlabel("Width (px)")
        axes[0, 0].set_ylabel("Height (px)")
        _set_pixel_axis(axes[0, 0], "x", int(low[0]), int(high[0]), most=6 // len(panels))
        _set_pixel_axis(axes[0, 0], "y", int(low[1]), int(high[1]), most=4)
        median = np.median(everything, axis=0)
        description = (
            f"Widths run from {low[0]} to {high[0]} pixels with a median of {median[0]:.0f}, "
            f"heights from {low[1]} to {high[1]} with a median of {median[1]:.0f}, on logarithmic axes."
        )
        return to_svg(figure, name="figure-sizes", title=title, description=description)


def _draw_sizes(axis: Axes, sizes: Int[np.ndarray, "_ 2"], *, colour: str) -> None:
    """Draw one mark a size, in steps larger where more images have it; many sizes share marks with their neighbours."""
    add_grid(axis)
    places, counts = np.unique(sizes, axis=0, return_counts=True)
    if len(places) > _MAX_SINGLE_SIZES:
        steps = np.round(np.log2(sizes) * _MARKS_PER_DOUBLING)
        places, counts = np.unique(2 ** (steps / _MARKS_PER_DOUBLING), axis=0, return_counts=True)
    level = np.ceil(np.sqrt(counts / counts.max()) * _MARK_LEVELS).astype(int)
    for step in np.unique(level):
        x, y = places[level == step].T
        axis.plot(x, y, marker="o", markersize=2 + 1.6 * step, color=colour, linestyle="none", alpha=0.65, mew=0)


def _set_pixel_axis(axes: Axes, direction: Literal["x", "y"], low: int, high: int, *, most: int) -> None:
    """Set a logarithmic scale with a few round numbers as ticks."""
    ticks = _round_numbers(low, high, most)
    getattr(axes, f"set_{direction}scale")("log")
    getattr(axes, f"set_{direction}lim")(low / 1.2, high * 1.2)
    axis = axes.xaxis if direction == "x" else axes.yaxis
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))
    axis.set_minor_locator(NullLocator())


def _round_numbers(low: int, high: int, most: int) -> list[int]:
    """Return up to ``most`` of 1, 2, 5, 10, 20, ... between two sizes; the sizes themselves where they are too close.

    >>> _round_numbers(19, 338, 4), _round_numbers(24, 31, 4)
    ([20, 50, 100, 200], [24, 31])
    """
    inside = [step * 10**power for power in range(7) for step in (1, 2, 5) if low <= step * 10**power <= high]
    if len(inside) < 2:
        return sorted({low, high})
    return inside[:: math.ceil(len(inside) / most)]
