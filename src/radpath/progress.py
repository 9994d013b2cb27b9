"""Progress of long work: a bar with rate and time left on a terminal, nothing elsewhere."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def track(items: Iterable[Item], *, total: int, what: str, unit: str = "images") -> Iterator[Item]:
    """Yield ``items`` while a bar on standard error shows how many are done, how fast, and the time left.

    Args:
        items: what to iterate.
        total: how many there are.
        what: the work, as a verb: "decoding".
        unit: what is counted, in the plural.
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
            speed = bar.tasks[0].speed
            bar.update(task, advance=1, rate=f"{speed:,.1f}/s" if speed else "")
