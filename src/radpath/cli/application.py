"""The program of which the commands are a part: its name, its help, what Ctrl-C does, and who runs a command."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import typer
from typer.core import TyperGroup

from radpath.errors import RunInterruptedError, exit_codes


class _Commands(TyperGroup):
    """The commands, in the order in which they stand in ``main``."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - Typer does not name the type of its context
        """Run one command; Ctrl-C gets radpath's words and exit code instead of Typer's."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise RunInterruptedError("interrupted") from None


_NO_WRAPPING = "\b\n"  # Typer's sign in front of lines that stay as they are
_CODES = "\n".join(f"  {code:3}  {meaning.rstrip('.')}" for code, meaning in exit_codes().items())

app = typer.Typer(
    name="radpath",
    cls=_Commands,
    help="From a folder of medical images and a table of labels to a classifier whose evaluation can be defended.",
    epilog=f"{_NO_WRAPPING}Exit codes:\n{_CODES}",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)


@contextlib.contextmanager
def helped_by_others() -> Iterator[bool]:
    """Give True to the process that runs the command; the others that torchrun started work for it until it is done."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield True
        return
    from radpath.training import workers  # late, since it imports PyTorch

    if not workers.is_started_by_torchrun():
        yield True
    elif workers.is_helper():
        workers.serve()
        yield False
    else:
        try:
            yield True
        finally:
            workers.dismiss()
