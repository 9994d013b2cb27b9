"""The figure of a test of learning rates: loss over rate.

In: the numbers of the test. Out: one ``<svg>`` text.
"""

from collections.abc import Sequence

from radpath.reporting.svg import INK, add_grid, colour_of, house_style, new_figure, to_svg

_HEIGHT_PX = 260


def rate_figure(
    rates: Sequence[float],
    losses: Sequence[float],
    smoothed: Sequence[float],
    *,
    suggestion: float | None,
    current: float,
) -> str:
    """Return the losses and their moving average over the rate, with the suggested and the current rate marked.

    Args:
        rates: growing, on a logarithmic axis.
        losses: one a rate.
        smoothed: the same, averaged; they set the height of the figure.
        suggestion: None where there is none.
        current: the rate of the settings.
    """
    with house_style():
        figure, axis = new_figure(_HEIGHT_PX)
        add_grid(axis)
        axis.set_xscale("log")
        axis.plot(rates, losses, ".", color=colour_of(6), label="Batch")
        axis.plot(rates, smoothed, color=colour_of(0), label="Moving average")
        if smoothed:
            spread = max(max(smoothed[:1]) - min(smoothed), 0.1 * min(smoothed))
            axis.set_ylim(min(smoothed) - spread, max(smoothed[0], min(smoothed)) + 2 * spread)
        if suggestion is not None:
            axis.axvline(suggestion, color=colour_of(1), label=f"Suggested, {suggestion:.1e}")
        axis.axvline(current, color=INK, alpha=0.7, linewidth=1, linestyle=(0, (3, 2)), label=f"Set, {current:.1e}")
        axis.set_xlabel("Learning rate")
        axis.set_ylabel("Loss")
        figure.legend(*axis.get_legend_handles_labels(), loc="outside upper left", ncols=2)
        told = "none is suggested" if suggestion is None else f"{suggestion:.1e} is suggested"
        description = f"The loss of {len(rates)} steps with a growing learning rate; {told}, {current:.1e} is set."
        return to_svg(figure, name="figure-learning-rate", title="Loss by learning rate", description=description)
