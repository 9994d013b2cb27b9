"""Progress of long work: a bar with rate and time left on a terminal, nothing elsewhere."""

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def track(
    items: Iterable[Item],
    *,
    total: int,
    what: str,
    unit: str = "images",
    weigh: Callable[[Item], int] | None = None,
) -> Iterator[Item]:
    """Yield ``items`` while a bar on standard error shows how many are done, how fast, and the time left.

    Args:
        items: what to iterate.
        total: how many there are.
        what: the work, as a verb: "decoding".
        unit: what is counted, in the plural.
        weigh: how many of them an item stands for; None: one.
    """
    if not sys.stderr.isatty() or total == 0:
        yield from items
        return
    # Late: rich takes a tenth of a second to import, which `radpath --help` has no use for.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(f"{unit}  {{task.fields[rate]}}"),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total, rate="")
        for item in items:
            yield item
            bar.update(task, advance=1 if weigh is None else weigh(item))
            bar.update(task, rate=rate_text(bar.tasks[0].speed))


def rate_text(per_second: float | None) -> str:
    """Return a rate as a person reads it: many a second, or seconds for each.

    >>> rate_text(1234.5), rate_text(0.25), rate_text(None)
    ('1,234.5/s', '4.0 s each', '')
    """
    if not per_second:
        return ""
    return f"{per_second:,.1f}/s" if per_second >= 1 else f"{1 / per_second:,.1f} s each"
